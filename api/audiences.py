"""Who watches a replay: an event log, or a terminal."""

import json
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TextIO

from api.output import writing
from pipeline.domain import Caption, Track, TrackId, UtteranceId, VoiceRun, Word
from pipeline.export.event import caption_event, seconds, voices_event
from pipeline.record.attribution import with_voice

_COLOURS = (36, 33, 35, 32, 34, 91, 96, 93)
_DIM = "\x1b[2;3m"
_RESET = "\x1b[0m"


@dataclass(slots=True)
class EventLog:
    """One JSON object a line, flushed, so that what was made is kept whatever happens next.

    ``path`` is what the file is called when it cannot be written.
    """

    file: TextIO
    path: Path

    def show(self, caption: Caption, at: float) -> None:
        self._write(caption_event(caption, at))

    def tell(self, track: Track, runs: Sequence[VoiceRun], at: float) -> None:
        """The one kind of event that has a ``type``."""
        told = voices_event(track.participant, runs[0].utterance, runs, {})
        self._write({"type": "voices", "sent_at": seconds(at), **told})

    def _write(self, event: Mapping[str, object]) -> None:
        with writing(self.path):
            self.file.write(json.dumps(event, ensure_ascii=False) + "\n")
            self.file.flush()


@dataclass(frozen=True, slots=True)
class _Line:
    """Words of one speaker; ``tail`` may still change."""

    name: str
    colour: int
    words: Sequence[Word]
    tail: Sequence[Word] = ()

    @property
    def plain(self) -> str:
        return _printable(f"{self.name}:{_text(self.words)}{_text(self.tail)}")

    @property
    def coloured(self) -> str:
        name, words, tail = _printable(self.name), _printable(_text(self.words)), _printable(_text(self.tail))
        said = f"\x1b[1;{self.colour}m{name}{_RESET}\x1b[{self.colour}m:{words}{_RESET}"
        return said + (f"{_DIM}{tail}{_RESET}" if tail else "")

    def within(self, room: int) -> "_Line":
        """Without its oldest words where it would fill more than ``room`` columns."""
        line = self
        while line.words and _width(line.plain) > room:
            line = replace(line, words=line.words[1:])
        return line


@dataclass(slots=True)
class Terminal:
    """Captions as they change: finished ones scroll up, those under way are redrawn below, their tails dim.

    A stream that is no terminal gets finished captions only. A participant is told by name and by colour. What is
    redrawn stays within the screen: of long captions the newest words are shown. Where lines are ``voiced``, each voice
    has its own, and a finished caption waits for who said its last word, at most until the next one is finished.
    """

    names: Mapping[TrackId, str]
    file: TextIO = field(default_factory=lambda: sys.stdout)
    voiced: bool = False
    _open: dict[UtteranceId, Caption] = field(default_factory=dict)
    _runs: dict[UtteranceId, Sequence[tuple[VoiceRun, str]]] = field(default_factory=dict)
    _drawn: int = 0

    def show(self, caption: Caption, at: float) -> None:
        self._open[caption.utterance] = caption
        self._redraw(self._finished())

    def tell(self, track: Track, runs: Sequence[VoiceRun], at: float) -> None:
        """Lines that were printed stay as they are."""
        utterance = runs[0].utterance
        if self.voiced and utterance in self._open:
            self._runs[utterance] = [(run, with_voice(track.participant, run.voice).name) for run in runs]
            self._redraw(self._finished())

    def finish(self) -> None:
        """No voice is told any more: prints what waited for it."""
        self._redraw([caption for caption in self._open.values() if caption.final])

    def _finished(self) -> list[Caption]:
        """The finals that wait for nothing, in order."""
        finals = [caption for caption in self._open.values() if caption.final]
        newest = {caption.track: caption for caption in finals}
        return [
            caption
            for caption in finals
            if not self.voiced or caption is not newest[caption.track] or self._is_voiced(caption)
        ]

    def _is_voiced(self, caption: Caption) -> bool:
        """Whether its last word has a voice."""
        runs = self._runs.get(caption.utterance, ())
        return max((run.first + run.count for run, _ in runs), default=0) >= len(caption.words)

    def _redraw(self, finished: Sequence[Caption]) -> None:
        with writing(Path("-")):
            live = self.file.isatty()
            if live:
                self._erase()
            for caption in finished:
                lines = self._lines(caption) if caption.words else []
                self.file.writelines((line.coloured if live else line.plain) + "\n" for line in lines)
                del self._open[caption.utterance]
                self._runs.pop(caption.utterance, None)
            if live:
                self._draw()
            self.file.flush()

    def _erase(self) -> None:
        if self._drawn:
            self.file.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        columns, rows = shutil.get_terminal_size()
        shown = [line for caption in self._open.values() for line in self._lines(caption)][-max(1, rows - 1) :]
        room = columns * max(1, (rows - 1) // max(1, len(shown)))
        for line in (line.within(room) for line in shown):
            self.file.write(line.coloured + "\n")
            self._drawn += -(-_width(line.plain) // columns) or 1

    def _lines(self, caption: Caption) -> list[_Line]:
        """A line for each voice in turn, the last one with the tail; words of nobody have the name of the track."""
        owner = self.names.get(caption.track, caption.track)
        colour = _COLOURS[list(self.names).index(caption.track) % len(_COLOURS)] if caption.track in self.names else 37
        said: list[tuple[str, int]] = [(owner, colour)] * len(caption.words)
        for run, name in self._runs.get(caption.utterance, ()):
            last = min(run.first + run.count, len(said))
            said[run.first : last] = [(name, _COLOURS[run.voice % len(_COLOURS)])] * (last - run.first)
        spoken = [
            _Line(name, shade, [word for _, word in words])
            for (name, shade), words in groupby(zip(said, caption.words, strict=True), key=lambda pair: pair[0])
        ]
        if caption.tail or not spoken:
            before = spoken.pop() if spoken and spoken[-1].name == owner else _Line(owner, colour, ())
            spoken.append(replace(before, tail=caption.tail))
        return spoken


def _text(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words)


def _printable(text: str) -> str:
    return "".join(character for character in text if unicodedata.category(character) != "Cc")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)

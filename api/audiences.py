"""Who watches a replay: an event log, or a terminal."""

import json
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from api.output import writing
from pipeline.domain import Caption, Track, TrackId, UtteranceId, VoiceRun
from pipeline.export.event import caption_event, seconds, voices_event

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


@dataclass(slots=True)
class Terminal:
    """Captions as they change: finished ones scroll up, those under way are redrawn below, their tails dim.

    A stream that is no terminal gets finished captions only. A participant is told by name and by colour. What is
    redrawn stays within the screen: of long captions the newest words are shown.
    """

    names: Mapping[TrackId, str]
    file: TextIO = field(default_factory=lambda: sys.stdout)
    _open: dict[UtteranceId, Caption] = field(default_factory=dict)
    _drawn: int = 0

    def show(self, caption: Caption, at: float) -> None:
        with writing(Path("-")):
            self._show(caption)

    def tell(self, track: Track, runs: Sequence[VoiceRun], at: float) -> None:
        """Lines that were printed stay as they are."""

    def _show(self, caption: Caption) -> None:
        live = self.file.isatty()
        if live:
            self._erase()
        if caption.final:
            self._open.pop(caption.utterance, None)
            if caption.words:
                self.file.write(self._line(caption, live) + "\n")
        else:
            self._open[caption.utterance] = caption
        if live:
            self._draw()
        self.file.flush()

    def _erase(self) -> None:
        if self._drawn:
            self.file.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0

    def _draw(self) -> None:
        columns, lines = shutil.get_terminal_size()
        shown = list(self._open.values())[-max(1, lines - 1) :]
        room = columns * max(1, (lines - 1) // max(1, len(shown)))
        for caption in shown:
            newest = self._within(caption, room)
            self.file.write(self._line(newest, True) + "\n")
            self._drawn += -(-_width(self._line(newest, False)) // columns) or 1

    def _within(self, caption: Caption, room: int) -> Caption:
        """``caption`` without its oldest words where it would fill more than ``room`` columns."""
        while caption.words and _width(self._line(caption, False)) > room:
            caption = replace(caption, words=caption.words[1:])
        return caption

    def _line(self, caption: Caption, coloured: bool) -> str:
        name = self.names.get(caption.track, caption.track)
        tail = "".join(word.text for word in caption.tail)
        if not coloured:
            return _printable(f"{name}:{caption.committed}{tail}")
        colour = _COLOURS[list(self.names).index(caption.track) % len(_COLOURS)] if caption.track in self.names else 37
        said = f"\x1b[1;{colour}m{_printable(name)}{_RESET}\x1b[{colour}m:{_printable(caption.committed)}{_RESET}"
        return said + (f"{_DIM}{_printable(tail)}{_RESET}" if tail else "")


def _printable(text: str) -> str:
    return "".join(character for character in text if unicodedata.category(character) != "Cc")


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)

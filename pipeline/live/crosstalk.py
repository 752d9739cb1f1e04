"""Words that a second microphone of a room heard from afar: withheld from its captions while they are made.

Fed with how loud each track is and with what is said on it. Words are withheld that another track shows already and
louder (``pipeline/record/copies``); those that may become such a copy are held until it is clear. Words that were
shown before the louder track had them stay: the transcript folds them.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from math import log10

import numpy as np

from pipeline.domain import Samples, TrackId, Word
from pipeline.record.copies import APART_S, FARTHER_DB, LEAST, Lines, Run, loudness, plain_form

_KEPT = 60.0
"""Seconds of loudness that are known of a track, at most."""
_PIECE = 0.1
"""Loudness is kept in pieces of about this length, in seconds."""
_REMEMBERED = 256
"""Words of a track, the newest, that may be copies or be copied."""
_BEFORE = 12
"""So many words said before are part of a run that goes on."""
_QUIETEST = 1e-12


def level_of(samples: Samples) -> float:
    """How loud ``samples`` of shape (n,) are, in dB relative to full scale; -120 for silence."""
    wide = samples.astype(np.float32)
    power = float(np.dot(wide, wide)) / (max(len(samples), 1) * 32768.0**2)
    return 10.0 * log10(max(power, _QUIETEST))


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of words: ``own`` are the track's, ``held`` not clear yet, others, until ``copied``, copies."""

    own: tuple[Word, ...]
    held: tuple[Word, ...] = ()
    copied: float | None = None


@dataclass(slots=True)
class _Heard:
    """One track: its loudness in pieces (start, end, power), all its words, and those of them that are shown."""

    pieces: deque[tuple[float, float, float]] = field(default_factory=deque)
    said: deque[Word] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    own: deque[Word] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    tail: tuple[Word, ...] = ()

    def loud(self, start: float, end: float, level_db: float) -> None:
        power = 10.0 ** (level_db / 10.0)
        if self.pieces:
            begun, until, before = self.pieces[-1]
            start = max(start, until)
            if until - begun < _PIECE and start == until < end:
                power = (before * (until - begun) + power * (end - start)) / (end - begun)
                self.pieces.pop()
                start = begun
        if start < end:
            self.pieces.append((start, end, power))
        while self.pieces and self.pieces[0][1] < end - _KEPT:
            self.pieces.popleft()

    def level(self, start: float, end: float) -> float | None:
        """How loud it was between two moments, in dBFS; None where no sound is known."""
        end = max(end, start + _PIECE)
        seconds = energy = 0.0
        for begun, until, power in islice(
            self.pieces, bisect_left(self.pieces, start, key=lambda piece: piece[1]), None
        ):
            if begun >= end:
                break
            shared = min(until, end) - max(begun, start)
            seconds += shared
            energy += power * shared
        return round(10.0 * log10(energy / seconds), 1) if seconds > 0.0 else None

    def measured(self, words: Sequence[Word]) -> tuple[Word, ...]:
        if not self.pieces:
            return tuple(words)
        return tuple(replace(word, level=self.level(word.start, word.end)) for word in words)

    def shown(self, start: float, end: float) -> list[Word]:
        """The words that are shown of what was said between two moments."""
        words = [word for word in (*self.own, *self.tail) if word.start < end and word.end > start]
        return [word for word in words if plain_form(word.text)]


@dataclass(slots=True)
class CrossTalk:
    """All tracks of a meeting. Those whose loudness nobody tells are never copies, and have none."""

    _tracks: dict[TrackId, _Heard] = field(default_factory=dict)

    def audio_level(self, track: TrackId, start: float, end: float, level_db: float) -> None:
        """The sound of ``track`` between two moments, later than all before, is so loud (dBFS)."""
        self._heard(track).loud(start, end, level_db)

    def settle(self, track: TrackId, words: Sequence[Word], last: bool = False) -> Settled:
        """What becomes of the next ``words`` of ``track``; those that are held are given again with the next ones.

        After the ``last`` words of an utterance nothing is held.
        """
        heard = self._heard(track)
        measured = heard.measured(words)
        copies, clear = self._judged(track, measured)
        clear = len(measured) if last else clear
        own = tuple(word for number, word in enumerate(measured[:clear]) if number not in copies)
        copied = [word.end for number, word in enumerate(measured[:clear]) if number in copies]
        heard.said.extend(measured[:clear])
        heard.own.extend(own)
        return Settled(own, measured[clear:], copied[-1] if copied else None)

    def visible(self, track: TrackId, words: Sequence[Word]) -> tuple[Word, ...]:
        """What may be shown of ``words``, the tail of ``track``; others then are a copy of it."""
        heard = self._heard(track)
        measured = heard.measured(words)
        copies, clear = self._judged(track, measured)
        heard.tail = tuple(word for number, word in enumerate(measured[:clear]) if number not in copies)
        return heard.tail

    def forget(self, track: TrackId) -> None:
        """Nothing more is said on ``track`` for now."""
        self._tracks.pop(track, None)

    def _heard(self, track: TrackId) -> _Heard:
        return self._tracks.setdefault(track, _Heard())

    def _judged(self, track: TrackId, words: Sequence[Word]) -> tuple[set[int], int]:
        """The numbers of those of ``words`` that are copies, and from which number on it is not clear yet."""
        before = list(self._heard(track).said)[-_BEFORE:]
        numbered = [
            (number, word) for number, word in enumerate((*before, *words), -len(before)) if plain_form(word.text)
        ]
        if not words or not numbered:
            return set(), len(words)
        ours = [word for _, word in numbered]
        start, end = ours[0].start - APART_S, ours[-1].end + APART_S
        theirs = [heard.shown(start, end) for name, heard in self._tracks.items() if name != track]
        lines = Lines([ours, *filter(None, theirs)])
        runs = lines.runs(0, 1)
        copied = {
            numbered[place][0]
            for run in runs
            if run.count >= LEAST and lines.copied(0, run)
            for place in range(run.first, run.end)
        }
        for number, word in enumerate(words):
            if number - 1 in copied and not plain_form(word.text):
                copied.add(number)
        begun = [numbered[run.first][0] for run in runs if run.end == len(ours) and _may_become(lines, run)]
        return copied, max(0, min(begun, default=len(words)))


def _may_become(lines: Lines, run: Run) -> bool:
    """Whether a ``run`` of the first line, which goes to its end, is a copy if it goes on."""
    here = loudness(lines.lines[0][run.first : run.end])
    there = loudness(lines.lines[run.other][run.original : run.original + run.count])
    return run.count < LEAST and here is not None and there is not None and there - here >= FARTHER_DB

"""Words that a second microphone of a room heard from afar: withheld from its captions while they are made.

Fed with how loud each track is and with what is said on it. Words are withheld that another track shows already and
louder, and those that are as quiet as such copies were (``pipeline/record/copies``); words that may become the first of
a copy are held until it is clear. Words that were shown before the louder track had them stay: the transcript folds
them.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from pipeline.domain import TrackId, Word
from pipeline.live.loudness import Loudness
from pipeline.record.copies import (
    ABOUT_DB,
    AFAR,
    EARLY_S,
    FARTHER_DB,
    LASTING_S,
    LATE_S,
    LEAST,
    Lines,
    Run,
    plain_form,
)

_REMEMBERED = 256
"""Words of a track, the newest, that may be copies or be copied."""
_BEFORE = 12
"""So many words said before are part of a run that goes on."""
_LEAST_SOUND = 0.4
"""The loudness of shorter sound than this says too little: words do not begin where they are said to."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of words: ``own`` are the track's, ``held`` not clear yet, others, until ``copied``, copies."""

    own: tuple[Word, ...]
    held: tuple[Word, ...] = ()
    copied: float | None = None


@dataclass(slots=True)
class _Afar:
    """How one microphone hears whoever speaks at another: ``decibels`` quieter, by the ``words`` that were copies."""

    words: int = 0
    decibels: float = 0.0
    until: float = float("-inf")

    def learn(self, until: float, words: int, decibels: float) -> None:
        """So many words more, the last of which ended at ``until``, were copies so much quieter."""
        if until - self.until > LASTING_S:
            self.words = 0
        self.words = min(self.words + words, 4 * AFAR)
        self.decibels += (decibels - self.decibels) * min(1.0, words / self.words)
        self.until = max(self.until, until)

    def explains(self, at: float, decibels: float) -> bool:
        """Whether sound at a moment that is so much quieter here than there is what is said there."""
        known = self.words >= AFAR and at - self.until <= LASTING_S
        return known and decibels >= max(self.decibels - ABOUT_DB, FARTHER_DB)


@dataclass(slots=True)
class _Heard:
    """One track: its loudness, all its words, those of them that are shown, and the tracks it hears from afar."""

    loudness: Loudness = field(default_factory=Loudness)
    said: deque[Word] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    own: deque[Word] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    tail: tuple[Word, ...] = ()
    afar: dict[TrackId, _Afar] = field(default_factory=dict)

    def measured(self, words: Sequence[Word]) -> list[Word]:
        """``words`` with their loudness, where it is known."""
        return [replace(word, level=self.loudness.level(*_span(word))) for word in words]

    def shown(self, start: float, end: float) -> list[Word]:
        """The words that are shown of what was said between two moments."""
        recent = list(takewhile(lambda word: word.end > start, reversed(self.own)))
        return [word for word in (*reversed(recent), *self.tail) if word.start < end and plain_form(word.text)]


@dataclass(frozen=True, slots=True)
class _Judgement:
    """The numbers of words that are ``copies``, from which on it is not ``clear``, and what was learnt from it: which
    track hears which from afar, by copies that ended when, of how many words, so much quieter."""

    copies: frozenset[int] = frozenset()
    clear: int = 0
    learnt: tuple[tuple[TrackId, TrackId, float, int, float], ...] = ()


@dataclass(slots=True)
class CrossTalk:
    """All tracks of a meeting. Those whose loudness nobody tells are never copies, and have none."""

    _tracks: dict[TrackId, _Heard] = field(default_factory=dict)

    def audio_level(self, track: TrackId, start: float, end: float, level_db: float) -> None:
        """The sound of ``track`` between two moments is so loud (dBFS)."""
        self._heard(track).loudness.heard(start, end, level_db)

    def levels(self, track: TrackId, start: float, end: float) -> tuple[tuple[float, float], ...]:
        """From which moments on ``track`` was how loud."""
        return self._heard(track).loudness.levels(start, end)

    def settle(self, track: TrackId, words: Sequence[Word], last: bool = False) -> Settled:
        """What becomes of the next ``words`` of ``track``; those that are held are given again with the next ones.

        After the ``last`` words of an utterance nothing is held.
        """
        heard = self._heard(track)
        measured = heard.measured(words)
        judged = self._judged(track, measured)
        for here, there, until, count, decibels in judged.learnt:
            self._heard(here).afar.setdefault(there, _Afar()).learn(until, count, decibels)
        clear = len(words) if last else judged.clear
        own = [number for number in range(clear) if number not in judged.copies]
        copied = [words[number].end for number in range(clear) if number in judged.copies]
        heard.said.extend(measured[:clear])
        heard.own.extend(measured[number] for number in own)
        return Settled(tuple(words[number] for number in own), tuple(words[clear:]), copied[-1] if copied else None)

    def visible(self, track: TrackId, words: Sequence[Word]) -> tuple[Word, ...]:
        """What may be shown of ``words``, the tail of ``track``; others may then be a copy of it."""
        heard = self._heard(track)
        measured = heard.measured(words)
        judged = self._judged(track, measured)
        shown = [number for number in range(judged.clear) if number not in judged.copies]
        heard.tail = tuple(measured[number] for number in shown)
        return tuple(words[number] for number in shown)

    def forget(self, track: TrackId) -> None:
        """Nothing more is said on ``track`` for now."""
        self._tracks.pop(track, None)

    def _heard(self, track: TrackId) -> _Heard:
        return self._tracks.setdefault(track, _Heard())

    def _judged(self, track: TrackId, words: Sequence[Word]) -> _Judgement:
        before = list(self._heard(track).said)[-_BEFORE:]
        line = enumerate((*before, *words), -len(before))
        numbered = [(number, word) for number, word in line if plain_form(word.text)]
        if not words or not numbered:
            return _Judgement(clear=len(words))
        ours = [word for _, word in numbered]
        theirs = self._meanwhile(track, ours[0].start - LATE_S, ours[-1].end + EARLY_S)
        if not theirs and not self._heard(track).afar:
            return _Judgement(clear=len(words))
        lines = Lines([ours, *theirs.values()])
        runs = lines.runs(0, 1)
        copies = [run for run in runs if run.count >= LEAST and lines.copied(0, run)]
        copied = {numbered[place][0] for run in copies for place in range(run.first, run.end)}
        copied.update(number for number, word in enumerate(words) if self._from_afar(track, word))
        for number, word in enumerate(words):
            if number - 1 in copied and not plain_form(word.text):
                copied.add(number)
        begun = [numbered[run.first][0] for run in runs if run.end == len(ours) and _may_become(lines, run)]
        names = list(theirs)
        learnt = []
        for run in runs:
            fresh = sum(numbered[place][0] >= 0 for place in range(run.first, run.end))
            quieter = lines.apart(0, run)
            if fresh and run.count >= LEAST and quieter is not None:
                end, other = ours[run.end - 1].end, names[run.other - 1]
                if lines.copied(0, run):
                    learnt.append((track, other, end, fresh, quieter))
                elif lines.copies(0, run):
                    learnt.append((other, track, end, fresh, -quieter))
        return _Judgement(frozenset(copied), max(0, min(begun, default=len(words))), tuple(learnt))

    def _meanwhile(self, track: TrackId, start: float, end: float) -> Mapping[TrackId, list[Word]]:
        """What other tracks show of a time."""
        shown = {name: heard.shown(start, end) for name, heard in self._tracks.items() if name != track}
        return {name: words for name, words in shown.items() if words}

    def _from_afar(self, track: TrackId, word: Word) -> bool:
        """Whether ``word`` is as much quieter than another track as copies of that one were."""
        for name, afar in self._heard(track).afar.items():
            there = self._heard(name).loudness.level(*_span(word))
            if there is not None and word.level is not None and afar.explains(word.start, there - word.level):
                return True
        return False


def _span(word: Word) -> tuple[float, float]:
    """When the sound of ``word`` is listened to."""
    middle = (word.start + word.end) / 2
    return min(word.start, middle - _LEAST_SOUND / 2), max(word.end, middle + _LEAST_SOUND / 2)


def _may_become(lines: Lines, run: Run) -> bool:
    """Whether a ``run`` of the first line, which goes to its end, is a copy if it goes on."""
    quieter = lines.apart(0, run)
    return run.count < LEAST and quieter is not None and quieter >= FARTHER_DB

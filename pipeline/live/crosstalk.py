"""Words that a second microphone of a room heard from afar: withheld from its captions while they are made.

Fed with how loud each track is and with what is said on it. Words are withheld that another track shows already and
louder, and those that are as quiet as such copies were (``pipeline/record/copies``); words that may become the first of
a copy are held until it is clear. Words that were shown before the louder track had them stay: the transcript folds
them.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import inf

from pipeline.domain import TrackId, Word
from pipeline.live.loudness import Loudness
from pipeline.record.copies import (
    ABOUT_DB,
    AFAR,
    ALONE_S,
    EARLY_S,
    FARTHER_DB,
    LASTING_S,
    LATE_S,
    Lines,
    Run,
    apart,
    is_copy,
    may_become_copy,
    own_level,
    plain_form,
)

_REMEMBERED = 256
"""Words of a track, the newest, that may be copies or be copied."""
_BEFORE = 12
"""So many words said before are part of a run that goes on."""
_OWN = 64
"""Of so many words, the newest, it is known how loud whoever sits at a microphone is."""
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
    """One track: its loudness, all its words, those of them that are shown, and the tracks it hears from afar.

    ``levels`` are those of the words that are shown and were said while nobody was louder elsewhere.
    """

    loudness: Loudness = field(default_factory=Loudness)
    said: deque[Word] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    own: deque[Word] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    tail: tuple[Word, ...] = ()
    levels: deque[float] = field(default_factory=lambda: deque(maxlen=_OWN))
    afar: dict[TrackId, _Afar] = field(default_factory=dict)

    @property
    def own_level(self) -> float | None:
        """How loud whoever sits at its microphone is, once that is known."""
        return own_level(self.levels)

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
    """All tracks of a meeting on which somebody spoke. Those whose loudness nobody tells are never copies, and have
    none."""

    _tracks: dict[TrackId, _Heard] = field(default_factory=dict)

    @property
    def compares(self) -> bool:
        """Whether loudness matters: where one track has spoken nobody can have heard it from afar."""
        return len(self._tracks) > 1

    def speaks(self, track: TrackId) -> None:
        """Somebody speaks on ``track``."""
        self._heard(track)

    def audio_level(self, track: TrackId, start: float, end: float, level_db: float) -> None:
        """The sound of ``track`` between two moments is so loud (dBFS)."""
        self._heard(track).loudness.heard(start, end, level_db)

    def levels(self, track: TrackId, start: float, end: float) -> tuple[tuple[float, float], ...]:
        """From which moments on ``track`` was how loud."""
        heard = self._tracks.get(track)
        return heard.loudness.levels(start, end) if heard is not None else ()

    def settle(self, track: TrackId, words: Sequence[Word], last: bool = False) -> Settled:
        """What becomes of the next ``words`` of ``track``; those that are held are given again with the next ones.

        After the ``last`` words of an utterance nothing is held.
        """
        if not self.compares:
            return Settled(tuple(words))
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
        heard.levels.extend(self._undisturbed(track, [measured[number] for number in own]))
        return Settled(tuple(words[number] for number in own), tuple(words[clear:]), copied[-1] if copied else None)

    def visible(self, track: TrackId, words: Sequence[Word]) -> tuple[Word, ...]:
        """What may be shown of ``words``, the tail of ``track``; others may then be a copy of it."""
        if not self.compares:
            return tuple(words)
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
        names = (track, *theirs)
        own = [self._heard(name).own_level for name in names]
        copied = {number for number, word in enumerate(words) if self._from_afar(track, word, own[0])}
        begun = [len(words)]
        learnt = []
        runs = lines.runs(0, 1)
        copies = _copies(lines, runs, own[0])
        for run in runs:
            mine, said = lines.of(0, run)
            quieter = apart(mine, said)
            numbers = [number for number, _ in numbered[run.first : run.end]]
            if quieter is None:
                continue
            if run.end == len(ours) and may_become_copy(mine, said, own[0]):
                begun.append(numbers[0])
            fresh = sum(number >= 0 for number in numbers)
            if run in copies:
                copied.update(numbers)
                learnt.append((track, names[run.other], mine[-1].end, fresh, quieter))
            elif is_copy(said, mine, own[run.other]):
                learnt.append((names[run.other], track, mine[-1].end, fresh, -quieter))
        for number, word in enumerate(words):
            if number - 1 in copied and not plain_form(word.text):
                copied.add(number)
        taught = tuple(each for each in learnt if each[3])
        return _Judgement(frozenset(copied), max(0, min(begun)), taught)

    def _meanwhile(self, track: TrackId, start: float, end: float) -> Mapping[TrackId, list[Word]]:
        """What other tracks show of a time of which their sound is known."""
        shown = {
            name: heard.shown(start, end)
            for name, heard in self._tracks.items()
            if name != track and heard.loudness.until > start
        }
        return {name: words for name, words in shown.items() if words}

    def _undisturbed(self, track: TrackId, words: Sequence[Word]) -> Iterator[float]:
        """The levels of those of ``words`` that are said on ``track`` while no other one is louder."""
        for word in words:
            start, end = word.start - ALONE_S, word.end + ALONE_S
            others = [
                heard.loudness.level(start, end)
                for name, heard in self._tracks.items()
                if name != track and heard.loudness.until > start
            ]
            if word.level is not None and all(other is None or other <= word.level for other in others):
                yield word.level

    def _from_afar(self, track: TrackId, word: Word, own: float | None) -> bool:
        """Whether ``word`` is as much quieter than another track as copies of that one were; not if as loud as own."""
        if word.level is None or (own is not None and word.level >= own - ABOUT_DB):
            return False
        for name, afar in self._heard(track).afar.items():
            heard = self._tracks.get(name)
            there = heard.loudness.level(*_span(word)) if heard is not None else None
            if there is not None and afar.explains(word.start, there - word.level):
                return True
        return False


def _copies(lines: Lines, runs: Sequence[Run], own: float | None) -> set[Run]:
    """Those of ``runs`` of the first line that are copies; see ``is_copy`` for ``own``.

    Where that is not known, those in common with one other line count together: what is heard from afar is misheard.
    """
    if own is not None:
        return {run for run in runs if is_copy(*lines.of(0, run), own)}
    alike: dict[int, list[Run]] = {}
    for run in runs:
        if is_copy(*lines.of(0, run), own=inf):
            alike.setdefault(run.other, []).append(run)
    copies: set[Run] = set()
    for several in alike.values():
        here = {word: there for run in several for word, there in zip(*lines.of(0, run), strict=True)}
        if is_copy(tuple(here), tuple(here.values()), own):
            copies.update(several)
    return copies


def _span(word: Word) -> tuple[float, float]:
    """When the sound of ``word`` is listened to."""
    middle = (word.start + word.end) / 2
    return min(word.start, middle - _LEAST_SOUND / 2), max(word.end, middle + _LEAST_SOUND / 2)

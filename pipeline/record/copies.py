"""Words of one microphone that another one heard as well: two microphones of one room.

A copy is three or more words in a row that another track says too, within a second and about when the copy is heard or
before, each as late as the others, and louder by as much as a microphone loses at twice the distance. A phrase of fewer
than three different words ("oui, oui, oui") is nobody's copy. Where nobody measured how loud words were, six and more
are a copy of the same ones that a recogniser was surer of.

People at microphones of their own who say the same at once ("bonjour à tous", "merci beaucoup, au revoir") may be more
than that apart: one has a quieter microphone. So a copy is quieter, too, than whoever sits at its microphone is in it
(``own_level``). Before that is known it takes more words, and more even ones.

What is heard from afar is often misheard. Once some words were copies, it is known how much quieter the one microphone
hears whoever speaks at the other; words that are about as much quieter than what is said there meanwhile are copies,
too. Whoever sits at the microphone is far louder in it than that.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import log10
from unicodedata import combining, normalize

from pipeline.domain import Word
from pipeline.record.shares import spoken_form

LATE_S = 1.0
"""A copy is heard no later than this after what it copies."""
EARLY_S = 0.5
"""Nor earlier than this before it: recognisers are as wrong about when a word begins, and networks are late."""
LEAST = 3
"""Fewer words in a row, or fewer different ones, are no copy."""
FARTHER_DB = 6.0
"""How much louder words are where they were said."""
_NEARER_DB = 1.0
"""Whose microphone somebody is nearer to is clear from so much on."""
STEADY_S = 0.25
"""The words of a copy are all as late, but for this, and but for one of four: recognisers are wrong about some."""
_MOST = 0.75
OWN = 8
"""After so many words of whoever sits at a microphone it is known how loud they are in it."""
ALONE_S = 1.0
"""Those count that are said while nobody is heard louder elsewhere, nor so long before or after."""
_STRICT_LEAST, _STRICT_STEADY_S = 5, 0.15
"""Before that, fewer words in a row are no copy, nor words that are not as even."""
_MANY, _SURER = 6, 0.02
"""Without loudness it takes so many words, and so much more confidence where they were said."""
STEP_S = 0.25
"""Of a final, it is kept how loud its track was in each so many seconds."""
AFAR = 8
"""After so many words that were copies it is known how much quieter one microphone hears who speaks at another."""
LASTING_S = 60.0
"""That is known for so long: people move, and microphones are turned."""
ABOUT_DB = 4.0
"""What is as much quieter, but for this, while the other track is heard is heard from afar, whatever its words."""
_BEGINNING = 5
"""Words that begin with the same letters, so many of them, are the same."""


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` words of a line from number ``first`` on that line ``other`` says too, from number ``original`` on."""

    other: int
    first: int
    original: int
    count: int

    @property
    def end(self) -> int:
        return self.first + self.count


@dataclass(slots=True)
class Lines:
    """The words of several tracks, each in order of their start; every word has a spoken form."""

    lines: Sequence[Sequence[Word]]
    _places: dict[str, list[tuple[float, int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, line in enumerate(self.lines):
            for place, word in enumerate(line):
                self._places.setdefault(plain_form(word.text), []).append((word.start, number, place))
        for places in self._places.values():
            places.sort()

    def runs(self, line: int, least: int = LEAST) -> list[Run]:
        """All runs of at least so many words, as long as they get, that ``line`` has in common with another line.

        A run ends at a pause, and where the other microphone becomes the nearer one: somebody else speaks.
        """
        found: list[Run] = []
        growing: dict[tuple[int, int], int] = {}
        for place, word in enumerate(self.lines[line]):
            longer = {
                (other, at): 1 + (growing.get((other, at - 1), 0) if self._goes_on(line, place, other, at) else 0)
                for other, at in self._near(word, line)
            }
            ended = {end: count for end, count in growing.items() if longer.get((end[0], end[1] + 1), 1) == 1}
            found += _runs(place, ended)
            growing = longer
        found += _runs(len(self.lines[line]), growing)
        return [run for run in found if run.count >= least]

    def of(self, line: int, run: Run) -> tuple[Sequence[Word], Sequence[Word]]:
        """The words of a ``run`` of ``line``, and those of the other line."""
        theirs = self.lines[run.other][run.original : run.original + run.count]
        return self.lines[line][run.first : run.end], theirs

    def _goes_on(self, line: int, place: int, other: int, at: int) -> bool:
        """Whether a word of ``line`` and the same one of another go on with what is before both."""
        if not place or not at:
            return False
        ours, theirs = self.lines[line][place - 1 : place + 1], self.lines[other][at - 1 : at + 1]
        quieter = [apart([word], [copy]) for word, copy in zip(ours, theirs, strict=True)]
        known = [each for each in quieter if each is not None]
        turned = min(known, default=0.0) < -_NEARER_DB and max(known, default=0.0) > _NEARER_DB
        return not turned and ours[1].start - ours[0].end <= LATE_S

    def _near(self, word: Word, line: int) -> Iterator[tuple[int, int]]:
        places = self._places[plain_form(word.text)]
        first = bisect_left(places, word.start - LATE_S, key=lambda place: place[0])
        last = bisect_right(places, word.start + EARLY_S, key=lambda place: place[0])
        return ((number, place) for _, number, place in places[first:last] if number != line)


def is_copy(words: Sequence[Word], others: Sequence[Word], own: float | None) -> bool:
    """Whether ``words`` are a copy of ``others``, which say the same.

    ``own`` is how loud whoever sits at the microphone of ``words`` is (dBFS), None where that is not known.
    """
    if len({plain_form(word.text) for word in words}) < LEAST or not _is_steady(words, others, STEADY_S):
        return False
    if apart(words, others) is None:
        return len(words) >= _MANY and _confidence(others) - _confidence(words) >= _SURER
    enough = own is not None or (len(words) >= _STRICT_LEAST and _is_steady(words, others, _STRICT_STEADY_S))
    return enough and is_far(words, others, own)


def may_become_copy(words: Sequence[Word], others: Sequence[Word], own: float | None) -> bool:
    """Whether ``words``, too few yet, are a copy of ``others`` if both go on alike."""
    return len(words) < (_STRICT_LEAST if own is None else LEAST) and is_far(words, others, own)


def is_far(words: Sequence[Word], others: Sequence[Word], own: float | None) -> bool:
    """Whether ``words`` are so much quieter than ``others``, and than whoever sits at their microphone."""
    here, there = loudness(words), loudness(others)
    if here is None or there is None or there - here < FARTHER_DB:
        return False
    return own is None or here < own - ABOUT_DB


def own_level(levels: Sequence[float]) -> float | None:
    """How loud whoever sits at a microphone is, by their words' ``levels``; None where those are too few."""
    return sorted(levels)[len(levels) // 2] if len(levels) >= OWN else None


def measured(words: Sequence[Word], levels: Sequence[tuple[float, float]]) -> tuple[Word, ...]:
    """``words`` with their loudness by the ``levels`` of their final."""
    if not levels:
        return tuple(words)
    found = []
    for word in words:
        first = bisect_right(levels, word.start - STEP_S, key=lambda level: level[0])
        last = bisect_right(levels, word.end, key=lambda level: level[0])
        heard = [level for _, level in levels[first:last]]
        found.append(replace(word, level=_mean(heard)))
    return tuple(found)


def apart(words: Sequence[Word], others: Sequence[Word]) -> float | None:
    """By how many decibels ``words`` are quieter than ``others``, where that is known."""
    here, there = loudness(words), loudness(others)
    return None if here is None or there is None else there - here


def loudness(words: Sequence[Word]) -> float | None:
    """The mean level of the words whose level is known, in dBFS."""
    return _mean([word.level for word in words if word.level is not None])


@lru_cache(maxsize=4096)
def plain_form(text: str) -> str:
    """What is said, without case, accents, spaces and punctuation, but for endings: those are misheard first."""
    return spoken_form("".join(sign for sign in normalize("NFKD", text) if not combining(sign)))[:_BEGINNING]


def _runs(end: int, lengths: dict[tuple[int, int], int]) -> Iterator[Run]:
    """The runs that end before place ``end``, by where they end in another line."""
    return (Run(other, end - count, last + 1 - count, count) for (other, last), count in lengths.items())


def _is_steady(words: Sequence[Word], others: Sequence[Word], within: float) -> bool:
    """Whether ``words`` are all as late after ``others``, but for so many seconds."""
    late = sorted(word.start - other.start for word, other in zip(words, others, strict=True))
    middle = late[len(late) // 2]
    return sum(abs(each - middle) <= within for each in late) >= _MOST * len(late)


def _mean(levels: Sequence[float]) -> float | None:
    powers = [10.0 ** (level / 10.0) for level in levels]
    return 10.0 * log10(sum(powers) / len(powers)) if powers else None


def _confidence(words: Sequence[Word]) -> float:
    return sum(word.confidence for word in words) / len(words)

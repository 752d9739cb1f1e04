"""What must never happen in an event log, counted; and how much of what was shown was taken back."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from tests.benchmarks.events import Event, TimedWord, Utterance, by_utterance
from tests.benchmarks.normalise import loose

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Violations:
    """changed: committed words that a later event did not begin with, or a final with a tail.
    disordered: revisions that did not increase, or were sent earlier than the one before.
    mistold: events whose committed text is not that of their words.
    lost: utterances without a final. doubled: finals, or any event, after a final.
    """

    changed: int = 0
    disordered: int = 0
    mistold: int = 0
    lost: int = 0
    doubled: int = 0

    def __add__(self, other: "Violations") -> "Violations":
        mine, theirs = asdict(self), asdict(other)
        return Violations(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def total(self) -> int:
        return sum(asdict(self).values())


def find_violations(events: Iterable[Event]) -> Violations:
    total = Violations()
    for utterance in by_utterance(events).values():
        total += _in_utterance(utterance)
    return total


def _in_utterance(utterance: Utterance) -> Violations:
    pairs = list(itertools.pairwise(utterance))
    return Violations(
        changed=sum(_changed(before, after) for before, after in pairs)
        + sum(event.final and bool(event.tail) for event in utterance),
        disordered=sum(after.revision <= before.revision or after.sent_at < before.sent_at for before, after in pairs),
        mistold=sum(event.committed != "".join(word.text for word in event.words) for event in utterance),
        lost=int(not any(event.final for event in utterance)),
        doubled=sum(before.final for before, _ in pairs),
    )


def _changed(before: Event, after: Event) -> bool:
    return after.words[: len(before.words)] != before.words or not after.committed.startswith(before.committed)


@dataclass(frozen=True, slots=True)
class Erasure:
    """Words deleted from what was shown, over the words of the finals (normalised erasure)."""

    deleted: int = 0
    final: int = 0

    def __add__(self, other: "Erasure") -> "Erasure":
        return Erasure(self.deleted + other.deleted, self.final + other.final)

    @property
    def rate(self) -> float:
        return self.deleted / self.final if self.final else 0.0


def measure_erasure(events: Iterable[Event]) -> Erasure:
    total = Erasure()
    for utterance in by_utterance(events).values():
        shown = [loose(event.shown) for event in utterance]
        deleted = sum(len(before) - _common(before, after) for before, after in itertools.pairwise(shown))
        total += Erasure(deleted, len(shown[-1]))
    return total


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the beginning that both share."""
    same = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        same += 1
    return same


def words_outside(words: Iterable[TimedWord], speech: Sequence[Span], collar: float = 0.5) -> list[TimedWord]:
    """The words that touch no span of speech, each span widened by the collar on both sides."""
    return [
        word
        for word in words
        if not any(word.start < end + collar and word.end > start - collar for start, end in speech)
    ]


def shown_words(events: Iterable[Event]) -> int:
    """The most words that each utterance ever showed, committed or not, added up: for audio that holds no speech."""
    return sum(max(len(loose(event.shown)) for event in utterance) for utterance in by_utterance(events).values())


def update_intervals(events: Iterable[Event]) -> list[float]:
    """The seconds between two events of one utterance."""
    return [
        after.sent_at - before.sent_at
        for utterance in by_utterance(events).values()
        for before, after in itertools.pairwise(utterance)
    ]

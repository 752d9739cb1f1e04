"""Whether captions carry the language that was spoken, and how soon after a switch they do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.corpus import Turn
from tests.benchmarks.events import Event, by_utterance

# A shorter turn is an interjection: it need flip nothing, and is too short to be followed by a caption of its own.
SHORTEST_SWITCH = 2.5


@dataclass(frozen=True, slots=True)
class Spoken:
    """One language, spoken from ``start`` to ``end`` in the time of a track."""

    start: float
    end: float
    language: str


@dataclass(slots=True)
class Switches:
    """Seconds from the start of a turn in another language to the first caption in it; ``missed`` never came."""

    delays: list[float] = field(default_factory=list)
    missed: int = 0

    def within(self, seconds: float) -> float:
        total = len(self.delays) + self.missed
        return sum(delay <= seconds for delay in self.delays) / total if total else 0.0


def spoken_in(turns: Iterable[Turn]) -> list[Spoken]:
    return [Spoken(start, end, turn.language) for turn in turns for start, end in turn.speech]


def count_right(events: Iterable[Event], spoken: Sequence[Spoken]) -> tuple[int, int]:
    """How many final words carry the language that was spoken at their middle, and of how many.

    Words where two languages are spoken at once, or none, are not counted.
    """
    right = total = 0
    for utterance in by_utterance(events).values():
        for word in utterance[-1].words:
            there = {span.language for span in spoken if span.start <= word.middle <= span.end}
            if len(there) == 1:
                total += 1
                right += utterance[-1].language in there
    return right, total


def measure_switches(events: Iterable[Event], turns: Sequence[Turn]) -> Switches:
    """One delay per change of language to a turn of some length; a caption counts when it holds words of that turn."""
    ordered = sorted(events, key=lambda event: event.sent_at)
    result = Switches()
    for before, turn in _changes(turns):
        until = turn.end + 10.0
        first = next((event for event in ordered if _is_of(event, turn) and event.sent_at <= until), None)
        if first is None:
            result.missed += 1
        else:
            result.delays.append(max(first.sent_at - max(turn.start, before.end), 0.0))
    return result


def _changes(turns: Sequence[Turn]) -> list[tuple[Turn, Turn]]:
    """Each turn in another language than the last long turn, with the turn before it."""
    changes = []
    language = None
    for before, turn in zip([turns[0], *turns], turns, strict=False):
        if turn.end - turn.start < SHORTEST_SWITCH:
            continue
        if language not in {None, turn.language}:
            changes.append((before, turn))
        language = turn.language
    return changes


def _is_of(event: Event, turn: Turn) -> bool:
    if event.language != turn.language or event.sent_at < turn.start:
        return False
    last = event.words[-1].end if event.words else None
    return bool(event.tail.strip()) if last is None else last > turn.start

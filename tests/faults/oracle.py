"""What must be true of a meeting whatever befell it, and what its words are compared with."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.normalise import normalise
from tests.benchmarks.score import Errors, count_errors
from tests.faults.reader import Event, Reader
from tests.faults.scene import Scene, Stream
from tests.faults.talker import Span

MOST_WORSE, MOST_WORDS = 0.02, 2
"""Of the words, more wrong than in the meeting that nothing befell; of few words, so many (``whose`` and ``who's``)."""
EDGE = 1.0
"""Seconds: a gap's ends are as true as this; words this near to one may be on either side."""


@dataclass(frozen=True, slots=True)
class Said:
    """A word of a transcript, ``start`` and ``end`` seconds after its speaker began."""

    text: str
    start: float
    end: float


@dataclass(slots=True)
class Broken:
    """What was broken of what must always be true, one sentence each."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [*self.lost, *self.doubled, *self.changed, *self.numbers]


def broken_laws(reader: Reader, stream: Stream | None, transcript: dict[str, Any]) -> Broken:
    """``stream`` None where Redis lost what it held, and what was told again may leave numbers out."""
    found = Broken()
    _numbers(reader, found)
    _utterances((event for _, event in reader.captions), found)
    _kept(reader, transcript, found)
    if stream is not None:
        found.numbers += [f"number {hole} is no event" for hole in stream.holes]
        found.numbers += [f"number {number} was given twice" for number in stream.doubled]
    return found


def judge_laws(reader: Reader, stream: Stream | None, transcript: dict[str, Any]) -> None:
    assert not (broken := broken_laws(reader, stream, transcript)).all, broken


def _numbers(reader: Reader, found: Broken) -> None:
    """Numbers grow, also from one connection to the next (whose first is that of its snapshot)."""
    for numbers in reader.connections:
        if any(after <= before for before, after in itertools.pairwise(numbers)):
            found.numbers.append(f"numbers did not grow: {numbers}")
    ends = [(numbers[0], numbers[-1]) for numbers in reader.connections if numbers]
    for (_, last), (first, _) in itertools.pairwise(ends):
        if first < last:
            found.numbers.append(f"a connection ended at {last}, and the next began at {first}")


def _utterances(events: Iterable[Event], found: Broken) -> None:
    """Committed words stay, and an utterance has one final."""
    newest: dict[str, Event] = {}
    for event in events:
        name, before = event["utterance"], newest.get(event["utterance"])
        newest[name] = event
        if before is None:
            continue
        old, new = ([word["text"] for word in each["words"]] for each in (before, event))
        if new[: len(old)] != old:
            found.changed.append(f"{name}: {old} became {new}")
        if event["revision"] < before["revision"]:
            found.changed.append(f"{name}: revision {event['revision']} came after {before['revision']}")
        if before["final"] and (not event["final"] or new != old):
            found.doubled.append(f"{name}: went on after its final")
    found.lost += [f"{name}: has no final" for name, event in newest.items() if not event["final"]]


def _kept(reader: Reader, transcript: dict[str, Any], found: Broken) -> None:
    """Finals that were read are in the transcript, each once, and nothing else is."""
    read = {event["utterance"] for _, event in reader.captions if event["final"] and event["words"]}
    kept = [segment["id"] for segment in transcript["segments"]]
    found.doubled += [f"{one}: kept {kept.count(one)} times" for one in sorted(set(kept)) if kept.count(one) > 1]
    found.lost += [f"{one}: read and not kept" for one in sorted(read - set(kept))]
    found.lost += [f"{one}: kept and never read" for one in sorted(set(kept) - read)]


def said_in(scene: Scene) -> list[Said]:
    """The words of the transcript's best text, in order."""
    words = [
        Said(word["text"], word["start"] - scene.began, word["end"] - scene.began)
        for segment in scene.transcript["segments"]
        for word in segment["texts"][0]["words"]
    ]
    return sorted(words, key=lambda word: word.start)


def errors_in(words: Sequence[Said], reference: str) -> Errors:
    return count_errors(normalise(reference, "en"), normalise(_text(words), "en"))


def judge_whole(scene: Scene, uninterrupted: Sequence[Said], reference: str) -> None:
    """Every sentence is there, as well heard as in the uninterrupted meeting, and nothing is marked as lost."""
    assert scene.transcript["gaps"] == []
    mine, best = (errors_in(words, reference) for words in (said_in(scene), uninterrupted))
    assert mine.rate <= best.rate + max(MOST_WORSE, MOST_WORDS / mine.words), (mine, best, _text(said_in(scene)))


def judge_gap(scene: Scene, lost: Span, uninterrupted: Sequence[Said]) -> Span:
    """One gap with the true start and end of what was lost, and every word outside of it.

    ``lost`` is in seconds of the talker's sound. Gives the gap back.
    """
    gaps = [(gap["start"] - scene.began, gap["end"] - scene.began) for gap in scene.transcript["gaps"]]
    assert gaps, "nothing is marked as lost"
    start, end = gaps[0][0], gaps[-1][1]
    assert abs(start - lost[0]) <= EDGE, (gaps, lost)
    assert abs(end - lost[1]) <= EDGE, (gaps, lost)
    outside = [word for word in uninterrupted if word.end <= start - EDGE or word.start >= end + EDGE]
    mine = [word for word in said_in(scene) if word.end <= start - EDGE / 2 or word.start >= end + EDGE / 2]
    missing = count_errors(normalise(_text(outside), "en"), normalise(_text(mine), "en"))
    assert missing.deleted + missing.substituted <= MOST_WORDS, (missing, gaps, _text(outside), _text(mine))
    return start, end


def _text(words: Iterable[Said]) -> str:
    return "".join(word.text for word in words)

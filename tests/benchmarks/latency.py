"""How long after a word was said it was first shown, committed, and its utterance final.

Word times of a recogniser jitter, so no word is matched by its time: the words of the captions are aligned in sequence
with true words (of the manifest, else of the yardstick), and only equal words count. A pair more than ``MOST_APART``
seconds apart is a word said twice that was matched with the wrong one, and is left out.
"""

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.benchmarks.events import Event, TimedWord, Utterance, by_utterance
from tests.benchmarks.normalise import loose
from tests.benchmarks.score import align

MOST_APART = 4.0


@dataclass(frozen=True, slots=True)
class TrueWord:
    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Heard:
    """One word of a final, with the times when it was first shown at its place and first committed."""

    text: str
    start: float
    utterance: int
    displayed_at: float
    committed_at: float


@dataclass(slots=True)
class Latencies:
    """Seconds after the true end of a word (``displayed``, ``committed``) or of speech (``finals``).

    ``at`` is the true end of each word of ``committed``; ``unmatched`` counts words of captions without a true word,
    ``unplaced`` finals whose end of speech is unknown.
    """

    displayed: list[float] = field(default_factory=list)
    committed: list[float] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    finals: list[float] = field(default_factory=list)
    unmatched: int = 0
    unplaced: int = 0

    def add(self, other: "Latencies") -> None:
        for name in ("displayed", "committed", "at", "finals"):
            getattr(self, name).extend(getattr(other, name))
        self.unmatched += other.unmatched
        self.unplaced += other.unplaced

    def between(self, start: float, end: float) -> list[float]:
        """The committed latencies of the words that ended in a part of the replay."""
        return [value for value, at in zip(self.committed, self.at, strict=True) if start <= at < end]


def percentile(values: Sequence[float], share: float) -> float:
    return float(np.percentile(values, share)) if values else float("nan")


def true_words(words: Iterable[TimedWord]) -> list[TrueWord]:
    return [TrueWord(text, word.start, word.end) for word in words for text in loose(word.text)]


def measure_track(events: Iterable[Event], truth: Sequence[TrueWord]) -> Latencies:
    """The latencies of one track."""
    utterances = [utterance for utterance in by_utterance(events).values() if utterance[-1].words]
    utterances.sort(key=lambda utterance: utterance[-1].words[0].start)
    heard = [word for index, utterance in enumerate(utterances) for word in heard_words(utterance, index)]
    pairs = match(heard, truth)
    result = Latencies(unmatched=len(heard) - len(pairs))
    for mine, true in pairs.items():
        result.displayed.append(heard[mine].displayed_at - truth[true].end)
        result.committed.append(heard[mine].committed_at - truth[true].end)
        result.at.append(truth[true].end)
    _add_finals(result, utterances, heard, pairs, truth)
    return result


def heard_words(utterance: Utterance, index: int) -> list[Heard]:
    final = utterance[-1]
    texts = loose(final.committed)
    displayed = _first_at(texts, [(event.sent_at, loose(event.shown)) for event in utterance])
    committed = _first_at(texts, [(event.sent_at, loose(event.committed)) for event in utterance])
    starts = _starts(final.words, len(texts))
    return [Heard(*word) for word in zip(texts, starts, [index] * len(texts), displayed, committed, strict=True)]


def _first_at(texts: Sequence[str], states: Sequence[tuple[float, Sequence[str]]]) -> list[float]:
    """When each of the texts first stood at its place."""
    first: list[float | None] = [None] * len(texts)
    for sent_at, state in states:
        for place, (wanted, there) in enumerate(zip(texts, state, strict=False)):
            if first[place] is None and wanted == there:
                first[place] = sent_at
    return [states[-1][0] if at is None else at for at in first]


def _starts(words: Sequence[TimedWord], count: int) -> list[float]:
    """The start of each of ``count`` compared words; a timed word may hold several of them, or a part of one."""
    ends = [len(loose("".join(word.text for word in words[: i + 1]))) for i in range(len(words))]
    places = [min(bisect.bisect_right(ends, place), len(words) - 1) for place in range(count)]
    return [words[place].start for place in places]


def match(heard: Sequence[Heard], truth: Sequence[TrueWord]) -> dict[int, int]:
    """Which true word each heard word is, by index."""
    pairs: dict[int, int] = {}
    for step in align([word.text for word in truth], [word.text for word in heard]):
        if step.kind == "equal":
            pairs.update(
                (mine, true)
                for true, mine in zip(step.reference, step.hypothesis, strict=True)
                if abs(heard[mine].start - truth[true].start) <= MOST_APART
            )
    return pairs


def _add_finals(
    result: Latencies,
    utterances: Sequence[Utterance],
    heard: Sequence[Heard],
    pairs: dict[int, int],
    truth: Sequence[TrueWord],
) -> None:
    """Speech ends with the true end of the last word; where that was misheard, of the true word in its place."""
    last_of = {word.utterance: position for position, word in enumerate(heard)}
    for index, utterance in enumerate(utterances):
        final = next((event for event in utterance if event.final), None)
        last = last_of.get(index)
        if final is None or last is None:
            continue
        true = _last_true(last, index, heard, pairs)
        if true is None:
            result.unplaced += 1
        else:
            result.finals.append(final.sent_at - truth[min(true, len(truth) - 1)].end)


def _last_true(last: int, utterance: int, heard: Sequence[Heard], pairs: dict[int, int]) -> int | None:
    """The true word where an utterance ends: its last matched word and as many true words further as were misheard."""
    following = [pairs[i] for i in range(last + 1, min(last + 6, len(heard))) if i in pairs]
    for back in range(4):
        place = last - back
        if place >= 0 and heard[place].utterance == utterance and place in pairs:
            return min([pairs[place] + back, *(true - 1 for true in following)])
    return None


def with_times(texts: Sequence[str], truth: Sequence[TrueWord]) -> list[TimedWord]:
    """Words without times, or with poor ones, given those of the true words that they are aligned with."""
    tokens = [(place, token) for place, text in enumerate(texts) for token in loose(text)]
    times: dict[int, tuple[float, float]] = {}
    for step in align([word.text for word in truth], [token for _, token in tokens]):
        if step.kind in {"equal", "substitute"}:
            for true, mine in zip(step.reference, step.hypothesis, strict=True):
                times.setdefault(tokens[mine][0], (truth[true].start, truth[true].end))
    timed, at = [], 0.0
    for place, text in enumerate(texts):
        start, end = times.get(place, (at, at))
        timed.append(TimedWord(text, start, end))
        at = end
    return timed

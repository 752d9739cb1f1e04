"""What stood before a reader, as caption events in the time of the track that was played."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.benchmarks.events import Event
from tests.benchmarks.latency import TrueWord, with_times


def as_events(shown: Sequence[Mapping[str, Any]], truth: Sequence[TrueWord], begun: float) -> Iterator[Event]:
    """``shown`` are states of utterances: ``at`` in milliseconds, ``utterance``, ``committed``, ``tail``, ``final``.

    ``begun`` is when the track began, in seconds; words have the times of the true ones.
    """
    last = {each["utterance"]: each["committed"] for each in shown}
    texts = {name: [f" {word}" for word in text.split()] for name, text in last.items()}
    timed = with_times([word for words in texts.values() for word in words], truth)
    words, place = {}, 0
    for name, spoken in texts.items():
        words[name] = tuple(timed[place : place + len(spoken)])
        place += len(spoken)
    for each in shown:
        yield Event(
            sent_at=each["at"] / 1000 - begun,
            track="shown",
            utterance=each["utterance"],
            revision=0,
            final=each["final"],
            language="en",
            committed=each["committed"],
            tail=each["tail"],
            words=words[each["utterance"]],
        )

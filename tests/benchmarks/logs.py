"""Hand-made event logs and clips for the tests of the scoring."""

from pathlib import Path

from tests.benchmarks.corpus import Clip
from tests.benchmarks.events import Event, TimedWord


def timed(*words: tuple[str, float, float]) -> tuple[TimedWord, ...]:
    return tuple(TimedWord(f" {text}", start, end) for text, start, end in words)


def event(
    sent_at: float,
    words: tuple[TimedWord, ...] = (),
    tail: str = "",
    *,
    revision: int = 1,
    final: bool = False,
    utterance: str = "u1",
    track: str = "a.wav",
    language: str = "fr",
) -> Event:
    committed = "".join(word.text for word in words)
    return Event(sent_at, track, utterance, revision, final, language, committed, tail, words)


def clip(text: str, *, language: str = "fr", scored: str = "", duration: float = 4.0, name: str = "c") -> Clip:
    return Clip(name, Path(f"{name}.wav"), name, language, "read", "exact", duration, 1, text, scored)

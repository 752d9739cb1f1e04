"""A recogniser that follows a script, at a cost you set: for the live core's logic, and for load."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.domain import Hypothesis, Samples, TrackId, Window, Word
from pipeline.errors import RecognitionFailed


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a batch takes: ``batch`` once and ``window`` for each of its windows."""

    batch: float = 0.0
    window: float = 0.0


@dataclass(slots=True)
class ScriptedEngine:
    """Hears, in each window, the words of ``script`` whose sound has begun; those cut off by its end are cut short.

    ``fail`` is asked before each batch whether to raise; ``wait`` replaces sleeping in tests.
    """

    script: Mapping[TrackId, Sequence[Word]]
    language: str = "en"
    cost: Cost = Cost()
    fail: Callable[[int], bool] = lambda batch: False
    wait: Callable[[float], None] = time.sleep
    batches: list[tuple[Window, ...]] = field(default_factory=list)

    def hear(self, batch: Sequence[tuple[Window, Samples]]) -> list[Hypothesis]:
        self.batches.append(tuple(window for window, _ in batch))
        self.wait(self.cost.batch + self.cost.window * len(batch))
        if self.fail(len(self.batches)):
            raise RecognitionFailed("the script says so")
        return [self._heard(window) for window, _ in batch]

    def _heard(self, window: Window) -> Hypothesis:
        done = window.prefix[-1].end if window.prefix else float("-inf")
        words = tuple(
            _cut(word, window.end)
            for word in self.script.get(window.track, ())
            if word.start >= window.start and word.start < window.end and (word.start + word.end) / 2 > done
        )
        language = window.language or self.language
        scores = tuple((name, 1.0 if name == self.language else 0.0) for name in window.languages)
        return Hypothesis(words, language, scores if window.detect_language or window.language is None else ())


def _cut(word: Word, end: float) -> Word:
    """The word as it sounds when the audio ends before it does."""
    if word.end <= end:
        return word
    said = max(1, round(len(word.text) * (end - word.start) / (word.end - word.start)))
    return Word(word.text[:said], word.start, end, word.confidence / 2)

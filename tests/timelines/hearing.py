"""A recogniser that is always right, for timelines: it hears what is said in a window, and in which language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain import Hypothesis, TrackId, Window, Word


@dataclass(frozen=True, slots=True)
class Said:
    """One word as it was spoken."""

    word: Word
    language: str


@dataclass(frozen=True, slots=True)
class Hearing:
    """Hears the words of a window whole; of one that its end cuts off, a beginning that no other window hears.

    A window in the wrong language hears every word as its text with a question mark.
    """

    script: Mapping[TrackId, Sequence[Said]]

    def hear(self, window: Window) -> Hypothesis:
        done = window.prefix[-1].end if window.prefix else float("-inf")
        said = [one for one in self.script.get(window.track, ()) if window.start <= one.word.start < window.end]
        spoken = dict.fromkeys(window.languages, 0.0)
        for one in said:
            spoken[one.language] = spoken.get(one.language, 0.0) + one.word.end - one.word.start
        total = sum(spoken.values())
        scores = tuple((name, spoken[name] / total if total else 0.0) for name in window.languages)
        language = window.language or max(scores, key=lambda pair: pair[1])[0]
        words = tuple(_heard(one, language, window.end) for one in said if (one.word.start + one.word.end) / 2 > done)
        asked = window.detect_language or window.language is None
        return Hypothesis(words, language, scores if asked and total else ())


def _heard(said: Said, language: str, end: float) -> Word:
    word = said.word
    text = word.text if said.language == language else f"{word.text}?"
    if word.end > end:
        return Word(f"{text}~{end:.3f}", word.start, end, 0.5)
    return Word(text, word.start, word.end, word.confidence)

"""A recogniser that follows a script hears what is said in a window, at the cost it is told."""

import numpy as np
import pytest

from models.scripted import Cost, ScriptedEngine
from pipeline.domain import Hypothesis, TrackId, UtteranceId, Window, WindowKind, Word
from pipeline.errors import RecognitionFailed

TRACK = TrackId("anne")
SCRIPT = {TRACK: (Word(" good", 1.0, 1.4), Word(" morning", 1.4, 2.2), Word(" all", 2.2, 2.5))}


def window(start: float, end: float, language: str | None = "en", detect: bool = False, prefix: int = 0) -> Window:
    forced = SCRIPT[TRACK][:prefix]
    return Window(TRACK, UtteranceId("u"), WindowKind.LIVE, start, end, ("fr", "en"), language, detect, prefix=forced)


def hear(engine: ScriptedEngine, *windows: Window) -> list[Hypothesis]:
    return engine.hear([(one, np.zeros(0, np.int16)) for one in windows])


def text(heard: Hypothesis) -> str:
    return "".join(word.text for word in heard.words)


def test_it_hears_the_words_of_a_window() -> None:
    whole, none = hear(ScriptedEngine(SCRIPT), window(0.0, 9.0), window(5.0, 9.0))
    assert (whole.words, whole.language) == (SCRIPT[TRACK], "en")
    assert none.words == ()


def test_it_continues_after_the_prefix() -> None:
    (heard,) = hear(ScriptedEngine(SCRIPT), window(0.0, 9.0, prefix=2))
    assert text(heard) == " all"


def test_a_word_cut_off_by_the_end_is_heard_in_part_and_in_doubt() -> None:
    (heard,) = hear(ScriptedEngine(SCRIPT), window(0.0, 1.8))
    assert text(heard) == " good mor"
    assert (heard.words[-1].end, heard.words[-1].confidence) == (1.8, 0.5)


def test_it_says_the_language_when_asked_or_when_nobody_knows() -> None:
    engine = ScriptedEngine(SCRIPT, language="fr")
    known, asked, unknown = hear(engine, window(0, 9), window(0, 9, detect=True), window(0, 9, None))
    assert (known.language, known.language_scores) == ("en", ())
    assert asked.language_scores == unknown.language_scores == (("fr", 1.0), ("en", 0.0))
    assert unknown.language == "fr"


def test_a_batch_costs_what_was_set() -> None:
    waited: list[float] = []
    engine = ScriptedEngine(SCRIPT, cost=Cost(0.2, 0.1), wait=waited.append)
    hear(engine, window(0, 1), window(0, 2))
    assert waited == [pytest.approx(0.4)]
    assert [len(batch) for batch in engine.batches] == [2]


def test_it_fails_on_the_batches_it_is_told_to() -> None:
    engine = ScriptedEngine(SCRIPT, fail=lambda batch: batch == 2)
    hear(engine, window(0, 9))
    with pytest.raises(RecognitionFailed):
        hear(engine, window(0, 9))
    assert len(hear(engine, window(0, 9))) == 1

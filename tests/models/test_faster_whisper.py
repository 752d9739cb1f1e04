"""The real model hears what was said, when it was said, alone or among others."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from models.faster_whisper import EngineSettings, WhisperEngine
from pipeline.domain import Hypothesis, Samples, TrackId, UtteranceId, Window, WindowKind, Word
from pipeline.errors import ModelUnavailable, RecognitionFailed
from pipeline.live.words import after_committed
from tests.benchmarks.normalise import normalise
from tests.benchmarks.score import count_errors
from tests.models.whisper_file import write_whisper_folder
from tests.recordings import at_level, described, heard, noise, silence

JFK, QUILTER, LEOPARD = "en_jfk.flac", "en_pv_quilter.wav", "fr_pv_leopard.wav"

Piece = tuple[Window, Samples]


@pytest.fixture(scope="module")
def engine(whisper_base: Path) -> WhisperEngine:
    return WhisperEngine(whisper_base, EngineSettings(device="cpu", compute_type="int8", callers=1, threads=2))


def window_of(sound: Samples, *languages: str, start: float = 0.0, kind: WindowKind = WindowKind.LIVE) -> Piece:
    """A window on all of ``sound``; several languages are told apart."""
    language = languages[0] if len(languages) == 1 else None
    end = start + len(sound) / 16_000
    return Window(TrackId("t"), UtteranceId("u"), kind, start, end, languages, language, language is None), sound


def recorded_window(clip: str, *languages: str, kind: WindowKind = WindowKind.LIVE) -> Piece:
    return window_of(heard(clip), *languages, kind=kind)


def after(prefix: tuple[Word, ...], piece: Piece) -> Piece:
    return replace(piece[0], prefix=prefix), piece[1]


def text_of(words: tuple[Word, ...]) -> str:
    return "".join(word.text for word in words)


def errors(clip: str, hypothesis: Hypothesis, language: str) -> float:
    said = normalise(str(described(clip)["ref_text"]), language)
    return count_errors(said, normalise(text_of(hypothesis.words), language)).rate


def only(engine: WhisperEngine, piece: Piece) -> Hypothesis:
    (hypothesis,) = engine.hear([piece])
    return hypothesis


# --- words and times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clip", "language", "bound"),
    [(JFK, "en", 0.1), (QUILTER, "en", 0.1), (LEOPARD, "fr", 0.2), ("fr_ibm_udhr1_8k.wav", "fr", 0.3)],
)
def test_a_live_window_says_what_was_said(engine: WhisperEngine, clip: str, language: str, bound: float) -> None:
    hypothesis = only(engine, recorded_window(clip, language))
    assert hypothesis.language == language
    assert errors(clip, hypothesis, language) <= bound


def test_a_record_window_says_what_was_said(engine: WhisperEngine) -> None:
    record = only(engine, recorded_window(LEOPARD, "fr", kind=WindowKind.RECORD))
    assert errors(LEOPARD, record, "fr") <= 0.2


def test_words_stand_where_they_were_said(engine: WhisperEngine) -> None:
    words = only(engine, recorded_window(JFK, "en")).words
    assert all(before.end <= word.start + 1e-9 for before, word in pairwise(words))
    assert all(0.0 <= word.start <= word.end <= 11.0 and 0.0 <= word.confidence <= 1.0 for word in words)
    ends = {word.text.strip(" ,.").lower(): word.end for word in reversed(words)}  # the first time each was said
    for text, end in [("americans", 2.1), ("not", 4.3), ("country", 6.2), ("you", 7.4)]:  # by ear
        assert ends[text] == pytest.approx(end, abs=0.4)


def test_every_word_carries_its_leading_space(engine: WhisperEngine) -> None:
    assert all(word.text.startswith(" ") for word in only(engine, recorded_window(QUILTER, "en")).words)


def test_time_is_that_of_the_meeting(engine: WhisperEngine) -> None:
    here = only(engine, recorded_window(QUILTER, "en")).words
    later = only(engine, window_of(heard(QUILTER), "en", start=1000.0)).words
    assert text_of(here) == text_of(later)
    np.testing.assert_allclose([word.start + 1000.0 for word in here], [word.start for word in later], atol=1e-6)


# --- what is committed already -----------------------------------------------------------------------------


@pytest.mark.parametrize("committed", [3, 9, 19])
def test_a_window_goes_on_after_its_prefix_and_does_not_repeat_it(engine: WhisperEngine, committed: int) -> None:
    """Words that were too few to be forced come again, and are known by the live core."""
    piece = recorded_window(JFK, "en")
    whole = only(engine, piece).words
    prefix = whole[:committed]
    rest = after_committed(only(engine, after(prefix, piece)).words, prefix)
    wanted = normalise(text_of(whole[committed:]), "en")
    assert count_errors(wanted, normalise(text_of(rest), "en")).rate <= 0.2
    assert rest[0].start >= prefix[-1].start
    assert rest[-1].end == pytest.approx(whole[-1].end, abs=0.5)


def test_a_prefix_that_says_all_leaves_nothing_to_say(engine: WhisperEngine) -> None:
    piece = recorded_window(QUILTER, "en")
    whole = only(engine, piece).words
    assert len(only(engine, after(whole, piece)).words) <= 1


# --- batches -----------------------------------------------------------------------------------------------


def test_windows_heard_together_say_what_each_says_alone(engine: WhisperEngine) -> None:
    """Two languages, prefixes of several lengths, a glossary, one window for the record, one to be told apart."""
    jfk, quilter, leopard = (recorded_window(*one) for one in ((JFK, "en"), (QUILTER, "en"), (LEOPARD, "fr")))
    known = only(engine, jfk).words
    together = [
        leopard,
        after(known[:3], jfk),
        quilter,
        after(known[:12], jfk),
        recorded_window(LEOPARD, "fr", "en"),
        (replace(quilter[0], glossary=("Quilter", "gospel")), quilter[1]),
        recorded_window(LEOPARD, "fr", kind=WindowKind.RECORD),
        window_of(silence(1.0), "fr"),
    ]
    for piece, among in zip(together, engine.hear(together), strict=True):
        alone = only(engine, piece)
        assert among.language == alone.language
        said, heard = (
            normalise(text_of(after_committed(one.words, piece[0].prefix)), alone.language) for one in (alone, among)
        )
        assert count_errors(said, heard).rate <= 0.15
        if text_of(alone.words) == text_of(among.words):
            starts = [[word.start for word in one.words] for one in (alone, among)]
            np.testing.assert_allclose(*starts, atol=0.3)


def test_no_windows_are_no_hypotheses(engine: WhisperEngine) -> None:
    assert engine.hear([]) == []


# --- languages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("clip", "language"), [(LEOPARD, "fr"), (QUILTER, "en")])
def test_the_language_is_found_among_the_declared_ones(engine: WhisperEngine, clip: str, language: str) -> None:
    for declared in (("fr", "en"), ("en", "fr", "de")):
        hypothesis = only(engine, recorded_window(clip, *declared))
        assert hypothesis.language == language
        assert [name for name, _ in hypothesis.language_scores] == list(declared)
        assert dict(hypothesis.language_scores)[language] > 0.5


def test_a_fixed_language_is_not_asked_for(engine: WhisperEngine) -> None:
    assert only(engine, recorded_window(QUILTER, "en")).language_scores == ()


@pytest.mark.parametrize("clip", ["de_pv.wav", "es_pv.wav"])
def test_a_sentence_in_a_language_not_declared_is_heard_as_a_declared_one(engine: WhisperEngine, clip: str) -> None:
    hypothesis = only(engine, recorded_window(clip, "fr", "en"))
    assert hypothesis.language in {"fr", "en"}
    assert [name for name, _ in hypothesis.language_scores] == ["fr", "en"]


# --- what was not said -------------------------------------------------------------------------------------


def test_silence_and_faint_noise_say_nothing(engine: WhisperEngine) -> None:
    quiet = [window_of(silence(seconds), "fr") for seconds in (0.02, 1.0, 8.0)]
    assert [text_of(each.words) for each in engine.hear([*quiet, window_of(noise(5.0, -60.0), "fr")])] == [""] * 4


def test_a_spoken_word_of_the_list_of_silence_phrases_survives(engine: WhisperEngine) -> None:
    """ "you" closes this clause of the speech; alone it is what Whisper prints on silence."""
    words = only(engine, recorded_window(JFK, "en")).words
    assert "you," in text_of(words)


def test_quiet_speech_is_heard(engine: WhisperEngine) -> None:
    assert errors(QUILTER, only(engine, window_of(at_level(heard(QUILTER), -40.0), "en")), "en") <= 0.15


# --- glossary ----------------------------------------------------------------------------------------------


def test_a_glossary_spells_the_names_that_are_said(engine: WhisperEngine) -> None:
    window, sound = recorded_window("en_ami_ES2011a_40.wav", "en")
    without = text_of(only(engine, (window, sound)).words)
    told = text_of(only(engine, (replace(window, glossary=("Abigail Claflin", "Abbie")), sound)).words)
    assert "Claflin" not in without
    assert "Claflin" in told
    assert "Abbie" in told


def test_a_long_glossary_is_cut_to_what_the_model_takes(engine: WhisperEngine) -> None:
    window, sound = recorded_window(QUILTER, "en")
    names = tuple(f"Anneliese Untersberger-{number}" for number in range(200))
    assert only(engine, (replace(window, glossary=names), sound)).language == "en"


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_a_folder_that_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_whisper_folder(tmp_path / "model")
    for damage in ("vocabulary.json", "tokenizer.json", "config.json", "model.bin"):
        with pytest.raises(ModelUnavailable, match=str(folder)):
            WhisperEngine(folder)
        (folder / damage).unlink()
    with pytest.raises(ModelUnavailable, match="nowhere"):
        WhisperEngine(tmp_path / "nowhere")


def test_arithmetic_that_the_processor_lacks_is_refused(whisper_base: Path) -> None:
    with pytest.raises(ModelUnavailable, match="float16"):
        WhisperEngine(whisper_base, EngineSettings(device="cpu", compute_type="float16"))


def test_a_failure_of_the_library_is_a_failure_of_recognition(
    engine: WhisperEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(engine, "_generate", fails)
    with pytest.raises(RecognitionFailed, match="out of memory"):
        engine.hear([window_of(silence(1.0), "fr")])


def test_what_runs_where_is_told(engine: WhisperEngine) -> None:
    assert engine.description == {"device": "cpu", "compute_type": "int8_float32", "callers": 1, "threads": 2}


def test_no_torch_is_loaded() -> None:
    code = "import sys, models.faster_whisper, models.silero, api.wiring; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

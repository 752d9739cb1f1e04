"""``greffier diarize`` and ``transcribe --diarize`` with the real models."""

import json
from pathlib import Path

import numpy as np
import pytest
from pyannote.database.util import load_rttm

from pipeline.domain import VoiceSpan
from tests.api.conftest import Greffier
from tests.recordings import write_sound
from tests.two_voices import TWO_VOICES, der


def test_who_spoke_when_is_written_as_rttm(greffier: Greffier, tmp_path: Path):
    out = tmp_path / "who.rttm"
    assert greffier("diarize", TWO_VOICES, "--rttm", out).code == 0
    (heard,) = load_rttm(out).values()
    voices = {label: number for number, label in enumerate(heard.labels())}
    spans = [VoiceSpan(voices[label], part.start, part.end) for part, _, label in heard.itertracks(yield_label=True)]
    assert der(spans) <= 0.06


def test_a_transcript_names_the_voices_of_a_recording_and_keeps_every_word(greffier: Greffier, tmp_path: Path):
    options = ("--language", "en", "--format", "json", "--out")
    assert greffier("transcribe", TWO_VOICES, *options, tmp_path / "plain").code == 0
    assert greffier("transcribe", TWO_VOICES, "--diarize", *options, tmp_path / "voices").code == 0
    plain, voices = (json.loads((tmp_path / name / "sample.json").read_text()) for name in ("plain", "voices"))
    named = {person["name"] for person in voices["participants"]}
    assert named == {"sample (voix 1)", "sample (voix 2)"}
    assert _text(plain) == _text(voices)
    diane = next(segment for segment in voices["segments"] if "Diane" in segment["text"])
    sheila = next(segment for segment in voices["segments"] if "Sheila" in segment["text"])
    assert diane["participant"] != sheila["participant"]


def _text(transcript: dict[str, list[dict[str, str]]]) -> list[str]:
    return " ".join(segment["text"] for segment in transcript["segments"]).split()


def test_a_recording_in_which_nobody_speaks_is_an_empty_file(greffier: Greffier, tmp_path: Path):
    quiet = write_sound(tmp_path / "quiet.wav", np.zeros((1, 48_000), np.float32), 16_000, "mono")
    assert greffier("diarize", quiet, "--rttm", tmp_path / "out.rttm").code == 0
    assert (tmp_path / "out.rttm").read_text() == ""


@pytest.mark.parametrize("given", ["0", "three", "4-2", "1-", ""])
def test_a_number_of_speakers_that_is_none_is_refused_by_name(greffier: Greffier, given: str):
    said = greffier("diarize", TWO_VOICES, "--rttm", "-", "--speakers", given)
    assert said.code == 2
    assert "must be a number of voices" in said.error


def test_what_is_no_recording_is_refused_before_any_model_is_loaded(greffier: Greffier, tmp_path: Path):
    text = tmp_path / "notes.txt"
    text.write_text("not a sound")
    said = greffier("diarize", text, "--rttm", tmp_path / "out.rttm")
    assert said.code == 66
    assert "notes.txt" in said.error

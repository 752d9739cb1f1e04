"""The sample conversation is there, and says so where it is not."""

from pathlib import Path

import numpy as np
import pytest

import api.sample
from media_gateway.recording import read_recording
from pipeline.domain import SAMPLE_RATE
from pipeline.errors import NotFound


def test_the_sample_has_its_voices_and_its_length() -> None:
    script = api.sample.read_script()
    assert [voice.name for voice in script.voices] == ["Éric", "Abbie", "Claire", "John"]
    assert 30 < script.seconds < 45


def test_one_microphone_hears_everybody_at_their_time_and_two_at_once(tmp_path: Path) -> None:
    script = api.sample.read_script()
    eric, _, claire, john = (read_recording(voice.path) for voice in script.voices)
    room = read_recording(api.sample.write_mixed(script, tmp_path))
    assert len(room) / SAMPLE_RATE == pytest.approx(script.seconds, abs=0.05)
    assert np.array_equal(room[: len(eric)], eric)
    first, second = (round(voice.start * SAMPLE_RATE) for voice in script.voices[2:])
    both = first + len(claire) - second
    assert np.array_equal(room[second : second + both], claire[-both:].astype(np.int32) + john[:both])


def test_a_greffier_without_its_sample_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.sample, "_FOLDER", tmp_path)
    with pytest.raises(NotFound, match="sample/"):
        api.sample.read_script()

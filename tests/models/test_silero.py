"""The real detector tells speech from what is none, and shares its weights but not its state."""

from pathlib import Path

import numpy as np
import pytest

from models.silero import SileroModel, bundled_model
from pipeline.domain import Samples
from pipeline.errors import ModelUnavailable
from tests.recordings import heard, noise


@pytest.fixture(scope="module")
def model() -> SileroModel:
    return SileroModel(bundled_model())


def probabilities(model: SileroModel, sound: Samples) -> list[float]:
    detector = model.detector()
    return [detector.probabilities(sound[at : at + 512])[0] for at in range(0, len(sound) - 511, 512)]


@pytest.mark.parametrize("clip", ["fr_pv_leopard.wav", "fr_ibm_udhr1_8k.wav", "en_jfk.flac"])
def test_speech_is_likely_most_of_the_time(model: SileroModel, clip: str) -> None:
    assert np.mean(np.array(probabilities(model, heard(clip))) > 0.6) > 0.5


@pytest.mark.parametrize("clip", ["ns_guitar.wav", "ns_silence2s.wav"])
def test_music_and_silence_are_no_speech(model: SileroModel, clip: str) -> None:
    assert max(probabilities(model, heard(clip))) < 0.6


def test_one_frame_at_a_time_says_what_the_whole_sequence_says(model: SileroModel) -> None:
    sound = heard("fr_pv_leopard.wav")[16_000:]
    count = len(sound) // 512
    wide = (sound[: count * 512].astype(np.float32) / 32768).reshape(count, 512)
    before = np.vstack([np.zeros((1, 64), np.float32), wide[:-1, -64:]])
    zeros = np.zeros((1, 1, 128), np.float32)
    whole = model._session.run(None, {"input": np.hstack([before, wide]), "h": zeros, "c": zeros})[0]
    np.testing.assert_allclose(probabilities(model, sound), whole.ravel(), atol=1e-4)


def test_a_quiet_voice_is_heard_after_a_loud_one(model: SileroModel) -> None:
    quiet = heard("en_fleurs_luna.wav")
    after = probabilities(model, np.concatenate([heard("en_jfk.flac"), noise(2.0, -60), quiet]))
    assert np.mean(np.array(after[-(len(quiet) // 512) :]) > 0.6) > 0.4


def test_tracks_do_not_hear_each_other(model: SileroModel) -> None:
    speech, other = heard("fr_pv_leopard.wav"), noise(7.0, -20)
    first, second = model.detector(), model.detector()
    mixed = []
    for at in range(0, len(speech) - 511, 512):
        mixed += first.probabilities(speech[at : at + 512])
        second.probabilities(other[at : at + 512])
    assert mixed == probabilities(model, speech)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no Silero VAD model at"):
        SileroModel(tmp_path / "silero.onnx")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silero.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelUnavailable, match="is not an ONNX model"):
        SileroModel(path)


def test_a_model_that_is_half_downloaded_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silero.onnx"
    blob = bundled_model().read_bytes()
    path.write_bytes(blob[: len(blob) // 2])
    with pytest.raises(ModelUnavailable, match="incomplete"):
        SileroModel(path)


def test_another_export_of_the_model_is_refused(silero_vad: Path) -> None:
    others = [path for path in silero_vad.glob("*.onnx") if "sequence" not in path.name and "v6" not in path.name]
    if not others:
        pytest.skip("no other export is in the cache")
    with pytest.raises(ModelUnavailable, match="not the streaming export"):
        SileroModel(others[0])

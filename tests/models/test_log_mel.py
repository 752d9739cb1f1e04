import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from models.log_mel import LogMel


@pytest.mark.parametrize("mels", [80, 128])
@pytest.mark.parametrize("seconds", [4, 7, 30])
def test_features_are_those_of_faster_whisper(mels: int, seconds: int) -> None:
    audio = np.zeros(seconds * 16_000, np.float32)
    audio[: len(audio) // 2] = np.random.default_rng(seconds).normal(0, 0.1, len(audio) // 2)

    features = LogMel(mels)(audio)

    assert features.dtype == np.float32
    assert features.shape == (mels, seconds * 100)
    np.testing.assert_allclose(features, FeatureExtractor(mels)(audio, padding=0), atol=1e-5)


def test_silence_has_features_too() -> None:
    assert np.isfinite(LogMel(80)(np.zeros(16_000, np.float32))).all()

"""What every SpeechDetector does."""

from collections.abc import Callable

import numpy as np
import pytest

from models.level import LevelDetector
from models.silero import SileroModel, bundled_model
from pipeline.domain import Samples
from pipeline.ports import SpeechDetector
from tests.recordings import heard, noise, silence

DETECTORS = {"silero": lambda: SileroModel(bundled_model()).detector(), "level": LevelDetector}


@pytest.fixture(params=DETECTORS)
def new(request: pytest.FixtureRequest) -> Callable[[], SpeechDetector]:
    return DETECTORS[request.param]  # type: ignore[no-any-return]


def judged(detector: SpeechDetector, sound: Samples) -> list[float]:
    step = detector.frame_samples
    return [detector.probabilities(sound[at : at + step])[0] for at in range(0, len(sound) - step + 1, step)]


def test_a_frame_lasts_between_10_and_100_ms(new: Callable[[], SpeechDetector]) -> None:
    assert 160 <= new().frame_samples <= 1600


def test_probabilities_are_between_nought_and_one(new: Callable[[], SpeechDetector]) -> None:
    loudest = np.full(16_000, -32768, np.int16)
    found = judged(new(), np.concatenate([silence(1), heard("fr_cv_17301936.mp3"), noise(1, -10), loudest]))
    assert all(0.0 <= probability <= 1.0 for probability in found)


def test_silence_is_no_speech(new: Callable[[], SpeechDetector]) -> None:
    assert max(judged(new(), silence(3))) < 0.35


def test_speech_is_speech(new: Callable[[], SpeechDetector]) -> None:
    assert np.mean(np.array(judged(new(), heard("fr_pv_leopard.wav"))) > 0.6) > 0.4


def test_the_same_sound_is_judged_the_same_by_a_new_detector(new: Callable[[], SpeechDetector]) -> None:
    sound = heard("fr_cv_17301936.mp3")
    assert judged(new(), sound) == judged(new(), sound)


def test_what_it_is_given_is_left_as_it_was(new: Callable[[], SpeechDetector]) -> None:
    sound = heard("fr_cv_17301936.mp3").copy()
    judged(new(), sound)
    np.testing.assert_array_equal(sound, heard("fr_cv_17301936.mp3"))


def test_many_frames_at_once_are_judged_as_one_after_the_other(new: Callable[[], SpeechDetector]) -> None:
    detector = new()
    step = detector.frame_samples
    sound = np.concatenate([heard("fr_cv_17301936.mp3"), noise(3, -60), heard("en_fleurs_luna.wav")])
    sound = sound[: len(sound) // step * step]
    together: list[float] = []
    at = 0
    for frames in [1, 7, 100, 32] * len(sound):
        together += detector.probabilities(sound[at : at + frames * step])
        at += frames * step
        if at >= len(sound):
            break
    np.testing.assert_allclose(together, judged(new(), sound), atol=1e-4)


def test_a_glance_finds_speech_and_leaves_no_trace(new: Callable[[], SpeechDetector]) -> None:
    room, speech = noise(1, -60)[: 20 * new().frame_samples], heard("fr_pv_leopard.wav")
    look = 5 * new().frame_samples
    glancing, other = new(), new()
    assert judged(glancing, room) == judged(other, room)
    assert glancing.glance(room[:look]) < 0.3
    assert max(glancing.glance(speech[at : at + look]) for at in range(0, len(speech) - look, look)) > 0.9
    assert judged(glancing, room) == judged(other, room)

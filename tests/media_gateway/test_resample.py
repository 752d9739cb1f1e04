"""Any rate and any channels become 16 kHz mono, as loud as they were and as long as they were."""

import numpy as np
import pytest
from numpy.typing import NDArray

from media_gateway.resample import Downmix, Planes, Resampler, to_planes
from pipeline.domain import SAMPLE_RATE, Samples
from tests.recordings import beep, tone


def resampled(planes: Planes, rate: int, piece: int | None = None) -> Samples:
    resampler = Resampler(rate, len(planes))
    piece = piece or rate // 50
    pieces = [resampler.push(planes[:, at : at + piece]) for at in range(0, planes.shape[1], piece)]
    return np.concatenate([*pieces, resampler.flush()])


def rms(sound: NDArray[np.generic]) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


def pitch(sound: Samples) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound.astype(np.float64)))) * SAMPLE_RATE / len(sound))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_length_level_and_pitch_stay(rate: int) -> None:
    sound = resampled(tone(2.0, 440.0, rate=rate)[None], rate)
    assert len(sound) == pytest.approx(2 * SAMPLE_RATE, abs=2)
    assert rms(sound) == pytest.approx(0.5 / np.sqrt(2) * 32768, rel=0.01)
    assert pitch(sound) == pytest.approx(440.0, abs=1.0)


def test_16_khz_mono_passes_untouched() -> None:
    sound = beep(1.0)
    np.testing.assert_array_equal(resampled(to_planes(sound[None], 1), SAMPLE_RATE), sound)


def test_an_hour_does_not_drift() -> None:
    resampler = Resampler(44_100, 1)
    minute: Planes = np.zeros((1, 44_100 * 60), np.float32)
    count = sum(len(resampler.push(minute)) for _ in range(60)) + len(resampler.flush())
    assert abs(count - 3600 * SAMPLE_RATE) <= 1


def test_the_length_of_pieces_changes_nothing() -> None:
    planes = tone(1.0, rate=48_000)[None]
    np.testing.assert_allclose(resampled(planes, 48_000, 480), resampled(planes, 48_000, 48_000), atol=1)


def test_what_16_khz_cannot_hold_is_not_folded_into_it() -> None:
    assert rms(resampled(tone(1.0, 15_000.0, rate=48_000)[None], 48_000)) < 20


def test_too_loud_sound_is_clipped_and_does_not_wrap() -> None:
    loud = resampled(tone(1.0, amplitude=1.5)[None], SAMPLE_RATE)
    assert (loud.max(), loud.min()) == (32767, -32768)


# --- many channels -------------------------------------------------------------------------------------------

VOICE = tone(3.0, 300.0, amplitude=0.3)
OTHER = tone(3.0, 777.0, amplitude=0.3)
NOTHING = np.zeros_like(VOICE)


@pytest.mark.parametrize(
    "planes",
    [
        pytest.param([VOICE, VOICE], id="the same in both"),
        pytest.param([VOICE, NOTHING], id="the right one is silent"),
        pytest.param([NOTHING, VOICE], id="the left one is silent"),
        pytest.param([VOICE, -VOICE], id="opposite"),
        pytest.param([VOICE, -0.9 * VOICE], id="nearly opposite"),
        pytest.param([NOTHING, NOTHING, VOICE, NOTHING, NOTHING], id="only the centre of 5.0"),
        pytest.param([VOICE, OTHER], id="two voices"),
    ],
)
def test_the_mix_is_as_loud_as_its_loudest_channel(planes: list[NDArray[np.float32]]) -> None:
    mixed = resampled(np.stack(planes), SAMPLE_RATE)
    assert rms(mixed) == pytest.approx(rms(VOICE) * 32768, rel=0.1)


def test_two_voices_in_two_channels_are_both_heard() -> None:
    mixed = np.abs(np.fft.rfft(resampled(np.stack([VOICE, OTHER]), SAMPLE_RATE).astype(np.float64)))
    assert mixed[900] == pytest.approx(mixed[2331], rel=0.1)


def test_a_mix_that_changes_makes_no_click() -> None:
    left = np.concatenate([VOICE, NOTHING])
    right = np.concatenate([NOTHING, VOICE])
    mixed = resampled(np.stack([left, right]), SAMPLE_RATE).astype(np.int64)
    steepest = np.abs(np.diff(beep(1.0, 0.3).astype(np.int64))).max()
    assert np.abs(np.diff(mixed)).max() <= steepest * 1.3


def test_silence_in_all_channels_stays_silence() -> None:
    assert not resampled(np.zeros((6, 48_000), np.float32), 48_000).any()


def test_an_empty_piece_gives_an_empty_piece() -> None:
    assert Downmix(2, SAMPLE_RATE).mix(np.zeros((2, 0), np.float32)).shape == (0,)


# --- sample types --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block",
    [
        np.array([[64, 128, 192]], np.uint8),
        np.array([[-16384, 0, 16384]], np.int16),
        np.array([[-(2**30), 0, 2**30]], np.int32),
        np.array([[-0.5, 0.0, 0.5]], np.float32),
        np.array([[-0.5, 0.0, 0.5]], np.float64),
    ],
    ids=lambda block: block.dtype.name,
)
def test_every_sample_type_means_the_same(block: NDArray[np.int16]) -> None:
    np.testing.assert_allclose(to_planes(block, 1), [[-0.5, 0.0, 0.5]])


def test_interleaved_channels_are_told_apart() -> None:
    np.testing.assert_allclose(to_planes(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32), 2), [[0.1, 0.3], [0.2, 0.4]])


def test_samples_that_are_no_numbers_are_silence() -> None:
    block = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(to_planes(block, 1), [[0.0, 1.0, -1.0]])

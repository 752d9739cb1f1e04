"""How loud a track was: by the sound of a time, for a minute."""

import numpy as np
import pytest

from pipeline.live.loudness import Loudness, level_of
from tests.recordings import beep, silence

LOUD, QUIET = -20.0, -35.0


def test_loudness_is_in_decibels_of_full_scale() -> None:
    assert level_of(beep(0.1, amplitude=1.0)) == pytest.approx(-3.0, abs=0.1)
    assert level_of(np.full(160, -32768, np.int16)) == pytest.approx(0.0, abs=0.01)
    assert level_of(silence(0.1)) == level_of(silence(0.0)) == -120.0


def test_the_level_of_a_time_is_the_mean_power_of_its_sound() -> None:
    track = Loudness()
    for number in range(20):
        track.heard(number * 0.1, (number + 1) * 0.1, LOUD if number < 10 else QUIET)
    assert track.level(0.2, 0.8) == pytest.approx(LOUD)
    assert track.level(0.5, 1.5) == pytest.approx(-22.9, abs=0.05)
    assert track.level(1.9, 9.0) == pytest.approx(QUIET)
    assert track.level(5.0, 6.0) is None


def test_short_frames_make_pieces_of_a_tenth_of_a_second() -> None:
    track = Loudness()
    for number in range(100):
        track.heard(number * 0.02, (number + 1) * 0.02, LOUD)
    assert len(track.pieces) <= 21
    assert track.level(0.0, 2.0) == pytest.approx(LOUD)


def test_sound_that_comes_again_is_not_heard_twice() -> None:
    track = Loudness()
    track.heard(0.0, 1.0, LOUD)
    track.heard(0.0, 0.5, 0.0)
    track.heard(0.5, 1.05, QUIET)
    assert track.level(0.0, 1.0) == pytest.approx(LOUD)
    assert track.level(1.0, 1.05) == pytest.approx(QUIET)


def test_a_minute_is_known_and_not_more() -> None:
    track = Loudness()
    for number in range(1000):
        track.heard(number * 0.1, (number + 1) * 0.1, LOUD)
    assert track.level(20.0, 21.0) is None
    assert track.level(41.0, 42.0) == pytest.approx(LOUD)
    assert len(track.pieces) < 700


def test_levels_stand_on_a_grid_without_the_moments_of_silence() -> None:
    track = Loudness()
    track.heard(1.0, 1.5, -20.4)
    track.heard(2.0, 2.25, QUIET)
    assert track.levels(0.9, 2.6) == ((1.0, -20.0), (1.25, -20.0), (2.0, QUIET))

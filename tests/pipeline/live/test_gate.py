"""The gate stays shut in a quiet room and never in front of speech."""

import numpy as np
import pytest

from pipeline.domain import Samples
from pipeline.live.gate import EnergyGate, GateSettings, power
from tests.recordings import at_level, beep, noise, silence

BLOCK = 512
SECOND = 31


def openings(sound: Samples, settings: GateSettings | None = None) -> list[bool]:
    gate = EnergyGate(BLOCK / 16_000, settings)
    return [gate.opens(sound[at : at + BLOCK]) for at in range(0, len(sound) - BLOCK + 1, BLOCK)]


def test_digital_silence_never_opens_it() -> None:
    assert not any(openings(silence(30)))


@pytest.mark.parametrize("level", [-70.0, -60.0, -50.0])
def test_steady_noise_of_a_room_leaves_it_shut_once_it_is_known(level: float) -> None:
    assert not any(openings(noise(30, level))[2 * SECOND :])


def test_a_room_that_grows_louder_is_known_again_within_its_memory() -> None:
    sound = np.concatenate([noise(10, -65), noise(20, -52, seed=1)])
    opened = openings(sound)
    assert opened[11 * SECOND]
    assert not any(opened[17 * SECOND :])


def test_quiet_speech_over_room_noise_opens_it() -> None:
    quiet = noise(10, -60)
    quiet[5 * 16_000 : 6 * 16_000] += at_level(beep(1.0), -50.0)
    opened = openings(quiet)
    assert all(opened[5 * SECOND + 6 : 6 * SECOND])


def test_speech_in_a_loud_place_passes_even_below_its_noise() -> None:
    assert all(openings(noise(20, -40)))


def test_it_is_open_before_it_knows_the_room() -> None:
    assert all(openings(noise(1, -55))[: SECOND - 1])


def test_it_stays_open_for_the_hangover_and_no_longer() -> None:
    settings = GateSettings(hangover=0.32)
    sound = np.concatenate([silence(5.12), beep(0.512), silence(5)])
    opened = openings(sound, settings)
    first = opened.index(True)
    assert first == 160
    assert sum(opened) == 16 + 10


def test_speech_without_pause_keeps_it_open() -> None:
    assert all(openings(np.concatenate([noise(2, -60), at_level(beep(20), -40)]))[2 * SECOND + 2 :])


def test_levels_are_relative_to_full_scale() -> None:
    assert power(0.0) == 32768.0**2
    assert power(-20.0) == pytest.approx(32768.0**2 / 100)

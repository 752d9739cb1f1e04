"""RTP timestamps become meeting time: anchored at arrival, following drift, not fooled by bursts."""

import random

import pytest

from media_gateway.rtp_clock import TICKS_PER_SECOND, RtpClock, unwrapped

TICKS = 960


def run(clock: RtpClock, arrivals: list[tuple[int, float]]) -> None:
    for end, at in arrivals:
        clock.arrived(end, at)


def steady(begin: float, seconds: float, *, rate: float = 1.0, first: int = 0) -> list[tuple[int, float]]:
    """Packets of 20 ms that arrive when their sound ends, at ``rate`` of our clock."""
    return [(first + (k + 1) * TICKS, begin + (k + 1) * 0.02 * rate) for k in range(round(seconds / 0.02))]


def test_the_first_packet_ends_when_it_arrives() -> None:
    clock = RtpClock(TICKS, 7.0)
    assert clock.time(TICKS) == 7.0
    assert clock.time(0) == pytest.approx(6.98)
    assert clock.time(TICKS + TICKS_PER_SECOND) == pytest.approx(8.0)


def test_jitter_moves_nothing() -> None:
    chance = random.Random(0)
    clock = RtpClock(0, 5.0)
    run(clock, [(end, at + chance.uniform(0.0, 0.1)) for end, at in steady(5.0, 60.0)])
    assert clock.time(0) == pytest.approx(5.0, abs=0.02)


@pytest.mark.parametrize("rate", [1.0005, 0.9995])
def test_a_sender_whose_clock_drifts_is_followed(rate: float) -> None:
    clock = RtpClock(0, 5.0)
    arrivals = steady(5.0, 600.0, rate=rate)
    run(clock, arrivals)
    end, at = arrivals[-1]
    assert clock.time(end) == pytest.approx(at, abs=0.03)
    assert abs(at - (5.0 + 600.0)) > 0.25  # else nothing drifted


def test_a_first_packet_that_came_late_is_forgotten_in_time() -> None:
    clock = RtpClock(0, 5.2)
    run(clock, steady(5.0, 120.0))
    assert clock.time(0) == pytest.approx(5.0, abs=0.03)


def test_a_network_that_stalls_and_catches_up_moves_nothing() -> None:
    clock = RtpClock(0, 5.0)
    run(clock, steady(5.0, 10.0))
    stalled = [(10 * TICKS_PER_SECOND + (k + 1) * TICKS, 17.0 + k * 0.0001) for k in range(100)]
    run(clock, stalled)
    run(clock, steady(17.0, 10.0, first=12 * TICKS_PER_SECOND))
    assert clock.time(0) == pytest.approx(5.0, abs=0.01)


def test_timestamps_that_stood_still_are_moved_up_within_a_second() -> None:
    clock = RtpClock(0, 5.0)
    run(clock, steady(5.0, 2.0))
    run(clock, steady(10.0, 1.2, first=2 * TICKS_PER_SECOND))
    assert clock.time(3 * TICKS_PER_SECOND) == pytest.approx(11.0, abs=0.03)


def test_sound_from_the_future_is_moved_back_at_once() -> None:
    clock = RtpClock(0, 5.0)
    clock.arrived(3600 * TICKS_PER_SECOND, 5.02)
    assert clock.time(3600 * TICKS_PER_SECOND) == pytest.approx(5.02)


@pytest.mark.parametrize(
    ("value", "near", "expected"),
    [(0, 65_535, 65_536), (65_535, 65_536, 65_535), (5, 3, 5), (65_530, 2, -6), (10, 3 * 65_536, 3 * 65_536 + 10)],
)
def test_numbers_that_wrap_go_on(value: int, near: int, expected: int) -> None:
    assert unwrapped(value, near, 16) == expected

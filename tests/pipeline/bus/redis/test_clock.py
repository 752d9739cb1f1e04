"""All processes go by one clock, which is steady."""

import pytest

from pipeline.bus.redis.clock import SharedClock


def test_the_first_answer_sets_the_clock() -> None:
    at = [100.0]
    clock = SharedClock(lambda: at[0])
    clock.learn(99.0, 101.0, 5000.0)
    at[0] = 101.0
    assert clock.wall() == 5001.0


def test_a_small_correction_is_spread_and_time_never_goes_back() -> None:
    at = [100.0]
    clock = SharedClock(lambda: at[0])
    clock.learn(100.0, 100.0, 5000.0)
    at[0] = 110.0
    clock.learn(110.0, 110.0, 5009.8)
    times = []
    for _ in range(100):
        times.append(clock.wall())
        at[0] += 0.1
    assert times[0] == pytest.approx(5010.0)
    assert times == sorted(times)
    assert clock.wall() == pytest.approx(5019.8)


def test_corrections_that_follow_each_other_go_on_where_the_clock_stands() -> None:
    at = [100.0]
    clock = SharedClock(lambda: at[0])
    clock.learn(100.0, 100.0, 5000.0)
    clock.learn(100.0, 100.0, 5000.4)
    at[0] = 102.0
    before = clock.wall()
    assert before == pytest.approx(5002.1)
    clock.learn(102.0, 102.0, 5002.0)
    assert clock.wall() == pytest.approx(before)
    at[0] = 112.0
    assert clock.wall() == pytest.approx(5012.0)


def test_a_clock_that_was_set_is_followed_at_once() -> None:
    at = [100.0]
    clock = SharedClock(lambda: at[0])
    clock.learn(100.0, 100.0, 5000.0)
    clock.learn(100.0, 100.0, 5030.0)
    assert clock.wall() == 5030.0

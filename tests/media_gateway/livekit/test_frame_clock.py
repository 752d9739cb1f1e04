"""Frames without times of their own get the meeting time at which they were said."""

from itertools import pairwise

import pytest

from media_gateway.livekit.frame_clock import MOST_LATE, FrameClock
from pipeline.domain import SAMPLE_RATE

_FRAME = 0.04
_COUNT = round(_FRAME * SAMPLE_RATE)


def test_sound_ended_when_its_first_frame_arrived() -> None:
    assert FrameClock().place(_COUNT, 10.0) == pytest.approx(10.0 - _FRAME)


def test_frames_follow_one_another_whatever_the_loop_was_busy_with() -> None:
    clock, late = FrameClock(), [0.0, 0.01, 0.3, 0.26, 0.0, 0.15, 0.03] * 20
    starts = [clock.place(_COUNT, 10.0 + number * _FRAME + each) for number, each in enumerate(late)]
    assert starts == pytest.approx([10.0 - _FRAME + number * _FRAME for number in range(len(late))])


def test_a_loop_that_stood_still_for_seconds_moves_nothing() -> None:
    clock = FrameClock()
    for number in range(50):
        clock.place(_COUNT, 10.0 + number * _FRAME)
    held = [clock.place(_COUNT, 15.0) for _ in range(75)]  # three seconds that arrive at once
    assert held == pytest.approx([12.0 - _FRAME + number * _FRAME for number in range(75)])
    assert clock.place(_COUNT, 15.0 + _FRAME) == pytest.approx(15.0 - _FRAME)


def test_sound_that_never_came_leaves_a_hole() -> None:
    clock = FrameClock()
    for number in range(50):
        clock.place(_COUNT, 10.0 + number * _FRAME)
    lost = MOST_LATE + 0.1
    starts = [clock.place(_COUNT, 12.0 + lost + number * _FRAME) for number in range(75)]
    assert starts[0] == pytest.approx(12.0 - _FRAME)
    assert starts[-1] == pytest.approx(12.0 - _FRAME + lost + 74 * _FRAME, abs=0.01)
    holes = [after - before - _FRAME for before, after in pairwise(starts)]
    assert max(holes) == pytest.approx(lost, abs=0.01)
    assert sum(hole > 0.001 for hole in holes) == 1


def test_another_stream_begins_where_it_arrives_and_never_before_the_last_one_ended() -> None:
    clock = FrameClock()
    clock.place(_COUNT, 10.0)
    clock.resume()
    assert clock.place(_COUNT, 20.0) == pytest.approx(20.0 - _FRAME)
    clock.resume()
    assert clock.place(_COUNT, 20.0) == pytest.approx(20.0)

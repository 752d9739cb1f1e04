"""Frames come out in order and once, whatever way they came in."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import AudioFrame, Samples, TrackId
from pipeline.live.arrival import Arrivals, ArrivalSettings, Hole, Run
from tests.recordings import beep, frames_of, silence

COUNT = 320


def put_in_order(frames: list[AudioFrame]) -> list[Run | Hole]:
    arrivals = Arrivals()
    return [piece for frame in frames for piece in arrivals.arrived(frame)] + arrivals.flush()


def counting(frames: int) -> Samples:
    """Sound in which every sample tells its place."""
    return np.arange(frames * COUNT).astype(np.int16)


def sound_of(pieces: list[Run | Hole]) -> Samples:
    return np.concatenate([silence(0), *(piece.samples for piece in pieces if isinstance(piece, Run))])


def test_frames_in_order_pass_at_once() -> None:
    arrivals = Arrivals()
    for frame in frames_of(counting(10), start=3.0):
        (run,) = arrivals.arrived(frame)
        assert isinstance(run, Run)
        assert run.start == round(frame.start * 16_000)
        assert run.samples is frame.samples


@given(st.integers(0, 10_000), st.lists(st.integers(0, 49), max_size=20))
def test_frames_doubled_and_out_of_order_come_out_once_and_in_order(seed: int, doubled: list[int]) -> None:
    sound = counting(50)
    frames = frames_of(sound)
    frames += [frames[index] for index in doubled]
    chance = random.Random(seed)
    # No frame comes more than 80 ms late, so no hole stays open for longer than the 120 ms that are waited for.
    frames.sort(key=lambda frame: (frame.start > 0, frame.start + chance.uniform(0, 0.08)))
    pieces = put_in_order(frames)
    assert not [piece for piece in pieces if isinstance(piece, Hole)]
    np.testing.assert_array_equal(sound_of(pieces), sound)


def test_a_short_hole_is_concealed_by_what_came_before_fading_out() -> None:
    frames = frames_of(beep(1.0))
    pieces = put_in_order(frames[:20] + frames[22:])
    sound = sound_of(pieces).astype(np.int64)
    assert len(sound) == 16_000
    concealed = sound[20 * COUNT : 22 * COUNT]
    first, last = np.abs(concealed[:COUNT]).max(), np.abs(concealed[-COUNT:]).max()
    assert first > 15_000
    assert last < first * 0.6
    np.testing.assert_array_equal(sound[22 * COUNT :], joined_samples(frames[22:]))


def test_a_long_hole_is_named() -> None:
    frames = frames_of(counting(50))
    pieces = put_in_order(frames[:20] + frames[30:])
    assert [piece for piece in pieces if isinstance(piece, Hole)] == [Hole(20 * COUNT, 30 * COUNT)]
    np.testing.assert_array_equal(sound_of(pieces), joined_samples(frames[:20] + frames[30:]))


def test_a_hole_is_waited_for_no_longer_than_said() -> None:
    arrivals = Arrivals(ArrivalSettings(reorder=0.04))
    frames = frames_of(counting(10))
    arrivals.arrived(frames[0])
    assert arrivals.arrived(frames[2]) == []
    assert len(arrivals.arrived(frames[3])) == 3


def test_a_frame_that_comes_after_its_hole_was_given_up_is_dropped() -> None:
    frames = frames_of(counting(50))
    late = put_in_order(frames[:10] + frames[20:40] + [frames[15]] + frames[40:])
    on_time = put_in_order(frames[:10] + frames[20:])
    np.testing.assert_array_equal(sound_of(late), sound_of(on_time))


def test_a_frame_that_overlaps_what_came_before_gives_only_what_is_new() -> None:
    sound = counting(4)
    frames = [AudioFrame(TrackId("t"), 0.0, sound[:640]), AudioFrame(TrackId("t"), 0.02, sound[320:])]
    np.testing.assert_array_equal(sound_of(put_in_order(frames)), sound)


def test_clocks_that_differ_a_little_make_no_hole() -> None:
    frames = [
        AudioFrame(frame.track, frame.start + 0.004 * (index % 2), frame.samples)
        for index, frame in enumerate(frames_of(counting(50)))
    ]
    pieces = put_in_order(frames)
    assert all(isinstance(piece, Run) for piece in pieces)
    np.testing.assert_array_equal(sound_of(pieces), counting(50))


def test_a_clock_that_drifts_is_followed() -> None:
    slow = [AudioFrame(frame.track, frame.start * 1.001, frame.samples) for frame in frames_of(beep(60.0))]
    pieces = put_in_order(slow)
    last = pieces[-1]
    assert isinstance(last, Run)
    assert last.end / 16_000 == pytest.approx(60.0 * 1.001, abs=0.011)


def test_an_empty_frame_is_nothing() -> None:
    assert put_in_order([AudioFrame(TrackId("t"), 0.0, silence(0))]) == []


def test_what_is_skipped_is_neither_waited_for_nor_taken_later() -> None:
    arrivals = Arrivals()
    frames = frames_of(counting(50))
    arrivals.arrived(frames[0])
    assert arrivals.arrived(frames[3]) == []
    assert len(arrivals.skip_to(10 * COUNT)) == 2
    assert arrivals.arrived(frames[5]) == []
    (run,) = arrivals.arrived(frames[10])
    assert isinstance(run, Run)
    assert run.start == 10 * COUNT


def joined_samples(frames: list[AudioFrame]) -> Samples:
    return np.concatenate([frame.samples for frame in frames])

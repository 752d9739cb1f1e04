"""A replayed file is a live track: paced, gapless, opened and closed."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from media_gateway.files import FileTap, ReplayClock, track_of
from media_gateway.recording import read_recording
from pipeline.domain import SAMPLE_RATE, AudioFrame, TrackClosed, TrackEvent, TrackOpened
from pipeline.errors import UnreadableMedia
from tests.recordings import joined, tone, write_sound


class Recorder:
    """A pace that waits for nobody and keeps what it was asked to wait for."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    async def until(self, at: float) -> None:
        self.waited.append(at)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "Anne Roux.wav", tone(1.01)[None], SAMPLE_RATE, "mono")


async def replay(tap: FileTap) -> list[TrackEvent]:
    return [event async for event in tap.events()]


async def test_a_track_opens_sends_its_sound_and_closes(second: Path) -> None:
    track = track_of(second)
    events = await replay(FileTap(second, track, Recorder(), silence_after=0.0))
    assert events[0] == TrackOpened(track, 0.0)
    assert events[-1] == TrackClosed(track.id, pytest.approx(1.01))
    frames = [event for event in events if isinstance(event, AudioFrame)]
    np.testing.assert_array_equal(joined(frames), read_recording(second))
    assert {len(frame.samples) for frame in frames[:-1]} == {640}
    assert [frame.start for frame in frames] == pytest.approx([0.04 * index for index in range(len(frames))])


async def test_a_frame_is_sent_once_its_last_sample_was_heard(second: Path) -> None:
    pace = Recorder()
    events = await replay(FileTap(second, track_of(second), pace, start=5.0, silence_after=0.0))
    assert pace.waited == [5.0, *(event.end for event in events if isinstance(event, AudioFrame))]
    assert events[0] == TrackOpened(track_of(second), 5.0)


async def test_the_room_goes_on_after_the_speaker_has_stopped(second: Path) -> None:
    events = await replay(FileTap(second, track_of(second), Recorder(), silence_after=0.5))
    frames = [event for event in events if isinstance(event, AudioFrame)]
    assert frames[-1].end == pytest.approx(1.51)
    assert not joined(frames)[-SAMPLE_RATE // 2 :].any()


async def test_a_replay_takes_as_long_as_its_speed_says(second: Path) -> None:
    began = asyncio.get_running_loop().time()
    await replay(FileTap(second, track_of(second), ReplayClock(5.0), silence_after=0.0))
    assert asyncio.get_running_loop().time() - began == pytest.approx(1.01 / 5, abs=0.1)


async def test_a_clock_counts_meeting_time_from_its_first_use() -> None:
    clock = ReplayClock(100.0)
    assert clock.now() == 0.0
    await clock.until(2.0)
    assert 2.0 <= clock.now() < 12.0


async def test_being_late_once_delays_nothing_after() -> None:
    clock = ReplayClock(10.0)
    clock.now()
    began = asyncio.get_running_loop().time()
    await clock.until(0.5)
    await asyncio.sleep(0.05)
    for at in (0.6, 0.7, 0.8, 0.9, 2.0):
        await clock.until(at)
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("speed", [0.0, float("inf")])
async def test_without_a_speed_a_replay_waits_for_nobody(speed: float) -> None:
    clock = ReplayClock(speed)
    await asyncio.wait_for(clock.until(3600.0), 1.0)
    await clock.until(60.0)
    assert clock.now() == 3600.0


@pytest.mark.parametrize("speed", [-1.0, float("nan")])
def test_a_speed_that_makes_no_sense_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        ReplayClock(speed)


async def test_several_files_replay_at_once_on_one_clock(second: Path) -> None:
    clock = ReplayClock(10.0)
    taps = [FileTap(second, track_of(second), clock, silence_after=0.0) for _ in range(4)]
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(replay(tap) for tap in taps))
    assert asyncio.get_running_loop().time() - began < 0.3


async def test_one_that_stops_waiting_wakes_nobody_and_keeps_nobody_waiting() -> None:
    clock = ReplayClock(10.0)
    first, second = (asyncio.ensure_future(clock.until(0.5)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0.01)
    assert (first.cancelled(), second.done()) == (True, False)
    await asyncio.wait_for(second, 1.0)
    assert clock.now() >= 0.5


async def test_a_file_that_is_none_says_so(tmp_path: Path) -> None:
    path = tmp_path / "nothing.wav"
    path.write_bytes(b"\0" * 1000)
    with pytest.raises(UnreadableMedia, match=r"nothing\.wav"):
        await replay(FileTap(path, track_of(path), Recorder()))


def test_a_participant_is_named_by_the_file() -> None:
    track = track_of(Path("/tmp/Anne Roux.wav"), languages=("fr",))
    assert (track.id, track.participant.name, track.languages) == ("Anne Roux.wav", "Anne Roux", ("fr",))


def test_a_repeated_name_is_told_apart_by_its_caller() -> None:
    track = track_of(Path("/tmp/anne.wav"), "anne.wav-2")
    assert track.id == "anne.wav-2"
    assert track.participant.id == "anne.wav-2"

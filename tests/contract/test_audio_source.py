"""What every AudioSource sends: tracks that open, sound in order, tracks that close."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from media_gateway.files import FileTap, ReplayClock, track_of
from media_gateway.lossy import Losses, LossyTap
from media_gateway.outlet import Outlet
from media_gateway.scripted import ScriptedTap
from pipeline.domain import AudioFrame, TrackClosed, TrackEvent, TrackOpened
from pipeline.ports import AudioSource
from tests.recordings import beep, frames_of, tone, write_sound


def from_file(folder: Path) -> AudioSource:
    path = write_sound(folder / "track.wav", tone(1.0)[None], 16_000, "mono")
    return FileTap(path, track_of(path), ReplayClock(0.0))


def from_script(folder: Path) -> AudioSource:
    track = track_of(folder / "track")
    return ScriptedTap([TrackOpened(track, 0.0), *frames_of(beep(1.0)), TrackClosed(track.id, 1.0)])


def from_a_bad_network(folder: Path) -> AudioSource:
    return LossyTap(from_script(folder), Losses(drop=0.2))


def from_a_microphone(folder: Path) -> AudioSource:
    """The end of every live tap: WHIP and WebSocket sessions give their sound by an outlet."""
    outlet = Outlet(track_of(folder / "track"), lambda: 0.0)
    outlet.put(frames_of(beep(1.0)))
    outlet.close()
    return outlet


@pytest.fixture(params=[from_file, from_script, from_a_bad_network, from_a_microphone], ids=lambda make: make.__name__)
async def events(request: pytest.FixtureRequest, tmp_path: Path) -> list[TrackEvent]:
    make: Callable[[Path], AudioSource] = request.param
    return [event async for event in make(tmp_path).events()]


async def test_a_track_opens_before_and_closes_after_all_its_sound(events: list[TrackEvent]) -> None:
    assert isinstance(events[0], TrackOpened)
    assert isinstance(events[-1], TrackClosed)
    assert {type(event) for event in events[1:-1]} == {AudioFrame}


async def test_every_frame_is_of_the_open_track(events: list[TrackEvent]) -> None:
    assert isinstance(events[0], TrackOpened)
    assert {event.track for event in events[1:] if not isinstance(event, TrackOpened)} == {events[0].track.id}


async def test_frames_hold_sixteen_bit_samples_and_do_not_overlap(events: list[TrackEvent]) -> None:
    frames = [event for event in events if isinstance(event, AudioFrame)]
    assert all(frame.samples.dtype == np.int16 and frame.samples.ndim == 1 for frame in frames)
    assert all(later.start >= sooner.end - 1e-6 for sooner, later in pairwise(frames))
    assert isinstance(events[-1], TrackClosed)
    assert events[-1].at >= frames[-1].end - 1e-6

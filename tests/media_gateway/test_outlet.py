"""What a tap heard waits for the pipeline, in bounds: what is dropped is named."""

import asyncio

import pytest

from media_gateway.outlet import Outlet
from pipeline.domain import (
    AudioFrame,
    AudioLost,
    Participant,
    ParticipantId,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
)
from tests.recordings import frames_of, silence

TRACK = Track(TrackId("track"), Participant(ParticipantId("p"), "P"))


def frames(seconds: float, start: float = 0.0) -> list[AudioFrame]:
    return frames_of(silence(seconds), start=start, frame=1_600)


async def everything(outlet: Outlet) -> list[TrackEvent]:
    return [event async for event in outlet.events()]


async def test_a_track_opens_gives_what_came_and_closes_where_it_ended() -> None:
    outlet = Outlet(TRACK, lambda: 1.0)
    taking = asyncio.create_task(everything(outlet))
    await asyncio.sleep(0)
    for frame in frames(1.0, 2.0):
        outlet.put([frame])
        await asyncio.sleep(0)
    outlet.close()
    events = await taking
    assert events[0] == TrackOpened(TRACK, 1.0)
    assert [event.start for event in events if isinstance(event, AudioFrame)] == pytest.approx(
        [2.0 + k / 10 for k in range(10)]
    )
    assert events[-1] == TrackClosed(TRACK.id, pytest.approx(3.0))


async def test_a_track_that_sent_nothing_closes_when_it_opened() -> None:
    outlet = Outlet(TRACK, lambda: 4.0)
    outlet.close()
    assert await everything(outlet) == [TrackOpened(TRACK, 4.0), TrackClosed(TRACK.id, 4.0)]


async def test_what_nobody_takes_is_dropped_beyond_the_limit_and_named() -> None:
    outlet = Outlet(TRACK, lambda: 0.0, limit=2.0)
    outlet.put(frames(5.0))
    outlet.close()
    events = await everything(outlet)
    kept = [event for event in events if isinstance(event, AudioFrame)]
    assert kept[-1].end == pytest.approx(2.1, abs=0.11)
    assert events[-2] == AudioLost(TRACK.id, pytest.approx(kept[-1].end), pytest.approx(5.0))


async def test_sound_is_taken_again_once_there_is_room() -> None:
    outlet = Outlet(TRACK, lambda: 0.0, limit=1.0)
    outlet.put(frames(3.0))
    taking = outlet.events()
    taken = [await anext(taking) for _ in range(8)]
    outlet.put(frames(1.0, 3.0)[:1])
    outlet.close()
    taken += [event async for event in taking]
    lost = [event for event in taken if isinstance(event, AudioLost)]
    assert len(lost) == 1
    assert lost[0].end == pytest.approx(3.0)
    heard = [event for event in taken if isinstance(event, AudioFrame)]
    assert heard[-1].start == pytest.approx(3.0)

"""What every AudioBus does; a bus over a server joins the list when it exists."""

import asyncio
from collections.abc import Callable

import pytest

from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    AudioFrame,
    AudioLost,
    Participant,
    ParticipantId,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
)
from tests.recordings import beep, frames_of

BUSES = {"memory": MemoryAudioBus}


@pytest.fixture(params=BUSES)
def new(request: pytest.FixtureRequest) -> Callable[..., MemoryAudioBus]:
    return BUSES[request.param]


def meeting(track: str) -> list[TrackEvent]:
    name = TrackId(track)
    opened = TrackOpened(Track(name, Participant(ParticipantId(track), track)), 0.0)
    speech: list[TrackEvent] = [SpeechStarted(name, 0.0), *frames_of(beep(1.0), track), SpeechEnded(name, 1.0)]
    return [opened, *speech, AudioLost(name, 1.0, 2.0), TrackClosed(name, 2.0)]


async def test_what_is_sent_is_received_in_order(new: Callable[..., MemoryAudioBus]) -> None:
    bus, sent = new(), meeting("a")
    for event in sent:
        await bus.send(event)
    await bus.close()
    assert [event async for event in bus.receive()] == sent


async def test_events_of_two_tracks_keep_their_order_each(new: Callable[..., MemoryAudioBus]) -> None:
    bus, first, second = new(), meeting("a"), meeting("b")
    for pair in zip(first, second, strict=True):
        for event in pair:
            await bus.send(event)
    await bus.close()
    received = [event async for event in bus.receive()]
    assert [event for event in received if event in first] == first
    assert [event for event in received if event in second] == second


async def test_a_receiver_waits_for_what_is_sent_later(new: Callable[..., MemoryAudioBus]) -> None:
    bus = new()
    waiting = asyncio.ensure_future(anext(bus.receive()))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await bus.send(SpeechStarted(TrackId("a"), 1.0))
    assert await asyncio.wait_for(waiting, 1.0) == SpeechStarted(TrackId("a"), 1.0)


async def test_a_receiver_ends_when_the_bus_closes(new: Callable[..., MemoryAudioBus]) -> None:
    bus = new()
    waiting = asyncio.ensure_future(anext(bus.receive(), None))
    await asyncio.sleep(0.01)
    await bus.close()
    assert await asyncio.wait_for(waiting, 1.0) is None


async def test_a_full_bus_never_blocks_and_marks_what_it_dropped(new: Callable[..., MemoryAudioBus]) -> None:
    bus = new(seconds=0.5)
    for event in meeting("a"):
        await asyncio.wait_for(bus.send(event), 1.0)
    await bus.close()
    received = [event async for event in bus.receive()]
    sound = sum(event.end - event.start for event in received if isinstance(event, AudioFrame))
    lost = [event for event in received if isinstance(event, AudioLost)]
    assert sound == pytest.approx(0.5)
    assert sum(event.end - event.start for event in lost) == pytest.approx(1.0 + 0.5)
    assert [type(event) for event in received if not isinstance(event, AudioFrame | AudioLost)] == [
        TrackOpened,
        SpeechStarted,
        SpeechEnded,
        TrackClosed,
    ]

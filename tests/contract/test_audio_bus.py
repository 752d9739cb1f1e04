"""What every AudioBus does, in memory and over Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from pipeline.bus.memory import MemoryAudioBus
from pipeline.bus.redis.audio_in import AudioInbox
from pipeline.bus.redis.audio_out import AudioOutlet
from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import (
    AudioFrame,
    AudioLost,
    MeetingId,
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
from pipeline.ports import AudioBus
from tests.recordings import beep, frames_of
from tests.redis_server import RedisServer

New = Callable[[], Awaitable[AudioBus]]


@dataclass
class Both:
    """Both ends of a bus over Redis."""

    outlet: AudioOutlet
    inbox: AudioInbox

    async def send(self, event: TrackEvent) -> None:
        await self.outlet.send(event)

    def receive(self) -> AsyncIterator[TrackEvent]:
        return self.inbox.receive()

    async def close(self) -> None:
        await self.outlet.close()
        await self.inbox.close()


async def in_memory() -> AudioBus:
    return MemoryAudioBus()


@pytest.fixture
async def over_redis(redis_server: RedisServer) -> AsyncIterator[New]:
    async with AsyncExitStack() as stack:

        async def new() -> AudioBus:
            gateway = await RedisBus.open(redis_server.url, "gateway-1")
            stack.push_async_callback(gateway.close)
            worker = await RedisBus.open(redis_server.url, "worker-1")
            stack.push_async_callback(worker.close)
            both = Both(AudioOutlet(gateway, MeetingId("m")), await AudioInbox.open(worker, MeetingId("m"), "worker-1"))
            stack.push_async_callback(both.close)
            return both

        yield new


@pytest.fixture(params=["memory", "redis"])
def new(request: pytest.FixtureRequest) -> New:
    return in_memory if request.param == "memory" else request.getfixturevalue("over_redis")


def plain(events: list[TrackEvent]) -> list[object]:
    """Something that equals what is like it."""
    return [(one.track, one.start, one.samples.tobytes()) if isinstance(one, AudioFrame) else one for one in events]


def meeting(track: str) -> list[TrackEvent]:
    name = TrackId(track)
    opened = TrackOpened(Track(name, Participant(ParticipantId(track), track)), 0.0)
    speech: list[TrackEvent] = [SpeechStarted(name, 0.0), *frames_of(beep(1.0), track), SpeechEnded(name, 1.0)]
    return [opened, *speech, AudioLost(name, 1.0, 2.0), TrackClosed(name, 2.0)]


async def test_what_is_sent_is_received_in_order(new: New) -> None:
    bus, sent = await new(), meeting("a")
    for event in sent:
        await bus.send(event)
    await bus.close()
    assert plain([event async for event in bus.receive()]) == plain(sent)


async def test_events_of_two_tracks_keep_their_order_each(new: New) -> None:
    bus, first, second = await new(), meeting("a"), meeting("b")
    for pair in zip(first, second, strict=True):
        for event in pair:
            await bus.send(event)
    await bus.close()
    received = plain([event async for event in bus.receive()])
    for sent in (plain(first), plain(second)):
        assert [event for event in received if event in sent] == sent


async def test_a_receiver_waits_for_what_is_sent_later(new: New) -> None:
    bus = await new()
    waiting = asyncio.ensure_future(anext(bus.receive()))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    opened = meeting("a")[0]
    await bus.send(opened)
    assert await asyncio.wait_for(waiting, 10.0) == opened


async def test_a_receiver_ends_when_the_bus_closes(new: New) -> None:
    bus = await new()
    waiting = asyncio.ensure_future(anext(bus.receive(), None))
    await asyncio.sleep(0.01)
    await bus.close()
    assert await asyncio.wait_for(waiting, 1.0) is None


async def test_a_full_bus_in_memory_never_blocks_and_marks_what_it_dropped() -> None:
    bus = MemoryAudioBus(seconds=0.5)
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

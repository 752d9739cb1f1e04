"""A meeting of whose sound tests hear over Redis."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pipeline.bus.redis import keys
from pipeline.bus.redis.audio_in import AudioInbox
from pipeline.bus.redis.audio_out import AudioOutlet
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases, meeting_lease_key
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    AudioLost,
    MeetingId,
    Participant,
    ParticipantId,
    Track,
    TrackEvent,
    TrackId,
    TrackOpened,
)
from tests.pipeline.bus.redis.waiting import until
from tests.redis_server import RedisServer

M = MeetingId("m")
AUDIO = keys.of_meeting(M, "audio")
ANA, BEN = TrackId("ana.1"), TrackId("ben.1")
OURS, THEIRS = "worker-1/a", "worker-2/b"
STEP = 512 / SAMPLE_RATE


def opened(track: TrackId = ANA, at: float = 0.0) -> TrackOpened:
    name = track.partition(".")[0]
    return TrackOpened(Track(track, Participant(ParticipantId(name), name.title()), ("fr", "en")), at)


def frames(first: int, last: int, track: TrackId = ANA) -> list[AudioFrame]:
    """The frames number ``first`` to ``last - 1``, each with its number as its samples."""
    return [AudioFrame(track, number * STEP, np.full(512, number, np.int16)) for number in range(first, last)]


def plain(event: TrackEvent) -> object:
    """Something that equals another like it."""
    return (event.track, event.start, event.samples.tolist()) if isinstance(event, AudioFrame) else event


def plains(events: list[TrackEvent]) -> list[object]:
    return [plain(event) for event in events]


def heard_frames(events: list[TrackEvent], track: TrackId = ANA) -> list[int]:
    """By their numbers."""
    return [int(event.samples[0]) for event in events if isinstance(event, AudioFrame) and event.track == track]


def lost(events: list[TrackEvent]) -> list[AudioLost]:
    return [event for event in events if isinstance(event, AudioLost)]


async def send(outlet: AudioOutlet, *events: TrackEvent) -> None:
    for event in events:
        await outlet.send(event)


async def written(outlet: AudioOutlet) -> None:
    await until(lambda: not outlet._due and not outlet._flight.taken)


@dataclass(eq=False)
class Owner:
    """Takes all that comes."""

    inbox: AudioInbox
    got: list[TrackEvent] = field(default_factory=list)
    taking: "asyncio.Task[None] | None" = None

    @classmethod
    async def of(cls, bus: RedisBus, holder: str = OURS) -> "Owner":
        assert await RedisLeases(bus, holder).acquire(meeting_lease_key(M), 60.0)
        owner = cls(await AudioInbox.open(bus, M, holder))
        owner.taking = asyncio.create_task(owner._take())
        return owner

    async def _take(self) -> None:
        async for event in self.inbox.receive():
            self.got.append(event)

    async def has(self, true: "Callable[[list[TrackEvent]], object] | int") -> None:
        await until(lambda: len(self.got) >= true if isinstance(true, int) else true(self.got))

    async def leave(self) -> None:
        """Cancelled, as a worker that has been followed."""
        assert self.taking is not None
        self.taking.cancel()
        await asyncio.wait([self.taking])
        await self.inbox.close()


def free_lease(server: RedisServer) -> None:
    with server.connect() as client:
        client.delete(keys.of_meeting(M, "lease"))


def entries(server: RedisServer) -> int:
    with server.connect() as client:
        return int(client.xlen(AUDIO))

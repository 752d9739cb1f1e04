"""Processes that have to do with meetings they do not caption, on a real Redis, with a store in a file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from models.level import LevelDetector
from pipeline.bus.redis.captions_out import PublishedFeed
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.control import Control
from pipeline.bus.redis.leases import RedisLeases, meeting_lease_key
from pipeline.distributed.remote_meeting import Shared
from pipeline.distributed.remote_meetings import RemoteMeetings
from pipeline.distributed.watch import Watch
from pipeline.domain import Meeting, MeetingId
from pipeline.errors import InvalidInput
from pipeline.export.event import Event
from pipeline.ports import AudioKeeper
from pipeline.store.sql import SqlStore

MEETING = MeetingId("council")
WAIT = 30.0


def check_languages(languages: tuple[str, ...]) -> None:
    if strange := [each for each in languages if each not in {"fr", "en", "de"}]:
        raise InvalidInput(f"nobody knows {', '.join(strange)}")


@dataclass(slots=True)
class Offered:
    """Takes offers and does nothing about them."""

    meetings: list[MeetingId] = field(default_factory=list)

    async def send(self, meeting: MeetingId) -> None:
        self.meetings.append(meeting)


@dataclass(slots=True)
class Process:
    """A gateway or an API."""

    bus: RedisBus
    meetings: RemoteMeetings
    offered: Offered


@dataclass(slots=True)
class Owner:
    """Holds the lease of a meeting and publishes what a test says; ``wishes`` is what it was asked to do.

    ``taking`` are tasks of a test that end with it.
    """

    bus: RedisBus
    leases: RedisLeases
    feed: PublishedFeed
    wishes: list[dict[str, object]] = field(default_factory=list)
    taking: "list[asyncio.Task[None]]" = field(default_factory=list)

    async def say(self, event: Event, key: str | None = None) -> None:
        self.feed.publish({"meeting": MEETING, "sent_at": 0.0} | event, key)
        await self.feed.flush()

    async def stop(self) -> None:
        for task in self.taking:
            task.cancel()
        await asyncio.gather(*self.taking, return_exceptions=True)
        await self.feed.close_pump()

    async def leave(self) -> None:
        await self.leases.release(meeting_lease_key(MEETING))


@dataclass(slots=True)
class Stage:
    """``store`` holds one meeting, created when the stage was set."""

    url: str
    store: SqlStore
    stack: AsyncExitStack

    async def create(self, meeting: MeetingId, *, keep_audio: bool = False) -> None:
        bus = await self._bus("test-1")
        await self.store.create_meeting(Meeting(meeting, "Council", bus.wall(), ("fr",), (), keep_audio))

    async def process(self, name: str, new_keeper: Callable[[MeetingId], AudioKeeper] | None = None) -> Process:
        bus = await self._bus(name)
        offered = Offered()
        shared = Shared(bus, self.store, LevelDetector, check_languages, new_keeper)
        meetings = RemoteMeetings(shared, Watch(bus, offered, f"{name}/1"))
        self.stack.push_async_callback(meetings.close)
        await meetings.start()
        return Process(bus, meetings, offered)

    async def owner(self) -> Owner:
        """From now on somebody captions the meeting, for as long as a test takes."""
        bus = await self._bus("worker-1")
        leases = RedisLeases(bus, "worker-1/1")
        assert await leases.acquire(meeting_lease_key(MEETING), 600.0)
        owner = Owner(bus, leases, await PublishedFeed.open(bus, MEETING, leases.holder, 1))
        self.stack.push_async_callback(owner.stop)
        self.stack.push_async_callback(await Control.follow(bus, MEETING, owner.wishes.append))
        return owner

    async def _bus(self, name: str) -> RedisBus:
        bus = await RedisBus.open(self.url, name)
        self.stack.push_async_callback(bus.close)
        return bus


@asynccontextmanager
async def stage(url: str, folder: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        store = await asyncio.to_thread(SqlStore.open, f"sqlite:///{folder / 'greffier.db'}")
        stack.push_async_callback(store.close)
        one = Stage(url, store, stack)
        await one.create(MEETING)
        yield one


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.02)

"""How a worker comes to caption a meeting: lease, claim, what was before, and where it goes on."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace

from pipeline.bus.redis.audio_in import AudioInbox
from pipeline.bus.redis.captions_out import PublishedFeed
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.control import Control
from pipeline.bus.redis.leases import RedisLeases, meeting_lease_key
from pipeline.distributed.gateways import Gateways
from pipeline.distributed.held_lease import SECONDS, HeldLease
from pipeline.distributed.owned import OwnedMeeting
from pipeline.distributed.restoring import past_of
from pipeline.distributed.wishes import Wishes
from pipeline.domain import MeetingId
from pipeline.errors import NotFound, Superseded
from pipeline.export.event import Event
from pipeline.running import Equipment, RunningMeeting
from pipeline.running.upkeep import RESERVED


@dataclass(frozen=True, slots=True)
class Taking:
    """What a worker takes meetings with; ``may_move`` and ``on_reset`` as in ``OwnedMeeting``."""

    bus: RedisBus
    equipment: Equipment
    observe: Callable[[], Callable[[Event], None]] | None
    empty_after: float
    may_move: Callable[[MeetingId], Awaitable[bool]]
    on_reset: Callable[[], None]

    async def take(self, meeting: MeetingId) -> OwnedMeeting | None:
        """None where the meeting is over, or somebody else's. Raises ``BusFailed``, ``StorageFailed``."""
        holder = f"{self.bus.process}/{secrets.token_hex(4)}"
        leases, key = RedisLeases(self.bus, holder), meeting_lease_key(meeting)
        if not await leases.acquire(key, SECONDS):
            return None
        owned = None
        try:
            owned = await self._claimed(meeting, leases, key)
        except (NotFound, Superseded):
            return None
        finally:
            if owned is None:
                await leases.release(key)
        return owned

    async def _claimed(self, meeting: MeetingId, leases: RedisLeases, key: str) -> OwnedMeeting | None:
        store = self.equipment.store
        fence = await store.claim(meeting)

        async def unclaimed() -> bool:
            try:
                await store.for_meeting(meeting, fence).keep_presences(())
            except (NotFound, Superseded):
                return False
            return True

        lease = HeldLease(leases, key, unclaimed, asyncio.get_running_loop().time)
        async with _renewed(lease):
            return await self._opened(meeting, fence, lease, leases.holder)

    async def _opened(self, meeting: MeetingId, fence: int, lease: HeldLease, holder: str) -> OwnedMeeting | None:
        """None where it is over."""
        bus, store, wishes = self.bus, self.equipment.store, Wishes()
        async with AsyncExitStack() as stack:
            unfollow = await Control.follow(bus, meeting, wishes.take)  # before the store is read: nothing is missed
            stack.push_async_callback(unfollow)
            kept = await store.meeting(meeting)
            if kept.ended_at is not None:
                return None
            first = await store.for_meeting(meeting, fence).reserve_sequence(2 * RESERVED)  # finals are told again
            watching = self.observe() if self.observe is not None else None
            feed = await PublishedFeed.open(bus, meeting, holder, first, watching)
            stack.push_async_callback(feed.close_pump)
            inbox = await AudioInbox.open(bus, meeting, holder)
            stack.push_async_callback(inbox.close)
            tracks = {name: track for name, (track, _, _) in (await inbox.tracks()).items()}
            now = bus.wall() - kept.created_at
            past = await past_of(store, kept, fence, first, feed.history(), tracks.values(), now)
            running = RunningMeeting(self._equipped(feed, inbox), kept, past)
            stack.pop_all()
        known = {each.track.id for each in past.resumed}
        return OwnedMeeting(
            bus=bus,
            store=store,
            running=running,
            feed=feed,
            inbox=inbox,
            lease=lease,
            wishes=wishes,
            unfollow=unfollow,
            gateways=Gateways(bus, inbox, running, known - tracks.keys()),
            taken_over=fence > 1,
            empty_after=self.empty_after,
            may_move=self.may_move,
            on_reset=self.on_reset,
        )

    def _equipped(self, feed: PublishedFeed, inbox: AudioInbox) -> Equipment:
        """Sound comes from gateways, which keep it where it is to be kept, and captions go to all processes."""
        return replace(
            self.equipment,
            new_feed=lambda first: feed,
            new_bus=lambda: inbox,
            new_keeper=None,
            wall=self.bus.wall,
        )


@asynccontextmanager
async def _renewed(lease: HeldLease) -> AsyncIterator[None]:
    """A slow database makes nobody lose the meeting."""
    renewing = asyncio.create_task(lease.run())
    try:
        yield
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing

"""Leases over Redis, by its clock."""

from collections.abc import Sequence

from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.scripts import ACQUIRE, RELEASE, RENEW
from pipeline.domain import MeetingId


class RedisLeases:
    """``Leases`` of one ``holder``, a word that no other has (``<process>/<hex>``). Raises ``BusFailed``: then it may
    have been done all the same."""

    def __init__(self, bus: RedisBus, holder: str) -> None:
        self.holder = holder
        self._bus = bus

    async def acquire(self, key: str, seconds: float) -> bool:
        return bool(await self._bus.run(ACQUIRE, [keys.PREFIX + key], [self.holder, _milliseconds(seconds)]))

    async def renew(self, key: str, seconds: float) -> bool:
        return bool(await self._bus.run(RENEW, [keys.PREFIX + key], [self.holder, _milliseconds(seconds)]))

    async def release(self, key: str) -> None:
        await self._bus.run(RELEASE, [keys.PREFIX + key], [self.holder])


def meeting_lease_key(meeting: MeetingId) -> str:
    """What ``RedisLeases`` knows the lease of a meeting by."""
    return keys.of_meeting(meeting, "lease").removeprefix(keys.PREFIX)


async def holder_of(bus: RedisBus, meeting: MeetingId) -> str | None:
    """Who captions the meeting. Raises ``BusFailed``."""
    return (await holders_of(bus, [meeting])).get(meeting)


async def holders_of(bus: RedisBus, meetings: Sequence[MeetingId]) -> dict[MeetingId, str]:
    """Who captions which; without those that nobody captions. Raises ``BusFailed``."""
    if not meetings:
        return {}
    holders = await bus.call("MGET", *(keys.of_meeting(meeting, "lease") for meeting in meetings))
    return {meeting: holder.decode() for meeting, holder in zip(meetings, holders, strict=True) if holder is not None}


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))

"""Leases over Redis, by its clock."""

from collections.abc import Sequence

from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import MeetingId


class RedisLeases:
    """``Leases`` of one ``holder``, a word that no other has (``<process>/<hex>``). Raises ``BusFailed``."""

    def __init__(self, bus: RedisBus, holder: str) -> None:
        self.holder = holder

    async def acquire(self, key: str, seconds: float) -> bool:
        raise NotImplementedError

    async def renew(self, key: str, seconds: float) -> bool:
        raise NotImplementedError

    async def release(self, key: str) -> None:
        raise NotImplementedError


def meeting_lease_key(meeting: MeetingId) -> str:
    """What ``RedisLeases`` knows the lease of a meeting by."""
    raise NotImplementedError


async def holder_of(bus: RedisBus, meeting: MeetingId) -> str | None:
    """Who captions the meeting."""
    raise NotImplementedError


async def holders_of(bus: RedisBus, meetings: Sequence[MeetingId]) -> dict[MeetingId, str]:
    """Who captions which; without those that nobody captions."""
    raise NotImplementedError

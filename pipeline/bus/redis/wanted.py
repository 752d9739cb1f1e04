"""Which meetings somebody wants captioned, and what is left of those that are over. Everything raises ``BusFailed``."""

from collections.abc import Iterable

from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import MeetingId


async def want(bus: RedisBus, meetings: Iterable[MeetingId]) -> None:
    """Somebody reads them or takes part: they go on for 5 s."""
    raise NotImplementedError


async def wanted(bus: RedisBus, meeting: MeetingId) -> bool:
    raise NotImplementedError


async def may_offer(bus: RedisBus, meeting: MeetingId) -> bool:
    """Whether the caller is the one of all processes who offers the meeting now: one in 2 s."""
    raise NotImplementedError


async def expire_meeting(bus: RedisBus, meeting: MeetingId, seconds: int = 3600) -> None:
    """What Redis holds of the meeting goes after ``seconds``."""
    raise NotImplementedError

"""Which meetings somebody wants captioned, and what is left of those that are over. Everything raises ``BusFailed``."""

from collections.abc import Iterable

from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.domain import MeetingId

_WANTED_MS = 5000
_OFFERED_MS = 2000


async def want(bus: RedisBus, meetings: Iterable[MeetingId]) -> None:
    """Somebody reads them or takes part: they go on for 5 s."""
    await bus.ask([("SET", keys.of_meeting(meeting, "wanted"), 1, "PX", _WANTED_MS) for meeting in meetings])


async def wanted(bus: RedisBus, meeting: MeetingId) -> bool:
    return bool(await bus.call("EXISTS", keys.of_meeting(meeting, "wanted")))


async def may_offer(bus: RedisBus, meeting: MeetingId) -> bool:
    """Whether the caller is the one of all processes who offers the meeting now: one in 2 s."""
    return bool(await bus.call("SET", keys.of_meeting(meeting, "offered"), 1, "NX", "PX", _OFFERED_MS))


async def offer_waits(bus: RedisBus, meeting: MeetingId, seconds: float) -> None:
    """An offer of the meeting comes back by itself within ``seconds``: nobody needs to make another."""
    await bus.call("SET", keys.of_meeting(meeting, "offered"), 1, "PX", round(seconds * 1000))


async def expire_meeting(bus: RedisBus, meeting: MeetingId, seconds: int = 3600) -> None:
    """What Redis holds of the meeting goes after ``seconds``."""
    await bus.ask([("EXPIRE", keys.of_meeting(meeting, what), seconds) for what in keys.OF_MEETING])

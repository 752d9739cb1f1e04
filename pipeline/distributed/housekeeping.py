"""Meetings that nobody wants any more and nobody captions are ended, by one worker for all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases, holders_of
from pipeline.bus.redis.wanted import wanted
from pipeline.domain import Meeting, MeetingId
from pipeline.errors import GreffierError
from pipeline.ports import KeptMeetings

_log = logging.getLogger("greffier.housekeeping")

_MOST_BETWEEN, _LEAST_BETWEEN = 60.0, 1.0
_LOOKS = 10
"""How often a meeting is looked at until it ends."""


@dataclass(slots=True)
class Housekeeping:
    """``end`` is called for meetings in which somebody was, ``empty_after`` seconds after they were left.

    A meeting that was created and that nobody has come to yet waits for them.
    """

    bus: RedisBus
    store: KeptMeetings
    empty_after: float
    end: Callable[[MeetingId], Awaitable[None]]
    _left: dict[MeetingId, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Until it is cancelled."""
        between = min(max(self.empty_after / _LOOKS, _LEAST_BETWEEN), _MOST_BETWEEN)
        leases = RedisLeases(self.bus, self.bus.process)
        while True:
            await asyncio.sleep(between)
            try:
                if await leases.renew("housekeeping", 3 * between) or await leases.acquire("housekeeping", 3 * between):
                    await self._look()
            except GreffierError as error:
                _log.warning("housekeeping.late", extra={"error": type(error).__name__})

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        meetings = await self.store.open_meetings()
        held = await holders_of(self.bus, [meeting.id for meeting in meetings])
        left = {meeting.id for meeting in meetings if meeting.id not in held and await self._is_left(meeting)}
        self._left = {meeting: self._left.get(meeting, now) for meeting in left}
        for meeting, since in self._left.items():
            if now - since >= self.empty_after:
                _log.info("meeting.unwanted", extra={"meeting": meeting})
                await self.end(meeting)

    async def _is_left(self, meeting: Meeting) -> bool:
        if await wanted(self.bus, meeting.id):
            return False
        return bool(await self.store.presences(meeting.id) or await self.store.finals(meeting.id))

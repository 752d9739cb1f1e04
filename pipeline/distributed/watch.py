"""Whether somebody captions the meetings that this process has to do with: where nobody does, they are offered."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases, holders_of
from pipeline.bus.redis.wanted import may_offer, want
from pipeline.distributed.remote_meeting import RemoteMeeting
from pipeline.domain import MeetingId
from pipeline.errors import BusFailed

_log = logging.getLogger("greffier.meetings")

_OFFER_EVERY = 3.0
_WAITING_AFTER = 3.0
_WANT_EVERY = 2.0
_OWNERS_FIRST = 2.5
_TELL_ONCE_IN = 60.0
_AT_ONCE = 50
"""Offers that are sent together: each takes a thread for a moment."""


class Offering(Protocol):
    async def send(self, meeting: MeetingId) -> None:
        """Somebody is to caption ``meeting``. Raises ``BusFailed``."""


@dataclass(slots=True)
class _Unowned:
    """A meeting that nobody captions, by steady seconds; ``newest`` is the newest number when that began."""

    since: float
    offered: float = float("-inf")
    told: bool = False


@dataclass(slots=True)
class Watch:
    """``look`` several times a second: offers what nobody captions, every 3 s, once for all processes.

    Readers of a meeting that still waits after 3 s are told ``waiting``; ``holder`` is the word for that in leases.
    """

    bus: RedisBus
    offers: Offering
    holder: str
    _unowned: dict[MeetingId, _Unowned] = field(default_factory=dict)
    _wanted_at: float = float("-inf")
    _content: tuple[str, bytes | None] | None = None
    _settled_at: float = float("-inf")

    async def look(self, wanted: Sequence[RemoteMeeting]) -> None:
        """``wanted``: the meetings that somebody takes part in or reads by this process. Raises ``BusFailed``."""
        try:
            await self._look(wanted)
        except BusFailed:
            self._content = ("", None)
            raise

    async def _look(self, wanted: Sequence[RemoteMeeting]) -> None:
        now = asyncio.get_running_loop().time()
        meetings = {each.meeting.id: each for each in wanted}
        if meetings and now - self._wanted_at >= _WANT_EVERY:
            self._wanted_at = now
            await want(self.bus, meetings)
        held = await holders_of(self.bus, list(meetings)) if meetings else {}
        if meetings and not await self._is_settled(now):
            return
        alone = {name: each for name, each in meetings.items() if name not in held}
        self._unowned = {name: self._unowned.get(name) or _Unowned(now) for name in alone}
        due = [name for name, one in self._unowned.items() if now - one.offered >= _OFFER_EVERY]
        for few in (due[first : first + _AT_ONCE] for first in range(0, len(due), _AT_ONCE)):
            await asyncio.gather(*(self._offer(name, now) for name in few))
        for name, one in self._unowned.items():
            if not one.told and now - one.since >= _WAITING_AFTER:
                one.told = True
                await self._tell_waiting(alone[name])

    async def _is_settled(self, now: float) -> bool:
        """Where Redis was away or has been emptied, owners come first, who take their leases again: they alone know
        what readers have seen."""
        content = (self.bus.content, await self.bus.call("GET", keys.LIFE))
        if content != self._content:
            self._settled_at = now + (0.0 if self._content is None else _OWNERS_FIRST)
            self._content = content
        return now >= self._settled_at

    async def _offer(self, meeting: MeetingId, now: float) -> None:
        self._unowned[meeting].offered = now
        if await may_offer(self.bus, meeting):
            await self.offers.send(meeting)
            _log.info("meeting.offered", extra={"meeting": meeting})

    async def _tell_waiting(self, meeting: RemoteMeeting) -> None:
        """Once, though many processes see it wait."""
        name = meeting.meeting.id
        if await RedisLeases(self.bus, self.holder).acquire(f"waiting/{name}", _TELL_ONCE_IN):
            await meeting.tell_waiting()
            _log.warning("meeting.waits", extra={"meeting": name})

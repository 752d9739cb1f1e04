"""The meetings that readers, speakers and the API of this process have to do with; workers caption them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

from pipeline.bus.redis.control import Control
from pipeline.bus.redis.leases import holder_of
from pipeline.bus.redis.wanted import expire_meeting
from pipeline.distributed.remote_meeting import OVER, RemoteMeeting, Shared
from pipeline.distributed.watch import Watch
from pipeline.domain import Meeting, MeetingId
from pipeline.errors import BusFailed, InvalidInput, NotFound, Superseded
from pipeline.ports import KeptMeetings

_log = logging.getLogger("greffier.meetings")

_LOOK_EVERY = 0.25
_WANTED_FOR = 5.0
"""Seconds for which ``of`` alone keeps a meeting wanted: whoever asked for it comes in meanwhile."""
_UNUSED = 60.0
"""After this time without anybody a mirror is let go."""
_ENDING, _TRIES = 8.0, 4
_GIVING_UP = 5.0
_STEP = 0.1


@dataclass(slots=True)
class RemoteMeetings:
    """``LiveMeetings`` over Redis. Belongs to one event loop.

    ``forget`` removes the files of a deleted meeting, as in ``Equipment``.
    """

    shared: Shared
    watch: Watch
    forget: Callable[[MeetingId], Awaitable[None]] | None = None
    _at_hand: dict[MeetingId, RemoteMeeting] = field(default_factory=dict)
    _locks: "WeakValueDictionary[MeetingId, asyncio.Lock]" = field(default_factory=WeakValueDictionary)
    _looking: "list[asyncio.Task[None]]" = field(default_factory=list)
    _closing: "set[asyncio.Task[None]]" = field(default_factory=set)
    _new: asyncio.Event = field(default_factory=asyncio.Event)
    _away: bool = False
    _closed: bool = False

    @property
    def store(self) -> KeptMeetings:
        return self.shared.store

    def check_languages(self, languages: tuple[str, ...]) -> None:
        self.shared.check_languages(languages)

    async def start(self) -> None:
        if not self._looking:
            self._looking = [asyncio.create_task(work) for work in (self._look(), self._keep_watch())]

    def running(self, meeting: MeetingId) -> RemoteMeeting | None:
        found = self._at_hand.get(meeting)
        return None if found is None or found.over else found

    def all(self) -> list[RemoteMeeting]:
        return [meeting for meeting in self._at_hand.values() if not meeting.over]

    async def find(self, meeting: MeetingId) -> RemoteMeeting | None:
        """Raises ``NotFound``, ``BusFailed``."""
        try:
            found = await self._mirror(meeting)
        except InvalidInput:
            return None
        found.used_at = asyncio.get_running_loop().time()
        return found

    async def of(self, meeting: MeetingId) -> RemoteMeeting:
        """Raises ``BusFailed``, too."""
        found = await self._mirror(meeting)
        found.used_at = found.asked_at = asyncio.get_running_loop().time()
        self._new.set()  # offered at once
        return found

    async def paused(self, meetings: Sequence[Meeting]) -> set[MeetingId]:
        going_on = [meeting.id for meeting in meetings if meeting.ended_at is None]
        found = await asyncio.gather(*(self._is_paused(meeting) for meeting in going_on))
        return {meeting for meeting, paused in zip(going_on, found, strict=True) if paused}

    async def end(self, meeting: MeetingId) -> None:
        """Its owner ends it; where there is none, or none that answers, it ends here. Raises ``BusFailed``, too."""
        kept = await self.store.meeting(meeting)
        if kept.ended_at is not None:
            return
        for _ in range(_TRIES):  # its owner may be another one meanwhile
            if await holder_of(self.shared.bus, meeting) is None:
                break
            await Control.tell(self.shared.bus, meeting, do="end")
            if await self._happened(lambda: self._is_over(meeting), _ENDING / _TRIES):
                return
        kept = await self.store.meeting(meeting)
        if kept.ended_at is None:
            with suppress(Superseded):  # somebody captions it after all, and is told below
                await self._end_here(kept)
        async with self._lock(meeting):
            found = self._at_hand.get(meeting) or await self._opened(kept)
            await found.tell_ended()
            await expire_meeting(self.shared.bus, meeting)

    async def _end_here(self, kept: Meeting) -> None:
        """What is unfinished becomes final, whoever is there leaves, and nobody who captioned it writes any more."""
        store, ended_at = self.store, self.shared.bus.wall()
        shelf = store.for_meeting(kept.id, await store.claim(kept.id))
        for caption in await store.open_captions(kept.id):
            await shelf.keep_final(replace(caption, revision=caption.revision + 1, final=True, tail=()))
        there = [presence for presence in await store.presences(kept.id) if presence.left is None]
        await shelf.keep_presences([replace(presence, left=ended_at - kept.created_at) for presence in there])
        await shelf.keep_end(ended_at)

    async def delete(self, meeting: MeetingId) -> None:
        kept = await self.store.meeting(meeting)
        bus = self.shared.bus
        await Control.tell(bus, meeting, do="delete")

        async def nobody_holds_it() -> bool:
            return await holder_of(bus, meeting) is None

        await self._happened(nobody_holds_it, _GIVING_UP)
        if self.forget is not None:  # first: a meeting whose sound cannot be removed can be deleted again
            await self.forget(meeting)
        await self.store.delete_meeting(meeting)
        if self.forget is not None:  # what a gateway wrote in between
            await self.forget(meeting)
        async with self._lock(meeting):
            found = self._at_hand.get(meeting) or await self._opened(kept)
            await found.tell_ended()
            await expire_meeting(bus, meeting)

    async def close(self) -> None:
        """What was heard is on its way to the owners when this returns; again, it does nothing."""
        self._closed = True
        for task in self._looking:
            task.cancel()
        if self._looking:
            await asyncio.wait(self._looking)
        for meeting in self._at_hand.values():
            self._let_go(meeting)
        self._at_hand.clear()
        if self._closing:
            await asyncio.wait(self._closing)

    # --- mirrors ----------------------------------------------------------------------------------------------

    async def _mirror(self, meeting: MeetingId) -> RemoteMeeting:
        if found := self.running(meeting):
            return found
        async with self._lock(meeting):
            if found := self.running(meeting):
                return found
            kept = await self.store.meeting(meeting)
            if kept.ended_at is not None:
                raise InvalidInput(OVER)
            if self._closed:
                raise InvalidInput("the server is shutting down: try again in a moment")
            return await self._opened(kept)

    async def _opened(self, kept: Meeting) -> RemoteMeeting:
        """In place of one that is over."""
        if before := self._at_hand.pop(kept.id, None):
            await before.close()
        self._at_hand[kept.id] = opened = await RemoteMeeting.open(self.shared, kept)
        return opened

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            for name, meeting in tuple(self._at_hand.items()):
                await self._attempt(self._look_at(name, meeting), name)

    async def _keep_watch(self) -> None:
        """Beside ``_look``, since it waits for Redis."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._new.wait()
            self._new.clear()
            now = asyncio.get_running_loop().time()
            wanted = [each for each in self.all() if each.wanted or now - each.asked_at < _WANTED_FOR]
            await self._attempt(self.watch.look(wanted))

    async def _look_at(self, name: MeetingId, meeting: RemoteMeeting) -> None:
        await meeting.look()
        now = asyncio.get_running_loop().time()
        if meeting.wanted and not meeting.over:
            meeting.used_at = now
        if meeting.over or now - meeting.used_at > _UNUSED:
            if self._at_hand.get(name) is meeting:
                del self._at_hand[name]
            self._let_go(meeting)

    def _let_go(self, meeting: RemoteMeeting) -> None:
        """Beside the others, since what waits is to be written first."""
        closing = asyncio.create_task(meeting.close())
        self._closing.add(closing)
        closing.add_done_callback(self._let_gone)

    def _let_gone(self, closing: "asyncio.Task[None]") -> None:
        self._closing.discard(closing)
        if not closing.cancelled() and (failure := closing.exception()) is not None:
            _log.error("meeting.unclosed", exc_info=failure)

    async def _attempt(self, looking: Awaitable[None], meeting: MeetingId | None = None) -> None:
        """Whatever befalls one meeting stays with it; Redis may be away for a while."""
        try:
            await looking
        except BusFailed as failure:
            if not self._away:
                _log.warning("bus.away", extra={"error": str(failure)})
            self._away = True
        except Exception as failure:  # noqa: BLE001 - the others go on
            _log.error("meeting.failed", exc_info=failure, extra={"meeting": meeting})
        else:
            self._away = self._away and meeting is not None

    async def _is_paused(self, meeting: MeetingId) -> bool:
        if found := self.running(meeting):
            return found.paused
        try:
            pauses = await self.store.pauses(meeting)
        except NotFound:
            return False
        return bool(pauses) and pauses[-1].end is None

    async def _is_over(self, meeting: MeetingId) -> bool:
        return (await self.store.meeting(meeting)).ended_at is not None

    async def _happened(self, happened: Callable[[], Awaitable[bool]], within: float) -> bool:
        """Waits for it, ``within`` seconds at most."""
        try:
            async with asyncio.timeout(within):
                while not await happened():  # noqa: ASYNC110 - neither the store nor a lease tells anybody
                    await asyncio.sleep(_STEP)
        except TimeoutError:
            return False
        return True

    def _lock(self, meeting: MeetingId) -> asyncio.Lock:
        """One mirror of a meeting opens at a time; a lock lives as long as somebody holds it."""
        return self._locks.setdefault(meeting, asyncio.Lock())

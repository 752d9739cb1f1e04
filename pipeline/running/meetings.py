"""The running meetings of this process."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

from pipeline.domain import Meeting, MeetingId
from pipeline.errors import InvalidInput
from pipeline.ports import KeptMeetings
from pipeline.running.equipment import Equipment
from pipeline.running.meeting import RunningMeeting
from pipeline.running.past import Past
from pipeline.running.upkeep import RESERVED

_log = logging.getLogger("greffier.meetings")

_LOOK_EVERY = 1.0


@dataclass(slots=True)
class RunningMeetings:
    """Sessions start when somebody comes and end with the meeting, or after ``empty_after`` seconds without anybody.

    Meetings stay open in the store when the process ends (``close``): the next one goes on with them, and ends those
    in which somebody was and to which nobody comes back for ``empty_after`` seconds.
    """

    equipment: Equipment
    empty_after: float = 600.0
    _running: dict[MeetingId, RunningMeeting] = field(default_factory=dict)
    _finishing: dict[MeetingId, RunningMeeting] = field(default_factory=dict)
    _locks: "WeakValueDictionary[MeetingId, asyncio.Lock]" = field(default_factory=WeakValueDictionary)
    _cut: set[MeetingId] = field(default_factory=set)
    _left: dict[MeetingId, float] = field(default_factory=dict)
    _looking: "asyncio.Task[None] | None" = None
    _closed: bool = False

    async def start(self) -> None:
        """Recovers what a killed process left: its unfinished utterances become finals, its meetings are marked cut."""
        self._cut.update(await self.equipment.store.close_unfinished())
        for meeting in self._cut:
            _log.warning("meeting.recovered", extra={"meeting": meeting})
        await self._find_left()
        self._looking = asyncio.create_task(self._look())

    @property
    def store(self) -> KeptMeetings:
        return self.equipment.store

    def check_languages(self, languages: tuple[str, ...]) -> None:
        """Raises ``InvalidInput`` for one that the model does not know."""
        self.equipment.check_languages(languages)

    def running(self, meeting: MeetingId) -> RunningMeeting | None:
        found = self._running.get(meeting)
        return None if found is None or found.over else found

    def at_work(self, meeting: MeetingId) -> bool:
        """Whether a session of it still hears or keeps anything, record texts of an ended one too."""
        return meeting in self._running or meeting in self._finishing

    def all(self) -> list[RunningMeeting]:
        return [meeting for meeting in self._running.values() if not meeting.over]

    async def find(self, meeting: MeetingId) -> RunningMeeting | None:
        return self.running(meeting)

    async def paused(self, meetings: Sequence[Meeting]) -> set[MeetingId]:
        """Those of ``meetings`` that are paused."""
        running = [self.running(meeting.id) for meeting in meetings if meeting.ended_at is None]
        return {each.meeting.id for each in running if each is not None and not each.listening}

    async def of(self, meeting: MeetingId) -> RunningMeeting:
        """The running meeting, started where it is not. Raises ``NotFound``; ``InvalidInput`` when it is over."""
        if found := self.running(meeting):
            return found
        async with self._lock(meeting):
            return self.running(meeting) or await self._begin(meeting)

    async def end(self, meeting: MeetingId) -> None:
        """Ends it, whether it runs or not. Raises ``NotFound``."""
        async with self._lock(meeting):
            if found := self._running.pop(meeting, None):
                self._finishing[meeting] = found  # where ``close`` finds it
                await found.end()
                return
            kept = await self.equipment.store.meeting(meeting)
            if kept.ended_at is None:
                await self.equipment.store.update_meeting(replace(kept, ended_at=self.equipment.wall()))

    async def delete(self, meeting: MeetingId) -> None:
        """Removes everything of it; who reads it is told that it ended. Raises ``NotFound``."""
        async with self._lock(meeting):
            if found := self._running.pop(meeting, None):
                await found.abandon()
            if finishing := self._finishing.pop(meeting, None):
                await finishing.cancel()
            await self.equipment.store.meeting(meeting)
            if self.equipment.forget is not None:  # first: a meeting whose sound cannot be removed can be deleted again
                await self.equipment.forget(meeting)
            await self.equipment.store.delete_meeting(meeting)
            self._left.pop(meeting, None)
            self._cut.discard(meeting)

    async def close(self) -> None:
        """The process ends: within 3 s every meeting has the finals of what was said."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        running = [*self._running.values(), *self._finishing.values()]
        await asyncio.gather(*(meeting.suspend() for meeting in running), return_exceptions=True)
        await asyncio.gather(*(meeting.cancel() for meeting in running))
        self._running.clear()
        self._finishing.clear()

    async def _begin(self, meeting: MeetingId) -> RunningMeeting:
        store = self.equipment.store
        kept = await store.meeting(meeting)
        if kept.ended_at is not None:
            raise InvalidInput("the meeting is over: open another one")
        finals = await store.finals(meeting)
        past = Past(
            first=await store.reserve_sequence(meeting, RESERVED + len(finals)),
            finals=finals,
            participants=await store.participants(meeting),
            pauses=await store.pauses(meeting),
            languages=await store.languages(meeting),
            voices=await store.voices(meeting),
            runs=await store.runs(meeting),
            cut=meeting in self._cut,
        )
        if self._closed:
            raise InvalidInput("the server is shutting down: try again in a moment")
        self._running[meeting] = running = RunningMeeting(self.equipment, kept, past)
        self._cut.discard(meeting)
        _log.info("meeting.started", extra={"meeting": meeting})
        return running

    async def _find_left(self) -> None:
        """The open meetings of the process before, in which somebody was."""
        store, before = self.equipment.store, None
        while found := await store.meetings(before=before):
            for meeting in found:
                if meeting.ended_at is None and (await store.presences(meeting.id) or await store.finals(meeting.id)):
                    self._left[meeting.id] = self.equipment.steady()
            before = found[-1].created_at

    async def _look(self) -> None:
        """Ends empty meetings, lets go of finished ones, and of those whose session broke, so that a new one starts."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            for name, meeting in tuple(self._running.items()):
                await self._attempt(name, self._look_at(name, meeting))
            for name, since in tuple(self._left.items()):
                await self._attempt(name, self._look_at_left(name, since))
            for name, meeting in tuple(self._finishing.items()):
                if meeting.finished:
                    self._finishing.pop(name, None)

    async def _attempt(self, name: MeetingId, looking: Awaitable[None]) -> None:
        try:
            await looking
        except Exception as failure:  # noqa: BLE001 - a store that fails stops no other meeting
            _log.error("meeting.unended", extra={"meeting": name, "error": type(failure).__name__})

    async def _look_at(self, name: MeetingId, meeting: RunningMeeting) -> None:
        if meeting.over:
            self._finishing[name] = self._running.pop(name)
        elif meeting.broken:
            async with self._lock(name):
                await meeting.suspend()
                self._running.pop(name, None)
                await self._mark_cut(name)
        elif meeting.empty_for >= self.empty_after:
            _log.info("meeting.empty", extra={"meeting": name})
            await self.end(name)

    async def _look_at_left(self, name: MeetingId, since: float) -> None:
        if name in self._running:
            del self._left[name]
        elif self.equipment.steady() - since >= self.empty_after:
            await self.end(name)
            self._left.pop(name, None)

    async def _mark_cut(self, meeting: MeetingId) -> None:
        self._cut.add(meeting)
        await self.equipment.store.for_meeting(meeting).keep_cut()

    def _lock(self, meeting: MeetingId) -> asyncio.Lock:
        """One session of a meeting starts or ends at a time; a lock lives as long as somebody holds it."""
        return self._locks.setdefault(meeting, asyncio.Lock())

"""The rooms of one SFU that this process captions."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from media_gateway.captioned_room import CaptionedRoom, leave
from media_gateway.sfu import Parting, SfuGateway, SfuRoom
from media_gateway.shown import Shown
from pipeline.domain import Meeting, MeetingId, ParticipantId
from pipeline.errors import BusFailed, GatewayFailed, GreffierError, InvalidInput, NotFound
from pipeline.ports import Leases, RoomMeetings
from pipeline.running import LiveMeeting, LiveMeetings

_log = logging.getLogger("greffier.room")

_PARTED = 100
_FINALS = 2.0
_LONGEST_CLOSE = 8.0


class CaptionedElsewhere(GatewayFailed):
    """Another process holds the lease of the room."""


Standing = Literal["starting", "captioning", "reconnecting", "encrypted", "left"]
Tell = Callable[[str, Parting], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RoomState:
    """How captions of a room stand; ``meeting`` is None while they start, ``why`` is set once they are over."""

    room: str
    meeting: MeetingId | None
    state: Standing
    why: Parting | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds. A lost room is joined again after ``first``, then twice as long each time up to ``longest``, for
    ``limit`` in all; a stay of ``steady`` counts as a new beginning. ``lease`` is how long a lease holds unrenewed."""

    first: float = 0.2
    longest: float = 5.0
    limit: float = 60.0
    steady: float = 10.0
    lease: float = 15.0


@dataclass(slots=True, eq=False)
class _Captioning:
    """One room from the wish to caption it until that is over. ``started`` has its meeting once the room is joined."""

    room: str
    languages: tuple[str, ...]
    started: "asyncio.Future[MeetingId]"
    state: Standing = "starting"
    meeting: MeetingId | None = None
    why: Parting | None = None
    told: bool = True
    ordered: Parting | None = None
    begun: bool = False
    task: "asyncio.Task[None] | None" = None

    def order(self, why: Parting) -> None:
        """It ends now; one that ends already is left to it."""
        if self.why is None and self.ordered is None and self.task is not None:
            self.ordered = why
            if self.begun:  # a task that is cancelled before it begins never runs
                self.task.cancel()

    @property
    def ending(self) -> bool:
        return self.why is not None or self.ordered is not None


@dataclass(slots=True, eq=False)
class CaptionedRooms:
    """Each room has one meeting at a time, and this process is in it once.

    A room that nobody is left in ends its meeting, and so does one that is encrypted. One that removed Greffier, was
    left or lost leaves its meeting open: another start goes on with it, or it ends by itself after a while. A lost
    room is joined again, see ``Patience``. ``new_id`` makes ids of meetings; ``wall`` gives seconds since 1970.
    """

    gateway: SfuGateway
    meetings: LiveMeetings
    store: RoomMeetings
    leases: Leases
    new_id: Callable[[], MeetingId]
    wall: Callable[[], float] = time.time
    patience: Patience = field(default_factory=Patience)
    _captioning: dict[str, _Captioning] = field(default_factory=dict)
    _parted: dict[str, RoomState] = field(default_factory=dict)
    _tellers: list[Tell] = field(default_factory=list)
    _closed: bool = False

    async def start(self, room: str, languages: tuple[str, ...] = ()) -> MeetingId:
        """The meeting of ``room``, which is captioned when this returns; does nothing more where it is already.

        ``languages``, where there are any, become those of the meeting. Raises ``NotFound`` for a room that is not
        there, ``GatewayFailed`` when it cannot be joined now, ``InvalidInput`` for a language that the model does not
        know, and what the store raises.
        """
        self.meetings.check_languages(languages)
        while True:
            if self._closed:
                raise GatewayFailed("the server is shutting down: try again in a moment")
            captioning = self._captioning.get(room) or self._begin(room, languages)
            if not captioning.ending:
                meeting = await asyncio.shield(captioning.started)
                if await self._goes_on(meeting, languages):
                    return meeting
            await asyncio.wait([task for task in [captioning.task] if task is not None])

    async def stop(self, room: str) -> None:
        """Leaves ``room``; its meeting stays open until it has been empty for a while. Nothing there is no error."""
        if (captioning := self._captioning.get(room)) is not None and captioning.task is not None:
            captioning.order(Parting.LEFT)
            await asyncio.wait([captioning.task])

    def state(self, room: str) -> RoomState | None:
        """How captions of ``room`` stand; None where there were none, or 100 other rooms ended since."""
        if (one := self._captioning.get(room)) is not None:
            return RoomState(room, one.meeting, one.state, one.why)
        return self._parted.get(room)

    def all(self) -> list[RoomState]:
        """The rooms that are captioned now."""
        every = self._captioning.values()
        return [RoomState(one.room, one.meeting, one.state, one.why) for one in every if one.why is None]

    def on_parted(self, tell: Tell) -> None:
        """``tell`` is told when captions of a room are over, and why: but not when the process ends.

        ``LEFT``: ``stop`` was called, or the meeting was ended; ``LOST``: another process has the lease, or the room
        could not be joined again in time. It may not wait for ``start`` or ``stop`` of that room.
        """
        self._tellers.append(tell)

    async def close(self) -> None:
        """Leaves all rooms; where the meetings were closed before, their finals are shown first."""
        self._closed = True
        every = [(one, one.task) for one in self._captioning.values() if one.task is not None]
        over = [task for one, task in every if one.meeting and self.meetings.running(one.meeting) is None]
        if over:
            await asyncio.wait(over, timeout=_FINALS)
        for one, _ in every:
            one.order(Parting.LEFT)
        if every:
            _, late = await asyncio.wait([task for _, task in every], timeout=_LONGEST_CLOSE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # --- one room ---------------------------------------------------------------------------------------------

    def _begin(self, room: str, languages: tuple[str, ...]) -> _Captioning:
        started: asyncio.Future[MeetingId] = asyncio.get_running_loop().create_future()
        started.add_done_callback(lambda done: done.cancelled() or done.exception())  # who asked may have gone
        self._captioning[room] = one = _Captioning(room, languages, started)
        one.task = asyncio.create_task(self._caption(one))
        return one

    async def _caption(self, one: _Captioning) -> None:
        """From the lease to its end; nothing is raised but a cancellation that was not ordered."""
        try:
            one.begun = True
            if one.ordered is None:
                await self._leased(one)
        except asyncio.CancelledError:
            if one.ordered is None:
                raise
            one.why = one.ordered
        except Exception as failure:  # noqa: BLE001 - it is told to whoever asked, and logged
            one.why = Parting.LOST
            self._fail(one, failure)
        finally:
            if not one.started.done():
                one.started.set_exception(GatewayFailed("captions of this room were stopped"))
            if one.meeting is not None:
                await self._say_parted(one)
            del self._captioning[one.room]

    def _fail(self, one: _Captioning, failure: Exception) -> None:
        if one.started.done():
            _log.error("room.failed", exc_info=failure, extra={"meeting": one.meeting})
            return
        known = isinstance(failure, GreffierError)
        if not known:
            _log.error("room.failed", exc_info=failure)
        one.started.set_exception(failure if known else GatewayFailed("the room cannot be captioned"))

    async def _leased(self, one: _Captioning) -> None:
        key = self._key(one)
        if not await self.leases.acquire(key, self.patience.lease):
            raise CaptionedElsewhere("another Greffier captions this room")
        try:
            meeting, room = await self._open(one)
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._renew(one))
                await self._stay(one, meeting, room, group)
                renewing.cancel()
        finally:
            try:
                await self.leases.release(key)
            except BusFailed as failure:  # it ends by itself
                _log.warning("room.unreleased", extra={"error": type(failure).__name__})

    async def _renew(self, one: _Captioning) -> None:
        """Another process may have taken the room while this one slept."""
        pause = self.patience.lease / 3
        while await self._holds(one):  # noqa: ASYNC110 - leases tell nobody
            await asyncio.sleep(pause)
        _log.warning("room.lease_lost", extra={"meeting": one.meeting})
        one.order(Parting.LOST)

    async def _holds(self, one: _Captioning) -> bool:
        key, lease = self._key(one), self.patience.lease
        try:
            return await self.leases.renew(key, lease) or await self.leases.acquire(key, lease)
        except BusFailed:
            return True  # nobody can take it while nobody can ask; who comes first when Redis is back has it

    def _key(self, one: _Captioning) -> str:
        return f"room/{self.gateway.provider}/{one.room}"

    # --- its meeting ------------------------------------------------------------------------------------------

    async def _open(self, one: _Captioning) -> tuple[MeetingId, SfuRoom]:
        room = await self.gateway.join(one.room)
        try:
            meeting = (await self._meeting_of(one)).meeting.id
        except BaseException:
            await leave(room)
            raise
        one.meeting, one.state = meeting, "captioning"
        one.started.set_result(meeting)
        _log.info("room.joined", extra={"provider": self.gateway.provider, "meeting": meeting})
        return meeting, room

    async def _meeting_of(self, one: _Captioning) -> LiveMeeting:
        """The room's open meeting, else a new one."""
        provider = self.gateway.provider
        for _ in range(2):
            kept = await self.store.open_meeting_of_room(provider, one.room)
            if kept is None:
                kept = Meeting(self.new_id(), one.room, self.wall(), one.languages)
                await self.store.create_room_meeting(provider, one.room, kept)
            try:
                running = await self.meetings.of(kept.id)
            except (InvalidInput, NotFound):
                continue  # it was ended or deleted at this moment, or the server is shutting down
            await self._speak(running, one.languages)
            return running
        raise GatewayFailed("the meeting of this room cannot start now: try again in a moment")

    async def _speak(self, running: LiveMeeting, languages: tuple[str, ...]) -> None:
        if languages and running.meeting.languages != languages:
            store = self.meetings.store
            await store.update_meeting(replace(await store.meeting(running.meeting.id), languages=languages))
            await running.set_languages(languages)

    async def _goes_on(self, meeting: MeetingId, languages: tuple[str, ...]) -> bool:
        """Whether the meeting is not over; the session of one that broke has a successor then."""
        try:
            await self._speak(await self.meetings.of(meeting), languages)
        except (InvalidInput, NotFound):
            return False
        return True

    async def _is_over(self, meeting: MeetingId) -> bool:
        try:
            return (await self.meetings.store.meeting(meeting)).ended_at is not None
        except NotFound:
            return True

    # --- its stays --------------------------------------------------------------------------------------------

    async def _stay(self, one: _Captioning, meeting: MeetingId, first: SfuRoom, group: asyncio.TaskGroup) -> None:
        """One stay after the other, until the room is not lost, or lost for good."""
        shown, names, attempts = Shown(), dict[ParticipantId, str](), _Attempts(self.patience)
        room: SfuRoom | None = first
        while room is not None:
            attempts.begin()
            why = await self._stayed(CaptionedRoom(lambda: self.meetings.of(meeting), room, shown, names, group))
            if why is not Parting.LOST:
                break
            one.state = "reconnecting"
            _log.warning("room.lost", extra={"meeting": meeting})
            if (room := await self._join_again(one.room, attempts)) is not None:
                one.state = "captioning"
                _log.info("room.joined_again", extra={"meeting": meeting})
        if why is Parting.EVICTED and not await self._holds(one):
            why = Parting.LOST  # the process that took the lease put this one out
        if why is Parting.LEFT:
            one.told = await self._is_over(meeting)
        one.why = why
        if why in {Parting.EMPTY, Parting.ENCRYPTED}:
            await self._end(meeting)

    async def _stayed(self, captioned: CaptionedRoom) -> Parting:
        try:
            return await captioned.run()
        except Exception as failure:  # noqa: BLE001 - what is wrong with one stay may not be with the next
            _log.error("room.failed", exc_info=failure)
            return Parting.LOST

    async def _join_again(self, room: str, attempts: "_Attempts") -> SfuRoom | None:
        """None once the time for it is over."""
        while attempts.more():
            await asyncio.sleep(attempts.pause())
            try:
                return await self.gateway.join(room)
            except (GatewayFailed, NotFound) as failure:  # a server that comes back knows no room at first
                _log.info("room.unjoined", extra={"error": type(failure).__name__})
        return None

    async def _end(self, meeting: MeetingId) -> None:
        try:
            await self.meetings.end(meeting)
        except NotFound:
            pass  # it was deleted
        except GreffierError as failure:
            _log.error("meeting.unended", extra={"meeting": meeting, "error": type(failure).__name__})

    async def _say_parted(self, one: _Captioning) -> None:
        why = one.why or Parting.LEFT
        _log.info("room.parted", extra={"meeting": one.meeting, "why": why.value})
        self._parted.pop(one.room, None)
        state: Standing = "encrypted" if why is Parting.ENCRYPTED else "left"
        self._parted[one.room] = RoomState(one.room, one.meeting, state, why)
        if len(self._parted) > _PARTED:
            del self._parted[next(iter(self._parted))]
        for tell in self._tellers if one.told and not self._closed else ():
            try:
                await tell(one.room, why)
            except Exception as failure:  # noqa: BLE001 - whoever is told keeps its trouble to itself
                _log.error("room.untold", extra={"error": type(failure).__name__})


@dataclass(slots=True)
class _Attempts:
    """When a lost room is joined again."""

    patience: Patience
    _began: float = 0.0
    _lost_at: float | None = None
    _pauses: int = 0

    def begin(self) -> None:
        """The room is joined."""
        self._began = time.monotonic()

    def more(self) -> bool:
        """Whether it is still worth it; asked first when the room was lost."""
        now = time.monotonic()
        if self._lost_at is None or (self._began > self._lost_at and now - self._began >= self.patience.steady):
            self._lost_at, self._pauses = now, 0
        return now - self._lost_at < self.patience.limit

    def pause(self) -> float:
        """Seconds until the next attempt; spread, so that many rooms do not come at once."""
        longest = min(self.patience.longest, self.patience.first * 2.0 ** min(self._pauses, 16))
        self._pauses += 1
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret

"""One stay in a room: who is there takes part in its meeting, what they say is heard, captions are shown."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from media_gateway.sfu import (
    Arrived,
    Changed,
    Departed,
    Parted,
    Parting,
    Published,
    Renewed,
    RoomEvent,
    SfuRoom,
    TrackTap,
)
from media_gateway.shown import Shown
from pipeline.domain import Participant, ParticipantId, TrackEvent
from pipeline.errors import GreffierError, InvalidInput, NotFound
from pipeline.export.event import seconds
from pipeline.ports import AudioSource
from pipeline.running import LiveMeeting

_log = logging.getLogger("greffier.room")

_PAUSES = (0.25, 0.5, 1.0, 2.0, 5.0)
"""Seconds before what failed is tried again; the last one for ever."""
_LAST_WORDS = 4.0
"""More than a running meeting takes for the last words of whoever leaves (3 s)."""
_LEAVING = 3.0
_CHANGING = 0.5
"""Seconds between looks at other names and languages: whoever changes them a thousand times a second is told of, and
kept, no more often."""
_COMING_BACK = (1.0, 1.0, 2.0, 4.0, 7.0)
"""Seconds between looks for who has come back, too, after a connection was lost."""

Admitted = TypeVar("Admitted")


@dataclass(slots=True, eq=False)
class _Person:
    """Somebody in the room; ``entered`` is the session of the meeting that knows it is there."""

    participant: Participant
    languages: tuple[str, ...]
    entered: LiveMeeting | None = None


@dataclass(slots=True)
class _Heard:
    """An ``AudioSource``, and whether it ended by itself."""

    source: AudioSource
    ended: bool = False

    async def events(self) -> AsyncIterator[TrackEvent]:
        async for event in self.source.events():
            yield event
        self.ended = True


@dataclass(slots=True, eq=False)
class CaptionedRoom:
    """``running`` gives the session of the meeting, a new one where the last one broke, as ``LiveMeetings.of`` does.

    ``shown`` and ``names`` (what the room called its participants last) go on over stays. ``group`` waits for the last
    words of those who left.
    """

    running: Callable[[], Awaitable[LiveMeeting]]
    room: SfuRoom
    shown: Shown
    names: dict[ParticipantId, str]
    group: asyncio.TaskGroup
    _session: LiveMeeting | None = None
    _people: dict[ParticipantId, _Person] = field(default_factory=dict)
    _changes: dict[ParticipantId, Changed] = field(default_factory=dict)  # the newest of each that is still to be told
    _changing: asyncio.Event = field(default_factory=asyncio.Event)
    _attending: asyncio.Lock = field(default_factory=asyncio.Lock)
    _publishing: "set[asyncio.Task[None]]" = field(default_factory=set)
    _turned: asyncio.Event = field(default_factory=asyncio.Event)
    _back: asyncio.Event = field(default_factory=asyncio.Event)
    _arrivals: int = 0
    _over: bool = False

    async def run(self) -> Parting:
        """Why the stay is over: the room parted, or its meeting is over, or nothing may run any more (``LEFT``)."""
        try:
            async with asyncio.TaskGroup() as tasks:
                works = self._follow_meeting(), self._show_again(), self._follow_changes()
                following = [tasks.create_task(work) for work in works]
                why = await self._follow_room()
                for task in following:
                    task.cancel()
            if why is Parting.ENCRYPTED:
                await self._tell_encrypted()
            return why
        finally:
            self._end()
            for person in tuple(self._people.values()):
                await self._leave(person)
            await leave(self.room)

    def _end(self) -> None:
        self._over = True
        self._turn()
        if self._publishing:
            self.group.create_task(_let_go(set(self._publishing)))

    async def _tell_encrypted(self) -> None:
        try:
            session = self._session or await self.running()
            at = seconds(session.now())
            told = {"type": "notice", "meeting": session.meeting.id, "sent_at": at, "code": "encrypted", "at": at}
            await session.tell("encrypted")
            async with asyncio.timeout(_LEAVING):
                await self.room.show(dict(told))
        except (GreffierError, TimeoutError) as failure:
            _log.warning("notice.failed", extra={"error": type(failure).__name__})

    # --- the meeting ------------------------------------------------------------------------------------------

    async def _follow_meeting(self) -> None:
        """Shows its captions; once it is over the room is left."""
        while True:
            try:
                session = await self.running()
            except (InvalidInput, NotFound):
                return await leave(self.room)
            except GreffierError as failure:
                _log.warning("meeting.unstarted", extra={"error": type(failure).__name__})
                await asyncio.sleep(_PAUSES[2])
                continue
            self._session = session
            self._turn()
            if self.shown.follows(session):
                self._back.set()
            for person in tuple(self._people.values()):
                await _forgiving(self._enter(person))
            await self.shown.follow(session, self.room)

    async def _show_again(self) -> None:
        """Who comes back after a lost connection missed what was shown until then, and may need a moment: it is shown
        again at the two looks that follow."""
        while await self._back.wait():
            self._back.clear()
            before = seen = -1
            for pause in _COMING_BACK:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._back.wait()
                if self._back.is_set():
                    break
                if self._arrivals != before:
                    self.shown.again()
                before, seen = seen, self._arrivals

    def _turn(self) -> None:
        """There is another session, or there will be none."""
        self._turned.set()
        self._turned = asyncio.Event()

    async def _live(self) -> LiveMeeting | None:
        """The session as soon as there is one; None when the stay is over."""
        while not self._over:
            if self._session is not None and not self._session.over:
                return self._session
            await self._turned.wait()
        return None

    # --- the room ---------------------------------------------------------------------------------------------

    async def _follow_room(self) -> Parting:
        async for event in self.room.events():
            if isinstance(event, Parted):
                return event.why
            await _forgiving(self._take(event))
        return Parting.LOST

    async def _take(self, event: RoomEvent) -> None:
        match event:
            case Arrived(participant, languages):
                self._arrivals += 1
                self._changes.pop(participant.id, None)
                await self._arrive(participant, languages)
            case Changed(participant=participant):
                self._changes[participant.id] = event
                self._changing.set()
            case Departed(participant=identity):
                await self._change(identity)
                if (person := self._people.pop(identity, None)) is not None:
                    await self._leave(person)
            case Published(participant=identity, tap=tap):
                if (known := self._people.get(identity)) is not None:
                    task = self.group.create_task(self._publish(known, tap))
                    self._publishing.add(task)
                    task.add_done_callback(self._publishing.discard)
            case Renewed(since=since):
                _log.info("room.renewed", extra={"seconds": round(since, 1)})
                if self._session is not None:
                    self.shown.renew(self._session.now() - since)
                    self._back.set()
            case Parted():
                pass

    async def _follow_changes(self) -> None:
        while await self._changing.wait():
            self._changing.clear()
            for participant in tuple(self._changes):
                await _forgiving(self._change(participant))
            await asyncio.sleep(_CHANGING)

    async def _change(self, participant: ParticipantId) -> None:
        if (changed := self._changes.pop(participant, None)) is not None:
            await self._arrive(changed.participant, changed.languages)

    # --- who is there -----------------------------------------------------------------------------------------

    async def _arrive(self, participant: Participant, languages: tuple[str, ...]) -> None:
        person = self._people.setdefault(participant.id, _Person(participant, languages))
        person.participant = participant
        session = self._session
        if person.languages != languages:
            person.languages = languages
            if session is not None and not session.over:
                await _declare(session, person)
        await self._enter(person)
        if person.entered is not None:
            await self._call(person.entered, person.participant)

    async def _enter(self, person: _Person) -> None:
        """Tells the session that somebody is there, once; those who left meanwhile are not."""
        async with self._attending:
            session = self._session
            gone = self._people.get(person.participant.id) is not person
            if session is None or session.over or session is person.entered or gone:
                return
            await _admit(session, person, session.enter)
            person.entered = session
            await self._call(session, person.participant)

    async def _call(self, session: LiveMeeting, participant: Participant) -> None:
        """A name that changed in the room, while they were here or away, changes in the meeting."""
        former = self.names.get(participant.id, participant.name)
        if former != participant.name:
            await session.rename(participant.id, participant.name)
        self.names[participant.id] = participant.name

    async def _leave(self, person: _Person) -> None:
        async with self._attending:
            session, person.entered = person.entered, None
            if session is not None:
                await session.leave(person.participant.id)

    # --- what they say ----------------------------------------------------------------------------------------

    async def _publish(self, person: _Person, tap: TrackTap) -> None:
        """The sound of ``tap`` in every session until it ends; where it fails, it is asked for again."""
        failures = 0
        while (session := await self._live()) is not None:
            if await _heard_out(session, person, tap):
                return
            if not session.over:
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1


async def _heard_out(session: LiveMeeting, person: _Person, tap: TrackTap) -> bool:
    """Whether the sound of ``tap`` was taken until it ended by itself."""
    try:
        track = await _admit(session, person, session.join)
        heard = _Heard(tap.source(track, session.now, lambda: session.listening))
        await session.publish(heard, track)
    except Exception as failure:  # noqa: BLE001 - whatever befalls one track stays with it
        _log.warning("track.unheard", extra={"error": type(failure).__name__})
        return False
    return heard.ended


async def _admit(
    session: LiveMeeting,
    person: _Person,
    admit: Callable[[Participant, tuple[str, ...]], Awaitable[Admitted]],
) -> Admitted:
    """Languages that the model does not know are as none: the meeting's count."""
    try:
        return await admit(person.participant, person.languages)
    except InvalidInput:
        if session.over or not person.languages:
            raise
    _log.warning("languages.unknown")
    return await admit(person.participant, ())


async def _declare(session: LiveMeeting, person: _Person) -> None:
    try:
        await session.set_languages(person.languages, person.participant.id)
    except InvalidInput:
        _log.warning("languages.unknown")


async def _forgiving(taking: Awaitable[None]) -> None:
    """The store may be full, or a name be what nobody thought of: the room goes on."""
    try:
        await taking
    except Exception as failure:  # noqa: BLE001 - whatever befalls one participant stays with it
        _log.warning("participant.unkept", extra={"error": type(failure).__name__})


async def _let_go(publishing: "set[asyncio.Task[None]]") -> None:
    """Sounds end with the room; one that does not is not waited for."""
    await asyncio.wait(publishing, timeout=_LAST_WORDS)
    for task in publishing:
        task.cancel()


async def leave(room: SfuRoom) -> None:
    """Leaves it, whatever its SFU says."""
    try:
        async with asyncio.timeout(_LEAVING):
            await room.leave()
    except Exception as failure:  # noqa: BLE001 - there is nothing to do about it
        _log.warning("room.unleft", extra={"error": type(failure).__name__})

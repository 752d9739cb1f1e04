"""One recording's metadata while it is collected: a stay in its room, and the file that comes of it."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from livekit import rtc

from media_gateway import people
from media_gateway.livekit.access import LiveKitServer
from media_gateway.livekit.metadata_file import RecordingMetadata, read_metadata
from media_gateway.livekit.room import LiveKitRoom
from media_gateway.sfu import Arrived, Changed, Departed, Parted, Parting, Published, RoomEvent, TrackTap
from pipeline.domain import Participant, ParticipantId, SpeechEnded, SpeechStarted, Track, TrackEvent, TrackId
from pipeline.edge import MeetingEdge
from pipeline.errors import GatewayFailed, GreffierError, InvalidInput, NotFound
from pipeline.ports import ObjectStore, SpeechDetector

_log = logging.getLogger("greffier.metadata")

CHAT = "lk.chat"
_LONGEST_TEXT = 20_000
"""Characters of one chat message; what follows is not kept."""
_MOST_READ, _MOST_READ_EACH = 40, 4
"""Chat messages that are on their way at once, and of one participant; others that come then are not kept."""
_CHAT_SECONDS = 30.0
"""For one message to come whole."""
_LAST_TEXT = 1.0
"""For those under way when the room is left."""
_LOOK = 0.5
"""Between looks for speech whose sound stopped coming."""
_SETTLED = 5.0
"""After which whoever has not been found again has left."""
_TOLD_LATE = 5.0
"""At most, for somebody who came."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_READ_FIRST = 2.0
"""Seconds to read what an earlier process wrote before the room is joined; an object store that takes longer is read
with the first write."""


@dataclass(frozen=True, slots=True)
class MetadataSettings:
    """``name`` is the agent's, ``folder`` where files go in the object store; the rest is in seconds.

    save: between writes of a file, where there is something new; what a kill may lose.
    sweep: between looks at the dispatches that LiveKit lists.
    patience: how long a lost room is tried again.
    empty_after: without anybody in the room, its recording is over.
    longest_pause: at most, between attempts to write a file for the last time.
    give_up: how long that is attempted.
    """

    name: str = "metadata-collector"
    folder: str = "metadata"
    save: float = 10.0
    sweep: float = 5.0
    patience: float = 60.0
    empty_after: float = 10.0
    longest_pause: float = 60.0
    give_up: float = 86_400.0


@dataclass(frozen=True, slots=True)
class RecordingPlace:
    """Which recording, of which room; ``identity`` is what its collector is called there, ``key`` that of its file."""

    recording: str
    room: str
    identity: str
    key: str


@dataclass(slots=True, eq=False)
class Collection:
    """Collects while ``run`` does: until the room is over, it is removed from there, cannot join it any more, or
    ``stop``. Then the file is written, and every ``settings.save`` before. Where a file is already, it goes on with it.

    While the object store is away, it collects all the same: the file is written when it is back, tried for
    ``settings.give_up`` after the end.
    """

    place: RecordingPlace
    server: LiveKitServer
    objects: ObjectStore
    new_detector: Callable[[], SpeechDetector]
    settings: MetadataSettings = field(default_factory=MetadataSettings)
    wall: Callable[[], float] = time.time
    metadata: RecordingMetadata = field(default_factory=RecordingMetadata)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _room: LiveKitRoom | None = None
    _written: bytes | None = None
    _recalled: bool = False
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> Parting:
        """Why it is over."""
        try:
            async with asyncio.timeout(_READ_FIRST):
                await self._recall()
        except (TimeoutError, GreffierError) as failure:
            _log.warning("metadata.unread", extra={"recording": self.place.recording, "why": _why(failure)})
        try:
            return await self._stay()
        finally:
            await self._write_last()

    async def stop(self) -> None:
        """``run`` then returns ``LEFT``, soon."""
        self._stopping.set()
        if self._room is not None:
            await self._room.leave()

    # --- the stay -------------------------------------------------------------------------------------------

    async def _stay(self) -> Parting:
        """In the room, joined again while that is worth it: a server that was started again has no rooms at first."""
        now = asyncio.get_running_loop().time
        failures, lost_at, been_there = 0, now(), False
        while not self._stopping.is_set():
            try:
                stay = await _Stay.begin(self)
            except (GatewayFailed, NotFound) as failure:
                if isinstance(failure, NotFound) and not been_there:
                    return Parting.EMPTY
                _log.warning("metadata.unjoined", extra={"recording": self.place.recording, "why": str(failure)})
            else:
                been_there = True
                why = await self._stay_until_parted(stay)
                if why is not Parting.LOST:
                    return why
                failures, lost_at = 0, now()
            if now() - lost_at > self.settings.patience:
                return Parting.LOST
            await self._pause(failures)
            failures += 1
        return Parting.LEFT

    async def _stay_until_parted(self, stay: "_Stay") -> Parting:
        self._room = stay.room
        try:
            if self._stopping.is_set():
                await stay.room.leave()
            return await stay.run()
        finally:
            self._room = None

    async def _pause(self, failures: int) -> None:
        pause = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()

    # --- the file -------------------------------------------------------------------------------------------

    async def _recall(self) -> None:
        """What an earlier process wrote comes before what is known, once. Raises ``StorageFailed``."""
        if self._recalled:
            return
        try:
            file = await self.objects.open(self.place.key)
        except NotFound:
            self._recalled = True
            return
        with file:
            content = await asyncio.to_thread(file.read)
        try:
            earlier = await asyncio.to_thread(read_metadata, content)
        except InvalidInput as failure:  # somebody else's: its place is taken
            _log.warning("metadata.unreadable", extra={"recording": self.place.recording, "why": str(failure)})
        else:
            self.metadata.follow(earlier)
        self._recalled = True

    async def write(self) -> None:
        """The file as it is now. Encoded in a thread: the metadata of hours would hold up the loop. Raises
        ``StorageFailed``."""
        async with self._writing:  # else an older state might arrive last
            await self._recall()
            content = await asyncio.to_thread(self.metadata.copy().written, self.wall())
            if content != self._written:
                await self.objects.put(self.place.key, content)
                self._written = content

    async def _write_last(self) -> None:
        try:
            async with asyncio.timeout(self.settings.give_up):
                await self._write_at_last()
        except (TimeoutError, asyncio.CancelledError) as failure:
            _log.error("metadata.lost", extra={"recording": self.place.recording})
            if isinstance(failure, asyncio.CancelledError):
                raise

    async def _write_at_last(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self.write()
            except GreffierError as failure:
                _log.warning("metadata.unwritten", extra={"recording": self.place.recording, "why": str(failure)})
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, self.settings.longest_pause)


class _Stay:
    """One connection to the room. ``metadata`` is that of its collection, and outlives it."""

    def __init__(self, collection: Collection, connection: rtc.Room) -> None:
        self._collection = collection
        self._metadata = collection.metadata
        self._connection = connection
        self._identities: dict[ParticipantId, str] = {}
        connection.on("participant_connected", self._meet)
        connection.register_text_stream_handler(CHAT, self._chat)
        self.room = LiveKitRoom(connection, empty_after=collection.settings.empty_after)
        self._edges: dict[TrackId, tuple[str, MeetingEdge]] = {}
        self._reading: dict[asyncio.Task[None], str] = {}
        self._unread = 0  # messages that were not kept
        self._absent = set(self._metadata.present)
        self._known_until = self._metadata.newest
        # Wall clock that cannot jump: recordings are cut by a steady one, too.
        self._offset = collection.wall() - time.monotonic()

    @classmethod
    async def begin(cls, collection: Collection) -> "_Stay":
        """Raises ``NotFound`` when the room is closed, ``GatewayFailed``."""
        server, place = collection.server, collection.place
        if not await server.rooms(place.room):
            raise NotFound("LiveKit has closed the room")
        stay = cls(collection, rtc.Room())
        await stay.room.connect(server, server.join_token(place.room, place.identity, shows=False))
        for participant in tuple(stay._connection.remote_participants.values()):
            stay._meet(participant)
        return stay

    async def run(self) -> Parting:
        """Until it has parted; everything it began has ended then."""
        beat = asyncio.create_task(self._beat())
        voices: set[asyncio.Task[None]] = set()
        why = Parting.LOST
        try:
            async for event in self.room.events():
                match event:
                    case Parted():
                        why = event.why
                    case Published(participant=participant, tap=tap):
                        voice = asyncio.create_task(self._hear(self._identity(participant), tap))
                        voices.add(voice)
                        voice.add_done_callback(voices.discard)
                    case _:
                        self._note(event)
        finally:
            await self.room.leave()  # all sound ends
            if self._reading:
                await asyncio.wait(self._reading, timeout=_LAST_TEXT)
            for task in (beat, *self._reading):
                task.cancel()
            await asyncio.wait([beat, *voices, *self._reading])
            if self._unread:  # told once: anybody may send as many as they like
                said = {"recording": self._collection.place.recording, "number": self._unread}
                _log.warning("metadata.chat_dropped", extra=said)
        return why

    def _now(self) -> float:
        return self._offset + time.monotonic()

    # --- who is there ---------------------------------------------------------------------------------------

    def _meet(self, told: rtc.RemoteParticipant) -> None:
        self._identities[people.participant_id(told.identity)] = told.identity

    def _note(self, event: RoomEvent) -> None:
        match event:
            case Arrived(participant=participant):
                identity = self._identity(participant.id)
                self._absent.discard(identity)
                self._metadata.connected(identity, self._name(participant), self._joined_at(identity))
            case Changed(participant=participant):
                self._metadata.renamed(self._identity(participant.id), self._name(participant))
            case Departed(participant=gone):
                self._metadata.disconnected(self._identity(gone), self._now())
            case _:
                pass

    def _identity(self, participant: ParticipantId) -> str:
        return self._identities.get(participant, participant)

    def _name(self, participant: Participant) -> str:
        """As LiveKit has it, where it has one."""
        told = self._connection.remote_participants.get(self._identity(participant.id))
        return participant.name if told is None else told.name or participant.name

    def _joined_at(self, identity: str) -> float:
        """LiveKit tells of those who publish nothing with up to three seconds' delay, and when they came. Its clock
        may be another one than ours: what is far from our time is not believed."""
        now, told = self._now(), self._connection.remote_participants.get(identity)
        if told is None or told.joined_at is None:
            return now
        at = told.joined_at.timestamp()
        return at if now - _TOLD_LATE <= at <= now else now

    def _miss(self) -> None:
        """Whoever was there before this stay and is not now left while nobody looked."""
        for identity in self._absent:
            self._metadata.disconnected(identity, self._known_until or self._now())
        self._absent.clear()

    # --- what they say and write ----------------------------------------------------------------------------

    async def _hear(self, identity: str, tap: TrackTap) -> None:
        """Notes the speech of one microphone until it is gone."""
        track = Track(TrackId(tap.id), Participant(people.participant_id(identity), identity))
        edge = MeetingEdge(self._collection.new_detector)
        self._edges[track.id] = identity, edge
        try:
            async for event in tap.source(track, self._now, lambda: True).events():
                self._speech(identity, edge.feed(event))
        except Exception as failure:  # noqa: BLE001 - a source may raise anything, and the others are heard on
            _log.warning("metadata.deaf", extra={"track": tap.id, "error": type(failure).__name__})
        finally:
            self._speech(identity, edge.close())
            del self._edges[track.id]

    def _speech(self, identity: str, events: list[TrackEvent]) -> None:
        for event in events:
            match event:
                case SpeechStarted(at=at):
                    self._metadata.speech_started(identity, at)
                case SpeechEnded(at=at):
                    self._metadata.speech_ended(identity, at)
                case _:
                    pass

    def _chat(self, reader: rtc.TextStreamReader, identity: str) -> None:
        many, own = len(self._reading), list(self._reading.values()).count(identity)
        if many >= _MOST_READ or own >= _MOST_READ_EACH:
            reader.close()
            self._unread += 1
            return
        task = asyncio.create_task(self._read(reader, identity, self._now()))
        self._reading[task] = identity
        task.add_done_callback(self._reading.pop)

    async def _read(self, reader: rtc.TextStreamReader, identity: str, at: float) -> None:
        text = ""
        try:
            async with asyncio.timeout(_CHAT_SECONDS):
                async for piece in reader:
                    text += piece
                    if len(text) >= _LONGEST_TEXT:
                        break
        except (TimeoutError, rtc.StreamError):
            self._unread += 1
        finally:
            reader.close()
        if text:
            self._metadata.wrote(identity, text[:_LONGEST_TEXT], at)

    # --- meanwhile ------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        began = saved = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK)
            for identity, edge in tuple(self._edges.values()):
                self._speech(identity, edge.stalled(self._now()))
            now = time.monotonic()
            if self._absent and now - began >= _SETTLED:
                self._miss()
            if now - saved >= self._collection.settings.save:
                saved = now
                await self._save()

    async def _save(self) -> None:
        try:
            await self._collection.write()
        except GreffierError as failure:  # the next time may go well
            _log.warning(
                "metadata.unwritten", extra={"recording": self._collection.place.recording, "why": str(failure)}
            )


def _why(failure: Exception) -> str:
    return str(failure) or type(failure).__name__

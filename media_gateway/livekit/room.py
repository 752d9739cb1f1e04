"""One stay in one LiveKit room: who is there, their microphones, and captions shown in both dialects.

The SDK runs threads of its own (network, media, one that calls back into Python); what they tell is handed to the event
loop, so all of this runs there.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from livekit import rtc

from media_gateway.livekit import declared, native
from media_gateway.livekit.access import LiveKitServer, agent_identity, failures_mapped
from media_gateway.livekit.showing import Showing
from media_gateway.livekit.tap import LiveKitTap
from media_gateway.livekit.transcription import LegacyMode
from media_gateway.sfu import Arrived, Changed, Departed, Parted, Parting, Published, Renewed, RoomEvent
from pipeline.domain import Participant, ParticipantId
from pipeline.errors import GatewayFailed, NotFound
from pipeline.export.event import Event

_log = logging.getLogger("greffier.livekit")

_NOT_PEOPLE = {rtc.ParticipantKind.PARTICIPANT_KIND_AGENT, rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS}
_EVICTIONS = {rtc.DisconnectReason.PARTICIPANT_REMOVED, rtc.DisconnectReason.DUPLICATE_IDENTITY}
_ENDS = {rtc.DisconnectReason.ROOM_DELETED, rtc.DisconnectReason.ROOM_CLOSED}
_LEAVE_SECONDS = 5.0
_CONNECT_SECONDS = 10.0
_ASK_AGAIN_SECONDS = 5.0
_COMING_BACK_SECONDS = 60.0
"""After a connection was lost, as when the server is started anew, the others may come back later."""
_MOST_EVENTS = 10_000
"""Events that wait for who reads them; beyond them the stay is lost, and the next one tells all anew."""
_MOST_GONE = 10_000


@dataclass(slots=True)
class _Person:
    """Somebody in the room. ``microphones`` in order of their publication: the first is heard, by ``tap`` once it is
    subscribed; ``published`` is the newest that ever was."""

    participant: Participant
    languages: tuple[str, ...]
    identity: str
    microphones: dict[str, rtc.RemoteTrackPublication] = field(default_factory=dict)
    tap: LiveKitTap | None = None
    asking: asyncio.TimerHandle | None = None
    published: str | None = None

    @property
    def microphone(self) -> str | None:
        """Whose words packets name: None before there was any."""
        return next(iter(self.microphones), self.published)

    def stop_asking(self) -> None:
        if self.asking is not None:
            self.asking.cancel()
            self.asking = None


class LiveKitRoom:
    """A ``SfuRoom``; ``connection`` is one that ``join`` makes, not connected yet.

    ``empty_after``: seconds without anybody after which the meeting is over.
    """

    def __init__(
        self, connection: rtc.Room, *, mode: LegacyMode = LegacyMode.APPEND, empty_after: float = 10.0
    ) -> None:
        self.connection = connection
        """The SDK's."""
        self._empty_after = empty_after
        self._people: dict[str, _Person] = {}
        self._identities: OrderedDict[ParticipantId, str] = OrderedDict()  # of everybody seen; bounded: _MOST_GONE
        self._events: deque[RoomEvent] = deque()  # bounded: _MOST_EVENTS
        self._changed = asyncio.Event()
        self._parted: Parting | None = None
        self._lost_at: float | None = None
        self._expected_until = 0.0
        self._emptying: asyncio.TimerHandle | None = None
        self._leaving = asyncio.Lock()
        self._showing = Showing(connection, mode)
        self._listen()

    async def connect(self, server: LiveKitServer, token: str) -> None:
        """Raises ``GatewayFailed``."""
        options = rtc.RoomOptions(auto_subscribe=False, connect_timeout=_CONNECT_SECONDS)
        connecting = asyncio.create_task(self.connection.connect(server.url, token, options))
        try:
            with failures_mapped(server.url):
                async with asyncio.timeout(2 * _CONNECT_SECONDS):
                    await asyncio.shield(connecting)
            self._look_around()
        except BaseException:  # nobody stays in the room whom nobody asks
            await native.end_when_made(connecting, self.leave, _LEAVE_SECONDS)
            raise

    def _look_around(self) -> None:
        # What the SDK tells comes after what is found here: its task runs when this one waits.
        there = tuple(self.connection.remote_participants.values())
        for participant in there:
            _guarded(self._arrived)(participant)
        # Fifty subscriptions take seconds, so those that may be speaking come first.
        found = [(publication, each) for each in there for publication in each.track_publications.values()]
        for publication, participant in sorted(found, key=lambda pair: (_is_encrypted(pair[0]), pair[0].muted)):
            _guarded(self._published)(publication, participant)
        self._look_who_is_there()

    # --- what captioned rooms ask ---------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[RoomEvent]:
        """As ``SfuRoom``."""
        while True:
            while not self._events:
                self._changed.clear()
                await self._changed.wait()
            event = self._events.popleft()
            if isinstance(event, Parted):
                if event.why is not Parting.ENCRYPTED:  # people there are still to be told why
                    await self._disconnect()
                yield event
                return
            yield event

    async def show(self, event: Event) -> None:
        """As ``SfuRoom``."""
        if event["type"] == "voices":
            self._showing.voices(event)
        if event["type"] not in {"caption", "notice"}:
            return
        if self._parted not in {None, Parting.ENCRYPTED}:
            raise GatewayFailed("this room was left")
        if event["type"] == "notice":
            await self._showing.notice(event)
            return
        who = str(event["participant"])
        identity = self._identities.get(ParticipantId(who), who)
        speaker = self._people.get(identity)
        await self._showing.caption(event, identity, speaker.microphone if speaker is not None else None)

    async def leave(self) -> None:
        """As ``SfuRoom``."""
        self._part(Parting.LEFT)
        await self._disconnect()

    # --- what the SDK tells ---------------------------------------------------------------------------------

    def _listen(self) -> None:
        told: Mapping[rtc.room.EventTypes, Callable[..., None]] = {
            "participant_connected": self._arrived,
            "participant_disconnected": self._departed,
            "participant_active": self._ready,
            "participant_name_changed": lambda participant, *_: self._described(participant),
            "participant_attributes_changed": lambda _, participant: self._described(participant),
            "track_published": self._published,
            "track_unpublished": self._unpublished,
            "track_subscribed": self._subscribed,
            "track_unsubscribed": lambda _, publication, participant: self._unsubscribed(publication, participant),
            "track_subscription_failed": self._refused,
            "track_muted": lambda participant, publication: self._muted(participant, publication, muted=True),
            "track_unmuted": lambda participant, publication: self._muted(participant, publication, muted=False),
            "reconnecting": self._interrupted,
            "reconnected": self._reconnected,
            "disconnected": self._disconnected,
        }
        for event, take in told.items():
            self.connection.on(event, _guarded(take))

    def _arrived(self, told: rtc.RemoteParticipant) -> None:
        if told.kind in _NOT_PEOPLE or told.permissions.hidden:
            return
        self._departed(told)  # in case that nobody said so
        participant, languages = declared.participant(told), declared.languages(told)
        self._people[told.identity] = _Person(participant, languages, told.identity)
        self._remember(participant.id, told.identity)
        self._tell(Arrived(participant, languages))
        self._look_who_is_there()

    def _ready(self, told: rtc.RemoteParticipant) -> None:
        if told.identity in self._people:
            self._showing.anew()

    def _departed(self, told: rtc.RemoteParticipant) -> None:
        person = self._people.pop(told.identity, None)
        if person is None:
            return
        person.stop_asking()
        if person.tap is not None:
            person.tap.close()
        self._tell(Departed(person.participant.id))
        self._look_who_is_there()

    def _described(self, told: rtc.Participant) -> None:
        person = self._people.get(told.identity)
        if person is None:
            return
        participant, languages = declared.participant(told), declared.languages(told)
        if (participant, languages) != (person.participant, person.languages):
            person.participant, person.languages = participant, languages
            self._tell(Changed(participant, languages))

    def _published(self, publication: rtc.RemoteTrackPublication, told: rtc.RemoteParticipant) -> None:
        if publication.kind != rtc.TrackKind.KIND_AUDIO:
            return
        if _is_encrypted(publication):
            # Where others are heard, one who encrypts is not, and ends nobody's captions.
            if not any(person.microphones for person in self._people.values()):
                self._part(Parting.ENCRYPTED)
            return
        person = self._people.get(told.identity)
        if person is not None and publication.source == rtc.TrackSource.SOURCE_MICROPHONE:
            person.microphones[publication.sid] = publication
            person.published = publication.sid
            self._subscribe(person)

    def _unpublished(self, publication: rtc.RemoteTrackPublication, told: rtc.RemoteParticipant) -> None:
        person = self._people.get(told.identity)
        if person is None or person.microphones.pop(publication.sid, None) is None:
            return
        self._close_tap(person, publication.sid)
        self._subscribe(person)

    def _subscribe(self, person: _Person) -> None:
        """To the first microphone; the others wait until it goes. What is asked while the connection is renewed is
        lost, so it is asked for until it comes."""
        person.stop_asking()
        first = next(iter(person.microphones.values()), None)
        there = self._people.get(person.identity) is person
        if first is None or first.subscribed or not there or self._parted is not None:
            return
        first.set_subscribed(True)
        person.asking = asyncio.get_running_loop().call_later(_ASK_AGAIN_SECONDS, self._subscribe, person)

    def _interrupted(self) -> None:
        self._lost_at = self._lost_at or asyncio.get_running_loop().time()
        self._look_who_is_there()

    def _reconnected(self) -> None:
        now = asyncio.get_running_loop().time()
        self._tell(Renewed(now - (self._lost_at or now)))
        self._lost_at = None
        self._expected_until = now + _COMING_BACK_SECONDS
        self._showing.anew()  # what was sent last may have been lost
        for person in self._people.values():
            self._subscribe(person)
        self._look_who_is_there()

    def _subscribed(
        self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication, told: rtc.RemoteParticipant
    ) -> None:
        person = self._people.get(told.identity)
        if person is None or publication.sid not in person.microphones or not isinstance(track, rtc.RemoteAudioTrack):
            return
        self._close_tap(person, publication.sid)
        person.tap = LiveKitTap(track, muted=publication.muted)
        self._tell(Published(person.participant.id, person.tap))

    def _unsubscribed(self, publication: rtc.RemoteTrackPublication, told: rtc.RemoteParticipant) -> None:
        person = self._people.get(told.identity)
        if person is not None:
            self._close_tap(person, publication.sid)

    def _refused(self, told: rtc.RemoteParticipant, sid: str, _: object) -> None:
        """The next microphone of the participant may be heard."""
        _log.warning("track.refused", extra={"track": sid})
        person = self._people.get(told.identity)
        if person is not None and person.microphones.pop(sid, None) is not None:
            self._subscribe(person)

    def _muted(self, told: rtc.Participant, publication: rtc.TrackPublication, *, muted: bool) -> None:
        person = self._people.get(told.identity)
        if person is None or person.tap is None or person.tap.id != publication.sid:
            return
        if muted:
            person.tap.mute()
        else:
            person.tap.unmute()

    def _disconnected(self, reason: "rtc.DisconnectReason.ValueType") -> None:
        if self._parted is None:
            _log.info("room.disconnected", extra={"reason": rtc.DisconnectReason.Name(reason)})
        if reason in _EVICTIONS:
            self._part(Parting.EVICTED)
        elif reason in _ENDS:
            self._part(Parting.EMPTY)
        else:
            self._part(Parting.LOST)

    # --- how it ends ----------------------------------------------------------------------------------------

    def _look_who_is_there(self) -> None:
        """Counts down while nobody is there; a connection that is being renewed sees nobody, and says nothing."""
        alone = self._lost_at is None and not self._people and self._parted is None
        if alone and self._emptying is None:
            loop = asyncio.get_running_loop()
            at = max(loop.time() + self._empty_after, self._expected_until)
            self._emptying = loop.call_at(at, self._part, Parting.EMPTY)
        elif not alone and self._emptying is not None:
            self._emptying.cancel()
            self._emptying = None

    def _part(self, why: Parting) -> None:
        """Nothing is told after it."""
        if self._parted is not None:
            return
        self._parted = why
        for person in self._people.values():
            person.stop_asking()
            if person.tap is not None:
                person.tap.close()
        self._events.append(Parted(why))
        self._changed.set()
        self._look_who_is_there()

    async def _disconnect(self) -> None:
        async with self._leaving:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await self.connection.disconnect()

    def _close_tap(self, person: _Person, sid: str) -> None:
        if person.tap is not None and person.tap.id == sid:
            person.tap.close()
            person.tap = None

    def _remember(self, participant: ParticipantId, identity: str) -> None:
        self._identities[participant] = identity
        self._identities.move_to_end(participant)
        while len(self._identities) > _MOST_GONE:
            self._identities.popitem(last=False)

    def _tell(self, event: RoomEvent) -> None:
        if self._parted is not None:
            return
        if len(self._events) >= _MOST_EVENTS:
            self._part(Parting.LOST)
            return
        self._events.append(event)
        self._changed.set()


def _guarded(take: Callable[..., None]) -> Callable[..., None]:
    """The SDK would log what failed with all that it told, names included."""

    def guarded(*told: object) -> None:
        try:
            take(*told)
        except Exception:  # noqa: BLE001 - whatever befalls one event stays with it
            _log.exception("room.broken")

    return guarded


def _is_encrypted(publication: rtc.RemoteTrackPublication) -> bool:
    return publication.encryption_type != rtc.EncryptionType.NONE


class LiveKitGateway:
    """A ``SfuGateway``. ``agent_name`` is the worker's, whose agents are called ``<name>-<room>``."""

    provider = "livekit"

    def __init__(
        self,
        server: LiveKitServer,
        agent_name: str,
        *,
        mode: LegacyMode = LegacyMode.APPEND,
        empty_after: float = 10.0,
    ) -> None:
        self._server = server
        self._agent_name = agent_name
        self._mode = mode
        self._empty_after = empty_after

    async def join(self, room: str) -> LiveKitRoom:
        """As ``SfuGateway``. A room that is not open is not there: LiveKit would open one for whoever joins."""
        if not await self._server.rooms(room):
            raise NotFound("LiveKit has no such room now: its first participant opens it")
        token = self._server.join_token(room, agent_identity(self._agent_name, room))
        stay = LiveKitRoom(rtc.Room(), mode=self._mode, empty_after=self._empty_after)
        await stay.connect(self._server, token)
        return stay

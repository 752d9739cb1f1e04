"""An SFU that does what a test says: gateway, rooms and microphones, for the logic around real ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np

from media_gateway.outlet import Outlet
from media_gateway.scripted import ScriptedTap
from media_gateway.sfu import Arrived, Changed, Departed, Parted, Parting, Published, RoomEvent
from pipeline.domain import SAMPLE_RATE, AudioFrame, Participant, ParticipantId, Track, TrackOpened
from pipeline.errors import GatewayFailed, NotFound
from pipeline.export.event import Event
from pipeline.ports import AudioSource
from tests.recordings import beep, silence


@dataclass(slots=True, eq=False)
class ScriptedMicrophone:
    """A ``TrackTap``. ``sources`` are those that were asked for, ``tracks`` their tracks; only the last one is heard.
    ``failures`` are raised by the next sources, one each, instead of their sound."""

    id: str
    tracks: list[Track] = field(default_factory=list)
    sources: list[Outlet] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    gone: bool = False
    now: Callable[[], float] = float
    listening: Callable[[], bool] = bool

    def source(self, track: Track, now: Callable[[], float], listening: Callable[[], bool]) -> AudioSource:
        if self.sources:
            self.sources[-1].close()
        self.now, self.listening = now, listening
        self.tracks.append(track)
        self.sources.append(Outlet(track, now))
        if self.gone:
            self.sources[-1].close()
        if self.failures:
            return ScriptedTap([TrackOpened(track, now())], self.failures.pop(0))
        return self.sources[-1]

    def sound(self, seconds: float, *, loud: bool) -> None:
        """Sound of the last ``seconds``, in frames of 100 ms."""
        samples, start, step = beep(seconds) if loud else silence(seconds), self.now() - seconds, SAMPLE_RATE // 10
        for begin in range(0, len(samples), step):
            piece = np.asarray(samples[begin : begin + step])
            self.sources[-1].put([AudioFrame(self.tracks[-1].id, start + begin / SAMPLE_RATE, piece)])

    def hang_up(self) -> None:
        """It is not published any more."""
        self.gone = True
        if self.sources:
            self.sources[-1].close()


@dataclass(slots=True, eq=False)
class ScriptedRoom:
    """An ``SfuRoom``. ``shown`` is what it was given to show and took.

    ``failures``: how many times showing fails from now on; ``poison``: utterances that can never be shown; ``pace``:
    closed, it holds back whoever shows something.
    """

    name: str
    shown: list[Event] = field(default_factory=list)
    microphones: dict[ParticipantId, ScriptedMicrophone] = field(default_factory=dict)
    failures: int = 0
    poison: set[object] = field(default_factory=set)
    tries: int = 0
    pace: asyncio.Event = field(default_factory=asyncio.Event)
    parted: Parting | None = None
    left: bool = False
    unleavable: bool = False
    _events: "asyncio.Queue[RoomEvent | Exception | None]" = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        self.pace.set()

    # --- what Greffier does -----------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[RoomEvent]:
        while True:
            event = await self._events.get()
            if event is None:
                return
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Parted):
                return

    async def show(self, event: Event) -> None:
        self.tries += 1
        await self.pace.wait()
        if self.parted is not None:
            raise GatewayFailed("the room was left")
        if self.failures > 0:
            self.failures -= 1
            raise GatewayFailed("the script says so")
        if event.get("utterance") in self.poison:
            raise GatewayFailed("this one never goes")
        if event["type"] in {"caption", "voices", "notice"}:
            self.shown.append(event)

    async def leave(self) -> None:
        self.left = True
        if self.unleavable:
            raise GatewayFailed("the script says so")
        self.part(Parting.LEFT)

    # --- what a test does -------------------------------------------------------------------------------------

    def tell(self, event: RoomEvent) -> None:
        self._events.put_nowait(event)

    def fall_silent(self, failure: Exception | None = None) -> None:
        """No event comes any more, against the rules without ``Parted``; or ``failure`` is raised."""
        self._events.put_nowait(failure)

    def arrive(self, name: str, *languages: str, identity: str = "") -> ParticipantId:
        """Somebody comes; their id is their name in small letters, or ``identity``."""
        participant = Participant(ParticipantId(identity or name.lower()), name)
        self.tell(Arrived(participant, languages))
        return participant.id

    def change(self, identity: str, name: str, *languages: str) -> None:
        self.tell(Changed(Participant(ParticipantId(identity), name), languages))

    def publish(self, identity: str) -> ScriptedMicrophone:
        microphone = ScriptedMicrophone(f"TR_{identity}_{id(object())}")
        self.microphones[ParticipantId(identity)] = microphone
        self.tell(Published(ParticipantId(identity), microphone))
        return microphone

    def depart(self, identity: str) -> None:
        if microphone := self.microphones.pop(ParticipantId(identity), None):
            microphone.hang_up()
        self.tell(Departed(ParticipantId(identity)))

    def part(self, why: Parting) -> None:
        """The stay is over; every microphone ends."""
        if self.parted is None:
            self.parted = why
            for microphone in self.microphones.values():
                microphone.hang_up()
            self.tell(Parted(why))


@dataclass(slots=True)
class ScriptedGateway:
    """An ``SfuGateway``. ``joined`` are the stays, oldest first; ``refusals`` are raised by the next joins, one each;
    ``door``: closed, it holds back whoever joins; ``absent``: rooms that are not there; ``down``: nothing answers;
    ``greeting``: what every room tells first."""

    provider: str = "livekit"
    joined: list[ScriptedRoom] = field(default_factory=list)
    refusals: list[Exception] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    down: bool = False
    greeting: list[RoomEvent] = field(default_factory=list)
    tries: int = 0
    door: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.door.set()

    async def join(self, room: str) -> ScriptedRoom:
        self.tries += 1
        await self.door.wait()
        if self.refusals:
            raise self.refusals.pop(0)
        if self.down:
            raise GatewayFailed("the SFU cannot be reached")
        if room in self.absent:
            raise NotFound(f"there is no room {room}")
        self.joined.append(ScriptedRoom(room))
        for event in self.greeting:
            self.joined[-1].tell(event)
        return self.joined[-1]

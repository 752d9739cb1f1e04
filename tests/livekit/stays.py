"""A stay in a room as a captioned room would use it: what it told, and what its microphones heard."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from media_gateway.livekit import LegacyMode, LiveKitGateway, LiveKitRoom, LiveKitServer
from media_gateway.sfu import Arrived, Departed, Parted, Parting, Published, RoomEvent, TrackTap
from pipeline.domain import AudioFrame, Participant, Samples, Track, TrackClosed, TrackEvent, TrackId
from tests.livekit.people import until
from tests.livekit.server import LiveKit
from tests.recordings import joined, silence

AGENT = "greffier"


@dataclass(slots=True)
class Ear:
    """Takes one source of a tap; ``now`` of its meeting is ``time.monotonic()``."""

    tap: TrackTap
    listening: bool = True
    events: list[TrackEvent] = field(default_factory=list)
    _taking: "asyncio.Task[None] | None" = None

    def listen(self) -> None:
        track = Track(TrackId("track"), Participant("anne", "Anne"))  # type: ignore[arg-type]
        source = self.tap.source(track, time.monotonic, lambda: self.listening)

        async def take() -> None:
            async for event in source.events():
                self.events.append(event)

        self._taking = asyncio.create_task(take())

    @property
    def frames(self) -> list[AudioFrame]:
        return [event for event in self.events if isinstance(event, AudioFrame)]

    @property
    def closed(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], TrackClosed)

    def sound(self, after: float = 0.0) -> Samples:
        return joined([frame for frame in self.frames if frame.start >= after])

    def timeline(self, start: float, end: float) -> Samples:
        """What was heard from one moment to another, silence where there was nothing."""
        rate = 16_000
        whole = silence(end - start)
        for frame in self.frames:
            begin = round((frame.start - start) * rate)
            first, last = max(0, begin), min(len(whole), begin + len(frame.samples))
            if first < last:
                whole[first:last] = frame.samples[first - begin : last - begin]
        return whole

    async def end(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.gather(self._taking, return_exceptions=True)


@dataclass(slots=True)
class Stay:
    """``ears`` by participant, in the order of their microphones; each listens from when it is told of one."""

    room: LiveKitRoom
    told: list[RoomEvent] = field(default_factory=list)
    ears: dict[str, list[Ear]] = field(default_factory=dict)
    following: "asyncio.Task[None] | None" = None

    def follow(self) -> None:
        self.following = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for event in self.room.events():
            self.told.append(event)
            if isinstance(event, Published):
                ear = Ear(event.tap)
                ear.listen()
                self.ears.setdefault(event.participant, []).append(ear)

    @property
    def names(self) -> dict[str, str]:
        """Who has arrived, by id, those who left included."""
        return {event.participant.id: event.participant.name for event in self.told if isinstance(event, Arrived)}

    @property
    def languages(self) -> dict[str, tuple[str, ...]]:
        """What those who arrived declared to speak when they came, by id."""
        return {event.participant.id: event.languages for event in self.told if isinstance(event, Arrived)}

    @property
    def departed(self) -> list[str]:
        return [event.participant for event in self.told if isinstance(event, Departed)]

    @property
    def parting(self) -> Parting | None:
        last = self.told[-1] if self.told else None
        return last.why if isinstance(last, Parted) else None

    async def ear(self, participant: str, number: int = 0) -> Ear:
        """The ear of a participant's microphone, once there is one."""
        await until(lambda: len(self.ears.get(participant, [])) > number, what=lambda: f"told: {self.told}")
        return self.ears[participant][number]

    async def leave(self) -> None:
        await self.room.leave()
        if self.following is not None:
            await self.following
        for ear in (each for ears in self.ears.values() for each in ears):
            await ear.end()


@asynccontextmanager
async def staying(
    server: LiveKit, room: str, *, mode: LegacyMode = LegacyMode.APPEND, empty_after: float = 10.0
) -> AsyncIterator[Stay]:
    """In a room that is open."""
    access = LiveKitServer(server.url, server.key, server.secret)
    gateway = LiveKitGateway(access, AGENT, mode=mode, empty_after=empty_after)
    try:
        stay = Stay(await gateway.join(room))
        stay.follow()
        try:
            yield stay
        finally:
            await stay.leave()
    finally:
        await access.close()

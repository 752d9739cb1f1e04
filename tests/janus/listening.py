"""What the gateway is told of a VideoRoom, and hears there, kept for scenes to look at."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from media_gateway.janus import JanusRoom
from media_gateway.sfu import Arrived, Changed, Departed, Parted, Published, RoomEvent
from pipeline.domain import AudioFrame, AudioLost, Participant, Samples, Track, TrackId
from tests.recordings import joined

WAIT = 30.0


@dataclass
class Heard:
    """The sound of one microphone, as long as it lasts."""

    participant: str
    frames: list[AudioFrame] = field(default_factory=list)
    lost: list[AudioLost] = field(default_factory=list)
    ended: bool = False

    @property
    def sound(self) -> Samples:
        return joined(self.frames)

    def until(self) -> float:
        return self.frames[-1].end if self.frames else 0.0


class Listener:
    """Takes all events of a stay; every microphone is heard."""

    def __init__(self, room: JanusRoom) -> None:
        self.room = room
        self.began = time.monotonic()
        self.events: list[RoomEvent] = []
        self.heard: list[Heard] = []
        self._changed = asyncio.Event()
        self._hearing: list[asyncio.Task[None]] = []
        self._following = asyncio.create_task(self._follow())

    def now(self) -> float:
        return time.monotonic() - self.began

    def told(self) -> list[str]:
        """The events as short texts, in order: ``Arrived anne``."""
        return [_named(event) for event in self.events]

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until ``condition`` holds, looking whenever something happened and now and then."""
        async with asyncio.timeout(WAIT):
            while not condition():
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._changed.wait()

    async def until_told(self, event: str, times: int = 1) -> None:
        await self.until(lambda: self.told().count(event) >= times)

    async def leave(self) -> None:
        await self.room.leave()
        await self._following
        await asyncio.gather(*self._hearing)

    async def _follow(self) -> None:
        async for event in self.room.events():
            self.events.append(event)
            if isinstance(event, Published):
                heard = Heard(event.participant)
                self.heard.append(heard)
                self._hearing.append(asyncio.create_task(self._hear(event, heard)))
            self._changed.set()

    async def _hear(self, published: Published, heard: Heard) -> None:
        track = Track(TrackId(f"{heard.participant}.1"), Participant(published.participant, ""))
        async for event in published.tap.source(track, self.now, lambda: True).events():
            if isinstance(event, AudioFrame):
                heard.frames.append(event)
            elif isinstance(event, AudioLost):
                heard.lost.append(event)
        heard.ended = True
        self._changed.set()


def alike(wanted: Samples, found: Samples) -> float:
    """The highest correlation at any shift; 1 is the same sound, all of it."""
    a, b = wanted.astype(np.float64), found.astype(np.float64)
    count = len(a) + len(b)
    correlations = np.fft.irfft(np.fft.rfft(b, count) * np.conj(np.fft.rfft(a, count)), count)
    return float(correlations.max() / np.sqrt(max((a @ a) * (b @ b), 1.0)))


def _named(event: RoomEvent) -> str:
    match event:
        case Arrived(participant) | Changed(participant):
            return f"{type(event).__name__} {participant.id} {participant.name}"
        case Departed(participant=identity) | Published(participant=identity):
            return f"{type(event).__name__} {identity}"
        case Parted(why):
            return f"Parted {why.value}"

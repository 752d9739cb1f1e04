"""What the gateway is told of a VideoRoom, and hears there, kept for scenes to look at."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from media_gateway.janus import JanusRoom
from media_gateway.people import participant_id
from media_gateway.sfu import Arrived, Changed, Departed, Parted, Published, RoomEvent
from pipeline.domain import SAMPLE_RATE, AudioFrame, AudioLost, Participant, Samples, Track, TrackId
from tests.recordings import joined

WAIT = 30.0
Sound = NDArray[np.float64]


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

    def of(self, participant: int | str | None) -> Heard:
        """The microphone that a participant published last."""
        known = participant_id(str(participant))
        return next(each for each in reversed(self.heard) if each.participant == known)

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until ``condition`` holds, looking whenever something happened and now and then."""
        async with asyncio.timeout(WAIT):
            while not condition():
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._changed.wait()

    async def until_quiet(self, heard: Heard) -> None:
        """Waits until nothing more is heard: whoever says nothing sends nothing."""
        async with asyncio.timeout(WAIT):
            count = -1
            while count != len(heard.frames):
                count = len(heard.frames)
                await asyncio.sleep(0.4)

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
    """How well each half second of ``wanted`` is found again, wherever it is; on average, 1 is exactly."""
    count = SAMPLE_RATE // 2
    pieces = [wanted[begin : begin + count] for begin in range(0, len(wanted) - count + 1, count)]
    return float(np.mean([_found(piece.astype(np.float64), found.astype(np.float64)) for piece in pieces]))


def _found(piece: Sound, sound: Sound) -> float:
    """The highest correlation of ``piece`` with as long a part of ``sound``."""
    if len(sound) <= len(piece):
        return 0.0
    size = len(sound) + len(piece)
    correlations = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(piece, size)), size)
    summed = np.concatenate([[0.0], np.cumsum(sound**2)])
    energies = summed[len(piece) :] - summed[: -len(piece)]
    usable = energies > 0.01 * energies.max()
    alikes = correlations[: len(energies)][usable] / np.sqrt(energies[usable] * (piece @ piece))
    return float(alikes.max(initial=0.0))


def _named(event: RoomEvent) -> str:
    match event:
        case Arrived(participant) | Changed(participant):
            return f"{type(event).__name__} {participant.id} {participant.name}"
        case Departed(participant=identity) | Published(participant=identity):
            return f"{type(event).__name__} {identity}"
        case Parted(why):
            return f"Parted {why.value}"

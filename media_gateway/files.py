"""Recordings replayed as live tracks, one participant each, at the pace of a clock that all of them share."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import numpy as np

from media_gateway.recording import Recording, read_recording
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Participant,
    ParticipantId,
    Samples,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
)

__all__ = ["FileTap", "Pace", "Recording", "ReplayClock", "read_recording", "track_of"]

FRAME_SECONDS = 0.04
"""Two Opus packets: half the work of one, and little more delay."""
_FRAME_SAMPLES = round(FRAME_SECONDS * SAMPLE_RATE)
_PIECE_SECONDS = 5.0


class Pace(Protocol):
    """When sound of meeting time may be heard."""

    async def until(self, at: float) -> None:
        """Returns once meeting time ``at`` has come."""


class ReplayClock:
    """Meeting time of a replay: wall seconds since it began times ``speed``.

    A speed of 0, or one without end, waits for nobody. Deadlines are absolute, so that a late frame delays no other;
    tracks that wait for the same one share a timer.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not speed >= 0.0:
            raise ValueError(f"the speed of a replay must not be negative: {speed}")
        self._speed = 0.0 if speed == float("inf") else speed
        self._began: float | None = None
        self._latest = 0.0
        self._awaited: dict[float, asyncio.Event] = {}

    def now(self) -> float:
        """Meeting time in seconds; without a speed, that of the newest sound."""
        if self._speed == 0.0:
            return self._latest
        loop_time = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = loop_time
        return (loop_time - self._began) * self._speed

    async def until(self, at: float) -> None:
        self._latest = max(self._latest, at)
        delay = 0.0 if self._speed == 0.0 else (at - self.now()) / self._speed
        if delay <= 0.0:
            await asyncio.sleep(0)
            return
        come = self._awaited.get(at)
        if come is None:
            come = self._awaited[at] = asyncio.Event()
            asyncio.get_running_loop().call_later(delay, self._wake, at)
        await come.wait()

    def _wake(self, at: float) -> None:
        self._awaited.pop(at).set()


class FileTap:
    """An ``AudioSource``: one recording as one track, from ``start`` of meeting time on.

    A microphone goes on hearing the room when its speaker stops; ``silence_after`` seconds of zeros stand for that.
    ``events`` may be called once; it raises ``UnreadableMedia`` when nothing of the file can be decoded.
    """

    def __init__(self, path: Path, track: Track, pace: Pace, *, start: float = 0.0, silence_after: float = 1.0) -> None:
        self._path = path
        self._track = track
        self._pace = pace
        self._start = start
        self._silence_after = silence_after

    async def events(self) -> AsyncIterator[TrackEvent]:
        await self._pace.until(self._start)
        yield TrackOpened(self._track, self._start)
        sent = 0
        async for piece in self._pieces():
            for begin in range(0, len(piece), _FRAME_SAMPLES):
                frame = AudioFrame(
                    self._track.id, self._start + sent / SAMPLE_RATE, piece[begin : begin + _FRAME_SAMPLES]
                )
                await self._pace.until(frame.end)
                yield frame
                sent += len(frame.samples)
        yield TrackClosed(self._track.id, self._start + sent / SAMPLE_RATE)

    async def _pieces(self) -> AsyncIterator[Samples]:
        pieces = Recording(self._path, None).pieces(_PIECE_SECONDS)
        # In a thread, for decoding blocks: on a slow disk for longer than a frame lasts.
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece
        yield np.zeros(round(self._silence_after * SAMPLE_RATE), np.int16)


def track_of(path: Path, name: str | None = None, languages: tuple[str, ...] = ()) -> Track:
    """The track of a file: named by its file name with extension, its participant by the name without.

    Callers with several files of one name pass a ``name`` of their own, such as ``anne-2.wav``.
    """
    name = name or path.name
    return Track(TrackId(name), Participant(ParticipantId(name), Path(name).stem), languages)

"""One microphone of a LiveKit room as a source: frames of 16 kHz mono in meeting time, while it is not muted.

The SDK's native threads receive, conceal, decode and resample, and one of them calls into Python with each frame, which
it hands to the event loop; so nothing here blocks, and nothing of it could run on the loop instead.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
from livekit import rtc

from media_gateway.livekit.frame_clock import FrameClock
from media_gateway.outlet import Outlet
from pipeline.domain import SAMPLE_RATE, AudioFrame, Track, TrackEvent
from pipeline.ports import AudioSource

FRAME_MS = 40
"""A frame costs the same whatever it holds: an open stream 0.02 of a core at 10 ms, 0.01 at 20, 0.005 at 40, hardly
less beyond that. Twenty tracks of which two talk and eighteen are muted: 0.07, 0.05, 0.04, at 100 ms still 0.04."""
_LINGER = 1.2
"""Seconds that a muted track is listened to: its last sound is still on its way, and speech ends in the silence."""
_LOOK = 0.05
_CAPACITY = 250
"""Frames, ten seconds, that wait in the SDK's queue when the loop does not come to them; the oldest go first."""


class LiveKitTap:
    """Told by its room what becomes of the track. One source at a time."""

    def __init__(self, track: rtc.RemoteAudioTrack, *, muted: bool, frame_ms: int = FRAME_MS) -> None:
        self._track = track
        self._frame_ms = frame_ms
        self._muted_at: float | None = float("-inf") if muted else None  # of the loop's clock
        self._gone = False
        self._source: _Source | None = None

    @property
    def id(self) -> str:
        return self._track.sid

    def source(self, track: Track, now: Callable[[], float], listening: Callable[[], bool]) -> AudioSource:
        """As ``TrackTap``."""
        if self._source is not None:
            self._source.stop()
        self._source = _Source(self, track, now, listening)
        if self._gone:
            self._source.stop()
        return self._source

    # --- what the room tells --------------------------------------------------------------------------------

    def mute(self) -> None:
        if self._muted_at is None:
            self._muted_at = asyncio.get_running_loop().time()
            self._tell()

    def unmute(self) -> None:
        self._muted_at = None
        self._tell()

    def close(self) -> None:
        """The track is gone, and every source ends."""
        self._gone = True
        if self._source is not None:
            self._source.stop()

    def _tell(self) -> None:
        if self._source is not None:
            self._source.changed.set()

    # --- what its source asks -------------------------------------------------------------------------------

    @property
    def silent(self) -> bool:
        """Whether nothing is to be heard: muted, and the last sound has come."""
        return self._muted_at is not None and asyncio.get_running_loop().time() - self._muted_at > _LINGER

    def stream(self) -> rtc.AudioStream:
        return rtc.AudioStream.from_track(
            track=self._track,
            sample_rate=SAMPLE_RATE,
            num_channels=1,
            frame_size_ms=self._frame_ms,
            capacity=_CAPACITY,
        )


class _Source:
    """Pumps while its events are taken. An open stream costs even in silence, so it is open only while there is
    something to hear and somebody listens."""

    def __init__(self, tap: LiveKitTap, track: Track, now: Callable[[], float], listening: Callable[[], bool]) -> None:
        self._tap = tap
        self._track = track
        self._now = now
        self._listening = listening
        self._outlet = Outlet(track, now)
        self._clock = FrameClock()
        self._stopped = False
        self.changed = asyncio.Event()

    def stop(self) -> None:
        """What was heard can still be taken."""
        self._stopped = True
        self._outlet.close()
        self.changed.set()

    async def events(self) -> AsyncIterator[TrackEvent]:
        pump = asyncio.create_task(self._pump())
        try:
            async for event in self._outlet.events():
                yield event
            await pump
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _pump(self) -> None:
        try:
            while not self._stopped:
                if not self._tap.silent and self._listening():
                    await self._hear()
                    continue
                self.changed.clear()
                await self._wait()
        finally:
            self._outlet.close()

    async def _wait(self) -> None:
        """Until something changed; nobody tells when somebody listens again."""
        if self._tap.silent:
            await self.changed.wait()
            return
        try:
            async with asyncio.timeout(_LOOK):
                await self.changed.wait()
        except TimeoutError:
            pass

    async def _hear(self) -> None:
        """One stream, from when there is something to hear until there is not."""
        stream = self._tap.stream()
        self._clock.resume()
        try:
            async for event in stream:
                if self._stopped or self._tap.silent or not self._listening():
                    return
                samples = np.frombuffer(event.frame.data, np.int16)
                start = self._clock.place(len(samples), self._now())
                self._outlet.put([AudioFrame(self._track.id, start, samples)])
            # The SDK ends the stream of a track that is gone, and the room tells so.
            self.changed.clear()
            if not self._stopped:
                await self.changed.wait()
        finally:
            await stream.aclose()

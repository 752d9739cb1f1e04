"""The end of a tap: what one track heard, kept until the pipeline takes it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable

from pipeline.domain import AudioFrame, AudioLost, Track, TrackClosed, TrackEvent, TrackOpened

LIMIT_SECONDS = 10.0


class Outlet:
    """An ``AudioSource`` of one track, fed from callbacks.

    Bounded: when ``LIMIT_SECONDS`` of sound wait, new sound is dropped, and named as lost once there is room again.
    """

    def __init__(self, track: Track, now: Callable[[], float], limit: float = LIMIT_SECONDS) -> None:
        self._track = track
        self._now = now
        self._limit = limit
        self._waiting: deque[AudioFrame | AudioLost] = deque()
        self._seconds = 0.0
        self._dropped: AudioLost | None = None
        self._until = 0.0
        self._closed = False
        self._changed = asyncio.Event()

    def put(self, events: Iterable[AudioFrame | AudioLost]) -> None:
        for event in events:
            self._until = max(self._until, event.end)
            if self._seconds > self._limit:
                start = self._dropped.start if self._dropped else event.start
                self._dropped = AudioLost(self._track.id, start, event.end)
                continue
            self._admit_dropped()
            self._waiting.append(event)
            self._seconds += event.end - event.start if isinstance(event, AudioFrame) else 0.0
        self._changed.set()

    def close(self) -> None:
        self._admit_dropped()
        self._closed = True
        self._changed.set()

    @property
    def closed(self) -> bool:
        return self._closed

    async def events(self) -> AsyncIterator[TrackEvent]:
        """May be called once; ends when the outlet is closed and all that waited is taken."""
        opened_at = self._now()
        yield TrackOpened(self._track, opened_at)
        while self._waiting or not self._closed:
            if not self._waiting:
                self._changed.clear()
                await self._changed.wait()
                continue
            event = self._waiting.popleft()
            if isinstance(event, AudioFrame):
                self._seconds -= event.end - event.start
            yield event
        yield TrackClosed(self._track.id, max(self._until, opened_at))

    def _admit_dropped(self) -> None:
        if self._dropped is not None:
            self._waiting.append(self._dropped)
            self._dropped = None

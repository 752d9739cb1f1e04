"""The audio bus inside one process: track events from the edge to the session. It belongs to one event loop."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    AudioLost,
    TrackEvent,
    TrackId,
    TrackOpened,
)


class MemoryAudioBus:
    """An ``AudioBus`` for one receiver; events of one track keep their order.

    Holds at most ``seconds`` of sound of all tracks together. Drop rule: when there is no room, the oldest frame of
    the track that holds most is replaced by an ``AudioLost``, and neighbouring losses by one. What is not sound is
    never dropped: it is a few events per utterance. A ``lossless`` bus makes senders wait instead, for sources that
    can (files read faster than they are heard).
    """

    def __init__(self, seconds: float = 120.0, *, lossless: bool = False) -> None:
        self._capacity = round(seconds * SAMPLE_RATE)
        self._lossless = lossless
        self._queues: dict[TrackId, deque[tuple[int, TrackEvent]]] = {}
        self._samples: dict[TrackId, int] = {}
        self._total_samples = 0
        self._serial = 0
        self._closed = False
        self._changed = asyncio.Condition()

    async def send(self, event: TrackEvent) -> None:
        async with self._changed:
            if self._lossless:
                await self._changed.wait_for(lambda: self._closed or self._has_room(event))
            if self._closed:
                return
            self._append(event)
            while self._total_samples > self._capacity and not self._lossless:
                self._drop_one()
            self._changed.notify_all()

    async def receive(self) -> AsyncIterator[TrackEvent]:
        """Events until the bus is closed and empty."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._closed or self._queues)
                if not self._queues:
                    return
                event = self._take()
                if self._lossless:
                    self._changed.notify_all()
            yield event

    async def close(self) -> None:
        """Nothing more is sent; what is held can still be received."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def empty(self) -> bool:
        """Whether everything that was sent has been received."""
        return not self._queues

    @property
    def seconds_held(self) -> float:
        return self._total_samples / SAMPLE_RATE

    def _has_room(self, event: TrackEvent) -> bool:
        if not isinstance(event, AudioFrame) or not self._total_samples:
            return True
        return self._total_samples + len(event.samples) <= self._capacity

    def _append(self, event: TrackEvent) -> None:
        track = event.track.id if isinstance(event, TrackOpened) else event.track
        self._queues.setdefault(track, deque()).append((self._serial, event))
        self._serial += 1
        if isinstance(event, AudioFrame):
            self._count(event, len(event.samples))

    def _take(self) -> TrackEvent:
        track = min(self._queues, key=lambda name: self._queues[name][0][0])
        queue = self._queues[track]
        _, event = queue.popleft()
        if not queue:
            del self._queues[track]
        if isinstance(event, AudioFrame):
            self._count(event, -len(event.samples))
        return event

    def _count(self, frame: AudioFrame, samples: int) -> None:
        self._total_samples += samples
        self._samples[frame.track] = self._samples.get(frame.track, 0) + samples
        if not self._samples[frame.track]:
            del self._samples[frame.track]

    def _drop_one(self) -> None:
        queue = self._queues[max(self._samples, key=lambda name: self._samples[name])]
        index, serial, frame = next(
            (index, serial, event) for index, (serial, event) in enumerate(queue) if isinstance(event, AudioFrame)
        )
        self._count(frame, -len(frame.samples))
        before = queue[index - 1][1] if index else None
        if isinstance(before, AudioLost):
            queue[index - 1] = (queue[index - 1][0], AudioLost(frame.track, before.start, frame.end))
            del queue[index]
        else:
            queue[index] = (serial, AudioLost(frame.track, frame.start, frame.end))

"""A scripted recogniser that streams, for tests of sessions: it hears of which moment each sample is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.domain import SAMPLE_RATE, AudioFrame, Samples, TrackId, Word
from pipeline.errors import NoFreeChannel, RecognitionFailed
from pipeline.streams import Heard

TICK = 0.01
_OF_TICK = round(TICK * SAMPLE_RATE)


def frame(track: TrackId, start: float, seconds: float = 0.1) -> AudioFrame:
    """Sound whose samples say of which hundredth of a second they are."""
    first = round(start / TICK)
    ticks = np.arange(first, first + round(seconds / TICK)) + 1
    return AudioFrame(track, start, np.repeat(ticks, _OF_TICK).astype(np.int16))


@dataclass(slots=True)
class ScriptedStream:
    """Says each word of ``script`` whose sound it was sent from its first moment to its last, ``delay`` later."""

    script: Sequence[Word]
    delay: float
    ended: Callable[["ScriptedStream"], None]
    lost: bool = False
    deaf: bool = False  # it hears no words
    stalled: bool = False  # it takes sound, and says nothing at all
    stuck: bool = False  # it takes nothing more
    closed: bool = False
    seconds: float = 0.0
    places: dict[int, float] = field(default_factory=dict)  # where in its sound each hundredth of a second began
    said: int = 0
    flushed: float = -1.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, samples: Samples) -> None:
        self._fail()
        if self.stuck:
            await asyncio.Event().wait()
        for tick in np.unique(samples[samples > 0]):
            self.places[int(tick) - 1] = self.seconds + int(np.argmax(samples == tick)) / SAMPLE_RATE
        self.seconds += len(samples) / SAMPLE_RATE
        self.changed.set()

    async def flush(self) -> None:
        self._fail()
        self.flushed = self.seconds
        self.changed.set()

    async def heard(self) -> AsyncIterator[Heard]:
        while not self.closed:
            await self.changed.wait()
            self.changed.clear()
            self._fail()
            if not self.stalled:
                yield self._hears()

    async def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.changed.set()
            self.ended(self)

    def lose(self) -> None:
        self.lost = True
        self.changed.set()

    def _fail(self) -> None:
        if self.lost:
            raise RecognitionFailed("the socket is gone")

    def _hears(self) -> Heard:
        until = self.seconds if self.flushed >= self.seconds else max(0.0, self.seconds - self.delay)
        words, tail = [], []
        for word in self.script:
            first, last = round(word.start / TICK), round(word.end / TICK) - 1
            if first not in self.places or self.deaf:
                continue
            whole = last in self.places and self.places[last] + TICK <= until + 1e-6
            placed = replace(word, start=self.places[first], end=self.places.get(last, until - TICK) + TICK)
            (words if whole else tail).append(placed)
        fresh, self.said = words[self.said :], max(self.said, len(words))
        return Heard(tuple(fresh), tuple(one for one in tail if one.start < until), until)


@dataclass(slots=True)
class ScriptedStreams:
    """``channels`` slots. ``trouble`` is done to each stream that is opened, given its number."""

    script: Sequence[Word]
    channels: int = 64
    delay: float = 0.5
    languages: tuple[str, ...] = ("fr", "en")
    healthy: bool = True
    believed: bool = True  # whether it is said to be healthy
    connecting: float = 0.04
    trouble: Callable[[int, ScriptedStream], None] = lambda number, stream: None
    streams: list[ScriptedStream] = field(default_factory=list)
    open_now: list[ScriptedStream] = field(default_factory=list)
    most_open: int = 0
    refused: int = 0
    fallbacks: int = 0

    def takes(self, languages: tuple[str, ...]) -> bool:
        return self.believed and set(languages) <= set(self.languages)

    async def open(self) -> ScriptedStream:
        await asyncio.sleep(self.connecting)
        if not self.healthy:
            raise RecognitionFailed("no server answers")
        if len(self.open_now) >= self.channels:
            self.refused += 1
            raise NoFreeChannel("no free channels")
        stream = ScriptedStream(self.script, self.delay, self.open_now.remove)
        self.trouble(len(self.streams), stream)
        self.streams.append(stream)
        self.open_now.append(stream)
        self.most_open = max(self.most_open, len(self.open_now))
        return stream

    def given_up(self) -> None:
        self.fallbacks += 1

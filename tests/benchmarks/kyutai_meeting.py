"""A live meeting in this process whose words come from Kyutai's servers, for what is measured of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from models.batching import Batcher
from models.kyutai.servers import KyutaiServers
from models.scripted import ScriptedEngine
from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import Caption, Participant, ParticipantId, Track, TrackEvent, TrackId, Word
from pipeline.export.event import caption_event
from pipeline.live.meeting import MeetingCaptioner
from pipeline.session import Session
from pipeline.store.memory import MemoryTranscriptStore
from pipeline.store.spool import AudioSpool
from tests.benchmarks.events import Event, TimedWord, event_of

Figures = dict[str, float]
DELAY = 0.5
"""Of the model, in seconds."""
FRAME = 0.032
"""Seconds of sound that the edge passes on at a time."""


@dataclass(slots=True)
class Held:
    """One meeting whose words come from ``servers``, else from a recogniser that knows ``script``."""

    servers: KyutaiServers
    recognizer: Batcher
    events: list[Event] = field(default_factory=list)
    bus: MemoryAudioBus = field(default_factory=MemoryAudioBus)
    began: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        return time.monotonic() - self.began

    async def send(self, caption: Caption) -> None:
        self.events.append(event_of(caption_event(caption, self.now())))

    async def run(self) -> None:
        memory = AudioSpool()
        core = MeetingCaptioner(languages=("fr", "en"))
        core.makes_record = False
        store = MemoryTranscriptStore()
        session = Session(core, self.recognizer, self.bus, memory, self, store, self.now, streams=self.servers)
        try:
            await session.run()
        finally:
            memory.close()

    async def play(self, happenings: Sequence[tuple[float, TrackEvent]]) -> None:
        for at, event in happenings:
            await asyncio.sleep(max(0.0, at - self.now()))
            await self.bus.send(event)


@asynccontextmanager
async def holding(servers: KyutaiServers, script: dict[TrackId, Sequence[Word]] | None = None) -> AsyncIterator[Held]:
    """Ends once everything that was played is captioned."""
    async with Batcher(ScriptedEngine(script or {})) as recognizer:
        held = Held(servers, recognizer)
        running = asyncio.create_task(held.run())
        try:
            yield held
        finally:
            await held.bus.close()
            await running


def track_of(name: str) -> Track:
    return Track(TrackId(name), Participant(ParticipantId(name), name))


def first_committed(utterance: Sequence[Event]) -> list[tuple[Event, TimedWord]]:
    """Each committed word with the event that first had it."""
    found = []
    for event in utterance:
        found += [(event, word) for word in event.words[len(found) :]]
    return found

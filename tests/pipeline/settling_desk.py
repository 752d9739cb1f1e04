"""A process that settles one meeting of a room, in which two sentences were said, by what a script hears."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from dramatiq.brokers.stub import StubBroker

from models.batching import Batcher, BatchSettings
from models.scripted import ScriptedEngine
from models.silero import SileroModel, bundled_model
from pipeline.bus.leases import Board, MemoryLeases
from pipeline.domain import (
    Caption,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    RecordText,
    Samples,
    Settled,
    TrackId,
    Transcript,
    UtteranceId,
    VoiceRun,
    VoiceSpan,
    Word,
)
from pipeline.errors import NotFound
from pipeline.jobs import RecordingJobs, Transcription
from pipeline.leased import LeasedWork
from pipeline.mixed import VoiceSearch
from pipeline.record.texts import text_of
from pipeline.settling import Settling
from pipeline.settling_jobs import SettlingJobs
from pipeline.store.spool import AudioSpool
from pipeline.store.sql import SqlStore
from tests.pipeline.test_jobs import Sounds
from tests.pipeline.test_mixed import Voices
from tests.recordings import silence

ROOM = Participant(ParticipantId("room"), "Salle Descartes")
TRACK = TrackId("room.1")
MEETING = MeetingId("point")
ONE, TWO = np.eye(2, dtype=np.float32)
SAID = ("un deux trois quatre", "cinq six sept huit")
"""What captions have, in four seconds each, six seconds apart; the second recognition hears it in capitals."""
TWO_VOICES = (VoiceSpan(1, 0.0, 2.0), VoiceSpan(2, 2.0, 4.0), VoiceSpan(1, 10.0, 14.0))


def words(text: str, start: float) -> tuple[Word, ...]:
    return tuple(Word(f" {each}", start + k, start + k + 0.9) for k, each in enumerate(text.split()))


BETTER = {TRACK: tuple(word for k, text in enumerate(SAID) for word in words(text.upper(), 10.0 * k))}
HEARD = ["UN DEUX TROIS QUATRE", "CINQ SIX SEPT HUIT"]
CAPTIONED = list(SAID)


@dataclass(slots=True)
class Engine(ScriptedEngine):
    """While its door is shut, each batch waits before it."""

    door: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.door.set()
        self.wait = lambda _: self.door.wait(20.0) and None


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept sound of one track."""

    duration: float = 15.0

    def pieces(self, seconds: float) -> Iterator[Samples]:
        yield silence(self.duration)


@dataclass(slots=True)
class KeptSounds:
    kept: dict[TrackId, Kept | Exception] = field(default_factory=dict)

    def open(self, meeting: MeetingId, track: TrackId) -> Kept:
        sound = self.kept.get(track, NotFound("no sound of this track is kept"))
        if isinstance(sound, Exception):
            raise sound
        return sound


@dataclass(slots=True)
class Desk:
    """One process: its store, its engine, its jobs."""

    store: SqlStore
    engine: Engine
    jobs: RecordingJobs
    settling: SettlingJobs

    async def start(self) -> None:
        await self.jobs.start()
        await self.settling.start()

    async def close(self) -> None:
        await self.settling.close()
        await self.jobs.close()

    async def held(self, keep_audio: bool = True, runs: Sequence[VoiceRun] = (), said: Sequence[str] = SAID) -> None:
        """A meeting in which ``said`` was said by ``runs`` on the microphone of a room; it has ended."""
        await self.store.create_meeting(Meeting(MEETING, "Point", 1000.0, keep_audio=keep_audio))
        await self.store.add_participant(MEETING, ROOM)
        assert await self.store.next_track(MEETING, ROOM.id) == TRACK
        shelf = self.store.for_meeting(MEETING)
        for k, text in enumerate(said):
            heard = words(text, 10.0 * k)
            await shelf.keep_final(Caption(TRACK, UtteranceId(f"u{k}"), 1, True, "fr", heard))
            unsure = tuple(replace(word, confidence=0.6) for word in heard)
            await shelf.keep_record(RecordText(TRACK, (UtteranceId(f"u{k}"),), "fr", unsure))
        await shelf.keep_runs(runs)
        await shelf.keep_end(1020.0)

    async def settled(self, within: float = 20.0) -> Settled:
        async with asyncio.timeout(within):
            while (how := (await self.store.meeting(MEETING)).settled) is None:  # noqa: ASYNC110 - as a client
                await asyncio.sleep(0.02)
        return how

    async def working(self) -> None:
        """Returns once the engine has a window of the meeting."""
        async with asyncio.timeout(20.0):
            while not self.engine.batches:  # noqa: ASYNC110 - a thread fills it
                await asyncio.sleep(0.01)


@asynccontextmanager
async def desk(
    folder: Path,
    voices: Voices | None = None,
    sounds: dict[TrackId, Kept | Exception] | None = None,
    engine: Engine | None = None,
    busy: set[MeetingId] | None = None,
    board: Board | None = None,
    again: float = 600.0,
) -> AsyncIterator[Desk]:
    engine = engine or Engine(BETTER)
    store = SqlStore.open(f"sqlite:///{folder}/greffier.db")
    try:
        async with Batcher(engine, BatchSettings(callers=1)) as batcher:
            detector, loop = SileroModel(bundled_model()).detector, asyncio.get_running_loop()
            leases = MemoryLeases({} if board is None else board)
            done = Transcription(store, batcher, detector, AudioSpool, Sounds(), leases, ("fr",), loop)
            jobs = RecordingJobs(StubBroker(), done, retry_after=0.05)
            work = LeasedWork(leases, loop, done.stopping)
            search = None if voices is None else VoiceSearch(lambda: voices)
            settling = Settling(store, work, KeptSounds(sounds or {}), batcher, AudioSpool, search)

            async def is_busy(meeting: MeetingId) -> bool:
                return meeting in (busy or ())

            sending = SettlingJobs(jobs.broker, settling, is_busy, lambda: 2000.0, 0.0, 0.02, 0.05, again)
            one = Desk(store, engine, jobs, sending)
            yield one
            engine.door.set()
            await one.close()
    finally:
        await store.close()


def told(transcript: Transcript) -> list[tuple[str, str]]:
    return [(segment.participant.name, text_of(segment)[0]) for segment in transcript.segments]


def texts(transcript: Transcript) -> list[str]:
    return [text for _, text in told(transcript)]


KEPT: dict[TrackId, Kept | Exception] = {TRACK: Kept()}

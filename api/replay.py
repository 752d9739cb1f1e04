"""Recordings replayed as the live tracks of one meeting, through the whole live path."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import InitVar, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Protocol

from media_gateway.files import FileTap, Recording, ReplayClock, track_of
from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import Caption, MeetingId, Participant, ParticipantId, Track, TrackId, Transcript, VoiceRun
from pipeline.edge import MeetingEdge
from pipeline.errors import GreffierError, UnreadableMedia
from pipeline.live.meeting import MeetingCaptioner
from pipeline.ports import AudioSource, Recognizer, SpeechDetector, VoiceModel
from pipeline.record.assemble import assemble
from pipeline.record.division import Division
from pipeline.running.shared_rooms import SharedRooms
from pipeline.session import Session, SessionTotals
from pipeline.store.memory import MemoryTranscriptStore
from pipeline.store.spool import AudioSpool
from pipeline.streams import StreamingRecognizer


@dataclass(frozen=True, slots=True)
class Voice:
    """One recording and the track it is replayed as; it is heard from ``start`` seconds on."""

    path: Path
    track: Track
    start: float = 0.0


class Audience(Protocol):
    """Whoever is shown captions, at meeting time ``at``."""

    def show(self, caption: Caption, at: float) -> None: ...

    def tell(self, track: Track, runs: Sequence[VoiceRun], at: float) -> None:
        """Which voices said the words of one utterance, all that is known of it so far."""


@dataclass(slots=True)
class _Sink:
    """Shows captions, and which voices of ``rooms`` said them.

    Once that fails, ``failed`` is called and the rest of the meeting is heard unseen.
    """

    audience: Audience
    clock: ReplayClock
    store: MemoryTranscriptStore
    failed: Callable[[], None]
    model: InitVar[VoiceModel | None]
    failure: Exception | None = None
    rooms: SharedRooms = field(init=False)

    def __post_init__(self, model: VoiceModel | None) -> None:
        self.rooms = SharedRooms(model, self._tell, marked=lambda _: True, kept=float("inf"))

    async def send(self, caption: Caption) -> None:
        self._give(lambda: self.audience.show(caption, self.clock.now()))
        self.rooms.see(caption)

    def _tell(self, track: Track, runs: tuple[VoiceRun, ...]) -> None:
        self.store.runs[runs[0].utterance] = list(runs)
        self._give(lambda: self.audience.tell(track, runs, self.clock.now()))

    def _give(self, write: Callable[[], None]) -> None:
        if self.failure is not None:
            return
        try:
            write()
        except (GreffierError, OSError) as error:
            self.failure = error
            self.failed()


@dataclass(slots=True)
class Replay:
    """One replay: ``run`` plays it to its end, ``stop`` ends it early and keeps what was said.

    An audience that raises ends it too: ``run`` raises that error once what was said is kept. With a ``voice_model``
    every track is a shared room, whose voices are told apart.
    """

    voices: Sequence[Voice]
    captioner: MeetingCaptioner
    recognizer: Recognizer
    detectors: Callable[[], SpeechDetector]
    audience: Audience
    speed: float = 1.0
    store: MemoryTranscriptStore = field(default_factory=MemoryTranscriptStore)
    totals: SessionTotals = field(default_factory=SessionTotals)
    errors: list[UnreadableMedia] = field(default_factory=list)
    voice_model: VoiceModel | None = None
    streams: StreamingRecognizer | None = None
    _players: "asyncio.Task[None] | None" = None

    async def run(self) -> None:
        clock = ReplayClock(self.speed)
        bus = MemoryAudioBus(lossless=self.speed == 0.0)
        memory = AudioSpool()
        sink = _Sink(self.audience, clock, self.store, self.stop, self.voice_model)
        heard = sink.rooms.overhear(bus)
        recognizer, store, now = self.recognizer, self.store, clock.now
        session = Session(self.captioner, recognizer, heard, memory, sink, store, now, self.streams, self.totals)
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(_run(session, bus))
                listening = group.create_task(sink.rooms.run())
                self._players = asyncio.ensure_future(self._play(bus, clock))
                with suppress(asyncio.CancelledError):
                    await self._players
                await bus.close()
                await running
                await sink.rooms.settle()
                listening.cancel()
        finally:
            memory.close()
        if sink.failure is not None:
            raise sink.failure

    def stop(self) -> None:
        if self._players is not None:
            self._players.cancel()

    def transcript(self, title: str) -> Transcript:
        tracks: Mapping[TrackId, Participant] = {voice.track.id: voice.track.participant for voice in self.voices}
        return assemble(
            MeetingId("replay"),
            tracks,
            self.store.finals.values(),
            self.store.records,
            self.store.gaps,
            Division(runs=list(chain.from_iterable(self.store.runs.values()))),
            title,
        )

    async def _play(self, bus: MemoryAudioBus, clock: ReplayClock) -> None:
        edge = MeetingEdge(self.detectors)
        try:
            async with asyncio.TaskGroup() as group:
                for voice in self.voices:
                    tap = FileTap(voice.path, voice.track, clock, start=voice.start)
                    group.create_task(self._pump(tap, edge, bus))
        finally:
            for event in edge.close():
                await bus.send(event)

    async def _pump(self, tap: AudioSource, edge: MeetingEdge, bus: MemoryAudioBus) -> None:
        """A recording that turns out to be no recording stops its own track only."""
        try:
            async for event in tap.events():
                for passed in edge.feed(event):
                    await bus.send(passed)
        except UnreadableMedia as error:
            self.errors.append(error)


async def _run(session: Session, bus: MemoryAudioBus) -> None:
    """Runs the session; when it ends, nobody listens any more and no sender has to wait."""
    try:
        await session.run()
    finally:
        await bus.close()


def voices_of(paths: Sequence[Path]) -> list[Voice]:
    """One voice per file, named by its file name, ``-2`` and so on when repeated. Raises ``UnreadableMedia``."""
    for path in paths:
        Recording.open(path)
    names = unrepeated([path.name for path in paths])
    return [Voice(path, track_of(path, name)) for path, name in zip(paths, names, strict=True)]


def unrepeated(names: Sequence[str]) -> list[str]:
    """``names``, each one that came before with ``-2``, ``-3`` and so on."""
    taken: set[str] = set()
    different = []
    for name in names:
        count = 1
        chosen = name
        while chosen in taken:
            count += 1
            chosen = f"{name}-{count}"
        taken.add(chosen)
        different.append(chosen)
    return different


def named(path: Path, name: str, languages: tuple[str, ...], start: float) -> Voice:
    track = Track(TrackId(path.name), Participant(ParticipantId(path.name), name), languages)
    return Voice(path, track, start)

"""Running meetings as tests want them: a store in a file, that can be made to fail, a scripted engine, a set clock."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from models.batching import Batcher, BatchSettings
from models.level import LevelDetector
from models.scripted import ScriptedEngine
from pipeline.bus.feed import CaptionFeed, Event
from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
    Word,
)
from pipeline.errors import InvalidInput, StorageFull
from pipeline.live.meeting import MeetingCaptioner
from pipeline.live.settings import LiveSettings
from pipeline.running import Equipment, RunningMeeting, RunningMeetings
from pipeline.store.spool import AudioSpool
from pipeline.store.sql import SqlStore
from tests.recordings import beep, silence

Answer = TypeVar("Answer")
MEETING = MeetingId("council")
ANNE = Participant(ParticipantId("anne"), "Anne")
BILAL = Participant(ParticipantId("bilal"), "Bilal")
SETTINGS = LiveSettings(step=0.4, first=0.4, margin=0.3, doubt=0.3, sure=0.5)
BATCHES = BatchSettings(callers=2, batch=8, gather=0.0005, calm=0.01, stall=5.0)


@dataclass(slots=True)
class Clock:
    """Meeting time and wall time, moved by the test."""

    at: float = 0.0

    def wall(self) -> float:
        return 1_700_000_000.0 + self.at

    def steady(self) -> float:
        return 500.0 + self.at


class Talker:
    """An ``AudioSource`` driven by a test: it says sound, at its pace, until it hangs up or breaks."""

    def __init__(self, track: Track, clock: Clock) -> None:
        self.track = track
        self._clock = clock
        self._events: asyncio.Queue[TrackEvent | Exception | None] = asyncio.Queue()
        self._events.put_nowait(TrackOpened(track, clock.at))

    async def events(self) -> AsyncIterator[TrackEvent]:
        while (event := await self._events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    def send(self, event: TrackEvent) -> None:
        self._events.put_nowait(event)

    def sound(self, seconds: float, *, loud: bool) -> None:
        """Sound of the last ``seconds``, in frames of 100 ms; the clock must stand where it ends."""
        samples = beep(seconds) if loud else silence(seconds)
        start = self._clock.at - seconds
        for begin in range(0, len(samples), SAMPLE_RATE // 10):
            piece = samples[begin : begin + SAMPLE_RATE // 10]
            self.send(AudioFrame(self.track.id, start + begin / SAMPLE_RATE, np.asarray(piece)))

    def hang_up(self) -> None:
        self.send(TrackClosed(self.track.id, self._clock.at))
        self._events.put_nowait(None)

    def fail(self, failure: Exception) -> None:
        self._events.put_nowait(failure)


class FragileStore(SqlStore):
    """A ``SqlStore`` on a disk that tests can fill."""

    full: bool = False
    refused: int = 0

    async def _write(self, statement: Callable[..., Any], *given: Any, **named: Any) -> Any:
        if self.full:
            self.refused += 1
            raise StorageFull("there is no room left")
        return await super()._write(statement, *given, **named)


class TellingFeed(CaptionFeed):
    """A ``CaptionFeed`` that remembers every event, also those that others took the place of."""

    def __init__(self, first: int) -> None:
        self.told: list[Event] = []
        super().__init__(first, self.told.append)


@dataclass(slots=True)
class Stage:
    """One process; another on the same folder is the next one. The engine hears nothing while ``gate`` is closed."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    script: dict[TrackId, Sequence[Word]] = field(default_factory=dict)
    engine: ScriptedEngine = field(init=False)
    store: FragileStore = field(init=False)
    batcher: Batcher = field(init=False)
    meetings: RunningMeetings = field(init=False)
    forgotten: list[MeetingId] = field(default_factory=list)
    empty_after: float = 600.0
    database_url: str | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def __aenter__(self) -> "Stage":
        self.gate.set()
        self.engine = ScriptedEngine(self.script, wait=self.wait)
        self.store = FragileStore.open(self.database_url or f"sqlite:///{self.folder / 'greffier.sqlite'}")
        self.batcher = await Batcher(self.engine, BATCHES).__aenter__()
        self.meetings = RunningMeetings(self.equipment(), self.empty_after)
        await self.meetings.start()
        return self

    def wait(self, _: float) -> None:
        self.gate.wait(10.0)

    async def __aexit__(self, *_: object) -> None:
        self.gate.set()
        await self.meetings.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.batcher.__aexit__()
        await self.store.close()

    def equipment(self) -> Equipment:
        return Equipment(
            store=self.store,
            recognizer=self.batcher,
            new_captioner=self.new_captioner,
            check_languages=check_languages,
            new_detector=LevelDetector,
            new_bus=MemoryAudioBus,
            new_memory=AudioSpool,
            new_feed=TellingFeed,
            forget=self.forget,
            wall=self.clock.wall,
            steady=self.clock.steady,
        )

    def new_captioner(self, languages: tuple[str, ...], glossary: tuple[str, ...]) -> MeetingCaptioner:
        captioner = MeetingCaptioner(SETTINGS, languages or ("en",))
        captioner.set_glossary(glossary)
        return captioner

    async def forget(self, meeting: MeetingId) -> None:
        self.forgotten.append(meeting)

    async def create(self, meeting: MeetingId = MEETING, **fields: Any) -> None:
        await self.store.create_meeting(Meeting(meeting, "Council", self.clock.wall(), **fields))

    async def open(self, meeting: MeetingId = MEETING) -> RunningMeeting:
        await self.create(meeting)
        return await self.meetings.of(meeting)

    async def kill(self) -> None:
        """The process is gone: nothing is finished, told or kept any more."""
        for meeting in self.meetings.all():
            await meeting.cancel()
        self.meetings._running.clear()

    async def talker(self, meeting: RunningMeeting, participant: Participant = ANNE, **fields: Any) -> Talker:
        """``participant`` publishes a track."""
        talker = Talker(await meeting.join(participant, **fields), self.clock)
        self.tasks.append(asyncio.create_task(meeting.publish(talker, talker.track)))
        return talker

    async def say(self, talker: Talker, text: str, *, pause: float = 1.0) -> None:
        """Half a second of beep for each word of ``text`` from now on, then ``pause`` seconds of silence."""
        await self.begin(talker, text)
        self.clock.at += pause
        talker.sound(pause, loud=False)

    async def begin(self, talker: Talker, text: str) -> None:
        """As ``say``, but the speech goes on; the clock moves with the sound."""
        start, words = self.clock.at, text.split()
        self.script[talker.track.id] = [
            *self.script.get(talker.track.id, ()),
            *(Word(f" {word}", start + k * 0.5, start + (k + 1) * 0.5 - 0.05, 0.9) for k, word in enumerate(words)),
        ]
        for _ in words:
            self.clock.at += 0.5
            talker.sound(0.5, loud=True)
            await asyncio.sleep(0.01)


def check_languages(languages: tuple[str, ...]) -> None:
    if strange := set(languages) - {"en", "fr"}:
        raise InvalidInput(f"this model does not know the language {', '.join(sorted(strange))}")


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a meeting tells only its readers
            await asyncio.sleep(0.002)


async def eventually(ask: Callable[[], Awaitable[Answer]], good: Callable[[Answer], object]) -> Answer:
    """The first good answer."""
    async with asyncio.timeout(5.0):
        while not good(answer := await ask()):  # noqa: ASYNC110 - a store tells nobody
            await asyncio.sleep(0.01)
    return answer


def events(meeting: RunningMeeting, kind: str) -> list[Event]:
    """All that were told, but of captions the newest of each utterance."""
    told = [reading.event for reading in meeting.feed.history()]
    if kind != "caption":
        told = cast(TellingFeed, meeting.feed).told
    return [event for event in told if event["type"] == kind]


def finals(meeting: RunningMeeting) -> list[tuple[object, object]]:
    """Speaker and text of all finals told, in the order of their utterances' last change."""
    return [
        (event["speaker"], str(event["committed"]).strip()) for event in events(meeting, "caption") if event["final"]
    ]


def notices(meeting: RunningMeeting) -> list[object]:
    return [event["code"] for event in events(meeting, "notice")]


def states(meeting: RunningMeeting) -> list[object]:
    return [event["state"] for event in events(meeting, "meeting")]


async def kept(store: SqlStore, meeting: MeetingId = MEETING) -> list[str]:
    return [final.committed.strip() for final in await store.finals(meeting)]

"""Gateways and workers on a real Redis and a real PostgreSQL in one event loop, and sound that says what it is.

Each word is sound of a constant value of its own, which the engine of the workers reads off the samples: what is lost
on the way is not heard, whoever hears it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from models.batching import Batcher, BatchSettings
from models.level import LevelDetector
from pipeline.bus.feed import CaptionFeed
from pipeline.bus.memory import MemoryAudioBus
from pipeline.bus.redis.connection import RedisBus
from pipeline.distributed.offers import Offers, broker_at
from pipeline.distributed.owned import OwnedMeeting
from pipeline.distributed.remote_meeting import RemoteMeeting, Shared
from pipeline.distributed.remote_meetings import RemoteMeetings
from pipeline.distributed.watch import Watch
from pipeline.distributed.worker import LiveWorker
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Hypothesis,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Samples,
    Track,
    TrackEvent,
    TrackOpened,
    Window,
    Word,
)
from pipeline.export.event import Event
from pipeline.live.meeting import MeetingCaptioner
from pipeline.live.settings import LiveSettings
from pipeline.running import Equipment
from pipeline.store.spool import AudioSpool
from pipeline.store.sql import SqlStore
from tests.server_process import WAIT

COUNCIL = MeetingId("council")
ANNE = Participant(ParticipantId("anne"), "Anne")
BERT = Participant(ParticipantId("bert"), "Bert")
SETTINGS = LiveSettings(step=0.3, first=0.3, first_look=0.3, margin=0.2, doubt=0.2, join=0.5, record_join=0.5)
WORD = 0.2
"""Seconds of sound of each word."""
_FRAME = 0.05
_LOWEST, _STEP = 2_000, 40
_SHORTEST = 0.05


def said(number: int) -> str:
    return f" w{number}"


@dataclass(slots=True)
class ListeningEngine:
    """Hears the words that are in the sound; nothing while ``deaf``."""

    deaf: bool = False

    def hear(self, batch: Sequence[tuple[Window, Samples]]) -> list[Hypothesis]:
        return [Hypothesis(() if self.deaf else tuple(self._words(*each)), "en") for each in batch]

    @staticmethod
    def _words(window: Window, samples: Samples) -> "list[Word]":
        done = window.prefix[-1].end if window.prefix else float("-inf")
        edges = [0, *(np.flatnonzero(np.diff(samples)) + 1).tolist(), len(samples)]
        found = []
        for first, last in pairwise(edges):
            start, end = window.start + first / SAMPLE_RATE, window.start + last / SAMPLE_RATE
            value, whole = int(samples[first]) if last > first else 0, last < len(samples)
            if value and end - start >= _SHORTEST and (start + end) / 2 > done:
                found.append(Word(said((value - _LOWEST) // _STEP), start, end, 0.9 if whole else 0.3))
        return found


class Talker:
    """An ``AudioSource`` in real time: silence, and words as they are asked for; ``number`` counts them."""

    def __init__(self, track: Track, now: Callable[[], float], first: int = 1) -> None:
        self.track = track
        self.number = first - 1
        self._now = now
        self._waiting: list[int] = []
        self._quiet = asyncio.Event()
        self._hung_up = False

    async def say(self, words: int) -> list[str]:
        """Returns once they are said; what they are."""
        await self.begin(words)
        self._quiet.clear()
        await self._quiet.wait()
        return [said(number) for number in range(self.number - words + 1, self.number + 1)]

    async def begin(self, words: int) -> None:
        self._waiting.extend(range(self.number + 1, self.number + words + 1))
        self.number += words

    def hang_up(self) -> None:
        self._hung_up = True

    async def events(self) -> AsyncIterator[TrackEvent]:
        at = self._now()
        yield TrackOpened(self.track, at)
        pieces = round(WORD / _FRAME)
        current, left = 0, 0
        while not self._hung_up:
            if not left:
                current, left = (self._waiting.pop(0), pieces) if self._waiting else (0, 1)
                if not current:
                    self._quiet.set()
            left -= 1
            await asyncio.sleep(max(0.0, at + _FRAME - self._now()))
            value = _LOWEST + _STEP * current if current else 0
            yield AudioFrame(self.track.id, at, np.full(round(_FRAME * SAMPLE_RATE), value, np.int16))
            at += _FRAME


@dataclass(slots=True)
class Gateway:
    bus: RedisBus
    offers: Offers
    meetings: RemoteMeetings
    stops: AsyncExitStack
    talking: list["asyncio.Task[None]"] = field(default_factory=list)
    announcing: Callable[[], Awaitable[None]] | None = None

    async def talker(self, who: Participant = ANNE, meeting: MeetingId = COUNCIL, first: int = 1) -> Talker:
        live = await self.meetings.of(meeting)
        talker = Talker(await live.join(who), live.now, first)
        self.talking.append(asyncio.create_task(live.publish(talker, talker.track)))
        return talker

    async def meeting(self, meeting: MeetingId = COUNCIL) -> RemoteMeeting:
        return await self.meetings.of(meeting)

    async def die(self) -> None:
        """As kill -9: nothing is told to anybody any more."""
        for live in self.meetings.all():
            live._outlet = None
        await self.bus.close()


@dataclass(slots=True)
class Worker:
    live: LiveWorker
    bus: RedisBus
    offers: Offers
    engine: ListeningEngine

    def owned(self, meeting: MeetingId = COUNCIL) -> OwnedMeeting | None:
        return self.live.owned(meeting)

    async def die(self) -> None:
        """As kill -9: everything stops where it is, and the lease lapses."""
        await self.offers.pause()
        for owned in self.live._owned.values():
            owned.running._running.cancel()
            await owned.feed.close_pump()
        running = [*self.live._running.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self.live._owned.clear()
        self.live._running.clear()


@dataclass(slots=True)
class Ministry:
    """``store`` holds one meeting."""

    url: str
    store: SqlStore
    bus: RedisBus
    stack: AsyncExitStack

    async def gateway(self, name: str = "gateway-1") -> Gateway:
        from pipeline.bus.redis.registry import Registry

        bus = await self._bus(name)
        offers = Offers(broker_at(self.url))
        self.stack.push_async_callback(offers.close)
        shared = Shared(bus, self.store, LevelDetector, lambda languages: None)
        meetings = RemoteMeetings(shared, Watch(bus, offers, f"{name}/1"))
        gateway = Gateway(bus, offers, meetings, self.stack)
        gateway.announcing = await Registry.announce(bus, lambda: {"role": "gateway"})
        self.stack.push_async_callback(gateway.announcing)
        self.stack.push_async_callback(meetings.close)
        await meetings.start()
        self.stack.push_async_callback(_ended, gateway.talking)
        return gateway

    async def worker(self, name: str, *, talkers: int = 8, empty_after: float = 600.0, **more: Any) -> Worker:
        from pipeline.bus.redis.registry import Registry

        bus = await self._bus(name)
        engine = ListeningEngine()
        batcher = await self.stack.enter_async_context(Batcher(engine, BatchSettings(callers=1, batch=8, gather=0.001)))
        equipment = Equipment(
            store=self.store,
            recognizer=batcher,
            new_captioner=_captioner,
            check_languages=lambda languages: None,
            new_detector=LevelDetector,
            new_bus=MemoryAudioBus,
            new_memory=AudioSpool,
            new_feed=CaptionFeed,
            **more,
        )
        offers = Offers(broker_at(self.url))
        live = LiveWorker(bus, offers, equipment, talkers, empty_after)
        self.stack.push_async_callback(offers.close)
        self.stack.push_async_callback(live.close)
        self.stack.push_async_callback(
            await Registry.announce(bus, lambda: {"role": "worker", "talkers_possible": talkers, "load": live.load})
        )
        await live.start()
        return Worker(live, bus, offers, engine)

    async def _bus(self, name: str) -> RedisBus:
        bus = await RedisBus.open(self.url, name)
        self.stack.push_async_callback(bus.close)
        return bus

    async def finals(self, meeting: MeetingId = COUNCIL) -> list[str]:
        """Their words, one after the other."""
        return [word.text for final in await self.store.finals(meeting) for word in final.words]


@asynccontextmanager
async def ministry(redis_url: str, database_url: str) -> AsyncIterator[Ministry]:
    async with AsyncExitStack() as stack:
        store = await asyncio.to_thread(SqlStore.open, database_url)
        stack.push_async_callback(store.close)
        bus = await RedisBus.open(redis_url, "test-1")
        stack.push_async_callback(bus.close)
        one = Ministry(redis_url, store, bus, stack)
        await store.create_meeting(Meeting(COUNCIL, "Council", bus.wall(), ("en",)))
        yield one


@dataclass(slots=True)
class Reader:
    """Reads a meeting from its beginning; ``events`` is all that came, ``at`` when, by the loop's clock."""

    meeting: RemoteMeeting
    events: list[Event] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    async def run(self) -> None:
        async for batch in self.meeting.feed.read(None):
            self.events.extend(reading.event for reading in batch)
            self.at.extend([asyncio.get_running_loop().time()] * len(batch))

    def captions(self) -> list[Event]:
        return [event for event in self.events if event["type"] == "caption"]

    def committed(self) -> list[str]:
        """The words of all utterances as they are now, in the order in which the utterances began."""
        newest = {event["utterance"]: event for event in self.captions()}
        return [word["text"] for event in newest.values() for word in event["words"]]  # type: ignore[attr-defined]

    def finals(self) -> list[str]:
        newest = {event["utterance"]: event for event in self.captions() if event["final"]}
        return [word["text"] for event in newest.values() for word in event["words"]]  # type: ignore[attr-defined]


@asynccontextmanager
async def reading(meeting: RemoteMeeting) -> AsyncIterator[Reader]:
    reader = Reader(meeting)
    running = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def in_order(reader: Reader) -> bool:
    """Every number is there once but for those that another event of their key replaced before they were read."""
    numbers = [int(str(event["sequence"])) for event in reader.events]
    return numbers == sorted(set(numbers))


def never_changed(reader: Reader) -> bool:
    """Committed words of an utterance only grow, under growing revisions, and nothing comes after its final."""
    newest: dict[object, tuple[int, bool, list[str]]] = {}
    for event in reader.captions():
        words = [word["text"] for word in event["words"]]  # type: ignore[attr-defined]
        revision, final, before = newest.get(event["utterance"], (0, False, []))
        if final or int(str(event["revision"])) <= revision or words[: len(before)] != before:
            return False
        newest[event["utterance"]] = (int(str(event["revision"])), bool(event["final"]), words)
    return True


async def until(holds: Callable[[], object], within: float = WAIT) -> None:
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def eventually(ask: Callable[[], Awaitable[Any]], good: Callable[[Any], object], within: float = WAIT) -> Any:
    """The first good answer."""
    answer = None
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while not good(answer := await ask()):  # noqa: ASYNC110 - a store tells nobody
                await asyncio.sleep(0.02)
    assert good(answer), answer
    return answer


def _captioner(languages: tuple[str, ...], glossary: tuple[str, ...]) -> MeetingCaptioner:
    captioner = MeetingCaptioner(SETTINGS, languages or ("en",))
    captioner.set_glossary(glossary)
    return captioner


async def _ended(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

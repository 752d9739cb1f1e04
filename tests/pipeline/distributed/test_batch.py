"""Recordings that one process receives are transcribed by others, each by one of them, whatever happens to Redis."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.jobs import RecordingQueue, jobs_over_redis
from models.batching import Batcher, BatchSettings
from pipeline import leased
from pipeline.bus.leases import Board, MemoryLeases
from pipeline.distributed.offers import broker_at
from pipeline.domain import (
    Hypothesis,
    MeetingId,
    RecordingId,
    RecordingJob,
    RecordingState,
    Samples,
    Window,
    Word,
)
from pipeline.jobs import RecordingJobs
from pipeline.store.objects import FolderObjects
from pipeline.store.sql import SqlStore
from pipeline.store.uploads import upload_key
from tests.recordings import recorded
from tests.redis_server import RedisServer
from tests.server_process import WAIT

DONE, RUNNING = RecordingState.DONE, RecordingState.RUNNING


@dataclass(slots=True)
class Engine:
    """Hears its own name in each window; while its door is shut, each batch waits before it."""

    name: str
    heard: list[str] = field(default_factory=list)
    door: threading.Event = field(default_factory=threading.Event)

    def hear(self, batch: Sequence[tuple[Window, Samples]]) -> list[Hypothesis]:
        self.heard.extend(window.track for window, _ in batch)
        self.door.wait(WAIT)
        return [Hypothesis((Word(f" {self.name}.", window.start, window.end),), "en") for window, _ in batch]


@dataclass(slots=True)
class Ministry:
    """What processes share: the store, the files, Redis and the leases."""

    url: str
    store: SqlStore
    objects: FolderObjects
    board: Board = field(default_factory=dict)
    late: dict[str, float] = field(default_factory=dict)

    async def receive(self, name: str) -> RecordingId:
        """As the API does."""
        recording, broker = RecordingId(name), broker_at(self.url)
        with recorded("en_jfk.flac").open("rb") as file:
            await self.objects.put(upload_key(recording), file)
        await self.store.create_recording(RecordingJob(recording, name, time.time(), MeetingId(f"meeting-{name}")))
        await RecordingQueue(broker).send(recording)
        broker.client.close()
        return recording

    @asynccontextmanager
    async def worker(self, name: str, *, shut: bool = False) -> AsyncIterator[tuple[Engine, RecordingJobs]]:
        engine, broker = Engine(name), broker_at(self.url)
        if not shut:
            engine.door.set()
        leases = MemoryLeases(self.board, lambda: time.monotonic() + self.late.get(name, 0.0))
        async with Batcher(engine, BatchSettings(callers=1)) as batcher:
            running = jobs_over_redis(broker, self.store, batcher, self.objects, leases, ("en",))
            await running.start()
            try:
                yield engine, running
            finally:
                engine.door.set()
                await running.close()
                broker.client.close()

    async def state(self, recording: RecordingId, state: RecordingState) -> RecordingJob:
        async with asyncio.timeout(WAIT):
            while (job := await self.store.recording(recording)).state is not state:  # noqa: ASYNC110 - as a client
                await asyncio.sleep(0.02)
        return job

    async def said(self, recording: RecordingId) -> list[str]:
        finals = await self.store.finals((await self.store.recording(recording)).meeting)
        return [final.committed for final in finals]


@pytest.fixture
async def ministry(redis_server: RedisServer, postgresql_url: str, tmp_path: Path) -> AsyncIterator[Ministry]:
    store = SqlStore.open(postgresql_url)
    yield Ministry(redis_server.url, store, FolderObjects(tmp_path / "objects"))
    await store.close()


async def test_a_recording_is_transcribed_by_a_process_that_did_not_receive_it(ministry: Ministry) -> None:
    recording = await ministry.receive("board")
    async with ministry.worker("anne"):
        await ministry.state(recording, DONE)
        assert await ministry.said(recording) == [" anne."]
    assert not [path for path in (ministry.objects.path("recordings/x").parent).iterdir() if path.is_file()]


async def test_two_workers_share_what_waits_and_each_recording_is_worked_on_once(ministry: Ministry) -> None:
    async with ministry.worker("anne", shut=True) as (anne, _), ministry.worker("bert", shut=True) as (bert, _):
        recordings = [await ministry.receive(f"board-{number}") for number in range(4)]
        async with asyncio.timeout(WAIT):
            while not (anne.heard and bert.heard):  # noqa: ASYNC110 - threads of engines fill them
                await asyncio.sleep(0.02)
        anne.door.set()
        bert.door.set()
        for recording in recordings:
            await ministry.state(recording, DONE)
    assert sorted([*anne.heard, *bert.heard]) == sorted(recordings)


async def test_what_an_emptied_redis_has_lost_is_taken_up_and_nobody_works_on_it_twice(
    ministry: Ministry, redis_server: RedisServer
) -> None:
    async with ministry.worker("anne", shut=True) as (anne, jobs):
        in_hand, waiting = await ministry.receive("in-hand"), await ministry.receive("waiting")
        await ministry.state(in_hand, RUNNING)
        redis_server.empty()
        async with ministry.worker("bert") as (bert, _):
            await ministry.state(waiting, DONE)
            await jobs.take_up()
            anne.door.set()
            await ministry.state(in_hand, DONE)
    assert (anne.heard, bert.heard) == ([in_hand], [waiting])


async def test_a_worker_that_stops_leaves_its_recording_to_another(ministry: Ministry) -> None:
    async with ministry.worker("anne", shut=True) as (_, jobs):
        recording = await ministry.receive("board")
        await ministry.state(recording, RUNNING)
        await jobs.close()
        async with ministry.worker("bert"):
            await ministry.state(recording, DONE)
            assert await ministry.said(recording) == [" bert."]


async def test_a_worker_that_was_asleep_meanwhile_writes_nothing(
    ministry: Ministry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leased, "_RENEW", 3600.0)  # as one whose threads all stand still
    async with ministry.worker("anne", shut=True) as (anne, _):
        recording = await ministry.receive("board")
        async with asyncio.timeout(WAIT):
            while not anne.heard:  # noqa: ASYNC110 - a thread of the engine fills it
                await asyncio.sleep(0.02)
        ministry.late["bert"] = 60.0
        async with ministry.worker("bert") as (bert, _):  # takes up what is unfinished
            job = await ministry.state(recording, DONE)
            ministry.late["anne"] = 120.0
            anne.door.set()
            async with asyncio.timeout(WAIT):
                while "recording.superseded" not in caplog.messages:  # noqa: ASYNC110 - a thread says so
                    await asyncio.sleep(0.02)
        assert (anne.heard, bert.heard) == ([recording], [recording])
        assert await ministry.store.recording(recording) == job
        assert await ministry.said(recording) == [" bert."]

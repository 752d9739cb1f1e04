"""Meetings that others captioned are settled by workers of the queue of recordings, each once, whoever goes away."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api.jobs import jobs_over_redis
from api.settings import Settle
from api.settling import BatchJobs, batch_jobs, settling_of
from models.batching import Batcher, BatchSettings
from pipeline.bus.leases import Board, MemoryLeases
from pipeline.distributed.offers import broker_at
from pipeline.domain import Caption, Meeting, MeetingId, Settled, TrackId, UtteranceId
from pipeline.record.texts import text_of
from pipeline.store.audio import TrackAudio, audio_key
from pipeline.store.objects import FolderObjects
from pipeline.store.sql import SqlStore
from tests.houses import settings_in
from tests.pipeline.settling_desk import BETTER, HEARD, ROOM, SAID, TRACK, Engine, words
from tests.recordings import frames_of, noise
from tests.redis_server import RedisServer
from tests.server_process import WAIT

MEETING = MeetingId("point")


@asynccontextmanager
async def worker(
    url: str, store: SqlStore, objects: FolderObjects, board: Board, *, shut: bool = False
) -> AsyncIterator[tuple[Engine, BatchJobs]]:
    engine, broker = Engine(BETTER), broker_at(url)
    if shut:
        engine.door.clear()

    async def free(_: MeetingId) -> bool:
        return False

    async with Batcher(engine, BatchSettings(callers=1)) as batcher:
        recordings = jobs_over_redis(broker, store, batcher, objects, MemoryLeases(board), ("fr",))
        settings = settings_in(Path("unused"), settle=Settle.AUTO)
        running = batch_jobs(recordings, settings, settling_of(recordings, store, objects, None), free, time.time, 1.0)
        await running.start()
        try:
            yield engine, running
        finally:
            engine.door.set()
            await running.close()
            broker.client.close()


@pytest.fixture
async def store(postgresql_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore.open(postgresql_url)
    yield store
    await store.close()


async def held(store: SqlStore, objects: FolderObjects, ended_at: float) -> None:
    """A meeting whose gateway was killed: its sound is there in parts."""
    await store.create_meeting(Meeting(MEETING, "Point", ended_at - 60.0, keep_audio=True))
    await store.add_participant(MEETING, ROOM)
    await store.next_track(MEETING, ROOM.id)
    for number, text in enumerate(SAID):
        final = Caption(TRACK, UtteranceId(f"u{number}"), 1, True, "fr", words(text, 10.0 * number))
        await store.for_meeting(MEETING).keep_final(final)
    key = audio_key(MEETING, TrackId(TRACK))
    whole = objects.path("whole.ogg")
    sound = TrackAudio(whole)
    for frame in frames_of(noise(15.0, -40.0), TRACK):
        sound.write(frame)
    sound.finish()
    kept = whole.read_bytes()
    await objects.put(f"{key}.parts/00000", kept[:5000])
    await objects.put(f"{key}.parts/00001", kept[5000:])
    await store.for_meeting(MEETING).keep_end(ended_at)


async def settled(store: SqlStore) -> Settled:
    async with asyncio.timeout(WAIT):
        while (how := (await store.meeting(MEETING)).settled) is None:  # noqa: ASYNC110 - as a client
            await asyncio.sleep(0.02)
    return how


async def test_a_worker_settles_a_meeting_that_others_captioned_once_its_sound_had_time_to_come(
    redis_server: RedisServer, store: SqlStore, tmp_path: Path
) -> None:
    objects, board = FolderObjects(tmp_path / "objects"), {}
    ended_at = time.time() - 0.5
    await held(store, objects, ended_at)
    url = redis_server.url
    async with worker(url, store, objects, board) as (one, _), worker(url, store, objects, board) as (other, _):
        assert await settled(store) is Settled.SOUND
        assert time.time() >= ended_at + 1.0
        transcript = await store.transcript(MEETING)
    assert [text_of(segment)[0] for segment in transcript.segments] == HEARD
    assert sorted(len(engine.batches) for engine in (one, other)) == [0, 2]


async def test_what_a_worker_leaves_when_it_ends_another_one_settles(
    redis_server: RedisServer, store: SqlStore, tmp_path: Path
) -> None:
    objects, board = FolderObjects(tmp_path / "objects"), {}
    await held(store, objects, time.time() - 60.0)
    async with worker(redis_server.url, store, objects, board, shut=True) as (one, jobs):
        async with asyncio.timeout(WAIT):
            while not one.batches:  # noqa: ASYNC110 - a thread fills it
                await asyncio.sleep(0.02)
        await jobs.close()
        assert (await store.meeting(MEETING)).settled is None
    async with worker(redis_server.url, store, objects, board):
        assert await settled(store) is Settled.SOUND

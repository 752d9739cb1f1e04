"""The moshi dialect of a worker: its recogniser serves meetings and connections, and counts who talks in both."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from api.channels import TRACK
from api.keys import new_key
from api.roles import Role
from pipeline.access import Scope
from pipeline.domain import Word
from pipeline.store.sql import SqlStore
from tests.api.moshi_client import audio_messages, moshi_client
from tests.api.role_serving import ServedRole, role_serving, shared_settings
from tests.recordings import heard, silence
from tests.redis_server import RedisServer

CLIP = "en_LJ001-0002.wav"
WORDS = [Word(f" w{k}", 0.1 + 0.3 * k, 0.35 + 0.3 * k) for k in range(5)]


@pytest.fixture
async def worker(tmp_path: Path, redis_server: RedisServer, postgresql_url: str) -> AsyncIterator[ServedRole]:
    """Its ``http`` sends a key for recognition and metrics."""
    settings = shared_settings(tmp_path, redis_server.url, postgresql_url)
    key, text = new_key("agent", {Scope.RECOGNITION, Scope.METRICS}, time.time())
    store = await asyncio.to_thread(SqlStore.open, settings.database_url)
    await store.add_key(key)
    await store.close()
    async with role_serving(settings, Role.WORKER, text, script={TRACK.id: WORDS}) as served:
        yield served


def sockets_of(worker: ServedRole) -> tuple[str, str]:
    """The address of its sockets, and the key."""
    return str(worker.http.base_url).replace("http", "ws").rstrip("/"), worker.http.headers["authorization"].split()[1]


async def test_words_come_from_a_worker_and_whoever_talks_there_takes_room_from_meetings(worker: ServedRole) -> None:
    async with moshi_client(*sockets_of(worker)) as client:
        await client.send(*audio_messages(heard(CLIP)))
        await client.until("Word")
        metrics = await worker.metrics()
        assert metrics["greffier_channels"] == 1
        assert metrics["greffier_talkers_held"] == 1
        assert metrics["greffier_load"] > 0
        await client.send(*audio_messages(silence(1.5)))
        await client.until("EndWord", len(WORDS))
        assert client.text == "w0 w1 w2 w3 w4"


async def test_its_connections_end_after_it_has_handed_its_meetings_over(worker: ServedRole) -> None:
    async with moshi_client(*sockets_of(worker)) as client:
        await client.until("Ready")
        worker.server.should_exit = True
        await client.send(*audio_messages(np.concatenate([heard(CLIP), silence(1.0)])))
        assert (await client.until_closed())[0] == 1012


async def test_a_key_without_the_scope_is_refused_and_recordings_are_taken(worker: ServedRole) -> None:
    answer = await worker.http.post("/api/asr-streaming", content=b"no sound")
    assert answer.status_code == 422
    stranger = await worker.http.post("/api/asr-streaming", content=b"", headers={"Authorization": "Bearer grf_wrong"})
    assert stranger.status_code == 401

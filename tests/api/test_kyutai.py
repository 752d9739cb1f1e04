"""A server that is told of Kyutai servers: whose words meetings have, and what health, metrics and the doctor say."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websockets
from prometheus_client.parser import text_string_to_metric_families

from api.doctor import Level, examine
from api.roles import Role
from api.settings import KyutaiSettings, Settings
from pipeline.domain import MeetingId, Samples, Word
from tests.api.conftest import Greffier
from tests.api.role_serving import role_serving, shared_settings
from tests.api.serving import Serving, serving
from tests.kyutai.scripted_server import KEY, KyutaiServer, kyutai_server
from tests.kyutai.scripts import Babble, NewScript, Recited, Recording
from tests.recordings import heard, recorded, silence
from tests.redis_server import RedisServer

CLIP = "en_LJ010-0008.wav"
WORDS = [Word(f" mot{k}", 0.3 + 0.4 * k, 0.6 + 0.4 * k) for k in range(12)]
"""Within its speech."""
WAIT = 30.0


def kyutai(*servers: KyutaiServer, **more: Any) -> KyutaiSettings:
    return KyutaiSettings(tuple(server.url for server in servers), **{"key": KEY} | more)


async def say(served: Serving, meeting: MeetingId, sound: Samples) -> None:
    """As a browser sends it, at twice the pace of speech."""
    async with websockets.connect(f"{served.sockets}/api/v1/meetings/{meeting}/audio.ws", proxy=None) as socket:
        await socket.send(json.dumps({"token": served.token(meeting), "codec": "pcm16", "sample_rate": 16_000}))
        await socket.recv()
        for begin in range(0, len(sound), 1_280):
            await socket.send(sound[begin : begin + 1_280].tobytes())
            await asyncio.sleep(0.04)


async def said(served: Serving, meeting: MeetingId) -> str:
    """What finals hold once somebody has spoken."""
    async with asyncio.timeout(WAIT):
        while not (finals := await served.house.store.finals(meeting)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    return "".join(final.committed for final in finals)


async def readiness(served: Serving) -> tuple[int, dict[str, Any]]:
    answer = await served.http.get("/readyz")
    return answer.status_code, answer.json()


async def metrics(served: Serving) -> dict[str, float]:
    answer = await served.http.get("/metrics")
    families = text_string_to_metric_families(answer.text)
    return {sample.name: sample.value for family in families for sample in family.samples if "kyutai" in sample.name}


async def until_told(served: Serving, **wanted: object) -> None:
    async with asyncio.timeout(WAIT):
        while True:
            code, found = await readiness(served)
            assert code == 200
            if found.get("kyutai") == wanted["kyutai"] and found.get("degraded") == wanted.get("degraded"):
                return
            await asyncio.sleep(0.05)


async def test_a_meeting_has_the_words_of_kyutai_and_its_slot_is_free_again(tmp_path: Path) -> None:
    sound = np.concatenate([heard(CLIP), silence(1.5)])
    recording = Recording(heard(CLIP), WORDS)
    async with kyutai_server(lambda: Recited(recording)) as server, serving(tmp_path, kyutai=kyutai(server)) as served:
        await until_told(served, kyutai=[True])
        meeting = await served.meeting(languages=["fr"])
        await say(served, meeting, sound)
        assert await said(served, meeting) == "".join(word.text for word in WORDS)
        await server.until_open(0)
        found = await metrics(served)
        assert found["greffier_kyutai_healthy"] == 1
        assert found["greffier_kyutai_slots"] == 64
        assert found["greffier_kyutai_slots_used"] == 0
        assert found["greffier_kyutai_fallbacks_total"] == 0


async def test_languages_that_kyutai_does_not_know_go_to_whisper(tmp_path: Path) -> None:
    async with kyutai_server(Babble) as server, serving(tmp_path, kyutai=kyutai(server)) as served:
        await until_told(served, kyutai=[True])
        meeting = await served.meeting(languages=["de"])
        await say(served, meeting, heard(CLIP)[:32_000])
        await served.http.post(f"/api/v1/meetings/{meeting}/end")
    assert server.said == []


async def test_a_process_whose_kyutai_is_away_is_ready_and_says_that_it_is_degraded(tmp_path: Path) -> None:
    async with (
        kyutai_server(Babble) as one,
        kyutai_server(Babble) as other,
        serving(tmp_path, kyutai=kyutai(one, other)) as served,
    ):
        await until_told(served, kyutai=[True, True])
        await other.stop()
        await until_told(served, kyutai=[True, False], degraded=True)
        assert (await metrics(served))["greffier_kyutai_healthy"] == 0  # of the last one
        await other.start()
        await until_told(served, kyutai=[True, True])


async def test_a_live_worker_has_them_and_a_batch_worker_asks_nobody(
    tmp_path: Path, redis_server: RedisServer, postgresql_url: str
) -> None:
    settings = shared_settings(tmp_path, redis_server.url, postgresql_url)
    async with kyutai_server(Babble) as server:
        chosen = replace(settings, kyutai=kyutai(server))
        async with role_serving(chosen, Role.WORKER) as worker:
            await server.until_open(0)
            assert (await worker.http.get("/readyz")).json()["kyutai"] == [True]
            assert server.opened >= 1
        looks = server.opened
        async with role_serving(chosen, Role.WORKER, queue="batch") as worker:
            assert "kyutai" not in (await worker.http.get("/readyz")).json()
        assert server.opened == looks


def findings(settings: Settings) -> list[tuple[Level, str]]:
    return [(finding.level, finding.said) for finding in examine(settings) if finding.subject == "kyutai"]


async def test_the_doctor_says_of_each_server_whether_it_would_let_us_in(tmp_path: Path) -> None:
    async with kyutai_server(Babble) as well, kyutai_server(Babble) as full, kyutai_server(Babble) as away:
        full.channels = 0
        await away.stop()
        urls = kyutai(well, full, away)
        found = await asyncio.to_thread(findings, Settings(cache=tmp_path, kyutai=urls))
        wrong = await asyncio.to_thread(findings, Settings(cache=tmp_path, kyutai=kyutai(well, key="s3cret")))
        with suppress(OSError):
            await away.start()
    assert [level for level, _ in found] == [Level.FINE, Level.FINE, Level.MISSING]
    assert found[0][1] == f"{well.url} answers and accepts the key, built as now"
    assert "no free channels" in found[1][1]
    assert found[2][1].startswith(f"{away.url}: it cannot be reached")
    assert wrong == [(Level.MISSING, f"{well.url}: the key is refused")]


@contextmanager
def in_a_thread(script: NewScript) -> Iterator[KyutaiServer]:
    """A server beside a command that has the event loop."""
    server, ended = KyutaiServer(script), threading.Event()
    started = threading.Event()

    async def serve() -> None:
        await server.start()
        started.set()
        await asyncio.to_thread(ended.wait)
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait(WAIT)
    try:
        yield server
    finally:
        ended.set()
        thread.join()


def test_greffier_caption_has_the_words_of_kyutai(
    greffier: Greffier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(heard(CLIP), WORDS)
    with in_a_thread(lambda: Recited(recording)) as server:
        monkeypatch.setenv("GREFFIER_KYUTAI_URLS", server.url)
        monkeypatch.setenv("GREFFIER_KYUTAI_KEY", KEY)
        written = tmp_path / "events.jsonl"
        assert greffier("caption", recorded(CLIP), "--events", written, "--speed", 2).code == 0
    finals = [event for event in map(json.loads, written.read_text().splitlines()) if event.get("final")]
    told = "".join(word["text"] for final in finals for word in final["words"])
    assert told == "".join(word.text for word in WORDS)

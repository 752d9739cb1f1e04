"""What each process of the distributed mode needs, measures and tells is its own, and true."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from api.keys import new_key
from api.roles import Role
from api.settings import Settings
from pipeline.access import Scope
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.registry import Registry
from pipeline.store.sql import SqlStore
from tests.api.role_serving import ServedRole, role_serving, shared_settings
from tests.postgresql_server import PostgreSql
from tests.redis_server import RedisServer, running_redis

WAIT = 30.0


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, redis_server: RedisServer, postgresql_url: str) -> Settings:
    return shared_settings(tmp_path, redis_server.url, postgresql_url)


@asynccontextmanager
async def all_roles(settings: Settings) -> AsyncIterator[dict[Role, ServedRole]]:
    key, text = new_key("prometheus", {Scope.METRICS}, time.time())
    store = await asyncio.to_thread(SqlStore.open, settings.database_url)
    await store.add_key(key)
    await store.close()
    async with AsyncExitStack() as stack:
        yield {
            role: await stack.enter_async_context(role_serving(settings, role, text))
            for role in (Role.API, Role.GATEWAY, Role.WORKER)
        }


async def becomes(http: httpx.AsyncClient, status: int) -> dict[str, bool]:
    async with asyncio.timeout(WAIT):
        while True:
            answer = await http.get("/readyz")
            if answer.status_code == status:
                found: dict[str, bool] = answer.json()
                return found
            await asyncio.sleep(0.05)


async def test_each_role_is_ready_by_what_it_needs(settings: Settings) -> None:
    async with all_roles(settings) as roles:
        found = {role: await becomes(served.http, 200) for role, served in roles.items()}
    assert found == {
        Role.API: {"ready": True, "store": True, "redis": True},
        Role.GATEWAY: {"ready": True, "store": True, "redis": True},
        Role.WORKER: {"ready": True, "engine": True, "store": True, "redis": True},
    }


@pytest.mark.parametrize("role", [Role.API, Role.GATEWAY, Role.WORKER])
async def test_a_process_without_redis_lives_and_is_not_ready(
    role: Role, tmp_path: Path, own_redis: RedisServer, postgresql_url: str
) -> None:
    async with role_serving(shared_settings(tmp_path, own_redis.url, postgresql_url), role) as served:
        own_redis.pause()
        try:
            found = await becomes(served.http, 503)
            assert (found["redis"], found["store"]) == (False, True)
            assert (await served.http.get("/healthz")).status_code == 200
        finally:
            own_redis.resume()
        await becomes(served.http, 200)


async def test_a_process_without_its_database_lives_and_is_not_ready(
    settings: Settings, postgresql: PostgreSql
) -> None:
    async with role_serving(settings, Role.WORKER) as served:
        postgresql.pause()
        try:
            found = await becomes(served.http, 503)
            assert (found["redis"], found["store"]) == (True, False)
            assert (await served.http.get("/healthz")).status_code == 200
        finally:
            postgresql.resume()
        await becomes(served.http, 200)


async def test_a_worker_that_hands_over_is_not_ready(settings: Settings) -> None:
    async with role_serving(settings, Role.WORKER) as served:
        await served.server._stop()
        answer = await served.http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "engine": True, "store": True, "redis": True, "draining": True}
        assert served.vitals.facts()["draining"] is True


async def test_a_worker_exports_what_an_autoscaler_follows(settings: Settings) -> None:
    async with all_roles(settings) as roles:
        found = {role: await served.metrics() for role, served in roles.items()}
    worker = found[Role.WORKER]
    assert worker["greffier_talkers_held"] == 0
    assert worker["greffier_talkers_possible"] == 8  # of tests/houses.py
    assert worker["greffier_load"] == 0
    assert {"greffier_failovers_total", "greffier_watchdog_resets_total", "greffier_superseded_total"} <= worker.keys()
    assert "greffier_load" not in found[Role.GATEWAY].keys() | found[Role.API].keys()
    for role, measured in found.items():
        assert measured["greffier_redis_reachable"] == 1
        assert measured["greffier_jobs_waiting live"] == measured["greffier_jobs_waiting batch"] == 0
        assert any(name.startswith(f"greffier_process_info {role}") for name in measured)
    assert "greffier_readers" in found[Role.API]
    assert {"greffier_audio_sent_seconds_total", "greffier_audio_kept_seconds"} <= found[Role.GATEWAY].keys()


async def test_metrics_take_a_key_with_their_scope_in_every_role(settings: Settings) -> None:
    async with all_roles(settings) as roles:
        for served in roles.values():
            answer = await served.http.get("/metrics", headers={"Authorization": "Bearer none"})
            assert answer.status_code == 401


async def test_processes_tell_each_other_that_they_are_there_until_they_stop(
    settings: Settings, redis_server: RedisServer
) -> None:
    bus = await RedisBus.open(redis_server.url, "test-1")
    try:
        async with all_roles(settings) as roles:
            said = {str(facts["process"]): facts for facts in await Registry.all(bus)}
            assert said.keys() == {served.process for served in roles.values()}
            facts = said[roles[Role.WORKER].process]
            assert (facts["role"], facts["queue"], facts["talkers_possible"], facts["load"]) == ("worker", "live", 8, 0)
            assert abs(float(str(facts["started_at"])) - bus.wall()) < WAIT
        assert await Registry.all(bus) == []
    finally:
        await bus.close()

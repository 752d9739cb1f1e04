"""Processes know of each other, of what is wanted, and are told what to do."""

import asyncio
import json

import pytest

from pipeline.bus.redis import keys, wanted
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.control import Control
from pipeline.bus.redis.registry import Registry
from pipeline.domain import MeetingId
from tests.pipeline.bus.redis.waiting import process, until
from tests.redis_server import RedisServer

M, OTHER = MeetingId("m"), MeetingId("other")


async def says(bus: RedisBus, facts: dict[str, object]) -> bool:
    return facts in await Registry.all(bus)


async def test_whoever_follows_is_told_from_then_on(worker: RedisBus, gateway: RedisBus) -> None:
    await Control.tell(gateway, M, do="pause")
    told: list[dict[str, object]] = []
    also: list[dict[str, object]] = []
    stop = await Control.follow(worker, M, told.append)
    await Control.follow(gateway, M, also.append)
    await Control.tell(gateway, M, do="languages", languages=["fr", "en"], participant="ana")
    await Control.tell(gateway, OTHER, do="end")
    await until(lambda: told and also)
    assert told == also == [{"do": "languages", "languages": ["fr", "en"], "participant": "ana"}]
    await stop()
    await Control.tell(gateway, M, do="resume")
    await until(lambda: len(also) == 2)
    assert len(told) == 1


async def test_a_process_is_there_while_it_says_so(
    worker: RedisBus, gateway: RedisBus, redis_server: RedisServer
) -> None:
    facts = {"talkers": 3}
    stop = await Registry.announce(worker, lambda: facts)
    await Registry.announce(gateway, lambda: {"meetings": 2})
    assert await Registry.alive(gateway, ["worker-1", "worker-2"]) == {"worker-1"}
    assert await Registry.all(worker) == [
        {"process": "gateway-1", "meetings": 2},
        {"process": "worker-1", "talkers": 3},
    ]
    facts["talkers"] = 4
    await until(lambda: says(gateway, {"process": "worker-1", "talkers": 4}))
    with redis_server.connect() as client:
        assert 0 < client.pttl(keys.of_process("worker-1")) <= 3000
    await stop()
    assert await Registry.alive(gateway, ["worker-1"]) == set()
    assert [each["process"] for each in await Registry.all(gateway)] == ["gateway-1"]


async def test_a_process_is_there_again_after_redis_was_emptied(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus:
        stop = await Registry.announce(bus, dict)
        await asyncio.to_thread(own_redis.empty)
        await until(lambda: Registry.alive(bus, ["worker-1"]))
        await stop()


async def test_a_meeting_is_wanted_for_5_seconds(worker: RedisBus, redis_server: RedisServer) -> None:
    assert not await wanted.wanted(worker, M)
    await wanted.want(worker, [])
    await wanted.want(worker, [M, OTHER])
    assert await wanted.wanted(worker, M)
    with redis_server.connect() as client:
        assert 4000 < client.pttl(keys.of_meeting(M, "wanted")) <= 5000


async def test_one_process_offers_a_meeting_in_2_seconds(
    worker: RedisBus, gateway: RedisBus, redis_server: RedisServer
) -> None:
    assert sorted([await wanted.may_offer(worker, M), await wanted.may_offer(gateway, M)]) == [False, True]
    with redis_server.connect() as client:
        client.pexpire(keys.of_meeting(M, "offered"), 1)
    await until(lambda: wanted.may_offer(gateway, M))


async def test_an_offer_that_waits_is_not_made_again(worker: RedisBus, redis_server: RedisServer) -> None:
    await wanted.offer_waits(worker, M, 12.0)
    assert not await wanted.may_offer(worker, M)
    with redis_server.connect() as client:
        assert client.pttl(keys.of_meeting(M, "offered")) > 10_000


async def test_nothing_of_a_meeting_stays_for_ever(worker: RedisBus, redis_server: RedisServer) -> None:
    await Control.tell(worker, M, do="end")
    with redis_server.connect() as client:
        assert client.ttl(keys.of_meeting(M, "control")) > 3600
        client.hset(keys.of_meeting(M, "history"), "=a", json.dumps({}))
        await wanted.expire_meeting(worker, M)
        for what in ("control", "history"):
            assert client.ttl(keys.of_meeting(M, what)) == pytest.approx(3600, abs=5)

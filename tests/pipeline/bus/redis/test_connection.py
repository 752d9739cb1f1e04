"""A process knows whether Redis is there, what time it is there, and when it comes back."""

import asyncio
import time

import pytest

from pipeline.bus.redis import keys
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.scripts import ACQUIRE
from pipeline.errors import BusFailed, InvalidSetting
from tests.pipeline.bus.redis.waiting import process, until
from tests.redis_server import RedisServer
from tests.server_process import free_port


class Returns:
    """Counts them."""

    def __init__(self, bus: RedisBus) -> None:
        self.count = 0
        self.cancel = bus.on_return(self.act)

    async def act(self) -> None:
        self.count += 1


async def test_a_url_that_is_none_is_named_without_what_is_in_it() -> None:
    with pytest.raises(InvalidSetting, match="GREFFIER_REDIS_URL") as refused:
        await RedisBus.open("http://:secret@host", "api-1")
    assert "secret" not in str(refused.value)


async def test_a_redis_that_is_not_there_fails_within_5_seconds_and_names_the_setting() -> None:
    began = time.monotonic()
    with pytest.raises(BusFailed, match="GREFFIER_REDIS_URL"):
        await RedisBus.open(f"redis://:secret@127.0.0.1:{free_port()}", "api-1")
    assert time.monotonic() - began < 6.0


async def test_the_wall_clock_is_that_of_redis(worker: RedisBus, redis_server: RedisServer) -> None:
    with redis_server.connect() as client:
        before = worker.wall()
        seconds, micros = client.time()
        after = worker.wall()
    assert before - 0.05 < seconds + micros / 1e6 < after + 0.05


async def test_what_many_ask_at_once_is_answered_to_each(worker: RedisBus) -> None:
    async def count(name: str) -> list[object]:
        return [await worker.call("INCR", name) for _ in range(50)]

    counted = await asyncio.gather(*(count(f"count-{number}") for number in range(20)))
    assert counted == [list(range(1, 51))] * 20


async def test_one_refused_command_fails_alone(worker: RedisBus) -> None:
    refused, answered = await asyncio.gather(
        worker.call("NONSENSE"), worker.call("ECHO", "still"), return_exceptions=True
    )
    assert isinstance(refused, BusFailed)
    assert answered == b"still"


async def test_scripts_that_redis_has_forgotten_are_loaded_again(worker: RedisBus, redis_server: RedisServer) -> None:
    assert await worker.run(ACQUIRE, ["a"], ["me", 1000]) == 1
    with redis_server.connect() as client:
        client.script_flush()
    asked = [worker.run(ACQUIRE, [key], ["another", 1000]) for key in ("a", "b")]
    assert await asyncio.gather(*asked, worker.call("ECHO", "x")) == [0, 1, b"x"]


@pytest.mark.parametrize("server", ["own_redis", "keeping_redis"])
async def test_a_restart_is_told_once_and_asking_works_again(server: str, request: pytest.FixtureRequest) -> None:
    redis: RedisServer = request.getfixturevalue(server)
    async with process(redis, "worker-1") as bus:
        returns, content = Returns(bus), bus.content
        await asyncio.to_thread(redis.kill)
        with pytest.raises(BusFailed):
            await bus.ping()
        await until(lambda: not bus.reachable)
        assert returns.count == 0
        await asyncio.to_thread(redis.start)
        await until(lambda: returns.count)
        assert bus.reachable
        assert bus.content != content
        await bus.ping()
        await asyncio.sleep(1.2)
        assert returns.count == 1


async def test_a_restart_between_two_looks_is_told_too_and_fails_nobody(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus:
        returns = Returns(bus)
        await bus.ping()
        await asyncio.to_thread(own_redis.restart)
        await bus.ping()
        await until(lambda: returns.count)
        assert returns.count == 1


async def test_an_emptied_redis_is_told_to_every_process_once(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus, process(own_redis, "gateway-1") as other:
        returns = [Returns(bus), Returns(other)]
        await asyncio.to_thread(own_redis.empty)
        await until(lambda: all(each.count for each in returns))
        await asyncio.sleep(1.2)
        assert [each.count for each in returns] == [1, 1]
        assert bus.content == other.content


async def test_a_redis_that_says_nothing_for_5_seconds_blocks_nobody_and_is_told_once(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus:
        returns, content = Returns(bus), bus.content
        own_redis.pause()
        began = time.monotonic()
        with pytest.raises(BusFailed):
            await bus.ping()
        assert time.monotonic() - began < 4.0
        await asyncio.sleep(5.0 - (time.monotonic() - began))
        assert not bus.reachable
        own_redis.resume()
        await until(lambda: returns.count)
        await until(lambda: bus.reachable)
        assert returns.count == 1
        assert bus.content == content


async def test_who_has_cancelled_is_not_told_and_one_who_fails_holds_up_nobody(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus:
        cancelled, told = Returns(bus), Returns(bus)
        cancelled.cancel()

        async def fail() -> None:
            raise BusFailed("lost again")

        bus.on_return(fail)
        await asyncio.to_thread(own_redis.empty)
        await until(lambda: told.count)
        assert cancelled.count == 0


async def test_processes_agree_on_a_word_for_what_redis_holds(worker: RedisBus, gateway: RedisBus) -> None:
    assert worker.content == gateway.content
    assert (await worker.call("GET", keys.LIFE)).decode() == worker.content.split("/")[1]


async def test_a_closed_bus_asks_nothing_more(redis_server: RedisServer) -> None:
    async with process(redis_server, "worker-1") as bus:
        pass
    with pytest.raises(BusFailed):
        await bus.ping()

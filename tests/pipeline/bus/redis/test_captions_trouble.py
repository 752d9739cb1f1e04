"""Captions over a Redis that is restarted, emptied, silent or full, and readers that are far behind."""

import asyncio

import pytest

from pipeline.bus.redis import captions_out, keys
from pipeline.bus.redis.captions_in import MirroredFeed
from pipeline.bus.redis.captions_out import PublishedFeed
from pipeline.bus.redis.leases import RedisLeases
from tests.pipeline.bus.redis.captioning import LEASE, OURS, THEIRS, M, in_stream, notice, numbers, owned, say, told
from tests.pipeline.bus.redis.waiting import process, until
from tests.redis_server import RedisServer


async def test_a_mirror_that_is_far_behind_a_trimmed_stream_loads_the_history(
    feed: PublishedFeed, mirror: MirroredFeed, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    monkeypatch.setattr(captions_out, "_STREAM_LENGTH", 100)
    say(feed, "a#0", " one", final=True)
    await until(lambda: mirror.newest == 1)
    for number in range(5000):
        say(feed, f"b#{number // 10}", f" {number}")
    await until(lambda: mirror.newest == feed.newest)
    assert len(in_stream(redis_server)) < 1000
    assert mirror.history() == feed.history()


@pytest.mark.parametrize("server", ["own_redis", "keeping_redis"])
async def test_over_a_restart_nothing_is_lost_and_numbers_go_on(server: str, request: pytest.FixtureRequest) -> None:
    redis: RedisServer = request.getfixturevalue(server)
    async with process(redis, "worker-1") as bus, process(redis, "api-1") as api:
        feed, mirror = await owned(bus), await MirroredFeed.open(api, M)
        for number in range(50):
            say(feed, f"a#{number}", f" {number}", final=True)
        await until(lambda: mirror.newest == 50)
        await asyncio.to_thread(redis.kill)
        for number in range(50, 100):
            say(feed, f"a#{number}", f" {number}", final=True)
        for number in range(100, 110):
            say(feed, "a#0", f" changed {number}")
        await asyncio.to_thread(redis.start)
        await RedisLeases(bus, OURS).acquire(LEASE, 60.0)
        await until(lambda: mirror.newest == 110)
        await feed.flush()
        assert mirror.history() == feed.history()
        assert not feed.superseded.is_set()
        assert in_stream(redis)[-60:] == list(range(51, 111))
        assert in_stream(redis)[0] == (1 if redis.keeps else 2)
        late = await MirroredFeed.open(api, M)
        assert late.history() == feed.history()
        for each in (late, mirror):
            await each.stop()
        await feed.close_pump()


async def test_an_emptied_redis_gets_the_whole_history_again_with_its_numbers(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus, process(own_redis, "api-1") as api:
        feed, mirror = await owned(bus), await MirroredFeed.open(api, M)
        for number in range(100):
            say(feed, f"a#{number // 2}", f" {number}")
        await until(lambda: mirror.newest == 100)
        await asyncio.to_thread(own_redis.empty)
        await RedisLeases(bus, OURS).acquire(LEASE, 60.0)
        await feed.republish()
        late = await MirroredFeed.open(api, M)
        assert numbers(late.history()) == list(range(2, 101, 2))
        say(feed, "b#1", " more")
        await until(lambda: late.newest == mirror.newest == 101)
        assert late.history() == mirror.history() == feed.history()
        for each in (late, mirror):
            await each.stop()
        await feed.close_pump()


async def test_an_emptied_redis_gets_it_by_itself_with_the_next_event(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus, process(own_redis, "api-1") as api:
        feed = await owned(bus)
        say(feed, "a#1", " one")
        await feed.flush()
        await asyncio.to_thread(own_redis.empty)
        await RedisLeases(bus, OURS).acquire(LEASE, 60.0)
        say(feed, "a#2", " two")
        await feed.flush()
        late = await MirroredFeed.open(api, M)
        assert late.history() == feed.history()
        await late.stop()
        await feed.close_pump()


async def test_after_a_restart_in_which_nobody_wrote_the_next_owner_takes_new_numbers(
    keeping_redis: RedisServer,
) -> None:
    """What Redis has forgotten at the end of its file, readers may have seen."""
    async with process(keeping_redis, "worker-1") as bus, process(keeping_redis, "api-1") as api:
        feed, mirror = await owned(bus), await MirroredFeed.open(api, M)
        for number in range(10):
            say(feed, f"a#{number}", f" {number}", final=True)
        await until(lambda: mirror.newest == 10)
        await feed.close_pump()
        with keeping_redis.connect() as client:
            client.xdel(keys.of_meeting(M, "captions"), "9-0", "10-0")
            client.delete(keys.PREFIX + LEASE)
        await asyncio.to_thread(keeping_redis.restart)
        async with process(keeping_redis, "worker-2") as other:
            second = await owned(other, THEIRS, first=10_001)
            assert second.restored
            assert say(second, "b#1", " more") == 10_001
            await until(lambda: mirror.newest == 10_001)
            assert told(mirror.history(10)) == [" more"]
            await second.close_pump()
        await mirror.stop()


async def test_an_owner_without_history_begins_anew_and_readers_get_everything_again(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus, process(own_redis, "api-1") as api:
        feed, mirror = await owned(bus), await MirroredFeed.open(api, M)
        say(feed, "a#1", " one", final=True)
        await until(lambda: mirror.newest == 1)
        reading = mirror.read(None)
        assert told(await anext(reading)) == [" one"]
        await feed.close_pump()
        await asyncio.to_thread(own_redis.empty)
        second = await owned(bus, THEIRS, first=10_001)
        assert not second.restored
        assert say(second, "a#1", " one", final=True) == 10_001
        say(second, "b#1", " two")
        async with asyncio.timeout(30.0):
            read = [one for _ in range(1) for one in await anext(reading)]
        await until(lambda: mirror.newest == 10_002)
        assert read[0].sequence == 10_001
        assert mirror.history() == mirror.history(1) == second.history(), "1 is a number of before"
        await reading.aclose()
        await second.close_pump()
        await mirror.stop()


async def test_while_redis_is_away_the_newest_of_each_key_waits_and_nothing_else(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions_out, "_WAITING", 100)
    async with process(own_redis, "worker-1") as bus, process(own_redis, "api-1") as api:
        feed, mirror = await owned(bus), await MirroredFeed.open(api, M)
        say(feed, "a#0", " zero")
        await until(lambda: mirror.newest == 1)
        own_redis.pause()
        for number in range(1000):
            say(feed, f"a#{number // 100}", f" {number}")
            notice(feed, f"notice {number}")
        own_redis.resume()
        await until(lambda: mirror.newest == 2001)
        assert mirror.history() == feed.history()
        assert len(in_stream(own_redis)) < 600
        await mirror.stop()
        await feed.close_pump()


async def test_a_redis_without_room_is_no_other_owner(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus:
        feed = await owned(bus)
        await feed.flush()
        with own_redis.connect() as client:
            client.config_set("maxmemory", "1mb")
            say(feed, "a#1", " one")
            await asyncio.sleep(0.5)
            assert not feed.superseded.is_set()
            client.config_set("maxmemory", "0")
        async with asyncio.timeout(10.0):
            await feed.flush()
        assert in_stream(own_redis) == [1]
        await feed.close_pump()


async def test_a_text_that_is_no_unicode_stops_nobody(feed: PublishedFeed, mirror: MirroredFeed) -> None:
    say(feed, "a#1", " half a pair: \ud83d")
    say(feed, "a#2", " two")
    await until(lambda: mirror.newest == 2)
    assert told(mirror.history()) == [" half a pair: ?", " two"]


async def test_a_redis_that_says_nothing_for_5_seconds_costs_no_event(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus, process(own_redis, "api-1") as api:
        feed, mirror = await owned(bus), await MirroredFeed.open(api, M)
        seen: list[int] = []

        async def read() -> None:
            async for batch in mirror.read(None):
                seen.extend(numbers(batch))

        reading = asyncio.create_task(read())
        for number in range(70):
            say(feed, f"a#{number}", f" {number}", final=True)
            if number == 10:
                own_redis.pause()
            if number == 60:
                own_redis.resume()
            await asyncio.sleep(0.1)
        await until(lambda: len(seen) == 70)
        assert seen == list(range(1, 71)) == in_stream(own_redis)
        reading.cancel()
        await asyncio.wait([reading])
        await mirror.stop()
        await feed.close_pump()

"""One connection reads all streams of a process, those that are added while it waits included."""

import asyncio
import logging
import time

import pytest

from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.reader import Entry
from tests.pipeline.bus.redis.waiting import process, until
from tests.redis_server import RedisServer


def words(entries: list[Entry]) -> list[str]:
    return [entry.fields[b"w"].decode() for entry in entries]


async def say(bus: RedisBus, key: str, word: str) -> None:
    await bus.call("XADD", key, "*", "w", word)


async def test_what_is_there_and_what_comes_is_given_in_order_and_as_bytes(worker: RedisBus) -> None:
    await worker.call("XADD", "s", "1-1", "w", "one", "p", b"\xff\x00\r\n")
    taken: list[Entry] = []
    await worker.reader.follow("s", "0", taken.extend)
    await until(lambda: taken)
    await say(worker, "s", "two")
    await until(lambda: len(taken) == 2)
    assert taken[0] == Entry("1-1", {b"w": b"one", b"p": b"\xff\x00\r\n"})
    assert words(taken) == ["one", "two"]


async def test_from_now_on_means_not_what_is_there(worker: RedisBus) -> None:
    await say(worker, "s", "before")
    taken: list[Entry] = []
    await worker.reader.follow("s", "$", taken.extend)
    await say(worker, "s", "after")
    await until(lambda: taken)
    assert words(taken) == ["after"]


async def test_a_stream_that_is_added_while_the_reader_waits_is_read_at_once(worker: RedisBus) -> None:
    first: list[Entry] = []
    await worker.reader.follow("first", "0", first.extend)
    await asyncio.sleep(0.1)
    await say(worker, "second", "there")
    second: list[Entry] = []
    began = time.monotonic()
    await worker.reader.follow("second", "0", second.extend)
    await until(lambda: second)
    assert time.monotonic() - began < 0.9, "the wait, which lasts a second, was not ended"


async def test_two_who_follow_one_stream_each_get_it_from_where_they_were(worker: RedisBus) -> None:
    early: list[Entry] = []
    late: list[Entry] = []
    await worker.reader.follow("s", "0", early.extend)
    await say(worker, "s", "one")
    await until(lambda: early)
    await say(worker, "s", "two")
    await worker.reader.follow("s", "0", late.extend)
    await until(lambda: len(late) == 2 and len(early) == 2)
    await say(worker, "s", "three")
    await until(lambda: len(late) == 3 and len(early) == 3)
    assert words(early) == words(late) == ["one", "two", "three"]


async def test_who_has_stopped_gets_nothing_more(worker: RedisBus) -> None:
    gone: list[Entry] = []
    there: list[Entry] = []
    stop = await worker.reader.follow("s", "0", gone.extend)
    await worker.reader.follow("s", "0", there.extend)
    await stop()
    await stop()
    await say(worker, "s", "one")
    await until(lambda: there)
    assert gone == []


async def test_one_who_fails_ends_nobody_elses_reading(worker: RedisBus, caplog: pytest.LogCaptureFixture) -> None:
    taken: list[Entry] = []

    def fail(entries: object) -> None:
        raise ValueError("a fault of this one")

    await worker.reader.follow("s", "0", fail)
    await worker.reader.follow("s", "0", taken.extend)
    with caplog.at_level(logging.ERROR):
        await say(worker, "s", "one")
        await until(lambda: taken)
        await say(worker, "s", "two")
        await until(lambda: len(taken) == 2)
    assert "reader.failed" in caplog.text


async def test_many_streams_are_read_together(worker: RedisBus, gateway: RedisBus) -> None:
    taken: dict[int, list[Entry]] = {number: [] for number in range(300)}
    await asyncio.gather(*(worker.reader.follow(f"s{number}", "0", taken[number].extend) for number in taken))
    for word in ("one", "two"):
        await asyncio.gather(*(say(gateway, f"s{number}", word) for number in taken))
    await until(lambda: all(len(each) == 2 for each in taken.values()))
    assert all(words(each) == ["one", "two"] for each in taken.values())


async def test_a_long_stream_is_read_to_its_end(worker: RedisBus) -> None:
    await worker.ask([("XADD", "s", "*", "w", str(number)) for number in range(3000)])
    taken: list[Entry] = []
    await worker.reader.follow("s", "0", taken.extend)
    await until(lambda: len(taken) == 3000)
    assert words(taken) == [str(number) for number in range(3000)]


async def test_after_a_restart_it_goes_on_where_it_was(keeping_redis: RedisServer) -> None:
    async with process(keeping_redis, "worker-1") as bus:
        taken: list[Entry] = []
        await bus.reader.follow("s", "0", taken.extend)
        await say(bus, "s", "one")
        await until(lambda: taken)
        await asyncio.to_thread(keeping_redis.restart)
        with keeping_redis.connect() as client:
            client.xadd("s", {"w": "two"})
        await until(lambda: len(taken) == 2)
        assert words(taken) == ["one", "two"]


async def test_in_an_emptied_redis_everything_is_new_whatever_its_ids(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus:
        taken: list[Entry] = []
        await bus.call("XADD", "s", "9999999999999-0", "w", "one")
        await bus.reader.follow("s", "0", taken.extend)
        await until(lambda: taken)
        await asyncio.to_thread(own_redis.empty)
        await say(bus, "s", "two")
        await until(lambda: len(taken) == 2)
        assert words(taken) == ["one", "two"]

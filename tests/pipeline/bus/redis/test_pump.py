"""What many meetings have to say goes together, and one that fails stops nobody."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.line import Answer, Command
from tests.pipeline.bus.redis.waiting import process, until
from tests.redis_server import RedisServer


@dataclass(eq=False)
class Saying:
    """Says ``words`` one after another."""

    words: list[Command]
    got: list[Answer] = field(default_factory=list)
    failures: int = 0

    def commands(self) -> Sequence[Command]:
        return self.words[:1]

    def answered(self, answers: Sequence[Answer]) -> bool:
        self.got += answers
        del self.words[: len(answers)]
        return bool(self.words)

    def unanswered(self) -> None:
        self.failures += 1


class Faulty(Saying):
    def commands(self) -> Sequence[Command]:
        raise ValueError("a fault of this one")


class FaultyAfterwards(Saying):
    def answered(self, answers: Sequence[Answer]) -> bool:
        raise ValueError("a fault of this one")


async def test_everybody_says_everything(worker: RedisBus) -> None:
    saying = [Saying([("INCR", f"count-{number}")] * 5) for number in range(100)]
    for each in saying:
        worker.audio.wake(each)
    await until(lambda: all(each.got == [1, 2, 3, 4, 5] for each in saying))


async def test_one_who_fails_stops_nobody(worker: RedisBus, caplog: pytest.LogCaptureFixture) -> None:
    there = Saying([("INCR", "count")] * 3)
    with caplog.at_level(logging.ERROR):
        for each in (Faulty([]), FaultyAfterwards([("ECHO", "x")]), there):
            worker.captions.wake(each)
        await until(lambda: there.got == [1, 2, 3])
    assert caplog.text.count("outbox.failed") == 2


async def test_what_redis_refuses_is_said_again_until_it_does_not(
    worker: RedisBus, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server.connect() as client:
        client.set("count", "no number")
        refused, there = Saying([("INCR", "count")]), Saying([("INCR", "another")])
        worker.captions.wake(refused)
        worker.captions.wake(there)
        await until(lambda: refused.failures and there.got == [1])
        client.delete("count")
        await until(lambda: refused.got == [1])
    assert "redis.refused" in caplog.text


async def test_who_is_forgotten_says_nothing_more(worker: RedisBus) -> None:
    gone, there = Saying([("INCR", "gone")]), Saying([("INCR", "there")])
    worker.captions.wake(gone)
    worker.captions.wake(there)
    worker.captions.forget(gone)
    await until(lambda: there.got)
    assert gone.got == []


async def test_what_waits_is_said_before_the_end_and_not_for_ever(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus:
        said = Saying([("INCR", "count")] * 20)
        bus.audio.wake(said)
    assert said.got == list(range(1, 21))
    async with process(own_redis, "worker-1") as bus:
        never = Saying([("INCR", "count")])
        await asyncio.to_thread(own_redis.kill)
        bus.captions.wake(never)
        async with asyncio.timeout(20.0):
            await bus.close()
    assert never.got == []

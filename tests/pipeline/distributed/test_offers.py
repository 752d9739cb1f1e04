"""A meeting that is offered is taken by one worker that has room, soon; others put it back or drop it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import dramatiq
import pytest

from pipeline.distributed.offers import Offers, Verdict, broker_at, put_back_for
from pipeline.domain import MeetingId
from pipeline.errors import BusFailed, InvalidSetting
from tests.redis_server import RedisServer
from tests.server_process import WAIT

MEETING = MeetingId("board")
Take = Callable[[MeetingId], Awaitable[Verdict]]


class Desk:
    """A worker that says the next of ``verdicts`` to each offer, the last of them for ever; ``seen`` says when."""

    def __init__(self, *verdicts: Verdict | Exception) -> None:
        self._verdicts = list(verdicts)
        self.seen: list[tuple[MeetingId, float]] = []
        self.asked = asyncio.Event()

    async def take(self, meeting: MeetingId) -> Verdict:
        self.seen.append((meeting, time.monotonic()))
        self.asked.set()
        verdict = self._verdicts.pop(0) if len(self._verdicts) > 1 else self._verdicts[0]
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    async def asked_times(self, times: int) -> None:
        async with asyncio.timeout(WAIT):
            while len(self.seen) < times:
                self.asked.clear()
                await self.asked.wait()


@asynccontextmanager
async def offers_at(url: str, take: Take | None = None, load: float = 0.0) -> AsyncIterator[Offers]:
    offers = Offers(broker_at(url))
    if take is not None:
        offers.serve(take, lambda: load)
    try:
        yield offers
    finally:
        await offers.close()


async def emptied(server: RedisServer) -> None:
    broker = broker_at(server.url)
    try:
        async with asyncio.timeout(WAIT):
            while await asyncio.to_thread(broker.do_qsize, "live"):  # noqa: ASYNC110 - as an operator
                await asyncio.sleep(0.02)
    finally:
        broker.client.close()


async def test_an_offer_is_taken_soon_and_is_gone(redis_server: RedisServer) -> None:
    desk, waited = Desk(Verdict.TAKEN), []
    async with offers_at(redis_server.url) as sender, offers_at(redis_server.url, desk.take):
        for number in range(1, 11):
            sent = time.monotonic()
            await sender.send(MeetingId(f"meeting-{number}"))
            await desk.asked_times(number)
            waited.append(desk.seen[-1][1] - sent)
        await emptied(redis_server)
    assert [meeting for meeting, _ in desk.seen] == [f"meeting-{number}" for number in range(1, 11)]
    assert sorted(waited)[5] < 0.25  # 0.03 on a quiet machine


async def test_an_offer_that_one_worker_has_no_room_for_is_taken_by_another(redis_server: RedisServer) -> None:
    full, free = Desk(Verdict.FULL), Desk(Verdict.TAKEN)
    async with offers_at(redis_server.url) as sender, offers_at(redis_server.url, full.take):
        await sender.send(MEETING)
        await full.asked_times(1)
        async with offers_at(redis_server.url, free.take):
            await free.asked_times(1)
            await emptied(redis_server)
    assert len(free.seen) == 1


async def test_an_offer_is_put_back_for_the_longer_the_more_there_is_to_do() -> None:
    delays = [put_back_for(load) for load in (0.5, 1.0, 2.0, 3.0, 9.0)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (1.0, 10.0)


async def test_an_offer_put_back_comes_again_after_its_delay_and_is_dropped_where_it_is_not_wanted(
    redis_server: RedisServer,
) -> None:
    desk = Desk(Verdict.FULL, Verdict.DROPPED)
    async with offers_at(redis_server.url) as sender, offers_at(redis_server.url, desk.take, load=1.0):
        await sender.send(MEETING)
        await desk.asked_times(2)
        await emptied(redis_server)
    assert desk.seen[1][1] - desk.seen[0][1] > 0.9


async def test_an_offer_comes_again_when_the_store_or_the_bus_failed_and_no_more_after_a_surprise(
    redis_server: RedisServer,
) -> None:
    desk = Desk(BusFailed("away"), ZeroDivisionError("surprise"))
    async with offers_at(redis_server.url) as sender, offers_at(redis_server.url, desk.take):
        await sender.send(MEETING)
        await desk.asked_times(2)
        await emptied(redis_server)
    assert len(desk.seen) == 2


async def test_offers_that_a_worker_had_in_hand_are_there_for_others_when_it_pauses(redis_server: RedisServer) -> None:
    held, free = asyncio.Event(), Desk(Verdict.TAKEN)

    async def slow(meeting: MeetingId) -> Verdict:
        await held.wait()
        return Verdict.FULL

    async with offers_at(redis_server.url) as sender, offers_at(redis_server.url, slow) as pausing:
        for number in range(30):
            await sender.send(MeetingId(f"meeting-{number}"))
        asyncio.get_running_loop().call_later(0.3, held.set)
        await pausing.pause()
        async with offers_at(redis_server.url, free.take):
            await free.asked_times(30)
            await emptied(redis_server)
    assert len({meeting for meeting, _ in free.seen}) == 30


async def test_an_offer_older_than_a_minute_is_not_looked_at(redis_server: RedisServer) -> None:
    desk, broker = Desk(Verdict.TAKEN), broker_at(redis_server.url)
    old = round((time.time() - 61.0) * 1000)
    broker.enqueue(dramatiq.Message("live", "caption_meeting", (MEETING,), {}, {}, message_timestamp=old))
    broker.client.close()
    async with offers_at(redis_server.url, desk.take):
        await emptied(redis_server)
    assert desk.seen == []


async def test_whoever_offers_learns_that_redis_is_away(redis_server: RedisServer) -> None:
    async with offers_at("redis://127.0.0.1:1/0") as sender:
        with pytest.raises(BusFailed, match="Redis does not take"):
            await sender.send(MEETING)


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(InvalidSetting, match="GREFFIER_REDIS_URL"):
        broker_at("localhost:6379")

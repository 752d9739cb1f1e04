"""A process is killed, stands still, or is replaced in mid sentence, and what was said is there."""

import asyncio
import time

from pipeline.distributed.offers import Offers, broker_at
from pipeline.domain import SAMPLE_RATE, MeetingId, Samples
from tests.faults.fleet import Fleet
from tests.faults.oracle import Said, judge_gap, judge_laws, judge_whole
from tests.faults.scene import scene

BACK = 15.0
"""Seconds after which captions go on, on a busy machine; make bench measures how soon they do on a quiet one."""
STALL = 8.0
LOST = 3.0
"""Seconds of sound that are gone before a worker is there to take the rest."""


async def test_a_worker_killed_in_mid_sentence_loses_no_word_though_clocks_are_apart(
    fleet: Fleet, speech: Samples, uninterrupted: list[Said], reference: str
) -> None:
    async with scene(fleet, speech, gateways=fleet.gateways[1:], apis=fleet.apis[1:], whip=True) as held:
        await held.reader.mid_sentence()
        owner = await held.owner()
        owner.kill()
        await held.goes_on(time.monotonic(), wait=BACK)
        assert await held.owner() is not owner
        await held.end()
    judge_laws(held.reader, held.stream, held.transcript)
    judge_whole(held, uninterrupted, reference)


async def test_a_worker_that_stood_still_finds_its_meeting_taken_over_and_writes_nothing(
    fleet: Fleet, speech: Samples, uninterrupted: list[Said], reference: str
) -> None:
    async with scene(fleet, speech) as held:
        await held.reader.mid_sentence()
        owner = await held.owner()
        owner.pause()
        stood_at = time.monotonic()
        await held.goes_on(stood_at, wait=BACK)
        follower = await held.owner()
        assert follower is not owner
        await asyncio.sleep(stood_at + STALL - time.monotonic())
        owner.resume()
        await held.said()
        assert await held.owner() is follower
        await held.end()
    judge_laws(held.reader, held.stream, held.transcript)
    judge_whole(held, uninterrupted, reference)


async def test_when_an_api_is_killed_its_readers_go_on_at_another(
    fleet: Fleet, speech: Samples, uninterrupted: list[Said], reference: str
) -> None:
    async with scene(fleet, speech) as held:
        await held.reader.mid_sentence()
        fleet.apis[0].kill()
        await held.goes_on(time.monotonic(), wait=BACK)
        assert len(held.reader.connections) > 1
        await held.end()
    judge_laws(held.reader, held.stream, held.transcript)
    judge_whole(held, uninterrupted, reference)


async def test_when_a_gateway_is_killed_the_sound_that_nobody_took_is_a_marked_gap(
    fleet: Fleet, speech: Samples, uninterrupted: list[Said]
) -> None:
    async with scene(fleet, speech) as held:
        await held.reader.mid_sentence()
        fleet.gateways[0].kill()
        await held.goes_on(time.monotonic(), wait=BACK)
        await held.end()
    (lost,) = held.talker.unheard
    judge_gap(held, lost, uninterrupted)
    judge_laws(held.reader, held.stream, held.transcript)


async def test_all_workers_are_replaced_in_turn_and_no_reader_is_told_of_anything(
    fleet: Fleet, speech: Samples, uninterrupted: list[Said], reference: str
) -> None:
    async with scene(fleet, speech) as held:
        await held.reader.mid_sentence()
        for worker in fleet.workers:
            stopping_at = time.monotonic()
            assert await asyncio.to_thread(worker.stop) == 0
            await held.goes_on(stopping_at, wait=BACK)
            await asyncio.to_thread(worker.start)
        await held.end()
    assert not [event["code"] for _, event in held.reader.events if event["type"] == "notice"]
    judge_laws(held.reader, held.stream, held.transcript)
    judge_whole(held, uninterrupted, reference)


async def test_of_the_workers_that_race_for_a_meeting_one_captions_it(fleet: Fleet, speech: Samples) -> None:
    offers = Offers(broker_at(fleet.store.url))
    async with scene(fleet, speech[: 5 * SAMPLE_RATE]) as held:
        await asyncio.gather(*(offers.send(MeetingId(held.meeting)) for _ in range(20)))
        await held.end()
    await offers.close()
    taken = f'"meeting.taken", "meeting": "{held.meeting}"'
    assert sum(worker.log().count(taken) for worker in fleet.workers) == 1
    judge_laws(held.reader, held.stream, held.transcript)


async def test_sound_that_waits_for_a_worker_longer_than_it_is_kept_is_a_marked_gap(
    fleet: Fleet, speech: Samples, uninterrupted: list[Said]
) -> None:
    keeps = 5.0
    for worker in fleet.workers:
        worker.kill()
    gateway = fleet.add("gateway", "--keeps", f"{keeps:g}")
    try:
        await asyncio.to_thread(gateway.start)
        async with scene(fleet, speech, gateways=[gateway]) as held:
            await held.reader.until(lambda event: event.get("code") == "waiting")
            await asyncio.sleep(max(0.0, held.began + keeps + LOST - held.now()))
            fleet.workers[0].launch()
            await held.owner()
            taken = min(held.now() - held.began, uninterrupted[-1].end)
            await held.end()
    finally:
        fleet.remove(gateway)
    judge_gap(held, (uninterrupted[0].start, taken - keeps), uninterrupted)
    judge_laws(held.reader, held.stream, held.transcript)

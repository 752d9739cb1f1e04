"""Readers of a feed get everything once, in order, from where they left off; a slow one gets the newest states."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

from pipeline.bus import feed as module
from pipeline.bus.feed import CaptionFeed, Reading


def caption(utterance: str, text: str, *, final: bool = False) -> dict[str, object]:
    return {"type": "caption", "utterance": utterance, "committed": text, "final": final}


def say(feed: CaptionFeed, utterance: str, text: str, *, final: bool = False) -> int:
    return feed.publish(caption(utterance, text, final=final), utterance)


def notice(feed: CaptionFeed, code: str) -> int:
    return feed.publish({"type": "notice", "code": code})


def told(readings: list[Reading]) -> list[object]:
    return [reading.event.get("committed") or reading.event.get("code") for reading in readings]


async def everything(reading: AsyncIterator[list[Reading]]) -> list[Reading]:
    async with asyncio.timeout(2.0):
        return [each async for batch in reading for each in batch]


async def first(feed: CaptionFeed, after: int | None) -> list[object]:
    reading = feed.read(after)
    async with asyncio.timeout(2.0):
        batch = await anext(reading)
    await reading.aclose()  # type: ignore[attr-defined]
    return told(batch)


async def test_events_come_numbered_in_order_and_as_json() -> None:
    feed = CaptionFeed(first=7)
    assert feed.newest == 6
    assert (say(feed, "a#1", " Bonjour"), notice(feed, "paused")) == (7, 8)
    feed.close()
    readings = await everything(feed.read(None))
    assert [reading.sequence for reading in readings] == [7, 8]
    assert [json.loads(reading.text) for reading in readings] == [reading.event for reading in readings]
    assert readings[0].event["sequence"] == 7
    assert list(readings[0].event)[:2] == ["type", "sequence"]


async def test_a_reader_who_comes_late_gets_the_newest_state_of_each_utterance() -> None:
    feed = CaptionFeed()
    say(feed, "a#1", " one")
    say(feed, "b#1", " two")
    say(feed, "a#1", " one and more", final=True)
    assert await first(feed, None) == [" two", " one and more"]


async def test_a_reader_who_comes_back_gets_what_is_newer_and_nothing_else() -> None:
    feed = CaptionFeed()
    say(feed, "a#1", " one")
    seen = say(feed, "b#1", " two")
    say(feed, "a#1", " one and more")
    notice(feed, "paused")
    assert await first(feed, seen) == [" one and more", "paused"]


async def test_numbers_from_before_a_restart_and_from_nowhere_get_everything() -> None:
    feed = CaptionFeed(first=10_001)
    say(feed, "a#1", " one")
    say(feed, "b#1", " two")
    for unknown in (0, 9_000, 10_000, 10_003, -1):
        assert await first(feed, unknown) == [" one", " two"], unknown
    assert await first(feed, 10_001) == [" two"]


async def test_a_waiting_reader_is_woken_and_gets_what_came_together_in_one_batch() -> None:
    feed = CaptionFeed()
    reading = feed.read(None)
    waiting = asyncio.ensure_future(anext(reading))
    await asyncio.sleep(0)
    assert not waiting.done()
    say(feed, "a#1", " one")
    say(feed, "a#1", " one two")
    say(feed, "b#1", " three")
    assert told(await waiting) == [" one two", " three"]
    feed.close()
    assert await everything(reading) == []


async def test_a_slow_reader_misses_no_final_and_holds_up_nobody() -> None:
    feed = CaptionFeed()
    slow = feed.read(None)
    say(feed, "u#0", " 0", final=True)
    assert told(await anext(slow)) == [" 0"]
    for number in range(1, 3001):
        say(feed, f"u#{number}", f" part of {number}")
        say(feed, f"u#{number}", f" {number}", final=True)
    feed.close()
    assert told(await everything(slow)) == [f" {number}" for number in range(1, 3001)]


async def test_a_feed_that_closes_ends_its_readers_once_they_have_read_everything() -> None:
    feed = CaptionFeed()
    reading = asyncio.ensure_future(everything(feed.read(None)))
    await asyncio.sleep(0)
    say(feed, "a#1", " one")
    feed.close()
    assert told(await reading) == [" one"]
    assert say(feed, "a#1", " too late") == 0
    assert told(await everything(feed.read(None))) == [" one"]


async def test_of_notices_only_the_newest_are_kept_and_captions_all_stay() -> None:
    feed = CaptionFeed()
    say(feed, "a#1", " one")
    for number in range(module.UNKEYED + 5):
        notice(feed, f"notice {number}")
    say(feed, "b#1", " two")
    kept = await first(feed, None)
    assert kept == [" one", *(f"notice {number}" for number in range(5, module.UNKEYED + 5)), " two"]


async def test_readers_are_counted_until_they_leave_and_writers_of_files_are_not() -> None:
    feed = CaptionFeed()
    say(feed, "a#1", " one")
    readers = [asyncio.ensure_future(everything(feed.read(None))) for _ in range(3)]
    writer = asyncio.ensure_future(everything(feed.read(None, present=False)))
    await asyncio.sleep(0)
    assert feed.readers == 3
    readers[0].cancel()
    await asyncio.wait([readers[0]])
    assert feed.readers == 2
    feed.close()
    await asyncio.gather(*readers[1:], writer)
    assert feed.readers == 0


async def test_history_is_what_a_reader_would_get_now() -> None:
    feed = CaptionFeed()
    assert feed.history() == []
    number = say(feed, "a#1", " one")
    say(feed, "b#1", " two")
    assert told(feed.history()) == [" one", " two"]
    assert told(feed.history(number)) == [" two"]
    assert feed.history(feed.newest) == []


async def test_a_thousand_readers_cost_a_quarter_of_a_core() -> None:
    """20 seconds' worth of events at 5 a second, as fast as they go, with a long meeting behind them."""
    feed = CaptionFeed()
    for number in range(2000):
        say(feed, f"old#{number}", " words said before", final=True)
    start = feed.newest
    counts = [0] * 1000

    async def read(reader: int) -> None:
        async for batch in feed.read(start):
            counts[reader] += len(batch)

    async with asyncio.TaskGroup() as group:
        for reader in range(1000):
            group.create_task(read(reader))
        await asyncio.sleep(0)
        began = time.process_time()
        for number in range(100):
            say(feed, f"new#{number // 5}", " words" * (number % 5 + 1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        feed.close()
    spent = time.process_time() - began
    assert min(counts) == max(counts) == 100
    assert spent < 0.25 * 20


async def test_events_that_somebody_else_has_numbered_keep_their_numbers() -> None:
    owner, mirror = CaptionFeed(first=7), CaptionFeed(first=7)
    say(owner, "a#1", " one")
    notice(owner, "paused")
    say(owner, "a#1", " one and more")
    for key, reading in owner.kept():
        assert mirror.take(reading.sequence, reading.text, key) == reading.event
    assert mirror.history() == owner.history()
    assert mirror.take(9, owner.kept()[-1][1].text, "a#1") is None, "it is not newer"
    stamped: dict[str, object] = {"type": "notice", "sequence": 20, "code": "later"}
    assert mirror.take(20, stamped) == stamped
    assert told(mirror.history(9)) == ["later"]
    assert mirror.newest == 20
    mirror.close()
    assert mirror.take(21, stamped) is None


async def test_a_feed_whose_numbers_begin_anew_gives_all_that_has_one_to_whoever_has_an_old_one() -> None:
    feed = CaptionFeed()
    seen = say(feed, "a#1", " one")
    feed.begin_at(101)
    assert feed.newest == 100
    assert [say(feed, "b#1", " two"), say(feed, "a#1", " one")] == [101, 102]
    assert await first(feed, seen) == [" two", " one"]
    feed.go_on_at(200)
    feed.go_on_at(150)
    assert say(feed, "b#1", " two and more") == 200
    assert await first(feed, 102) == [" two and more"]

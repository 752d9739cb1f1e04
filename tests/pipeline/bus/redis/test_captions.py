"""What the owner of a meeting publishes reaches the readers of every process, with its numbers."""

import asyncio
import json

import pytest

from pipeline.bus.redis import keys
from pipeline.bus.redis.captions_in import MirroredFeed, tell_unowned
from pipeline.bus.redis.captions_out import PublishedFeed
from pipeline.bus.redis.connection import RedisBus
from pipeline.bus.redis.leases import RedisLeases
from pipeline.errors import Superseded
from pipeline.export.event import Event
from tests.pipeline.bus.redis.captioning import LEASE, OURS, THEIRS, M, in_stream, notice, owned, say, told
from tests.pipeline.bus.redis.waiting import until
from tests.redis_server import RedisServer


async def test_events_come_to_a_mirror_as_they_were_published(feed: PublishedFeed, mirror: MirroredFeed) -> None:
    assert (say(feed, "a#1", " Bonjour, « ça va »"), notice(feed, "paused"), say(feed, "a#1", " Bonjour")) == (1, 2, 3)
    await until(lambda: mirror.newest == 3)
    assert mirror.history() == feed.history()
    assert [json.loads(reading.text) for reading in mirror.history()] == [one.event for one in mirror.history()]


async def test_a_mirror_that_comes_late_has_the_history_and_goes_on(feed: PublishedFeed, gateway: RedisBus) -> None:
    for number in range(300):
        say(feed, f"a#{number // 10}", f" {number}")
    await feed.flush()
    mirror = await MirroredFeed.open(gateway, M)
    assert mirror.history() == feed.history()
    say(feed, "b#1", " more")
    await until(lambda: mirror.newest == feed.newest)
    assert mirror.history() == feed.history()
    assert told(mirror.history(feed.newest - 1)) == [" more"]
    await mirror.stop()


async def test_a_reader_of_another_process_goes_on_from_the_number_it_had(
    feed: PublishedFeed, mirror: MirroredFeed
) -> None:
    say(feed, "a#1", " one")
    seen = say(feed, "b#1", " two")
    say(feed, "a#1", " one and more")
    await until(lambda: mirror.newest == 3)
    assert told(mirror.history(seen)) == [" one and more"]
    reading = mirror.read(seen)
    assert told(await anext(reading)) == [" one and more"]
    assert mirror.readers == 1
    await reading.aclose()


async def test_a_mirror_does_not_publish(mirror: MirroredFeed) -> None:
    with pytest.raises(RuntimeError):
        mirror.publish({"type": "notice"})


async def test_a_mirror_knows_what_the_meeting_is_called_and_who_is_there(
    feed: PublishedFeed, mirror: MirroredFeed
) -> None:
    feed.publish({"type": "meeting", "state": "running", "title": "Budget", "paused": True}, "meeting")
    for name, present in (("ana", True), ("ben", True), ("ana", False)):
        event: Event = {"type": "participant", "participant": name, "speaker": name.title(), "present": present}
        feed.publish(event, f"participant:{name}")
    await until(lambda: mirror.newest == 4)
    assert (mirror.title, mirror.paused, mirror.ended) == ("Budget", True, False)
    assert mirror.people == {"ana": ("Ana", False), "ben": ("Ben", True)}
    assert len(mirror.history()) == 3


async def test_mirrors_end_with_the_meeting_and_late_ones_too(
    feed: PublishedFeed, mirror: MirroredFeed, gateway: RedisBus
) -> None:
    say(feed, "a#1", " one", final=True)
    feed.publish({"type": "meeting", "state": "ended", "title": "Budget"}, "meeting")
    feed.close()
    assert say(feed, "a#1", " too late") == 0
    async with asyncio.timeout(10.0):
        read = [reading async for batch in mirror.read(None) for reading in batch]
    assert mirror.ended
    assert told(read) == [" one", None]
    late = await MirroredFeed.open(gateway, M)
    assert late.ended
    assert [reading async for batch in late.read(None) for reading in batch] == read
    await late.stop()


# --- owners follow one another --------------------------------------------------------------------------------


async def test_the_next_owner_goes_on_without_a_hole_and_with_the_history(
    worker: RedisBus, mirror: MirroredFeed, redis_server: RedisServer
) -> None:
    first = await owned(worker)
    assert not first.restored
    await first.flush()
    for number in range(250):
        notice(first, f"notice {number}")
    say(first, "a#1", " one")
    await first.flush()
    await first.close_pump()
    await RedisLeases(worker, OURS).release(LEASE)
    second = await owned(worker, THEIRS, first=10_001)
    assert second.restored
    assert second.newest == 251
    assert second.history() == first.history()
    assert say(second, "a#1", " one two") == 252
    assert notice(second, "back") == 253
    await until(lambda: mirror.newest == 253)
    assert mirror.history() == second.history()
    assert in_stream(redis_server) == list(range(1, 254))
    with redis_server.connect() as client:
        kept = client.hkeys(keys.of_meeting(M, "history"))
    assert sum(key.startswith(b"#") for key in kept) == 200, "no more than a feed keeps"
    await second.close_pump()


async def test_who_is_superseded_writes_nothing_more_and_knows_it(
    feed: PublishedFeed, worker: RedisBus, gateway: RedisBus, mirror: MirroredFeed, redis_server: RedisServer
) -> None:
    say(feed, "a#1", " one")
    await feed.flush()
    await RedisLeases(worker, OURS).release(LEASE)
    other = await owned(gateway, THEIRS)
    say(feed, "a#1", " from the past")
    say(other, "b#1", " two")
    async with asyncio.timeout(10.0):
        await feed.superseded.wait()
        await feed.flush()
    say(feed, "a#1", " from the past again")
    await other.flush()
    await until(lambda: mirror.newest == 2)
    assert told(mirror.history()) == [" one", " two"]
    assert in_stream(redis_server) == [1, 2]
    await other.close_pump()


async def test_who_was_followed_by_one_that_has_gone_again_is_superseded_too(
    feed: PublishedFeed, worker: RedisBus, gateway: RedisBus, redis_server: RedisServer
) -> None:
    """As after a stall: the lease is free, its holder takes it again, but has missed what was written meanwhile."""
    say(feed, "a#1", " one")
    await feed.flush()
    await RedisLeases(worker, OURS).release(LEASE)
    other = await owned(gateway, THEIRS)
    say(other, "b#1", " two")
    await other.flush()
    await other.close_pump()
    await RedisLeases(gateway, THEIRS).release(LEASE)
    await RedisLeases(worker, OURS).acquire(LEASE, 60.0)
    say(feed, "a#1", " from the past")
    async with asyncio.timeout(10.0):
        await feed.superseded.wait()
    assert in_stream(redis_server) == [1, 2]


async def test_one_of_two_owners_in_a_race_writes_and_numbers_have_no_hole(
    worker: RedisBus, gateway: RedisBus, redis_server: RedisServer
) -> None:
    feeds = [await owned(worker)]
    for turn in range(6):
        bus, holder = ((gateway, THEIRS), (worker, OURS))[turn % 2]
        before = feeds[-1]
        for _ in range(20):
            say(before, f"a#{turn}", " words")
            await asyncio.sleep(0)
        with redis_server.connect() as client:
            client.delete(keys.PREFIX + LEASE)
        feeds.append(await owned(bus, holder))
        for _ in range(20):
            say(before, f"b#{turn}", " from the past")
            say(feeds[-1], f"a#{turn}", " words")
        await feeds[-1].flush()
    await until(lambda: all(feed.superseded.is_set() for feed in feeds[:-1]))
    written = in_stream(redis_server)
    assert written == list(range(1, written[-1] + 1))
    with redis_server.connect() as client:
        events = [json.loads(entry[b"e"]) for _, entry in client.xrange(keys.of_meeting(M, "captions"))]
    assert [event["sequence"] for event in events] == written
    for feed in feeds:
        await feed.close_pump()


async def test_without_the_lease_nothing_waits_for_ever_and_with_it_again_all_is_written(
    feed: PublishedFeed, worker: RedisBus, redis_server: RedisServer
) -> None:
    await RedisLeases(worker, OURS).release(LEASE)
    say(feed, "a#1", " one")
    await asyncio.sleep(0.5)
    assert in_stream(redis_server) == []
    assert not feed.superseded.is_set()
    await RedisLeases(worker, OURS).acquire(LEASE, 60.0)
    async with asyncio.timeout(10.0):
        await feed.flush()
    assert in_stream(redis_server) == [1]


async def test_who_does_not_hold_the_lease_opens_no_feed(worker: RedisBus) -> None:
    with pytest.raises(Superseded):
        await PublishedFeed.open(worker, M, OURS, 1)


async def test_a_feed_that_is_closed_ends_whoever_waits_for_it(feed: PublishedFeed, worker: RedisBus) -> None:
    await RedisLeases(worker, OURS).release(LEASE)
    say(feed, "a#1", " one")
    waiting = asyncio.create_task(feed.flush())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await feed.close_pump()
    await asyncio.wait_for(waiting, 10.0)


# --- nobody captions ------------------------------------------------------------------------------------------


async def test_readers_are_told_while_nobody_captions_and_the_next_owner_goes_on_after_it(
    worker: RedisBus, gateway: RedisBus, mirror: MirroredFeed
) -> None:
    feed = await owned(worker)
    say(feed, "a#1", " one")
    await feed.flush()
    waiting: Event = {"type": "notice", "meeting": M, "code": "waiting", "at": 3.5}
    assert not await tell_unowned(gateway, M, waiting, 1)
    await feed.close_pump()
    await RedisLeases(worker, OURS).release(LEASE)
    assert await tell_unowned(gateway, M, waiting, 1)
    await until(lambda: mirror.newest == 2)
    assert mirror.history(1)[0].event == waiting | {"sequence": 2}
    second = await owned(worker, THEIRS)
    assert second.restored
    assert notice(second, "running") == 3
    await until(lambda: mirror.newest == 3)
    assert told(mirror.history()) == [" one", "waiting", "running"]
    await second.close_pump()


async def test_what_was_told_before_anybody_captioned_is_no_history(worker: RedisBus, gateway: RedisBus) -> None:
    assert await tell_unowned(gateway, M, {"type": "notice", "code": "waiting"}, 0)
    feed = await owned(worker)
    assert not feed.restored
    assert notice(feed, "running") == 2
    await feed.close_pump()


async def test_an_owner_that_readers_were_told_beside_is_superseded(
    feed: PublishedFeed, worker: RedisBus, gateway: RedisBus
) -> None:
    """Its numbers are taken."""
    say(feed, "a#1", " one")
    await feed.flush()
    await RedisLeases(worker, OURS).release(LEASE)
    assert await tell_unowned(gateway, M, {"type": "notice", "code": "waiting"}, 1)
    await RedisLeases(worker, OURS).acquire(LEASE, 60.0)
    say(feed, "a#1", " one two")
    async with asyncio.timeout(10.0):
        await feed.superseded.wait()

"""A meeting is captioned by one worker at a time, and goes on where it was with the next one."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from pipeline.bus.redis.leases import holder_of
from pipeline.distributed.held_lease import HeldLease
from pipeline.distributed.owned import OwnedMeeting
from pipeline.domain import Meeting, MeetingId
from pipeline.errors import Superseded
from tests.pipeline.distributed.ministry import (
    ANNE,
    BERT,
    COUNCIL,
    Ministry,
    Worker,
    eventually,
    in_order,
    ministry,
    never_changed,
    reading,
    until,
)
from tests.redis_server import RedisServer


@pytest.fixture
async def house(redis_server: RedisServer, postgresql_url: str) -> AsyncIterator[Ministry]:
    async with ministry(redis_server.url, postgresql_url) as one:
        yield one


def owner(*workers: Worker, meeting: MeetingId = COUNCIL) -> Worker:
    (found,) = (worker for worker in workers if worker.owned(meeting))
    return found


async def test_a_meeting_in_which_somebody_talks_is_captioned_by_a_worker(house: Ministry) -> None:
    worker, gateway = await house.worker("worker-1"), await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        spoken = await talker.say(20)
        await until(lambda: reader.finals() == spoken)
    assert worker.owned() is not None
    assert await house.finals() == spoken
    assert in_order(reader)
    assert (worker.live.failovers, worker.live.meetings_held, worker.live.talkers_held) == (0, 1, 1)


async def test_when_its_worker_is_killed_in_mid_sentence_another_goes_on_from_the_last_word(house: Ministry) -> None:
    workers, gateway = [await house.worker("worker-1"), await house.worker("worker-2")], await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        before = await talker.say(8)
        await until(lambda: reader.finals() == before)
        await talker.begin(30)
        await until(lambda: len(reader.committed()) > 12)
        killed = owner(*workers)
        await killed.die()
        died = asyncio.get_running_loop().time()
        shown = len(reader.captions())
        await until(lambda: len(reader.captions()) > shown)
        flowing = reader.at[-1] - died
        await talker.say(5)
        spoken = [f" w{number}" for number in range(1, talker.number + 1)]
        await until(lambda: reader.finals() == spoken)
    (other,) = (worker for worker in workers if worker is not killed)
    assert other.live.failovers == 1
    assert await eventually(house.finals, lambda kept: kept == spoken) == spoken
    assert in_order(reader)
    assert never_changed(reader)
    assert flowing < 8.0  # 3 on a quiet machine


async def test_of_two_workers_that_race_for_a_meeting_one_captions_it(house: Ministry) -> None:
    workers, gateway = [await house.worker("worker-1"), await house.worker("worker-2")], await house.gateway()
    names = [COUNCIL, *(MeetingId(f"council-{number}") for number in range(9))]
    for name in names[1:]:
        await house.store.create_meeting(Meeting(name, "Another", house.bus.wall(), ("en",)))
    for name in names:  # offered again and again, to both
        await asyncio.gather(*(gateway.offers.send(name) for _ in range(4)))
    await until(lambda: sum(worker.live.meetings_held for worker in workers) == len(names))
    await asyncio.sleep(1.5)  # the offers that are left, and some renewals
    held = Counter(name for worker in workers for name in worker.live._owned)
    assert held == Counter(names)
    assert [worker.live.superseded for worker in workers] == [0, 0]


async def test_a_worker_without_room_leaves_a_meeting_to_another(house: Ministry) -> None:
    full, gateway = await house.worker("worker-1", talkers=1), await house.gateway()
    await house.store.create_meeting(Meeting(MeetingId("first"), "First", house.bus.wall(), ("en",)))
    await gateway.offers.send(MeetingId("first"))
    await until(lambda: full.live.meetings_held == 1)
    assert full.live.load == 1.0
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        await talker.begin(30)
        await until(lambda: any(event.get("code") == "waiting" for event in reader.events))
        other = await house.worker("worker-2")
        await until(lambda: other.owned() is not None)
        spoken = [f" w{number}" for number in range(1, 31)]
        await until(lambda: reader.finals() == spoken)  # what was said while it waited, too
    assert full.live.meetings_held == 1
    assert in_order(reader)


async def test_a_worker_that_comes_back_from_a_stall_writes_nothing(
    house: Ministry, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, gateway = await house.worker("worker-1"), await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        await talker.begin(40)
        await until(lambda: len(reader.committed()) > 3)
        owned = stalled.owned()
        assert isinstance(owned, OwnedMeeting)
        awake, hold = asyncio.Event(), HeldLease.hold

        async def asleep(lease: HeldLease) -> bool:
            if lease is owned.lease:
                await awake.wait()
            return await hold(lease)

        monkeypatch.setattr(HeldLease, "hold", asleep)
        other = await house.worker("worker-2")
        await until(lambda: other.owned() is not None)
        await until(lambda: stalled.owned() is None)  # the store or the script told it
        with pytest.raises(Superseded):
            await owned.running._shelf.keep_presences(())
        spoken = [f" w{number}" for number in range(1, 41)]
        await until(lambda: reader.finals() == spoken)
        awake.set()
    assert stalled.live.superseded == 1
    assert await house.finals() == spoken
    assert in_order(reader)
    assert never_changed(reader)


async def test_a_worker_that_ends_hands_its_meetings_over_and_readers_notice_nothing(house: Ministry) -> None:
    leaving, gateway = await house.worker("worker-1"), await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        anne, bert = await gateway.talker(ANNE), await gateway.talker(BERT, first=501)
        await anne.begin(40)
        await bert.begin(40)
        await until(lambda: len(reader.committed()) > 10)
        other = await house.worker("worker-2")
        watching = asyncio.create_task(unowned_for(house))
        before = len(reader.events)
        await leaving.live.close()
        await until(lambda: other.owned() is not None)
        gap = await watching
        spoken = [f" w{number}" for number in range(1, 41)], [f" w{number}" for number in range(501, 541)]
        await until(lambda: len(reader.finals()) == 80)
        said = reader.finals()
    assert ([word for word in said if len(word) < 5], [word for word in said if len(word) == 5]) == spoken
    assert sorted(await house.finals()) == sorted(said)
    assert in_order(reader)
    assert never_changed(reader)
    told = [event for event in reader.events[before:] if event["type"] != "caption"]
    assert not told  # nobody left or joined, nothing was noticed
    assert gap < 1.5  # 0.1 on a quiet machine


async def unowned_for(house: Ministry) -> float:
    """Seconds between one owner and the next."""
    while await holder_of(house.bus, COUNCIL) is not None:  # noqa: ASYNC110 - as a gateway sees it
        await asyncio.sleep(0.005)
    since = time.monotonic()
    while await holder_of(house.bus, COUNCIL) is None:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    return time.monotonic() - since

"""What befalls a meeting that is captioned by a worker: Redis, gateways, clocks, engines, and people."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from pipeline.distributed import gateways, worker
from pipeline.domain import Gap
from pipeline.errors import NotFound
from tests.pipeline.distributed.ministry import (
    ANNE,
    BERT,
    COUNCIL,
    Ministry,
    eventually,
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


def words(first: int, last: int) -> list[str]:
    return [f" w{number}" for number in range(first, last + 1)]


async def gaps_of(house: Ministry) -> list[Gap]:
    return list((await house.store.transcript(COUNCIL)).gaps)


# --- Redis --------------------------------------------------------------------------------------------------------


async def test_a_redis_emptied_in_mid_sentence_costs_no_word(house: Ministry, redis_server: RedisServer) -> None:
    one, gateway = await house.worker("worker-1"), await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        await talker.begin(40)
        await until(lambda: len(reader.committed()) > 8)
        other = await house.worker("worker-2")
        await asyncio.to_thread(redis_server.empty)
        await until(lambda: reader.finals() == words(1, 40))
        newcomer = await house.gateway("gateway-2")
        async with reading(await newcomer.meeting()) as late:
            await until(lambda: late.finals() == words(1, 40))
    assert await house.finals() == words(1, 40)
    assert (one.live.superseded, other.live.failovers) == (0, 0), "only its owner knows what readers saw"
    assert never_changed(reader)
    assert await gaps_of(house) == []


async def test_a_redis_that_says_nothing_for_a_while_costs_no_word_and_nobody_takes_the_meeting(
    house: Ministry, redis_server: RedisServer
) -> None:
    one, gateway = await house.worker("worker-1"), await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        await talker.begin(45)
        await until(lambda: len(reader.committed()) > 8)
        redis_server.pause()
        await asyncio.sleep(4.0)
        redis_server.resume()
        await until(lambda: reader.finals() == words(1, 45))
    assert await house.finals() == words(1, 45)
    assert one.live.meetings_held == 1
    assert await gaps_of(house) == []


async def test_a_worker_that_was_without_redis_for_long_leaves_the_meeting_to_whoever_comes_first(
    house: Ministry, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.distributed.held_lease._WITHOUT", 1.0)
    one, gateway = await house.worker("worker-1"), await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        await talker.begin(45)
        await until(lambda: len(reader.committed()) > 8)
        redis_server.pause()
        await until(lambda: one.owned() is None)
        redis_server.resume()
        await until(lambda: reader.finals() == words(1, 45))
    assert await house.finals() == words(1, 45)
    assert one.live.failovers == 1
    assert never_changed(reader)
    assert await gaps_of(house) == []


# --- gateways -----------------------------------------------------------------------------------------------------


async def test_what_nobody_heard_when_a_gateway_died_is_a_marked_gap_until_its_people_publish_again(
    house: Ministry,
) -> None:
    await house.worker("worker-1")
    dying, other = await house.gateway("gateway-1"), await house.gateway("gateway-2")
    meeting = await other.meeting()
    async with reading(meeting) as reader:
        talker = await dying.talker()
        await talker.begin(100)
        await until(lambda: len(reader.committed()) > 5)
        await dying.die()
        died_at = meeting.now()
        await asyncio.sleep(2.0)
        again = await other.talker(first=201)
        back_at = meeting.now()
        await again.say(10)
        (gap,) = await eventually(lambda: gaps_of(house), bool)
        await until(lambda: set(reader.finals()) > set(words(201, 210)))
    assert gap.participant == ANNE
    assert gap.track == talker.track.id
    assert gap.start == pytest.approx(died_at, abs=1.0)
    assert gap.end == pytest.approx(back_at, abs=0.5)
    finals = await house.finals()
    heard = finals.index(" w201")
    assert finals[:heard] == words(1, heard)  # the half sentence is there
    assert any(event.get("code") == "sound_lost" for event in reader.events)


async def test_whoever_does_not_come_back_when_their_gateway_died_has_left(
    house: Ministry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "_COMES_BACK", 2.0)
    await house.worker("worker-1")
    dying, other = await house.gateway("gateway-1"), await house.gateway("gateway-2")
    meeting = await other.meeting()
    async with reading(meeting) as reader:
        talker = await dying.talker()
        await talker.say(5)
        died_at = meeting.now()
        await dying.die()
        await until(lambda: any(event.get("state") == "left" for event in reader.events))
        (gap,) = await eventually(lambda: gaps_of(house), bool)
    assert gap.start == pytest.approx(died_at, abs=1.0)
    assert gap.end < died_at + 12.0
    assert await house.finals() == words(1, 5)


# --- clocks -------------------------------------------------------------------------------------------------------


async def test_clocks_of_workers_that_are_wrong_change_no_time_in_captions(house: Ministry) -> None:
    early = await house.worker("worker-1", wall=lambda: time.time() - 30.0)
    gateway = await house.gateway()
    meeting = await gateway.meeting()
    async with reading(meeting) as reader:
        talker = await gateway.talker()
        before = meeting.now()
        await talker.say(10)
        await until(lambda: reader.finals() == words(1, 10))
        late = await house.worker("worker-2", wall=lambda: time.time() + 30.0)
        await early.live.close()
        await until(lambda: late.owned() is not None)
        await talker.say(10)
        await until(lambda: reader.finals() == words(1, 20))
        after = meeting.now()
    times = [word.start for final in await house.store.finals(COUNCIL) for word in final.words]
    assert times == sorted(times)
    assert before <= times[0] < times[-1] <= after
    assert [event["sent_at"] for event in reader.events] == sorted(event["sent_at"] for event in reader.events)  # type: ignore[type-var]
    assert await gaps_of(house) == []


# --- engines ------------------------------------------------------------------------------------------------------


async def test_speech_without_words_begins_anew_and_then_goes_to_another_worker_once(
    house: Ministry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.distributed.watchdog._RESET_AFTER", 1.0)
    monkeypatch.setattr("pipeline.distributed.watchdog._HOPELESS_AFTER", 2.5)
    deaf, gateway = await house.worker("worker-1"), await house.gateway()
    deaf.engine.deaf = True
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        await talker.begin(80)
        await until(lambda: deaf.live.watchdog_resets == 1)
        await asyncio.sleep(3.0)
        assert deaf.owned() is not None, "nobody else is there"
        other = await house.worker("worker-2")
        await until(lambda: other.owned() is not None)
        await until(reader.committed)
    assert (deaf.live.moved, deaf.live.meetings_held, other.live.failovers) == (1, 0, 1)


async def test_a_meeting_without_words_anywhere_does_not_jump_about(
    house: Ministry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.distributed.watchdog._RESET_AFTER", 0.5)
    monkeypatch.setattr("pipeline.distributed.watchdog._HOPELESS_AFTER", 1.0)
    monkeypatch.setattr(worker, "_NOT_AGAIN", 0.1)
    workers, gateway = [await house.worker("worker-1"), await house.worker("worker-2")], await house.gateway()
    for each in workers:
        each.engine.deaf = True
    talker = await gateway.talker()
    await talker.begin(45)
    await until(lambda: sum(each.live.moved for each in workers) == 1)
    await asyncio.sleep(5.0)
    assert sum(each.live.moved for each in workers) == 1


# --- people -------------------------------------------------------------------------------------------------------


async def test_wishes_of_those_who_take_part_reach_the_worker(house: Ministry) -> None:
    one, gateway, api = await house.worker("worker-1"), await house.gateway(), await house.gateway("api-1")
    async with reading(await gateway.meeting()) as reader:
        anne = await gateway.talker(ANNE)
        await anne.say(5)
        await until(lambda: reader.finals() == words(1, 5))
        meeting = await api.meeting()
        await meeting.rename(ANNE.id, "Anne Martin")
        await meeting.set_glossary(("Greffier",))
        await meeting.set_languages(("en", "fr"))
        await meeting.pause()
        owned = one.owned()
        assert owned is not None
        await until(lambda: owned.running.paused)
        await anne.say(5)
        await meeting.resume()
        await until(lambda: not owned.running.paused)
        await anne.say(5)
        await until(lambda: reader.finals() == [*words(1, 5), *words(11, 15)])
        assert (owned.running.meeting.glossary, owned.running.meeting.languages) == (("Greffier",), ("en", "fr"))
        assert reader.captions()[-1]["speaker"] == "Anne Martin"
        await api.meetings.end(COUNCIL)
        await until(lambda: reader.events[-1].get("state") == "ended")
    await until(lambda: one.owned() is None)
    assert (await house.store.meeting(COUNCIL)).ended_at is not None
    pauses = await house.store.pauses(COUNCIL)
    assert len(pauses) == 1
    assert pauses[0].end is not None


async def test_a_meeting_that_is_deleted_is_let_go_of_and_nothing_is_left(house: Ministry) -> None:
    one, gateway = await house.worker("worker-1"), await house.gateway()
    talker = await gateway.talker()
    await talker.begin(30)
    await until(one.owned)
    await gateway.meetings.delete(COUNCIL)
    await until(lambda: one.owned() is None)
    with pytest.raises(NotFound):
        await house.store.meeting(COUNCIL)


async def test_who_is_there_is_told_once_however_many_workers_there_were(house: Ministry) -> None:
    one, gateway = await house.worker("worker-1"), await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        anne, _ = await gateway.talker(ANNE), await gateway.talker(BERT)
        await anne.say(3)
        await until(lambda: len(there(reader.events)) == 2)
        other = await house.worker("worker-2")
        await one.live.close()
        await until(other.owned)
        anne.hang_up()
        await until(lambda: len(there(reader.events)) == 3)
    assert sorted(there(reader.events)) == [("anne", "joined"), ("anne", "left"), ("bert", "joined")]
    presences = await eventually(lambda: house.store.presences(COUNCIL), lambda kept: kept[0].left is not None)
    assert [(each.participant, each.left is None) for each in presences] == [("anne", False), ("bert", True)]


def there(events: "list[dict[str, object]]") -> list[tuple[object, object]]:
    return [(event["participant"], event["state"]) for event in events if event["type"] == "participant"]


async def test_a_meeting_that_everybody_left_ends(house: Ministry) -> None:
    one, gateway = await house.worker("worker-1", empty_after=1.0), await house.gateway()
    talker = await gateway.talker()
    await talker.say(5)
    await until(one.owned)
    talker.hang_up()
    await gateway.meetings.close()
    await until(lambda: one.owned() is None)
    assert (await house.store.meeting(COUNCIL)).ended_at is not None
    assert await house.finals() == words(1, 5)


async def test_a_meeting_that_nobody_wants_when_its_worker_is_killed_is_ended_by_another(house: Ministry) -> None:
    one, gateway = await house.worker("worker-1"), await house.gateway()
    async with reading(await gateway.meeting()) as reader:
        talker = await gateway.talker()
        await talker.begin(100)
        await until(lambda: len(reader.committed()) > 5)
    await one.die()
    await gateway.die()
    await house.worker("worker-2", empty_after=2.0)
    await eventually(lambda: house.store.meeting(COUNCIL), lambda kept: kept.ended_at is not None)
    finals = await eventually(house.finals, bool)
    assert finals == words(1, len(finals))
    assert await house.store.open_captions(COUNCIL) == []

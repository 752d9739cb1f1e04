"""Sound over a Redis that is restarted, emptied, silent or full."""

import asyncio

import pytest

from pipeline.bus.redis.audio_out import AudioOutlet
from pipeline.bus.redis.leases import RedisLeases, meeting_lease_key
from pipeline.bus.redis.people import People
from pipeline.domain import (
    Participant,
    ParticipantId,
    SpeechStarted,
)
from tests.pipeline.bus.redis.sounding import (
    ANA,
    BEN,
    OURS,
    STEP,
    M,
    Owner,
    entries,
    frames,
    heard_frames,
    lost,
    opened,
    send,
    written,
)
from tests.pipeline.bus.redis.waiting import process, until
from tests.redis_server import RedisServer


async def talk(outlet: AudioOutlet, first: int, last: int) -> None:
    """Faster than people do."""
    for frame in frames(first, last):
        await outlet.send(frame)
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("server", ["own_redis", "keeping_redis"])
async def test_over_a_restart_every_frame_comes_once(server: str, request: pytest.FixtureRequest) -> None:
    redis: RedisServer = request.getfixturevalue(server)
    async with process(redis, "worker-1") as bus, process(redis, "gateway-1") as gateway:
        owner, outlet = await Owner.of(bus), AudioOutlet(gateway, M)
        outlet.set_person(Participant(ParticipantId("ana"), "Ana"))
        await send(outlet, opened(), SpeechStarted(ANA, 0.0))
        talking = asyncio.create_task(talk(outlet, 0, 600))
        await owner.has(100)
        await owner.inbox.report({ANA: 50 * STEP})
        await asyncio.to_thread(redis.restart)
        await talking
        await owner.has(602)
        assert heard_frames(owner.got) == list(range(600))
        assert not lost(owner.got)
        await until(owner.inbox.tracks)
        await until(lambda: People.load(bus, M))
        await written(outlet)
        assert entries(redis) < 620, "no frame is there twice"
        await RedisLeases(bus, OURS).acquire(meeting_lease_key(M), 60.0)
        await owner.inbox.report({ANA: 550 * STEP})
        await until(lambda: len(outlet._tracks[ANA].kept) == 50)
        await owner.leave()
        await outlet.close()


async def test_an_owner_that_comes_after_redis_was_emptied_hears_what_is_kept(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus, process(own_redis, "gateway-1") as gateway:
        outlet = AudioOutlet(gateway, M)
        await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 300), opened(BEN))
        await written(outlet)
        await asyncio.to_thread(own_redis.empty)
        await until(lambda: entries(own_redis) == 303)
        await talk(outlet, 300, 400)
        owner = await Owner.of(bus)
        await owner.has(403)
        assert heard_frames(owner.got) == list(range(400))
        assert not lost(owner.got)
        assert set(await owner.inbox.tracks()) == {ANA, BEN}
        await owner.leave()
        await outlet.close()


async def test_a_redis_that_says_nothing_for_5_seconds_costs_no_frame(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus, process(own_redis, "gateway-1") as gateway:
        owner, outlet = await Owner.of(bus), AudioOutlet(gateway, M)
        await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 20))
        await owner.has(22)
        own_redis.pause()
        talking = asyncio.create_task(talk(outlet, 20, 900))
        await asyncio.sleep(5.0)
        own_redis.resume()
        await talking
        await owner.has(902)
        assert heard_frames(owner.got) == list(range(900))
        assert not lost(owner.got)
        await owner.leave()
        await outlet.close()


async def test_a_redis_without_room_costs_no_frame_that_is_kept(own_redis: RedisServer) -> None:
    async with process(own_redis, "worker-1") as bus, process(own_redis, "gateway-1") as gateway:
        owner, outlet = await Owner.of(bus), AudioOutlet(gateway, M)
        await send(outlet, opened(), SpeechStarted(ANA, 0.0), *frames(0, 20))
        await owner.has(22)
        with own_redis.connect() as client:
            client.config_set("maxmemory", "1mb")
            await send(outlet, *frames(20, 40))
            await asyncio.sleep(0.5)
            assert len(owner.got) == 22
            client.config_set("maxmemory", "0")
        await send(outlet, *frames(40, 60))
        await owner.has(62)
        assert heard_frames(owner.got) == list(range(60))
        await owner.leave()
        await outlet.close()


async def test_an_outlet_that_closes_while_redis_is_away_gives_up_in_time(own_redis: RedisServer) -> None:
    async with process(own_redis, "gateway-1") as gateway:
        outlet = AudioOutlet(gateway, M)
        await asyncio.to_thread(own_redis.kill)
        await send(outlet, opened())
        async with asyncio.timeout(5.0):
            await outlet.close()
        await asyncio.to_thread(own_redis.start)

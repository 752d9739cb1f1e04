"""Two gateways beside one LiveKit: one captions a room, and when it is killed the other takes the room up."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.faults.fleet import Fleet, Machine
from tests.livekit import captioning as c
from tests.livekit.people import People, until
from tests.livekit.server import LiveKit
from tests.postgresql_server import PostgreSql
from tests.recordings import heard
from tests.redis_server import running_redis
from tests.server_process import WAIT

AGENT = "multi-user-transcriber"
TAKEN_UP = 8.0
"""Seconds: lease (3), sweep (2), and joining, on a busy machine."""


@pytest.fixture
async def fleet(livekit: LiveKit, postgresql: PostgreSql, whisper_base: Path, tmp_path: Path) -> AsyncIterator[Fleet]:
    settings = {"LIVEKIT_URL": livekit.url, "LIVEKIT_API_KEY": livekit.key, "LIVEKIT_API_SECRET": livekit.secret}
    with running_redis() as redis:
        fleet = Fleet(tmp_path, redis, postgresql, settings=settings)
        try:
            await asyncio.to_thread(fleet.open, gateways=2, workers=1, apis=1)
            yield fleet
        finally:
            await asyncio.to_thread(fleet.close)


async def meetings_at(fleet: Fleet, gateway: Machine, room: str) -> list[object]:
    """The meetings of ``room``, as the gateways together say; rooms of tests before may still be there."""
    async with httpx2.AsyncClient(trust_env=False, timeout=WAIT) as client:
        answer = await client.get(
            f"{gateway.url}/api/v1/livekit/rooms", headers={"Authorization": f"Bearer {fleet.key}"}
        )
    return [listed["meeting"] for listed in answer.json()["rooms"] if listed["room"] == room]


async def captioning(fleet: Fleet) -> Machine:
    """The gateway that is in the room, as its own metrics say."""
    async with asyncio.timeout(WAIT), httpx2.AsyncClient(trust_env=False, timeout=WAIT) as client:
        while True:
            for gateway in fleet.gateways:
                if gateway.running is not None:
                    headers = {"Authorization": f"Bearer {fleet.key}"}
                    metrics = (await client.get(f"{gateway.url}/metrics", headers=headers)).text
                    if 'state="captioning"} 1.0' in metrics:
                        return gateway
            await asyncio.sleep(0.05)


async def test_a_room_is_captioned_by_one_gateway_and_taken_up_by_the_other_when_that_is_killed(
    fleet: Fleet, livekit: LiveKit, people: People, room: str
) -> None:
    anne, eric = await people.join(room, "anne", "Anne"), await people.join(room, "eric", "Éric")
    microphone = await anne.publish()
    await c.dispatch(livekit, AGENT, room)
    first = await captioning(fleet)
    (other,) = [each for each in fleet.gateways if each is not first]
    await microphone.play(heard("en_arctic_a0024.wav"))
    await until(eric.finals)
    (meeting,) = await meetings_at(fleet, other, room)
    assert len(await c.agents(livekit, room)) == 1

    await asyncio.to_thread(first.kill)
    killed = time.monotonic()
    assert await captioning(fleet) is other
    assert time.monotonic() - killed < TAKEN_UP
    before = set(eric.finals())
    await microphone.play(heard("en_arctic_a0024.wav"))
    await until(lambda: set(eric.finals()) - before)
    assert await meetings_at(fleet, other, room) == [meeting]
    assert [agent.identity for agent in await c.agents(livekit, room)] == [f"{AGENT}-{room}"]

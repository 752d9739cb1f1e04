"""Gateways, APIs and a worker share a meeting: whoever publishes by one is read by another, behind one address."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import websockets

from api.house import Sfu
from api.keys import new_key
from api.meetings import new_id
from api.roles import Role
from api.settings import Settings
from media_gateway.captioned_rooms import CaptionedRooms, Patience
from pipeline.access import Scope
from pipeline.bus.redis.leases import RedisLeases
from pipeline.errors import InvalidSetting
from pipeline.store.sql import SqlStore
from tests.api.role_serving import ServedRole, role_serving, shared_settings
from tests.api.test_whip import SDP, Chatter, page, speech
from tests.media_gateway.sfu_script import ScriptedGateway
from tests.recordings import heard
from tests.redis_server import RedisServer, running_redis

WAIT = 30.0
ROOM = "/api/v1/livekit/rooms/blue/captions"


@dataclass(slots=True)
class Fleet:
    """Processes that share meetings, in the event loop of the test; the worker hears words in whatever is said."""

    settings: Settings
    stack: AsyncExitStack
    key: str

    async def add(self, role: Role, **settings: Any) -> ServedRole:
        script = Chatter() if role is Role.WORKER else None
        serving = role_serving(replace(self.settings, **settings), role, self.key, script=script)
        return await self.stack.enter_async_context(serving)

    async def meeting(self, api: ServedRole) -> str:
        answer = await api.http.post("/api/v1/meetings", json={"title": "Council"})
        assert answer.status_code == 201, answer.text
        meeting: str = answer.json()["id"]
        return meeting

    async def token(self, api: ServedRole, meeting: str, name: str = "Anne") -> str:
        answer = await api.http.post(f"/api/v1/meetings/{meeting}/participants", json={"name": name, "mode": "publish"})
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["token"]
        return token

    def give_rooms(self, gateway: ServedRole) -> ScriptedGateway:
        """An SFU that a script plays, the same for all gateways as far as leases go."""
        house, sfu = gateway.house, ScriptedGateway()
        assert house.bus is not None
        assert house.other_gateways is not None
        leases = RedisLeases(house.bus, f"{gateway.process}/rooms")
        rooms = CaptionedRooms(
            sfu, house.meetings, house.store, leases, lambda: new_id(12), house.wall, Patience(limit=0.0, lease=3.0)
        )
        house.livekit = Sfu(rooms, (), lambda: True)
        house.other_gateways.sfus = {"livekit": house.livekit}
        return sfu


async def a_fleet(stack: AsyncExitStack, redis_url: str, database_url: str, folder: Path) -> Fleet:
    store = await asyncio.to_thread(SqlStore.open, database_url)
    key, text = new_key("tests", {Scope.ADMIN}, 0.0)
    await store.add_key(key)
    await store.close()
    return Fleet(shared_settings(folder, redis_url, database_url), stack, text)


@pytest.fixture
async def fleet(redis_server: RedisServer, postgresql_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield await a_fleet(stack, redis_server.url, postgresql_url, tmp_path)


async def until(happened: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(WAIT):
        while not await happened():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.05)


async def said(api: ServedRole, meeting: str, enough: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
    """What a reader of captions.ws is told until that is enough; the snapshot first."""
    address = str(api.http.base_url).replace("http:", "ws:").rstrip("/")
    headers = {"Authorization": api.http.headers["authorization"]}
    events: list[dict[str, Any]] = []
    async with (
        asyncio.timeout(WAIT),
        websockets.connect(
            f"{address}/api/v1/meetings/{meeting}/captions.ws", proxy=None, additional_headers=headers
        ) as socket,
    ):
        while not enough(events):
            events.append(json.loads(await socket.recv()))
    return events


async def speak(gateway: ServedRole, meeting: str, token: str) -> None:
    """A sentence over a WebSocket, at its pace."""
    sound = heard("en_LJ001-0002.wav")
    address = str(gateway.http.base_url).replace("http:", "ws:").rstrip("/")
    async with websockets.connect(f"{address}/api/v1/meetings/{meeting}/audio.ws", proxy=None) as socket:
        await socket.send(json.dumps({"token": token, "codec": "pcm16", "sample_rate": 16_000}))
        assert json.loads(await socket.recv())["type"] == "ready"
        for begin in range(0, len(sound), 1600):
            await socket.send(sound[begin : begin + 1600].tobytes())
            await asyncio.sleep(0.1)


def is_final(event: dict[str, Any]) -> bool:
    return event["type"] == "caption" and event["final"]


async def test_what_is_said_at_one_gateway_is_read_at_every_api_by_the_same_numbers(fleet: Fleet) -> None:
    apis = [await fleet.add(Role.API), await fleet.add(Role.API)]
    gateway = await fleet.add(Role.GATEWAY)
    await fleet.add(Role.WORKER)
    meeting = await fleet.meeting(apis[0])
    token = await fleet.token(apis[1], meeting)
    reading = [
        asyncio.create_task(said(api, meeting, lambda events: any(is_final(event) for event in events))) for api in apis
    ]
    await speak(gateway, meeting, token)
    first, second = [[event for event in await task if event["type"] != "snapshot"] for task in reading]
    assert first[-1] == second[-1]
    assert first[-1]["speaker"] == "Anne"
    numbers = [event["sequence"] for event in first]
    assert numbers == sorted(set(numbers))
    ended = await apis[1].http.post(f"/api/v1/meetings/{meeting}/end")
    assert ended.json()["state"] == "ended"
    transcript = (await apis[0].http.get(f"/api/v1/meetings/{meeting}/transcript.txt")).text
    assert "Anne" in transcript
    assert first[-1]["committed"].split()[0] in transcript


async def test_a_whip_session_brings_captions_back_and_is_ended_by_another_gateway(fleet: Fleet) -> None:
    api = await fleet.add(Role.API)
    gateways = [await fleet.add(Role.GATEWAY), await fleet.add(Role.GATEWAY)]
    await fleet.add(Role.WORKER)
    meeting = await fleet.meeting(api)
    bearer = {"Authorization": f"Bearer {await fleet.token(api, meeting)}"}
    async with page(speech() * 5, ["captions"]) as client:
        answer = await gateways[0].http.post(f"/whip/{meeting}", content=await client.offer(), headers=SDP | bearer)
        assert answer.status_code == 201, answer.text
        await client.answered(answer.text)

        async def captioned() -> bool:
            return any(json.loads(text)["type"] == "caption" for text in client.received["captions"])

        await until(captioned)
        assert len(gateways[0].house.peers) == 1
        stopped = await gateways[1].http.delete(answer.headers["location"], headers=bearer)
        assert stopped.status_code == 200

        async def hung_up() -> bool:
            return len(gateways[0].house.peers) == 0

        await until(hung_up)


async def test_any_gateway_answers_for_the_rooms_of_all(fleet: Fleet) -> None:
    gateways = [await fleet.add(Role.GATEWAY), await fleet.add(Role.GATEWAY)]
    sfus = [fleet.give_rooms(gateway) for gateway in gateways]
    first, second = gateways
    begun = await first.http.post(ROOM)
    assert begun.status_code == 201, begun.text
    stands = begun.json()

    async def told() -> bool:
        return bool((await second.http.get("/api/v1/livekit/rooms")).json()["rooms"] == [stands])

    await until(told)
    again = await second.http.post(ROOM)
    assert (again.status_code, again.json()) == (200, stands)
    assert (await second.http.get(ROOM)).json() == stands
    assert not sfus[1].joined
    assert (await second.http.delete(ROOM)).status_code == 204

    async def left() -> bool:
        return not first.house.sfus[0].rooms.all()

    await until(left)


async def test_the_room_of_a_gateway_that_died_is_taken_up_by_another(fleet: Fleet) -> None:
    gateways = [await fleet.add(Role.GATEWAY), await fleet.add(Role.GATEWAY)]
    sfus = [fleet.give_rooms(gateway) for gateway in gateways]
    begun = (await gateways[0].http.post(ROOM)).json()
    bus = gateways[0].house.bus
    assert bus is not None
    await bus.close()  # as if its process was gone: it renews nothing
    began = asyncio.get_running_loop().time()

    async def taken_up() -> bool:
        return (await gateways[1].http.post(ROOM)).status_code == 201

    await until(taken_up)
    assert asyncio.get_running_loop().time() - began < 5.0
    assert sfus[1].joined
    assert (await gateways[1].http.get(ROOM)).json()["meeting"] == begun["meeting"]


async def test_a_room_stays_captioned_while_redis_is_away(postgresql_url: str, tmp_path: Path) -> None:
    with running_redis() as redis:
        async with AsyncExitStack() as stack:
            fleet = await a_fleet(stack, redis.url, postgresql_url, tmp_path)
            gateway = await fleet.add(Role.GATEWAY)
            sfu = fleet.give_rooms(gateway)
            assert (await gateway.http.post(ROOM)).status_code == 201
            await asyncio.to_thread(redis.kill)
            await asyncio.sleep(4.0)  # longer than the lease
            (stands,) = gateway.house.sfus[0].rooms.all()
            assert stands.state == "captioning"
            await asyncio.to_thread(redis.start)
            assert not sfu.joined[0].left

            async def leased() -> bool:
                with redis.connect() as client:
                    return bool(await asyncio.to_thread(client.exists, "greffier:room/livekit/blue"))

            await until(leased)


async def test_each_process_answers_for_its_own_part(fleet: Fleet) -> None:
    api, gateway, worker = [await fleet.add(role) for role in (Role.API, Role.GATEWAY, Role.WORKER)]

    async def answers(process: ServedRole, path: str) -> bool:
        return (await process.http.get(path)).status_code != httpx.codes.NOT_FOUND

    async def of(path: str) -> list[bool]:
        return [await answers(process, path) for process in (api, gateway, worker)]

    assert await of("/healthz") == await of("/metrics") == [True, True, True]
    for path in ("/", "/api/v1/meetings", "/api/v1/recordings", "/static/live.js"):
        assert await of(path) == [True, False, False]
    for path in ("/whip/any", "/whip/any/session"):
        assert await of(path) == [False, True, False]
    document = (await api.http.get("/api/v1/openapi.json")).json()  # one address, one document
    assert {"/api/v1/meetings", "/whip/{meeting}", "/api/v1/livekit/rooms"} <= document["paths"].keys()


@pytest.mark.parametrize("missing", [{"redis_url": None}, {"secret": None}, {"database_url": "sqlite:///x.db"}])
async def test_a_process_that_cannot_share_does_not_start(fleet: Fleet, missing: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match="must be set"):
        await fleet.add(Role.GATEWAY, **missing)


def test_gateways_and_apis_load_no_engine() -> None:
    code = "import sys, api.sharing, api.server; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "ctranslate2", "faster_whisper", "models.faster_whisper", "models.calibration"}

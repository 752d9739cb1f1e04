"""Rooms of an SFU are captioned as applications ask: begun, shown, ended, with what is wrong said in words."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from api.app import wind_down
from api.house import Sfu
from api.meetings import new_id
from media_gateway.captioned_rooms import CaptionedRooms, Patience
from media_gateway.sfu import Parting
from pipeline.bus.leases import MemoryLeases
from pipeline.domain import MeetingId
from tests.api.serving import Serving
from tests.media_gateway.sfu_script import ScriptedGateway

ROOM = "/api/v1/livekit/rooms/salle%20bleue/captions"


@pytest.fixture
async def gateway(served: Serving) -> AsyncIterator[ScriptedGateway]:
    """LiveKit, as a script has it."""
    gateway, house = ScriptedGateway(), served.house
    rooms = CaptionedRooms(
        gateway, house.meetings, house.store, MemoryLeases(), lambda: new_id(12), patience=Patience(limit=0.0)
    )
    house.livekit = Sfu(rooms, (), lambda: not gateway.down)
    yield gateway
    await rooms.close()


async def meeting_of(served: Serving) -> str:
    answer = await served.http.post(ROOM)
    assert answer.status_code in {200, 201}, answer.text
    meeting: str = answer.json()["meeting"]
    return meeting


async def test_a_room_is_captioned_once_it_is_asked_for(served: Serving, gateway: ScriptedGateway) -> None:
    answer = await served.http.post(ROOM, json={"languages": ["en"]})
    assert answer.status_code == 201
    stands = answer.json()
    assert stands == {"room": "salle bleue", "meeting": stands["meeting"], "state": "captioning", "why": None}
    assert [room.name for room in gateway.joined] == ["salle bleue"]
    meeting = (await served.http.get(f"/api/v1/meetings/{stands['meeting']}")).json()
    assert (meeting["title"], meeting["languages"], meeting["state"]) == ("salle bleue", ["en"], "running")
    assert (await served.http.get(ROOM)).json() == stands
    assert (await served.http.get("/api/v1/livekit/rooms")).json() == {"rooms": [stands]}


async def test_names_of_rooms_may_have_slashes(served: Serving, gateway: ScriptedGateway) -> None:
    path = "/api/v1/livekit/rooms/salle%2Fcaptions%2F2/captions"
    assert (await served.http.post(path)).json()["room"] == "salle/captions/2"
    assert (await served.http.get(path)).json()["state"] == "captioning"
    assert (await served.http.delete(path)).status_code == 204
    assert gateway.joined[0].name == "salle/captions/2"


async def test_asked_for_again_it_is_the_same_meeting_and_languages_may_change(
    served: Serving, gateway: ScriptedGateway
) -> None:
    meeting = await meeting_of(served)
    again = await served.http.post(ROOM, json={"languages": ["fr", "en"]})
    assert (again.status_code, again.json()["meeting"]) == (200, meeting)
    assert (await served.http.get(f"/api/v1/meetings/{meeting}")).json()["languages"] == ["fr", "en"]
    assert len(gateway.joined) == 1


async def test_who_is_in_the_room_is_in_the_meeting(served: Serving, gateway: ScriptedGateway) -> None:
    meeting = await meeting_of(served)
    gateway.joined[0].arrive("Anne", "fr")
    async with asyncio.timeout(20):
        while True:
            listed = (await served.http.get(f"/api/v1/meetings/{meeting}/participants")).json()["participants"]
            if listed and listed[0]["present"]:
                break
            await asyncio.sleep(0.05)
    assert (listed[0]["participant"], listed[0]["name"], listed[0]["present"][0]["left"]) == ("anne", "Anne", None)


async def test_a_room_is_left_and_its_meeting_goes_on_with_the_next_start(
    served: Serving, gateway: ScriptedGateway
) -> None:
    meeting = await meeting_of(served)
    assert (await served.http.delete(ROOM)).status_code == 204
    assert gateway.joined[0].left
    stands = (await served.http.get(ROOM)).json()
    assert (stands["state"], stands["why"], stands["meeting"]) == ("left", "left", meeting)
    assert (await served.http.get("/api/v1/livekit/rooms")).json() == {"rooms": []}
    assert (await served.http.delete(ROOM)).status_code == 204
    assert await meeting_of(served) == meeting


async def test_a_room_that_parted_says_why(served: Serving, gateway: ScriptedGateway) -> None:
    meeting = await meeting_of(served)
    gateway.joined[0].part(Parting.ENCRYPTED)
    async with asyncio.timeout(20):
        while (await served.http.get(ROOM)).json()["state"] == "captioning":  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.02)
    stands = (await served.http.get(ROOM)).json()
    assert (stands["state"], stands["why"]) == ("encrypted", "encrypted")
    assert (await served.house.store.meeting(MeetingId(meeting))).ended_at is not None


async def test_a_room_that_was_never_captioned_is_not_there(served: Serving, gateway: ScriptedGateway) -> None:
    answer = await served.http.get(ROOM)
    assert (answer.status_code, "not captioned" in answer.json()["detail"]) == (404, True)
    gateway.absent.add("salle bleue")
    assert (await served.http.post(ROOM)).status_code == 404


async def test_an_sfu_that_cannot_be_reached_says_so_and_when_to_come_back(
    served: Serving, gateway: ScriptedGateway
) -> None:
    gateway.down = True
    answer = await served.http.post(ROOM)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "cannot be reached" in answer.json()["detail"]


@pytest.mark.parametrize(("languages", "says"), [(["xx"], "no language"), (["ja"], "does not know")])
async def test_languages_that_are_not_known_are_refused(
    served: Serving, gateway: ScriptedGateway, languages: list[str], says: str
) -> None:
    answer = await served.http.post(ROOM, json={"languages": languages})
    assert (answer.status_code, says in answer.json()["detail"]) == (422, True)
    assert gateway.joined == []


@pytest.mark.parametrize(
    ("provider", "says"),
    [("livekit", "set LIVEKIT_URL and LIVEKIT_API_KEY and LIVEKIT_API_SECRET"), ("janus", "set GREFFIER_JANUS_URL")],
)
async def test_without_an_sfu_every_address_says_what_to_set(served: Serving, provider: str, says: str) -> None:
    base = f"/api/v1/{provider}/rooms"
    for method, path in [("GET", ""), ("GET", "/r/captions"), ("POST", "/r/captions"), ("DELETE", "/r/captions")]:
        answer = await served.http.request(method, base + path)
        assert (answer.status_code, says in answer.json()["detail"]) == (404, True), method


async def test_rooms_are_counted_and_their_sfu_stands_in_readyz(served: Serving, gateway: ScriptedGateway) -> None:
    await meeting_of(served)
    metrics = (await served.http.get("/metrics")).text
    assert 'greffier_sfu_rooms{provider="livekit",state="captioning"} 1.0' in metrics
    ready = {"ready": True, "engine": True, "store": True}
    assert (await served.http.get("/readyz")).json() == ready | {"livekit": True}
    await served.http.delete(ROOM)
    assert "greffier_sfu_rooms{" not in (await served.http.get("/metrics")).text
    gateway.down = True
    answer = await served.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, ready | {"livekit": False})


async def test_meetings_become_final_although_what_works_in_rooms_cannot_be_closed(
    served: Serving, gateway: ScriptedGateway
) -> None:
    class Broken:
        async def start(self) -> None:
            pass

        async def close(self) -> None:
            raise RuntimeError("nobody thought of it")

    meeting = MeetingId(await meeting_of(served))
    house = served.house
    assert house.livekit is not None
    house.livekit = replace(house.livekit, services=(Broken(),))
    await wind_down(house)
    assert house.meetings.running(meeting) is None
    assert house.livekit.rooms.all() == []

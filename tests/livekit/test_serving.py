"""A server that is set for a LiveKit: at hand for its dispatches, and for applications that want a room captioned."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from api.doctor import Level, examine
from api.settings import LiveKitSettings, Settings
from tests.api.serving import Serving, serving
from tests.livekit.people import People
from tests.livekit.server import LiveKit
from tests.server_process import WAIT

AGENT = "multi-user-transcriber"


@pytest.fixture
async def served(livekit: LiveKit, tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path, livekit=LiveKitSettings(livekit.url, livekit.key, livekit.secret)) as served:
        await shows(served, "/readyz", livekit=True)
        yield served


async def shows(served: Serving, path: str, **wanted: object) -> dict[str, Any]:
    """What ``path`` answers once it says what is wanted."""
    async with asyncio.timeout(WAIT):
        while True:
            found: dict[str, Any] = (await served.http.get(path)).json()
            if wanted.items() <= found.items():
                return found
            await asyncio.sleep(0.05)


async def present(served: Serving, meeting: str, *wanted: tuple[str, bool]) -> None:
    """Returns once these have been there, and are or are not any more."""
    async with asyncio.timeout(WAIT):
        while True:
            listed = (await served.http.get(f"/api/v1/meetings/{meeting}/participants")).json()["participants"]
            found = [(each["name"], each["present"][-1]["left"] is None) for each in listed if each["present"]]
            if found == list(wanted):
                return
            await asyncio.sleep(0.05)


async def dispatch(livekit: LiveKit, room: str, agent: str = AGENT, metadata: str = "") -> None:
    """As Visio does when its button is pressed, or a recording begins."""
    wanted = api.CreateAgentDispatchRequest(room=room, agent_name=agent, metadata=metadata)
    async with livekit.api() as asking:
        await asking.agent_dispatch.create_dispatch(wanted)


async def agents_in(livekit: LiveKit, room: str) -> list[str]:
    async with livekit.api() as asking:
        listed = await asking.room.list_participants(api.ListParticipantsRequest(room=room))
    return [each.identity for each in listed.participants if each.permission.hidden]


async def test_an_application_begins_and_ends_captions_of_a_room(
    livekit: LiveKit, served: Serving, people: People, room: str
) -> None:
    path = f"/api/v1/livekit/rooms/{room}/captions"
    assert (await served.http.post(path)).status_code == 404  # nobody has opened it
    anne = await people.join(room, "anne", "Anne")
    answer = await served.http.post(path, json={"languages": ["fr"]})
    assert answer.status_code == 201, answer.text
    meeting = answer.json()["meeting"]
    await present(served, meeting, ("Anne", True))
    assert await agents_in(livekit, room) == [f"{AGENT}-{room}"]
    await anne.leave()
    await people.join(room, "bilal", "Bilal")
    await present(served, meeting, ("Anne", False), ("Bilal", True))
    assert (await served.http.delete(path)).status_code == 204
    await shows(served, path, state="left", why="left", meeting=meeting)
    assert await agents_in(livekit, room) == []
    assert (await served.http.post(path)).json()["meeting"] == meeting


async def test_a_dispatch_begins_a_meeting_that_ends_with_the_room(
    livekit: LiveKit, served: Serving, people: People, room: str
) -> None:
    await people.join(room, "anne", "Anne")
    await dispatch(livekit, room)
    meeting = (await shows(served, f"/api/v1/livekit/rooms/{room}/captions", state="captioning"))["meeting"]
    await present(served, meeting, ("Anne", True))
    assert 'greffier_sfu_rooms{provider="livekit",state="captioning"} 1.0' in (await served.http.get("/metrics")).text
    async with livekit.api() as asking:
        await asking.room.delete_room(api.DeleteRoomRequest(room=room))
    await shows(served, f"/api/v1/meetings/{meeting}", state="ended")
    await present(served, meeting, ("Anne", False))


async def test_the_metadata_of_a_recording_is_written_where_the_settings_say(
    livekit: LiveKit, people: People, room: str, tmp_path: Path
) -> None:
    settings = LiveKitSettings(livekit.url, livekit.key, livekit.secret, folder="visio/metadata")
    async with serving(tmp_path, livekit=settings) as served:
        await shows(served, "/readyz", livekit=True)
        await people.join(room, "anne", "Anne")
        captions = await served.http.post(f"/api/v1/livekit/rooms/{room}/captions")
        await dispatch(livekit, room, "metadata-collector", "a-recording")
        async with asyncio.timeout(WAIT):
            while (await served.house.store.linked_recording("a-recording")) != (room, captions.json()["meeting"]):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        await present(served, captions.json()["meeting"], ("Anne", True))
    file = tmp_path / "objects" / "visio" / "metadata" / "a-recording-metadata.json"
    assert json.loads(file.read_text())["participants"] == [{"participantId": "anne", "name": "Anne"}]


async def test_a_server_that_stops_leaves_its_rooms_and_the_next_one_goes_on(
    livekit: LiveKit, people: People, room: str, tmp_path: Path
) -> None:
    settings = LiveKitSettings(livekit.url, livekit.key, livekit.secret)
    async with serving(tmp_path, livekit=settings) as served:
        await shows(served, "/readyz", livekit=True)
        await people.join(room, "anne", "Anne")
        await dispatch(livekit, room)
        before = await shows(served, f"/api/v1/livekit/rooms/{room}/captions", state="captioning")
    assert await agents_in(livekit, room) == []
    async with serving(tmp_path, livekit=settings) as served:
        after = await shows(served, f"/api/v1/livekit/rooms/{room}/captions", state="captioning")
        assert after["meeting"] == before["meeting"]


def test_the_doctor_says_whether_livekit_answers_and_takes_the_key(livekit: LiveKit, tmp_path: Path) -> None:
    def found(secret: str) -> tuple[Level, str]:
        settings = Settings(cache=tmp_path, livekit=LiveKitSettings(livekit.url, livekit.key, secret))
        (finding,) = [each for each in examine(settings) if each.subject == "livekit"]
        return finding.level, finding.said

    assert found(livekit.secret) == (Level.FINE, f"{livekit.url} answers and knows this server")
    level, said = found("another secret of 32 characters or so")
    assert (level, "refuses LIVEKIT_API_KEY or LIVEKIT_API_SECRET" in said) == (Level.MISSING, True)

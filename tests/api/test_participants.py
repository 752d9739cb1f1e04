"""Participants join with a name, get a token that is theirs, and may change what they are called."""

import asyncio
import json

import pytest
import websockets

from api.tokens import Can
from pipeline.domain import MeetingId, Participant, ParticipantId
from tests.api.serving import Serving
from tests.api.speech import caption, say

ODD_NAMES = {
    "<b>Bob</b>": "<b>Bob</b>",
    "a --> b": "a --> b",
    "👩\u200d💻 Zoé": "👩\u200d💻 Zoé",
    "two\nlines": "two lines",
    "\u202egnp.exe": "gnp.exe",
}


async def join(served: Serving, meeting: str, **wanted: object) -> dict[str, object]:
    answer = await served.http.post(f"/api/v1/meetings/{meeting}/participants", json=wanted)
    assert answer.status_code == 201, answer.text
    joined: dict[str, object] = answer.json()
    return joined


async def test_who_publishes_gets_a_token_and_addresses(served: Serving) -> None:
    meeting = await served.meeting()
    joined = await join(served, meeting, name="Anne", mode="publish", languages=["fr"])
    token = served.house.access.signer.read_token(str(joined["token"]))
    assert (token.meeting, token.participant, token.name, token.can) == (
        meeting,
        joined["participant"],
        "Anne",
        frozenset(Can),
    )
    assert joined["whip"] == f"/whip/{meeting}"
    assert joined["audio"] == f"/api/v1/meetings/{meeting}/audio.ws"
    assert await served.house.store.languages(meeting) == {joined["participant"]: ("fr",)}


async def test_who_only_reads_may_not_publish_and_is_not_listed(served: Serving) -> None:
    meeting = await served.meeting()
    joined = await join(served, meeting, name="Rita")
    assert served.house.access.signer.read_token(str(joined["token"])).can == {Can.READ}
    assert (joined["mode"], joined["whip"], joined["audio"]) == ("read", None, None)
    assert (await served.http.get(f"/api/v1/meetings/{meeting}/participants")).json() == {"participants": []}


@pytest.mark.parametrize(("name", "kept"), ODD_NAMES.items(), ids=range(len(ODD_NAMES)))
async def test_an_odd_name_is_kept_as_plain_text(served: Serving, name: str, kept: str) -> None:
    meeting = await served.meeting()
    assert (await join(served, meeting, name=name, mode="publish"))["name"] == kept


@pytest.mark.parametrize("name", ["x" * 10_000, "", "\n", None])
async def test_a_name_that_cannot_be_used_is_refused(served: Serving, name: str | None) -> None:
    meeting = await served.meeting()
    answer = await served.http.post(f"/api/v1/meetings/{meeting}/participants", json={"name": name})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "name"
    assert len(answer.text) < 500


async def test_the_same_participant_twice_is_one(served: Serving) -> None:
    meeting = await served.meeting()
    await join(served, meeting, name="Anne", id="anne", mode="publish")
    await join(served, meeting, name="Anne M.", id="anne", mode="publish")
    listed = (await served.http.get(f"/api/v1/meetings/{meeting}/participants")).json()["participants"]
    anne = {"participant": "anne", "name": "Anne M.", "shared_room": None, "enrolled": False, "present": []}
    assert listed == [anne]


async def test_who_was_there_is_listed_with_when(served: Serving) -> None:
    meeting = await served.meeting()
    running = await served.house.meetings.of(meeting)
    await running.enter(Participant(ParticipantId("bob"), "Bob"))
    await running.leave(ParticipantId("bob"))
    await running.enter(Participant(ParticipantId("bob"), "Bob"))

    async def present() -> list[dict[str, float | None]]:
        (bob,) = (await served.http.get(f"/api/v1/meetings/{meeting}/participants")).json()["participants"]
        times: list[dict[str, float | None]] = bob["present"]
        return times

    async with asyncio.timeout(10):
        while len(await present()) < 2:  # noqa: ASYNC110 - they are kept a moment later
            await asyncio.sleep(0.05)
    first, second = await present()
    assert first["joined"] <= first["left"] <= second["joined"]  # type: ignore[operator]
    assert second["left"] is None
    await served.http.post(f"/api/v1/meetings/{meeting}/end")
    assert [each["left"] is None for each in await present()] == [False, False]


async def test_nobody_joins_a_meeting_that_is_over_or_not_there(served: Serving) -> None:
    meeting = await served.meeting()
    await served.http.post(f"/api/v1/meetings/{meeting}/end")
    wanted = {"name": "Anne", "mode": "publish"}
    assert (await served.http.post(f"/api/v1/meetings/{meeting}/participants", json=wanted)).status_code == 422
    assert (await served.http.post("/api/v1/meetings/unknown/participants", json=wanted)).status_code == 404
    await join(served, meeting, name="Rita")


async def test_a_new_name_is_told_and_counts_from_now_on(served: Serving) -> None:
    meeting = await served.meeting()
    await say(served, meeting, caption("before"))
    async with websockets.connect(
        f"{served.sockets}/api/v1/meetings/{meeting}/captions.ws?token={served.token(meeting)}"
    ) as reader:
        await reader.recv()
        changes = {"name": "Anne-Marie", "languages": ["en"]}
        answer = await served.http.patch(f"/api/v1/meetings/{meeting}/participants/anne", json=changes)
        assert answer.json() == {"participant": "anne", "name": "Anne-Marie", "shared_room": None}
        told = json.loads(await asyncio.wait_for(reader.recv(), 5))
        assert (told["type"], told["state"], told["speaker"]) == ("participant", "renamed", "Anne-Marie")
    assert await served.house.store.languages(MeetingId(meeting)) == {"anne": ("en",)}


async def test_a_name_changes_also_while_nothing_runs(served: Serving) -> None:
    meeting = await served.meeting()
    await served.house.store.add_participant(meeting, Participant(ParticipantId("bob"), "Bob"))
    answer = await served.http.patch(f"/api/v1/meetings/{meeting}/participants/bob", json={"name": "Bobby"})
    assert answer.json()["name"] == "Bobby"
    assert [each.name for each in await served.house.store.participants(meeting)] == ["Bobby"]
    unchanged = await served.http.patch(f"/api/v1/meetings/{meeting}/participants/bob", json={})
    assert unchanged.json()["name"] == "Bobby"


async def test_who_never_published_has_no_name_to_change(served: Serving) -> None:
    meeting = await served.meeting()
    answer = await served.http.patch(f"/api/v1/meetings/{meeting}/participants/nobody", json={"name": "X"})
    assert answer.status_code == 404


async def test_a_token_is_renewed_with_the_same_rights(served: Serving) -> None:
    meeting = await served.meeting()
    joined = await join(served, meeting, name="Rita")
    address = f"/api/v1/meetings/{meeting}/participants/{joined['participant']}/token"
    async with served.stranger(Authorization=f"Bearer {joined['token']}") as http:
        renewed = (await http.post(address)).json()
    assert served.house.access.signer.read_token(renewed["token"]).can == {Can.READ}
    assert (await served.http.post(address)).status_code == 404
    await join(served, meeting, name="Anne", id="anne", mode="publish")
    renewed = (await served.http.post(f"/api/v1/meetings/{meeting}/participants/anne/token")).json()
    assert served.house.access.signer.read_token(renewed["token"]).can == frozenset(Can)

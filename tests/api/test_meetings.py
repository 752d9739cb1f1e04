"""Meetings are created, found, shown, paused, ended and deleted over HTTP."""

import asyncio
import json

import pytest
import websockets

from pipeline.domain import MeetingId
from tests.api.serving import Serving
from tests.api.speech import caption, say


async def test_a_new_meeting_is_as_it_was_asked_for(served: Serving) -> None:
    wanted = {"title": " Point\nhebdo ", "languages": ["FR", "en"], "glossary": ["Visio"], "keep_audio": True}
    answer = await served.http.post("/api/v1/meetings", json=wanted)
    assert answer.status_code == 201
    meeting = answer.json()
    assert answer.headers["location"] == f"/api/v1/meetings/{meeting['id']}"
    assert meeting == (await served.http.get(answer.headers["location"])).json()
    assert (meeting["title"], meeting["languages"], meeting["keep_audio"]) == ("Point hebdo", ["fr", "en"], True)
    assert (meeting["state"], meeting["paused"], meeting["ended_at"]) == ("running", False, None)
    glossary = await served.http.get(f"/api/v1/meetings/{meeting['id']}/glossary")
    assert glossary.json() == {"terms": ["Visio"]}


async def test_everything_may_be_left_out(served: Serving) -> None:
    assert (await served.http.post("/api/v1/meetings", json={})).status_code == 201


async def test_a_language_that_the_model_does_not_know_is_refused(served: Serving) -> None:
    answer = await served.http.post("/api/v1/meetings", json={"languages": ["it"]})
    assert answer.status_code == 422
    assert "does not know the language it" in answer.json()["detail"]


@pytest.mark.parametrize("title", ["x" * 201, "\u202e\u202e"])
async def test_a_title_that_cannot_be_used_is_refused(served: Serving, title: str) -> None:
    answer = await served.http.post("/api/v1/meetings", json={"title": title})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "title"


async def test_meetings_are_listed_newest_first_page_by_page(served: Serving) -> None:
    created = [await served.meeting(title=f"{number}") for number in range(3)]
    first = (await served.http.get("/api/v1/meetings?limit=2")).json()
    assert [each["id"] for each in first["meetings"]] == created[:0:-1]
    second = (await served.http.get("/api/v1/meetings", params={"limit": 2, "before": first["next"]})).json()
    assert [each["id"] for each in second["meetings"]] == created[:1]
    assert second["next"] is None


async def test_meetings_are_found_by_title_name_and_what_was_said(served: Serving) -> None:
    meeting = await served.meeting(title="Été")
    await served.meeting(title="Hiver")
    await say(served, meeting, caption("the budget of May"))
    for query in ("ete", "anne", "budget may"):
        found = (await served.http.get("/api/v1/meetings", params={"q": query})).json()["meetings"]
        assert [each["id"] for each in found] == [meeting], query


async def test_a_meeting_ends_once_and_stays_ended(served: Serving) -> None:
    meeting = await served.meeting()
    await served.house.meetings.of(meeting)
    ended = (await served.http.post(f"/api/v1/meetings/{meeting}/end")).json()
    assert ended["state"] == "ended"
    assert (await served.http.post(f"/api/v1/meetings/{meeting}/end")).json() == ended


async def test_nothing_of_a_deleted_meeting_is_left(served: Serving) -> None:
    meeting = await served.meeting()
    await say(served, meeting, caption("hello"))
    assert (await served.http.delete(f"/api/v1/meetings/{meeting}")).status_code == 204
    for path in ("", "/transcript.txt", "/participants", "/captions.sse", "/glossary"):
        assert (await served.http.get(f"/api/v1/meetings/{meeting}{path}")).status_code == 404
    assert (await served.http.delete(f"/api/v1/meetings/{meeting}")).status_code == 404


async def test_who_reads_a_meeting_that_is_deleted_is_told_that_it_ended(served: Serving) -> None:
    meeting, other = await served.meeting(), await served.meeting()
    readers = [
        websockets.connect(f"{served.sockets}/api/v1/meetings/{each}/captions.ws?token={served.token(each)}")
        for each in (meeting, other)
    ]
    async with readers[0] as reader, readers[1] as elsewhere:
        for each in (reader, elsewhere):
            assert json.loads(await each.recv())["type"] == "snapshot"
        await served.http.delete(f"/api/v1/meetings/{meeting}")
        told = [json.loads(message) async for message in reader]
        assert (told[-1]["type"], told[-1]["state"]) == ("meeting", "ended")
        await say(served, other, caption("still here"))
        assert "still here" in str(await asyncio.wait_for(elsewhere.recv(), 5))


async def test_terms_and_languages_are_replaced_also_while_the_meeting_runs(served: Serving) -> None:
    meeting = await served.meeting()
    for _ in range(2):
        terms = {"terms": ["La Suite", "Visio"]}
        assert (await served.http.put(f"/api/v1/meetings/{meeting}/glossary", json=terms)).json() == terms
        assert (await served.http.get(f"/api/v1/meetings/{meeting}/glossary")).json() == terms
        codes = {"languages": ["en"]}
        assert (await served.http.put(f"/api/v1/meetings/{meeting}/languages", json=codes)).json() == codes
        assert (await served.http.get(f"/api/v1/meetings/{meeting}/languages")).json() == codes
        running = await served.house.meetings.of(meeting)
    assert (running.meeting.glossary, running.meeting.languages) == (("La Suite", "Visio"), ("en",))
    await served.http.post(f"/api/v1/meetings/{meeting}/end")
    assert (await served.http.get(f"/api/v1/meetings/{meeting}")).json()["languages"] == ["en"]


async def test_a_meeting_without_languages_of_its_own_has_those_of_the_server(served: Serving) -> None:
    meeting = await served.meeting()
    answer = await served.http.get(f"/api/v1/meetings/{meeting}/languages")
    assert answer.json() == {"languages": ["fr", "en"]}
    refused = await served.http.put(f"/api/v1/meetings/{meeting}/languages", json={"languages": []})
    assert refused.status_code == 422


async def test_a_pause_is_told_marked_and_ends(served: Serving) -> None:
    meeting = await served.meeting()
    address = f"/api/v1/meetings/{meeting}/pause"
    assert (await served.http.put(address)).json()["paused"] is True
    assert (await served.http.put(address)).json()["paused"] is True
    assert (await served.http.get("/api/v1/meetings")).json()["meetings"][0]["paused"] is True
    assert (await served.http.delete(address)).json()["paused"] is False
    (pause,) = await served.house.store.pauses(MeetingId(meeting))
    assert pause.end is not None


async def test_a_meeting_that_is_over_cannot_be_paused(served: Serving) -> None:
    meeting = await served.meeting()
    await served.http.post(f"/api/v1/meetings/{meeting}/end")
    assert (await served.http.put(f"/api/v1/meetings/{meeting}/pause")).status_code == 422


async def test_the_sample_plays_as_participants_once_at_a_time(served: Serving) -> None:
    meeting = await served.meeting()
    for _ in range(2):
        answer = await served.http.post(f"/api/v1/meetings/{meeting}/sample")
        assert answer.status_code == 202
        assert answer.json() == {"voices": ["Éric", "Abbie", "Claire", "John"], "seconds": 40.1}
    running = await served.house.meetings.of(MeetingId(meeting))
    async with asyncio.timeout(5):
        while running.tracks < 4:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)
    names = (await served.http.get(f"/api/v1/meetings/{meeting}/participants")).json()["participants"]
    assert [each["name"] for each in names] == ["Éric", "Abbie", "Claire", "John"]
    await served.http.post(f"/api/v1/meetings/{meeting}/end")
    async with asyncio.timeout(5):
        while running.tracks:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    assert (await served.http.post(f"/api/v1/meetings/{meeting}/sample")).status_code == 422

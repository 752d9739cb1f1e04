"""Voices at one microphone are listed with what they said, named, merged and parted; segments move between them."""

import asyncio
import json
from typing import Any

import pytest
import websockets

from pipeline.domain import MeetingId, Participant, ParticipantId, UtteranceId, VoiceRun
from tests.api.serving import Serving
from tests.api.speech import caption, say

U = UtteranceId("anne.1#1")


@pytest.fixture
async def meeting(served: Serving) -> MeetingId:
    """A room of two voices: the first says three words, the second four, then the first two more."""
    meeting = await served.meeting(keep_audio=True)
    await say(served, meeting, caption("good morning everybody hello I am Claire well then"))
    runs = [VoiceRun(U, 0, 3, 1), VoiceRun(U, 3, 4, 2), VoiceRun(U, 7, 2, 1)]
    await served.house.store.for_meeting(meeting).keep_runs(runs)
    return meeting


def voices_at(meeting: str) -> str:
    return f"/api/v1/meetings/{meeting}/participants/anne/voices"


async def listed(served: Serving, meeting: str) -> list[dict[str, Any]]:
    answer = await served.http.get(voices_at(meeting))
    assert answer.status_code == 200, answer.text
    voices: list[dict[str, Any]] = answer.json()["voices"]
    return voices


async def spoken(served: Serving, meeting: str) -> list[tuple[str, str]]:
    """Who says what in the transcript."""
    document = (await served.http.get(f"/api/v1/meetings/{meeting}/transcript.json")).json()
    names = {each["id"]: each["name"] for each in document["participants"]}
    return [(names[each["participant"]], each["text"]) for each in document["segments"]]


async def test_voices_are_listed_with_pieces_of_what_they_said_and_where_it_is_heard(
    served: Serving, meeting: MeetingId
) -> None:
    first, second = await listed(served, meeting)
    assert (first["voice"], first["speaker"], first["name"], first["merged_into"]) == (1, "Anne (voix 1)", None, None)
    assert [each["text"] for each in first["excerpts"]] == ["good morning everybody", "well then"]
    (excerpt,) = second["excerpts"]
    assert excerpt == {
        "segment": "anne.1#1/3",
        "text": "hello I am Claire",
        "start": 0.75,
        "end": 1.7,
        "sound": f"/api/v1/meetings/{meeting}/audio/anne.1#t=0.75,1.70",
    }
    assert second["seconds"] == pytest.approx(0.95)


async def test_excerpts_are_the_longest_pieces_and_long_ones_are_cut(served: Serving) -> None:
    meeting = await served.meeting()
    long = " ".join(["word"] * 60)
    said = [
        caption(text, number=number, start=20.0 * number)
        for number, text in enumerate(["one", long, "two words", "three"])
    ]
    await say(served, meeting, *said)
    await served.house.store.for_meeting(meeting).keep_runs([VoiceRun(each.utterance, 0, 60, 1) for each in said])
    (voice,) = await listed(served, meeting)
    texts = [each["text"] for each in voice["excerpts"]]
    assert texts[1:] == ["two words", "three"]
    assert texts[0].endswith("word…") and len(texts[0]) <= 160
    assert voice["excerpts"][0]["sound"] is None


async def test_a_name_stands_in_every_format_until_it_is_taken_back(served: Serving, meeting: MeetingId) -> None:
    address = f"{voices_at(meeting)}/2"
    assert (await served.http.patch(address, json={"name": "Claire"})).status_code == 204
    for form in ("vtt", "srt", "txt", "json", "md"):
        text = (await served.http.get(f"/api/v1/meetings/{meeting}/transcript.{form}")).text
        assert "Claire" in text.replace("am Claire", ""), form
    assert (await listed(served, meeting))[1]["name"] == "Claire"
    assert (await served.http.patch(address, json={})).status_code == 204
    assert (await served.http.patch(address, json={"name": None})).status_code == 204
    assert await spoken(served, meeting) == [
        ("Anne (voix 1)", "good morning everybody"),
        ("Anne (voix 2)", "hello I am Claire"),
        ("Anne (voix 1)", "well then"),
    ]


async def test_merged_voices_are_one_until_they_are_parted(served: Serving, meeting: MeetingId) -> None:
    address = f"{voices_at(meeting)}/2"
    assert (await served.http.patch(address, json={"merged_into": 1})).status_code == 204
    assert {name for name, _ in await spoken(served, meeting)} == {"Anne (voix 1)"}
    first, second = await listed(served, meeting)
    assert len(first["excerpts"]) == 3
    assert (second["merged_into"], second["excerpts"]) == (1, [])
    circle = await served.http.patch(f"{voices_at(meeting)}/1", json={"merged_into": 2})
    assert circle.status_code == 422
    assert "part them first" in circle.json()["detail"]
    assert (await served.http.patch(address, json={"merged_into": None})).status_code == 204
    assert len({name for name, _ in await spoken(served, meeting)}) == 2


async def test_a_segment_is_moved_to_another_voice_to_a_new_one_and_to_nobody(
    served: Serving, meeting: MeetingId
) -> None:
    address = f"/api/v1/meetings/{meeting}/segments/anne.1%231/3/voice"
    for voice, number, name in ((1, 1, "Anne (voix 1)"), (None, 101, "Anne (voix 101)"), (0, 0, "Anne")):
        answer = await served.http.put(address, json={"voice": voice})
        assert (answer.status_code, answer.json()) == (200, {"voice": number})
        assert (await spoken(served, meeting))[1] == (name, "hello I am Claire")
    correction = f"/api/v1/meetings/{meeting}/segments/anne.1%231/3"
    assert (await served.http.patch(correction, json={"text": "Hello, I am Claire."})).status_code == 204
    assert (await spoken(served, meeting))[1] == ("Anne", "Hello, I am Claire.")


async def test_who_changes_what_is_not_as_it_was_shown_is_told_to_read_it_again(
    served: Serving, meeting: MeetingId
) -> None:
    segment = f"/api/v1/meetings/{meeting}/segments/anne.1%231/3"
    document = (await served.http.get(f"/api/v1/meetings/{meeting}/transcript.json")).json()
    assert [each["count"] for each in document["segments"]] == [3, 4, 2]
    await served.house.store.for_meeting(meeting).keep_runs([VoiceRun(U, 5, 2, 1)])
    before = await spoken(served, meeting)
    for method, address, body in (
        ("PATCH", segment, {"text": "Hello, I am Claire.", "count": 4}),
        ("PUT", f"{segment}/voice", {"voice": None, "count": 4}),
    ):
        answer = await served.http.request(method, address, json=body)
        assert answer.status_code == 409
        assert "read the transcript again" in answer.json()["detail"]
    assert await spoken(served, meeting) == before
    assert (await served.http.patch(segment, json={"text": "Hello,", "count": 2})).status_code == 204
    assert (await served.http.put(f"{segment}/voice", json={"voice": 1, "count": 2})).status_code == 200


async def test_a_name_given_together_with_a_merge_is_that_of_both(served: Serving, meeting: MeetingId) -> None:
    address = f"{voices_at(meeting)}/2"
    assert (await served.http.patch(address, json={"name": "Claire", "merged_into": 1})).status_code == 204
    assert {name for name, _ in await spoken(served, meeting)} == {"Claire"}
    assert (await served.http.patch(address, json={"merged_into": None})).status_code == 204
    assert (await served.http.patch(address, json={"name": "", "merged_into": 1})).status_code == 204
    assert {name for name, _ in await spoken(served, meeting)} == {"Claire"}, "a name left empty takes none away"
    assert [each["name"] for each in await listed(served, meeting)] == ["Claire", ""]


async def test_who_may_only_read_gets_no_addresses_of_sound(served: Serving, meeting: MeetingId) -> None:
    async with served.stranger(Authorization=f"Bearer {served.token(meeting)}") as http:
        voices = (await http.get(voices_at(meeting))).json()["voices"]
    assert {excerpt["sound"] for voice in voices for excerpt in voice["excerpts"]} == {None}


async def test_what_cannot_be_is_refused(served: Serving, meeting: MeetingId) -> None:
    segment = f"/api/v1/meetings/{meeting}/segments"
    for method, address, body, status in (
        ("GET", f"/api/v1/meetings/{meeting}/participants/nobody/voices", None, 404),
        ("GET", voices_at("unknown"), None, 404),
        ("PATCH", f"{voices_at(meeting)}/9", {"name": "Zoé"}, 404),
        ("PATCH", f"{voices_at(meeting)}/0", {"name": "Zoé"}, 422),
        ("PATCH", f"{voices_at(meeting)}/{10**12}", {"name": "Zoé"}, 422),
        ("PATCH", f"{voices_at(meeting)}/1", {"name": "\n"}, 422),
        ("PATCH", f"{voices_at(meeting)}/1", {"merged_into": 9}, 404),
        ("PUT", f"{segment}/anne.1%231/1/voice", {"voice": 1}, 404),
        ("PUT", f"{segment}/anne.1%231/voice", {"voice": 9}, 404),
        ("PUT", f"{segment}/anne.1%231/voice", {"voice": -1}, 422),
        ("PUT", f"{segment}/anne.1%231/voice", {}, 422),
    ):
        answer = await served.http.request(method, address, json=body)
        assert answer.status_code == status, (method, address, answer.text)


async def test_the_room_itself_names_its_voices_and_others_do_not(served: Serving, meeting: MeetingId) -> None:
    for participant, status in (("anne", 204), ("bob", 403)):
        async with served.stranger(Authorization=f"Bearer {served.token(meeting, participant)}") as http:
            assert (await http.patch(f"{voices_at(meeting)}/1", json={"name": "Zoé"})).status_code == status


async def test_a_shared_room_is_marked_at_join_and_by_change(served: Serving) -> None:
    meeting = await served.meeting()
    address = f"/api/v1/meetings/{meeting}/participants"
    wanted = {"name": "Salle", "id": "salle", "mode": "publish", "shared_room": True}
    assert (await served.http.post(address, json=wanted)).status_code == 201
    assert (await served.http.get(address)).json()["participants"][0]["shared_room"] is True
    assert (await served.http.patch(f"{address}/salle", json={"name": "Salle 2"})).json()["shared_room"] is True
    assert (await served.http.patch(f"{address}/salle", json={"shared_room": False})).json()["shared_room"] is False
    assert (await served.http.post(address, json=wanted)).status_code == 201
    assert [each.shared_room for each in await served.house.store.participants(meeting)] == [False]
    assert (await served.http.patch(f"{address}/salle", json={"shared_room": None})).json()["shared_room"] is None
    assert await served.house.store.participants(meeting) == [Participant(ParticipantId("salle"), "Salle")]


async def test_readers_of_a_live_meeting_see_names_merges_and_moves(served: Serving, meeting: MeetingId) -> None:
    segment = f"/api/v1/meetings/{meeting}/segments/anne.1%231/3/voice"
    changes = (
        ("PATCH", f"{voices_at(meeting)}/2", {"name": "Claire"}, ["Anne (voix 1)", "Claire", "Anne (voix 1)"]),
        ("PATCH", f"{voices_at(meeting)}/1", {"merged_into": 2}, ["Claire", "Claire", "Claire"]),
        ("PUT", segment, {"voice": None}, ["Claire", "Anne (voix 101)", "Claire"]),
        ("PUT", segment, {"voice": 0}, ["Claire", "Claire"]),
        ("PUT", segment.replace("/3/", "/"), {"voice": 0}, ["Claire"]),
        ("PUT", segment.replace("/3/", "/7/"), {"voice": 0}, []),
    )
    address = f"{served.sockets}/api/v1/meetings/{meeting}/captions.ws?token={served.token(meeting)}"
    async with websockets.connect(address) as reader:
        for method, path, body, speakers in changes:
            assert (await served.http.request(method, path, json=body)).is_success
            async with asyncio.timeout(30):
                while (told := json.loads(await reader.recv()))["type"] != "voices":
                    pass
            assert [run["speaker"] for run in told["runs"]] == speakers

"""The minutes of a meeting as files and on its page, whatever became of it."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from pipeline.domain import (
    Caption,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Presence,
    Settled,
    TrackId,
    UtteranceId,
    VoiceRun,
    Word,
)
from pipeline.record.settled import Settlement
from tests.api.serving import Serving

ROOM, ANNE, LISTENER = (
    Participant(ParticipantId(name), called)
    for name, called in (("room", "Salle <b>"), ("anne", "Anne"), ("zoe", "Zoé"))
)
SAID = ((ROOM, 10.0, "un deux trois quatre"), (ANNE, 20.0, "cinq six"))


async def held(served: Serving, presences: bool = True, ended_at: float | None = 1100.0) -> str:
    """A meeting of a room in which two speak, and Anne; Zoé only listens. Where its addresses begin."""
    store, meeting = served.house.store, MeetingId("point")
    await store.create_meeting(Meeting(meeting, "Point", 1000.0))
    shelf = store.for_meeting(meeting)
    for person in (ROOM, ANNE, LISTENER):
        await store.add_participant(meeting, person)
    for number, (person, start, text) in enumerate(SAID):
        track = await store.next_track(meeting, person.id)
        words = tuple(Word(f" {each}", start + k, start + k + 1.0) for k, each in enumerate(text.split()))
        await shelf.keep_final(Caption(TrackId(track), UtteranceId(f"u{number}"), 1, True, "fr", words))
    await shelf.keep_runs([VoiceRun(UtteranceId("u0"), 0, 3, 1), VoiceRun(UtteranceId("u0"), 3, 1, 2)])
    if presences:
        await shelf.keep_presences([Presence(person.id, 5.0, 65.0) for person in (ROOM, ANNE, LISTENER)])
    if ended_at is not None:
        await shelf.keep_end(ended_at)
    return f"/api/v1/meetings/{meeting}"


async def test_voices_of_a_room_speak_beside_it_and_whoever_only_listened_is_there(served: Serving) -> None:
    meeting = await held(served)
    document = (await served.http.get(f"{meeting}/minutes.json")).json()
    told = {each["label"]: each for each in document["participants"]}
    assert {name: (each["attendance"], each["speaking"], each["turns"]) for name, each in told.items()} == {
        "Salle <b>": (60.0, 0.0, 0),
        "Salle <b> (voix 1)": (None, 3.0, 1),
        "Salle <b> (voix 2)": (None, 1.0, 1),
        "Anne": (60.0, 2.0, 1),
        "Zoé": (60.0, 0.0, 0),
    }
    assert told["Salle <b> (voix 1)"]["spoke"] == [[10.0, 13.0]]
    assert (document["start"], document["end"]) == (5.0, 65.0)


async def test_minutes_are_written_in_the_language_that_is_asked_for(served: Serving) -> None:
    meeting = await held(served)
    english = await served.http.get(f"{meeting}/minutes.md")
    assert english.headers["content-type"] == "text/markdown; charset=utf-8"
    assert english.headers["content-disposition"] == 'attachment; filename="Point minutes.md"'
    assert "## Minutes" in english.text
    french = await served.http.get(f"{meeting}/minutes.md", headers={"Accept-Language": "fr"})
    assert "| Zoé | 01:00 (00:05–01:05) | 00:00 (0 %) | 0 |" in french.text
    assert french.text == (await served.http.get(f"{meeting}/minutes.md?language=fr")).text
    assert (await served.http.get(f"{meeting}/minutes.md?language=xx")).status_code == 422


async def test_the_picture_shows_a_row_for_each_and_may_only_style_itself(served: Serving) -> None:
    answer = await served.http.get(f"{await held(served)}/timeline.svg?language=fr")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    svg = "{http://www.w3.org/2000/svg}"
    picture = ET.fromstring(answer.text)
    assert [row.findtext(f"{svg}text") for row in picture.findall(f"{svg}g")][2] == "Salle <b> (voix 1)"
    assert (picture.findtext(f"{svg}desc") or "").startswith("Anne : 00:02 (33 %). Salle <b> (voix 1) : 00:03 (50 %)")


async def test_of_a_meeting_that_goes_on_there_are_minutes_until_now(served: Serving) -> None:
    meeting = MeetingId(await served.meeting(title="Now"))
    store, wall = served.house.store, served.house.wall
    await store.update_meeting(replace(await store.meeting(meeting), created_at=wall() - 100.0))
    await store.add_participant(meeting, ANNE)
    await store.for_meeting(meeting).keep_presences([Presence(ANNE.id, 40.0)])
    document = (await served.http.get(f"/api/v1/meetings/{meeting}/minutes.json")).json()
    (anne,) = document["participants"]
    assert anne["attendance"] == pytest.approx(60.0, abs=20.0)


async def test_where_nobody_noted_who_was_there_the_rest_is_told(served: Serving) -> None:
    meeting = await held(served, presences=False)
    document = (await served.http.get(f"{meeting}/minutes.json")).json()
    assert [(each["label"], each["attendance"]) for each in document["participants"]] == [
        ("Salle <b>", None),
        ("Anne", None),
        ("Salle <b> (voix 1)", None),
        ("Salle <b> (voix 2)", None),
    ]
    empty = await served.meeting()
    assert "Nobody spoke." in (await served.http.get(f"/api/v1/meetings/{empty}/minutes.md")).text
    assert (await served.http.get(f"/api/v1/meetings/{empty}/timeline.svg")).status_code == 200


async def test_there_are_no_other_formats_and_none_of_a_meeting_that_is_not_there(served: Serving) -> None:
    meeting = await held(served)
    assert (await served.http.get(f"{meeting}/minutes.pdf")).status_code == 404
    assert (await served.http.get("/api/v1/meetings/none/minutes.json")).status_code == 404
    assert (await served.http.get("/api/v1/meetings/none/timeline.svg")).status_code == 404


@pytest.mark.parametrize(
    ("language", "heads"),
    [
        ("en", ["Participant", "Attendance", "Speaking time", "Turns"]),
        ("fr", ["Participant", "Présence", "Temps de parole", "Interventions"]),
    ],
)
async def test_the_page_of_the_transcript_has_them_as_a_table_and_a_picture(
    served: Serving, language: str, heads: list[str]
) -> None:
    await held(served)
    async with served.stranger() as browser:
        page = (await browser.get(f"/meetings/point/transcript?language={language}")).text
    for head in heads:
        assert f'<th scope="col">{head}</th>' in page
    assert "<bdi>Salle &lt;b&gt; (voix 1)</bdi>" in page
    assert 'role="img" aria-labelledby="timeline-title timeline-desc"' in page
    assert "<b>" not in page
    assert "<style>" not in page


async def test_api_and_page_say_how_the_transcript_was_settled(served: Serving) -> None:
    said = {
        Settled.SOUND: "by its kept sound",
        Settled.VOICES: "by what was kept of them",
        Settled.FAILED: "did not succeed",
    }
    store = served.house.store
    async with served.stranger() as browser:
        for how in Settled:
            meeting = MeetingId(f"settled-{how.value}")
            await store.create_meeting(Meeting(meeting, "Point", 1000.0, ended_at=1100.0))
            assert (await served.http.get(f"/api/v1/meetings/{meeting}")).json()["settled"] is None
            await store.settle(meeting, Settlement(how))
            assert (await served.http.get(f"/api/v1/meetings/{meeting}")).json()["settled"] == how.value
            page = (await browser.get(f"/meetings/{meeting}/transcript?language=en")).text
            assert [each for each, text in said.items() if text in page] == ([how] if how in said else [])

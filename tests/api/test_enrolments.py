"""A participant lets their voice be known, by consent: it has their name in a shared room until they take it back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_gateway.recording import read_recording
from models.voice_export import export_voices
from models.voice_onnx import VoiceModel, VoiceNetworks
from pipeline.domain import MeetingId, Participant, ParticipantId, UtteranceId, VoiceRun
from pipeline.enrolling import voice_of_clip
from tests.api.serving import Serving
from tests.api.speech import caption, say

SAMPLE = Path(__file__).parents[2] / "sample"
ERIC = Participant(ParticipantId("eric"), "Éric")


@pytest.fixture(scope="module")
def networks(cache: Path) -> VoiceNetworks:
    return VoiceNetworks(export_voices(cache))


@pytest.fixture
async def model(networks: VoiceNetworks, served: Serving) -> AsyncIterator[VoiceModel]:
    served.house.voice_model = model = VoiceModel(networks)
    yield model
    model.close()


@pytest.fixture
async def meeting(served: Serving, model: VoiceModel) -> MeetingId:
    """Éric is in the room of Anne's microphone, too."""
    meeting = await served.meeting()
    await say(served, meeting, caption("bonjour à tous"))
    store = served.house.store
    await store.add_participant(meeting, ERIC)
    heard = await voice_of_clip(model, read_recording(SAMPLE / "eric.ogg")[7 * 16_000 :])
    await store.for_meeting(meeting).keep_runs([VoiceRun(UtteranceId("anne.1#1"), 0, 3, 1)])
    await store.for_meeting(meeting).keep_voice(ParticipantId("anne"), 1, heard)
    return meeting


def address(meeting: str, participant: str = "eric") -> str:
    return f"/api/v1/meetings/{meeting}/participants/{participant}/enrolment"


async def names(served: Serving, meeting: MeetingId) -> list[str]:
    return [segment.participant.name for segment in (await served.house.store.transcript(meeting)).segments]


async def enrolled(served: Serving, meeting: str) -> dict[str, bool]:
    listed = (await served.http.get(f"/api/v1/meetings/{meeting}/participants")).json()["participants"]
    return {each["participant"]: each["enrolled"] for each in listed}


async def test_a_known_voice_in_a_room_has_its_name_until_it_is_forgotten(served: Serving, meeting: MeetingId) -> None:
    assert await names(served, meeting) == ["Anne (voix 1)"]
    clip = (SAMPLE / "eric.ogg").read_bytes()
    async with served.stranger(Authorization=f"Bearer {served.token(meeting, 'eric')}") as http:
        answer = await http.put(address(meeting), params={"consent": "true"}, content=clip)
        assert answer.status_code == 204, answer.text
        assert await names(served, meeting) == ["Éric"]
        assert await enrolled(served, meeting) == {"anne": False, "eric": True}
        assert (await http.delete(address(meeting))).status_code == 204
        assert (await http.delete(address(meeting))).status_code == 404
    assert await names(served, meeting) == ["Anne (voix 1)"]
    assert await enrolled(served, meeting) == {"anne": False, "eric": False}


async def test_a_name_that_people_gave_counts_more(served: Serving, meeting: MeetingId) -> None:
    clip = (SAMPLE / "eric.ogg").read_bytes()
    await served.http.put(address(meeting), params={"consent": "true"}, content=clip)
    await served.house.store.rename_voice(meeting, ParticipantId("anne"), 1, "Frère d’Éric")
    assert await names(served, meeting) == ["Frère d’Éric"]


async def test_somebody_elses_voice_has_no_name_by_it(served: Serving, meeting: MeetingId) -> None:
    clip = (SAMPLE / "claire.ogg").read_bytes()
    assert (await served.http.put(address(meeting), params={"consent": "true"}, content=clip)).status_code == 204
    assert await names(served, meeting) == ["Anne (voix 1)"]


async def test_what_is_no_clip_of_one_person_or_not_agreed_to_is_refused(served: Serving, meeting: MeetingId) -> None:
    clip = (SAMPLE / "eric.ogg").read_bytes()
    for params, content, status, said, reason in (
        ({}, clip, 422, "ask this person first", None),
        ({"consent": "true"}, b"", 422, "empty", "unreadable"),
        ({"consent": "true"}, b"not a recording", 422, "cannot be read", "unreadable"),
        ({"consent": "true"}, b"x" * 20_000_001, 413, "", None),
    ):
        answer = await served.http.put(address(meeting), params=params, content=content)
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
        assert answer.json().get("reason") == reason
    nobody = await served.http.put(address(meeting, "nobody"), params={"consent": "true"}, content=clip)
    assert nobody.status_code == 404
    async with served.stranger(Authorization=f"Bearer {served.token(meeting, 'anne')}") as http:
        assert (await http.put(address(meeting), params={"consent": "true"}, content=clip)).status_code == 403
    served.house.voice_model = None
    without = await served.http.put(address(meeting), params={"consent": "true"}, content=clip)
    assert (without.status_code, "not told apart here" in without.json()["detail"]) == (422, True)

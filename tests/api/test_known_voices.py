"""Of whom the page of a transcript says that their voice is known, or may become so."""

from typing import Any, cast

import numpy as np
import pytest

from api.keys import new_key
from api.known_voices import KnownVoices, known_voices
from pipeline.access import Scope
from pipeline.domain import MeetingId, Participant, ParticipantId, UtteranceId, VoiceRun
from tests.api.serving import Serving
from tests.api.speech import caption, say

ERIC = Participant(ParticipantId("eric"), "Éric <b>")
VOICE = np.eye(192, dtype=np.float32)[0]
PAGE = {"Accept": "text/html", "Accept-Language": "en"}


@pytest.fixture
async def meeting(served: Serving) -> MeetingId:
    """Anne spoke in it, and Éric is there."""
    meeting = await served.meeting()
    await say(served, meeting, caption("good morning"))
    await served.house.store.add_participant(meeting, ERIC)
    return meeting


def telling(served: Serving) -> None:
    """The server tells voices apart."""
    served.house.voice_model = cast(Any, object())


async def found(served: Serving, meeting: MeetingId) -> KnownVoices | None:
    store = served.house.store
    people, voices = await store.participants(meeting), await store.voices(meeting)
    return await known_voices(served.house, await store.meeting(meeting), people, voices)


async def page(served: Serving, meeting: MeetingId) -> str:
    async with served.stranger(**PAGE) as http:
        return (await http.get(f"/meetings/{meeting}/transcript")).text


async def test_everybody_in_a_meeting_that_goes_on_may_become_known(served: Serving, meeting: MeetingId) -> None:
    telling(served)
    await served.house.store.keep_enrolment(meeting, ERIC.id, VOICE)
    known = await found(served, meeting)
    assert known is not None
    assert [(each.name, is_known) for each, is_known in known.people] == [("Anne", False), ("Éric <b>", True)]
    shown = await page(served, meeting)
    assert 'aria-label="Let this voice be known: Anne"' in shown
    assert 'aria-label="Forget this voice: Éric &lt;b&gt;"' in shown
    assert 'data-largest="20000000"' in shown


async def test_a_server_that_tells_no_voices_apart_says_so_and_still_forgets(
    served: Serving, meeting: MeetingId
) -> None:
    assert "No voice can become known here" in await page(served, meeting)
    await served.house.store.keep_enrolment(meeting, ERIC.id, VOICE)
    shown = await page(served, meeting)
    assert "No voice can become known here" in shown
    assert "Let this voice be known" not in shown
    assert "Forget this voice: Éric" in shown


async def test_over_and_without_shared_microphones_no_voice_can_have_a_name_by_it(
    served: Serving, meeting: MeetingId
) -> None:
    telling(served)
    await served.http.post(f"/api/v1/meetings/{meeting}/end")
    assert await found(served, meeting) is None
    assert "Known voices" not in await page(served, meeting)
    await served.house.store.for_meeting(meeting).keep_runs([VoiceRun(UtteranceId("anne.1#1"), 0, 2, 1)])
    assert await found(served, meeting) is not None


async def test_whoever_may_only_read_is_shown_nothing_of_it(served: Serving, meeting: MeetingId) -> None:
    telling(served)
    key, text = new_key("reader", {Scope.READ}, 0.0)
    await served.house.store.add_key(key)
    async with served.stranger(**PAGE, **{"X-Forwarded-For": "192.0.2.7"}) as http:
        await http.post("/api/v1/session", json={"key": text})
        shown = (await http.get(f"/meetings/{meeting}/transcript")).text
    assert "good morning" in shown
    assert "Known voices" not in shown
    assert "enrol-dialog" not in shown

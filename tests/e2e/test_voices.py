"""A clerk says who the voices at one microphone are, on the page of the transcript."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect

from pipeline.domain import Caption, MeetingId, Participant, ParticipantId, TrackId, UtteranceId, VoiceRun, Word
from pipeline.store.sql import SqlStore
from tests.e2e.people import Meetings, Visitors, violations
from tests.serving import Process

ROOM = Participant(ParticipantId("salle"), "Salle Descartes", shared_room=True)
SAID = "good morning everybody hello I am Claire well then"


@pytest.fixture
def meeting(server: Process, meetings: Meetings) -> str:
    """A meeting that is over, in whose room two voices spoke in turn."""
    meeting = meetings.new("Voices", keep_audio=True)
    server.ask("POST", f"/api/v1/meetings/{meeting}/end")
    with ThreadPoolExecutor(1) as thread:  # Playwright keeps an event loop in this one
        thread.submit(asyncio.run, speak(f"sqlite:///{server.home}/greffier.db", MeetingId(meeting))).result()
    return meeting


async def speak(database: str, meeting: MeetingId) -> None:
    store = SqlStore.open(database)
    await store.add_participant(meeting, ROOM)
    track = await store.next_track(meeting, ROOM.id)
    words = tuple(Word(f" {text}", place / 2, place / 2 + 0.4) for place, text in enumerate(SAID.split()))
    final = Caption(TrackId(track), UtteranceId(f"{track}#1"), 1, True, "en", words)
    shelf = store.for_meeting(meeting)
    await shelf.keep_final(final)
    await shelf.keep_runs([VoiceRun(final.utterance, *run) for run in ((0, 3, 1), (3, 4, 2), (7, 2, 1))])
    await store.close()


async def label(database: str, meeting: MeetingId, runs: list[VoiceRun]) -> None:
    store = SqlStore.open(database)
    await store.for_meeting(meeting).keep_runs(runs)
    await store.close()


def speakers(page: Page) -> list[str]:
    return page.locator(".turn .speaker bdi").all_inner_texts()


def test_a_clerk_names_merges_parts_and_moves_voices_by_keyboard(visitors: Visitors, meeting: str) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript")
    first, second = "Salle Descartes (voix 1)", "Salle Descartes (voix 2)"
    assert speakers(page) == [first, second, first]
    known = page.locator(".speakers .excerpt").nth(2)
    expect(known).to_contain_text("hello I am Claire")
    assert "/audio/salle.1#t=1.50,3.40" in (known.locator("audio").get_attribute("src") or "")

    page.get_by_role("button", name=f"Change who {second} is").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_be_focused()
    assert not violations(page)
    page.keyboard.type("Claire")
    page.keyboard.press("Enter")
    change = page.get_by_role("button", name="Change who Claire is")
    expect(change).to_be_focused()
    expect(page.locator("#said")).to_have_text("Saved.")
    assert speakers(page) == [first, "Claire", first]

    page.get_by_role("button", name=f"Change who {first} is").click()
    page.get_by_label("The same person as").select_option("Claire")
    page.get_by_role("button", name="Save").click()
    part = page.get_by_role("button", name=f"Part {first} from Claire again")
    expect(part).to_be_focused()
    assert speakers(page) == ["Claire"]
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=f"Change who {first} is")).to_be_focused()
    assert speakers(page) == [first, "Claire", first]

    page.get_by_role("button", name="Correct the text").click()
    edit = page.get_by_role("button", name="Correct what Claire said at 0:01")
    edit.press("Enter")
    whose = page.get_by_label("Who said it")
    assert whose.locator("option").all_inner_texts() == [
        first,
        "Claire",
        "Salle Descartes, nobody in particular",
        "somebody else",
    ]
    assert not violations(page)
    whose.select_option("somebody else")
    page.get_by_role("button", name="Save").click()
    moved = page.get_by_role("button", name="Correct what Salle Descartes (voix 101) said at 0:01")
    expect(moved).to_be_focused()  # the clerk goes on correcting from there
    assert speakers(page) == [first, "Salle Descartes (voix 101)", first]


def test_what_was_typed_for_words_that_are_others_by_now_is_kept(
    visitors: Visitors, server: Process, meeting: str
) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript")
    page.get_by_role("button", name="Correct the text").click()
    page.get_by_role("button", name="Correct what Salle Descartes (voix 2) said at 0:01").click()
    page.locator(".segment-form textarea").fill("Hello, I am Claire.")
    runs = [VoiceRun(UtteranceId("salle.1#1"), 2, 5, 2)]  # a late label: "everybody" is hers, too
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, label(f"sqlite:///{server.home}/greffier.db", MeetingId(meeting), runs)).result()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".segment-form [role=alert]")).to_contain_text("The transcript has changed meanwhile")
    assert not violations(page)
    page.get_by_role("button", name="Show it as it is now").click()
    form = page.locator(".segment-form")
    expect(form).to_contain_text("Hello, I am Claire.")
    expect(form.locator("textarea")).to_have_value("everybody hello I am Claire")
    form.locator("textarea").fill("everybody. Hello, I am Claire.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#said")).to_have_text("Saved.")
    page.reload()
    texts = [text.strip() for text in page.locator(".piece").all_inner_texts()]
    assert texts == ["good morning", "everybody. Hello, I am Claire.", "well then"]


def test_a_correction_that_is_begun_goes_on_after_a_voice_got_its_name(visitors: Visitors, meeting: str) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript")
    page.get_by_role("button", name="Correct the text").click()
    page.get_by_role("button", name="Correct what Salle Descartes (voix 2) said at 0:01").click()
    page.locator(".segment-form textarea").fill("Hello, I am Claire.")
    page.get_by_role("button", name="Change who Salle Descartes (voix 2) is").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("Claire")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="Change who Claire is")).to_be_focused()
    expect(page.locator(".segment-form textarea")).to_have_value("Hello, I am Claire.")
    page.locator(".segment-form").get_by_role("button", name="Save").click()
    expect(page.locator("#said")).to_have_text("Saved.")
    page.reload()
    assert "Hello, I am Claire." in page.locator(".piece").all_inner_texts()


def test_a_refusal_is_said_and_the_page_speaks_french(visitors: Visitors, meetings: Meetings, meeting: str) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript", "fr-FR")
    expect(page.get_by_role("heading", name="Noms et voix")).to_be_visible()
    assert not violations(page)
    page.get_by_role("button", name="Modifier qui est Salle Descartes (voix 1)").click()
    page.get_by_role("textbox", name="Nom", exact=True).fill("Zoé")
    meetings.server.ask("DELETE", f"/api/v1/meetings/{meeting}")
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.locator("#speaker-error")).to_contain_text("Cela n’a pas marché")

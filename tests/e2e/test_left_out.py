"""Somebody reads, and brings back, what a second microphone in the room heard, on the page of the transcript."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pipeline.domain import Caption, MeetingId, Participant, ParticipantId, TrackId, UtteranceId, VoiceRun, Word
from pipeline.store.sql import SqlStore
from tests.e2e.people import Meetings, Visitors, violations
from tests.serving import Process

FIRST, SECOND = "we will begin the meeting now", "the second point is about our money"
AND = "yes thank you"
LOUD, QUIET = -20.0, -40.0


@pytest.fixture
def meeting(server: Process, meetings: Meetings) -> str:
    """A meeting that is over, in which Bilal's microphone heard what Anne said at her own."""
    meeting = meetings.new("Two microphones")
    server.ask("POST", f"/api/v1/meetings/{meeting}/end")
    stored(server, meeting, speak)
    return meeting


def stored(server: Process, meeting: str, write: Any) -> None:
    async def written() -> None:
        store = SqlStore.open(f"sqlite:///{server.home}/greffier.db")
        await write(store, MeetingId(meeting))
        await store.close()

    with ThreadPoolExecutor(1) as thread:  # Playwright keeps an event loop in this one
        thread.submit(asyncio.run, written()).result()


async def speak(store: SqlStore, meeting: MeetingId) -> None:
    said = {"Anne": [(FIRST, 0.0, LOUD), (SECOND, 10.0, LOUD)], "Bilal": [(f"{FIRST} {AND}", 0.05, QUIET)]}
    said["Bilal"] += [(SECOND, 10.05, QUIET)]
    for name, pieces in said.items():
        who = ParticipantId(name.lower())
        await store.add_participant(meeting, Participant(who, name))
        track = await store.next_track(meeting, who)
        for number, (text, start, level) in enumerate(pieces, 1):
            await store.for_meeting(meeting).keep_final(final(track, number, text, start, level))


def final(track: TrackId, number: int, text: str, start: float, level: float) -> Caption:
    said = text.split()
    words = tuple(Word(f" {each}", start + place / 2, start + place / 2 + 0.4) for place, each in enumerate(said))
    loudness = [LOUD if each in AND.split() else level for each in said for _ in range(2)]
    levels = tuple((start + place / 4, each) for place, each in enumerate(loudness))
    return Caption(track, UtteranceId(f"{track}#{number}"), 1, True, "en", words, levels=levels)


def pieces(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".piece").all_inner_texts()]


def test_what_was_left_out_is_shown_in_its_places_and_kept_by_keyboard(
    visitors: Visitors, server: Process, meeting: str
) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript")
    expect(page.get_by_text("2 pieces that another microphone heard better are left out.")).to_be_visible()
    left_out = page.locator(".left-out")
    expect(left_out.first).to_be_hidden()
    assert pieces(page) == [FIRST, AND, SECOND]
    show = page.get_by_role("button", name="Show what is left out")
    show.press("Enter")
    expect(show).to_have_attribute("aria-pressed", "true")
    expect(left_out.first).to_contain_text("At the microphone of Bilal, probably said by Anne")
    expect(left_out.first).to_contain_text(FIRST)
    assert page.locator(".piece, .left-out").evaluate_all("them => them.map(it => it.className)") == [
        "piece",
        "left-out screen",
        "piece",
        "piece",
        "left-out screen",
    ]
    assert not violations(page)
    page.emulate_media(media="print")
    expect(left_out.first).to_be_hidden()
    expect(show).to_be_hidden()
    page.emulate_media(media="screen")

    page.get_by_role("button", name="Keep it: Bilal at 0:00").press("Enter")
    expect(page.locator(".piece:focus")).to_have_text(f"{FIRST} {AND}")
    expect(page.locator("#said")).to_have_text("Saved.")
    assert pieces(page) == [FIRST, f"{FIRST} {AND}", SECOND]
    expect(page.get_by_text("1 piece that another microphone heard better is left out.")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Keep it: Bilal at 0:10")).to_be_focused()  # and so on to the next
    told = server.ask("GET", f"/api/v1/meetings/{meeting}/transcript.json").json()
    assert [piece["text"] for piece in told["folded"]] == [SECOND]


def test_words_that_are_others_by_now_are_not_kept_and_the_page_speaks_french(
    visitors: Visitors, server: Process, meeting: str
) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript", "fr-FR")
    expect(page.get_by_text("2 passages qu’un autre micro a mieux entendus sont omis.")).to_be_visible()
    page.get_by_role("button", name="Afficher ce qui est omis").click()
    page.locator("#correct").click()
    page.locator(".edit").first.click()
    page.keyboard.type("Alors ")
    page.get_by_role("button", name="Garder : Bilal à 0:10").click()
    expect(page.locator(".left-out [role=alert]")).to_contain_text("Enregistrez ou annulez d’abord votre correction")
    page.locator(".segment-form textarea").press("Escape")

    async def divide(store: SqlStore, where: MeetingId) -> None:
        await store.for_meeting(where).keep_runs([VoiceRun(UtteranceId("bilal.1#2"), 0, 6, 1)])

    stored(server, meeting, divide)
    page.get_by_role("button", name="Garder : Bilal à 0:10").click()
    expect(page.locator(".left-out [role=alert]")).to_contain_text("La transcription a changé entre-temps")
    assert not violations(page)
    page.get_by_role("button", name="L’afficher telle qu’elle est").click()
    expect(page.locator(".left-out:focus")).to_contain_text("Au micro de Bilal (voix 1), sans doute dit par Anne")
    page.get_by_role("button", name="Afficher ce qui est omis").click()
    expect(page.locator(".left-out").first).to_be_hidden()

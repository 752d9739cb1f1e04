"""Two people speak, a third reads along, and they keep what was said: everything real."""

import re

from playwright.sync_api import Download, Page, expect

from tests.benchmarks.normalise import normalise
from tests.benchmarks.score import count_errors
from tests.e2e.people import PATIENCE, Meetings, Microphones, Visitors, read, speak, spoken
from tests.recordings import described, silence

ENGLISH, FRENCH = "en_jfk.flac", "fr_ibm_udhr1.wav"
HEARD = 60_000


def text_of(page: Page, name: str) -> str:
    """What the page shows as said by ``name``."""
    items = page.locator("#captions .caption").filter(
        has=page.locator(".speaker bdi", has_text=re.compile(f"^{name}$"))
    )
    return " ".join(items.locator(".words").all_inner_texts())


def error_rate(page: Page, name: str, recording: str, language: str) -> float:
    reference = str(described(recording)["ref_text"])
    return count_errors(normalise(reference, language), normalise(text_of(page, name), language)).rate


def wait_for_the_end(page: Page, name: str, ending: str) -> None:
    """Until ``name`` has been read to the last word and everything shown is final."""
    item = page.locator("#captions .caption[data-final=true]").filter(has_text=name)
    expect(item.filter(has_text=re.compile(ending, re.IGNORECASE)).last).to_be_attached(timeout=HEARD)
    expect(page.locator("#captions .caption[data-final=false]")).to_have_count(0, timeout=HEARD)


def saved(download: Download) -> str:
    return download.path().read_text(encoding="utf-8")


def test_two_people_speak_and_a_third_reads_along_until_the_transcript_is_kept(
    meetings: Meetings, microphones: Microphones, visitors: Visitors
) -> None:
    meeting = meetings.new("Droits et devoirs")
    address = f"/meetings/{meeting}"
    reader = visitors.page(address)
    read(reader)
    expect(reader.locator("#mode")).to_have_text("You are reading only")
    # Whoever watches a tail: that it was there, and how it looked.
    reader.evaluate(
        """() => new MutationObserver(() => {
            const tail = document.querySelector("#captions .tail:not(:empty)");
            if (!tail) return;
            const style = getComputedStyle(tail);
            window.tailed = {style: style.fontStyle, line: style.textDecorationLine};
        }).observe(document.getElementById("captions"), {subtree: true, childList: true, characterData: true})"""
    )
    jack = microphones.page(address, spoken(ENGLISH, after=60.0))
    eric = microphones.page(address, spoken(FRENCH, after=60.0))
    speak(jack, "Jack")
    speak(eric, "Éric")
    expect(jack.locator("#mode")).to_have_text("Your microphone is on")

    for page in (reader, jack):
        wait_for_the_end(page, "Jack", "your country")
        wait_for_the_end(page, "Éric", "fraternité")
        assert error_rate(page, "Jack", ENGLISH, "en") <= 0.25
        assert error_rate(page, "Éric", FRENCH, "fr") <= 0.45
    assert reader.evaluate("window.tailed") == {"style": "italic", "line": "underline"}

    looks = {item.get_attribute("class") for item in reader.locator("#people li").all()}
    assert len(looks) == 2  # another colour and another shape
    expect(jack.locator("#people")).to_contain_text("you")
    assert reader.locator("#captions .words:lang(fr)").filter(has_text="fraternité").count() == 1
    assert reader.locator("#captions .words:lang(en)").filter(has_text="country").count() >= 1

    with reader.expect_download() as saving:
        reader.get_by_role("link", name="Save captions so far").click()
    assert saved(saving.value).startswith("WEBVTT")
    assert "<v Jack>" in saved(saving.value)

    # Everybody is told of a pause, whoever asks for it.
    jack.get_by_role("button", name="Pause captions").click()
    expect(reader.locator("#notices")).to_contain_text("Captions are paused for everybody")
    expect(eric.get_by_role("button", name="Resume captions")).to_be_visible()
    eric.get_by_role("button", name="Resume captions").click()
    expect(reader.locator("#notices")).not_to_contain_text("paused")
    expect(reader.locator("#state")).to_have_text("Open")

    jack.get_by_role("button", name="Turn the microphone off").click()
    expect(jack.locator("#mode")).to_have_text("Your microphone is off")
    eric.get_by_role("button", name="Leave").click()
    expect(reader.locator("#people li.away")).to_contain_text("Éric")

    jack.get_by_role("button", name="End for everybody").click()
    jack.get_by_role("button", name="End the meeting").click()
    for page in (jack, reader):
        expect(page.locator("#notices")).to_contain_text("The meeting has ended", timeout=PATIENCE)
    reader.get_by_role("link", name="Read the transcript").click()
    expect(reader.locator("#turns")).to_contain_text("your country")
    expect(reader.locator("#turns .event")).to_contain_text("Captions paused until")
    for name, beginning in (
        ("WebVTT", "WEBVTT"),
        ("SRT", "1\n"),
        ("Text", ""),
        ("Markdown", "# Droits et devoirs"),
        ("JSON", "{"),
    ):
        with reader.expect_download() as saving:
            reader.get_by_role("link", name=re.compile(f"^{name}")).click()
        assert saved(saving.value).startswith(beginning)
        assert "your country" in saved(saving.value)

    # It is found again by what was said.
    reader.goto("/?q=fraternité")
    reader.get_by_role("link", name="Droits et devoirs").click()
    expect(reader.locator("mark").first).to_have_text(re.compile("fraternité", re.IGNORECASE))


def test_a_second_tab_is_a_second_participant_and_a_tab_that_is_reloaded_the_same(
    meetings: Meetings, microphones: Microphones
) -> None:
    address = f"/meetings/{meetings.new()}"
    first = microphones.page(address, silence(30.0))
    speak(first, "Ann")
    expect(first.locator("#mode")).to_have_text("Your microphone is on")
    second = first.context.new_page()
    second.goto(address)
    expect(second.get_by_label("Your name")).to_have_value("Ann")  # remembered on this device
    speak(second, "Bob")
    expect(first.locator("#people .name")).to_have_text(["Ann", "Bob"])
    second.reload()
    expect(first.locator("#people li.away")).to_contain_text("Bob")
    speak(second, "Robert")
    expect(first.locator("#people .name")).to_have_text(["Ann", "Robert"])
    expect(first.locator("#people li.away")).to_have_count(0)

"""The server is killed in the middle; the pages that were open go on by themselves."""

from pathlib import Path

from playwright.sync_api import Browser, Playwright, expect

from tests.e2e.people import Meetings, Microphones, Visitors, read, speak, spoken
from tests.serving import process

HEARD = 60_000


def test_pages_come_back_by_themselves_after_a_kill_and_the_same_meeting_goes_on(
    whisper_base: Path, playwright: Playwright, browser: Browser, chromium: str, tmp_path: Path
) -> None:
    with process(tmp_path / "home") as server:
        microphones = Microphones(playwright, chromium, tmp_path, server.url)
        visitors = Visitors(browser, server.url)
        try:
            address = f"/meetings/{Meetings(server).new('Interrupted')}"
            reader = visitors.page(address)
            read(reader)
            speaker = microphones.page(address, spoken("en_pv_quilter.wav", after=1.5), loops=True)
            speak(speaker, "Ann")
            finals = reader.locator("#captions .caption[data-final=true]")
            expect(finals.first).to_be_attached(timeout=HEARD)
            before = finals.first.inner_text()
            # In the middle of an utterance, so that there is something to lose: committed words are kept each second.
            expect(reader.locator("#captions .caption[data-final=false] .committed")).not_to_be_empty(timeout=HEARD)
            reader.wait_for_timeout(1_500)

            server.kill()
            for page in (reader, speaker):
                expect(page.locator("#notices")).to_contain_text("Trying again by itself", timeout=HEARD)
            server.start()
            for page in (reader, speaker):
                expect(page.locator("#notices")).not_to_contain_text("Trying again by itself", timeout=HEARD)
                expect(page.locator("#notices")).to_contain_text("The meeting was interrupted and goes on")
            expect(speaker.locator("#mode")).to_have_text("Your microphone is on", timeout=HEARD)

            kept = finals.count()
            assert finals.first.inner_text() == before
            expect(finals.nth(kept)).to_be_attached(timeout=HEARD)  # what is said after the kill
            names = finals.evaluate_all("items => items.map(item => item.dataset.utterance)")
            assert len(names) == len(set(names))
            expect(reader.locator("#people li")).to_have_count(1)  # the same participant, not another of her name
        finally:
            microphones.leave()
            visitors.leave()

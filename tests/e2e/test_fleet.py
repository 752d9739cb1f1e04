"""Many processes behind one address: pages know nothing of them, and go on by themselves when one dies."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.e2e.people import Microphones, Visitors, read, speak, spoken
from tests.e2e.proxy import proxied
from tests.faults.fleet import Fleet, Machine
from tests.postgresql_server import PostgreSql
from tests.redis_server import running_redis

HEARD = 60_000


@pytest.fixture
def fleet(whisper_base: Path, postgresql: PostgreSql, tmp_path: Path) -> Iterator[Fleet]:
    with running_redis() as redis:
        fleet = Fleet(tmp_path, redis, postgresql)
        try:
            fleet.open(gateways=2, workers=1, apis=2)
            yield fleet
        finally:
            fleet.close()


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#meeting").wait_for()


def publishes(gateway: Machine, key: str) -> bool:
    answer = httpx2.get(f"{gateway.url}/metrics", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    return "greffier_tracks 1.0" in answer.text


def wait_until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + HEARD / 1000
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_page_speaks_and_reads_through_one_address_and_outlives_a_gateway_and_an_api(
    fleet: Fleet, playwright: Playwright, browser: Browser, chromium: str, tmp_path: Path
) -> None:
    meeting = fleet.ask("POST", "/api/v1/meetings", json={"title": "Council"}).json()["id"]
    with proxied(fleet, tmp_path) as url:
        microphones, visitors = Microphones(playwright, chromium, tmp_path, url), Visitors(browser, url)
        try:
            reader = visitors.page(f"/meetings/{meeting}")
            sign_in(reader, fleet.key)
            read(reader)
            speaker = microphones.page(f"/meetings/{meeting}", spoken("en_pv_quilter.wav", after=1.5), loops=True)
            sign_in(speaker, fleet.key)
            speak(speaker, "Ann")
            finals = reader.locator("#captions .caption[data-final=true]")
            expect(finals.first).to_be_attached(timeout=HEARD)
            expect(reader.locator("#people li")).to_have_count(1)

            (gateway,) = [each for each in fleet.gateways if publishes(each, fleet.key)]
            (other,) = [each for each in fleet.gateways if each is not gateway]
            gateway.kill()
            wait_until(lambda: publishes(other, fleet.key))  # what the page says meanwhile may last a moment only
            expect(speaker.locator("#mode")).to_have_text("Your microphone is on", timeout=HEARD)
            heard = finals.count()
            expect(finals.nth(heard)).to_be_attached(timeout=HEARD)

            for api in fleet.apis:
                api.kill()
            expect(reader.locator("#notices")).to_contain_text("Trying again by itself", timeout=HEARD)
            fleet.apis[0].start()
            expect(reader.locator("#notices")).not_to_contain_text("Trying again by itself", timeout=HEARD)
            heard = finals.count()
            expect(finals.nth(heard)).to_be_attached(timeout=HEARD)
            names = finals.evaluate_all("items => items.map(item => item.dataset.utterance)")
            assert len(names) == len(set(names))

            speaker.locator('[data-opens="end-dialog"]').click()
            speaker.locator("#end-dialog button.danger, #end-dialog [type=submit]").first.click()
            expect(reader.locator("#notices")).to_contain_text("The meeting has ended", timeout=HEARD)
            assert "Ann" in fleet.ask("GET", f"/api/v1/meetings/{meeting}/transcript.txt").text
        finally:
            microphones.leave()
            visitors.leave()

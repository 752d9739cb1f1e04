"""Two people at the microphone of one browser: everybody's page shows who said what."""

import re

import pytest
from playwright.sync_api import expect

from pipeline.domain import SAMPLE_RATE
from tests.e2e.people import Meetings, Microphones, Visitors, read
from tests.two_voices import two_voices

_HEARD = 60_000


@pytest.mark.usefixtures("voices_onnx")
def test_a_shared_microphone_is_marked_on_joining_and_its_voices_have_names(
    visitors: Visitors, meetings: Meetings, microphones: Microphones
) -> None:
    meeting = meetings.new("Shared", languages=["en"])
    reader = visitors.page(f"/meetings/{meeting}")
    read(reader)
    page = microphones.page(f"/meetings/{meeting}", two_voices()[: 20 * SAMPLE_RATE])
    page.get_by_label("Your name").fill("Salle Descartes")
    page.get_by_label("My sound is clean already").check()
    page.get_by_label("Several of us share this microphone").check()
    page.get_by_role("button", name="Join with the microphone").click()
    names = reader.locator(".caption .speaker bdi, .caption .voice:visible")
    for voice in (1, 2):
        expect(names.filter(has_text=f"Salle Descartes (voix {voice})").first).to_be_visible(timeout=_HEARD)
    announced = reader.locator("#announcer p").filter(has_text=re.compile(r"^Salle Descartes"))
    expect(announced).not_to_have_count(0, timeout=_HEARD)

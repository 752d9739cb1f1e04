"""A recording is uploaded with the metadata file of its Visio meeting: voices get names; other files are refused."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.people import Visitors, violations
from tests.recordings import recorded
from tests.serving import Process, process

BEGAN = datetime(2026, 11, 26, 9, 0, 2, 250_000, UTC)


@pytest.fixture(scope="module")
def server(whisper_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One that tells voices apart."""
    with process(tmp_path_factory.mktemp("voices"), GREFFIER_DIARIZE_RECORDINGS="auto") as serving:
        yield serving


@pytest.fixture
def visitors(browser: Browser, server: Process) -> Iterator[Visitors]:
    visitors = Visitors(browser, server.url)
    yield visitors
    visitors.leave()


def metadata(path: Path, **more: Any) -> Path:
    spoke = [
        {"participant_id": "sub-1", "type": kind, "timestamp": (BEGAN + timedelta(seconds=at)).isoformat()}
        for kind, at in (("participant_connected", 0.0), ("speech_start", 0.2), ("speech_end", 12.0))
    ]
    people = [{"participantId": "sub-1", "name": "Jack Kennedy"}]
    path.write_text(json.dumps({"events": spoke, "participants": people} | more))
    return path


def test_a_recording_with_its_metadata_file_has_the_names_of_those_who_spoke(
    visitors: Visitors, tmp_path: Path
) -> None:
    page = visitors.page("/recordings", timezone_id="Europe/Paris")
    began = page.get_by_label("When the recording began")
    expect(began).to_be_hidden()
    page.get_by_label("Recording", exact=True).set_input_files(recorded("en_jfk.flac"))
    page.get_by_label("Metadata file of the Visio meeting").set_input_files(metadata(tmp_path / "1-metadata.json"))
    expect(began).to_have_value("2026-11-26T10:00:02")
    page.goto("/")
    page.go_back()  # the browser chooses both files again
    expect(began).to_have_value("2026-11-26T10:00:02")
    assert not violations(page)
    page.get_by_role("button", name="Upload and transcribe").press("Enter")
    row = page.locator("#recordings li").filter(has_text="en_jfk")
    row.get_by_role("link", name="Open the transcript").click(timeout=100_000)
    expect(page.locator(".turn .speaker bdi").first).to_have_text("Jack Kennedy")


def test_a_file_that_is_no_metadata_is_refused_before_anything_is_sent(visitors: Visitors, tmp_path: Path) -> None:
    page = visitors.page("/recordings", "fr-FR")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    chosen, upload = page.locator("#upload-metadata"), page.get_by_role("button", name="Envoyer et transcrire")
    error = page.locator("#metadata-error")
    page.locator("#upload-file").set_input_files(recorded("en_jfk.flac"))
    large = tmp_path / "large.json"
    large.write_bytes(b" " * 8_000_001)
    chosen.set_input_files(large)
    expect(error).to_contain_text("il dépasse 8 Mo")
    for wrong in ({"events": 3}, {"events": [{}]}, {"participants": [{}]}):
        chosen.set_input_files([])
        expect(error).to_be_empty()
        chosen.set_input_files(metadata(tmp_path / "wrong.json", **wrong))
        expect(error).to_contain_text("Ce n’est pas le fichier de métadonnées d’une réunion Visio")
    assert not violations(page)
    upload.click()
    expect(chosen).to_be_focused()

    chosen.set_input_files(metadata(tmp_path / "empty.json", events=[]))
    upload.click()
    began = page.get_by_label("Début de l’enregistrement")
    expect(began).to_be_focused()
    expect(page.locator("#began-error")).to_have_text("Indiquez quand l’enregistrement a commencé.")
    began.evaluate("field => (field.value = '202611-11-26T10:00')")  # as it is easily typed
    upload.focus()
    upload.click()
    expect(began).to_be_focused()
    chosen.set_input_files(recorded("en_jfk.flac"))
    error.get_by_role("button", name="Continuer sans lui").click()
    expect(error).to_be_empty()
    expect(began).to_be_hidden()
    expect(chosen).to_have_value(re.compile("^$"))
    assert not sent

"""Somebody lets their voice be known on the page of a transcript, by a file or at the microphone, and takes it back."""

import asyncio
import re
import signal
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Request, expect

from media_gateway.recording import read_recording
from models.voice_onnx import VoiceModel, VoiceNetworks
from pipeline.domain import (
    SAMPLE_RATE,
    Caption,
    MeetingId,
    Participant,
    ParticipantId,
    Samples,
    TrackId,
    UtteranceId,
    VoiceRun,
    Word,
)
from pipeline.enrolling import voice_of_clip
from pipeline.store.sql import SqlStore
from tests.e2e.people import Meetings, Microphones, Visitors, speak, violations
from tests.recordings import silence, write_sound
from tests.serving import Process

SAMPLE = Path(__file__).parents[2] / "sample"
ROOM = Participant(ParticipantId("salle"), "Salle Descartes", shared_room=True)
ERIC = Participant(ParticipantId("eric"), "Éric")
CLAIRE = Participant(ParticipantId("claire"), "Claire")
FIRST, SECOND = "Salle Descartes (voix 1)", "Salle Descartes (voix 2)"
SAID = "good morning everybody hello I am here well then"
HEARD = 60_000
LATER = """() => {
    const { mediaDevices } = navigator;
    const now = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async (wanted) => {
        await new Promise((done) => (window.allow = done));
        mediaDevices.getUserMedia = now;
        return now(wanted);
    };
}"""
"""The browser gives the microphone once ``allow`` is called, as where somebody is asked for it."""
UNPLUGGED = """() => {
    navigator.mediaDevices.getUserMedia = async () => {
        const { stream } = new AudioContext().createMediaStreamDestination();
        for (const track of stream.getTracks()) track.stop();
        return stream;
    };
}"""


def spoken(name: str, start: float, end: float | None = None) -> Samples:
    until = None if end is None else round(end * SAMPLE_RATE)
    return read_recording(SAMPLE / f"{name}.ogg")[round(start * SAMPLE_RATE) : until]


def elsewhere(what: Coroutine[Any, Any, None]) -> None:
    """Playwright keeps an event loop in this thread."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, what).result()


@pytest.fixture
def meeting(server: Process, meetings: Meetings, voices_onnx: Path) -> str:
    """A meeting that is over: Éric and Claire, who joined it too, spoke in its room."""
    meeting = meetings.new("Known voices")
    server.ask("POST", f"/api/v1/meetings/{meeting}/end")
    elsewhere(seed(f"sqlite:///{server.home}/greffier.db", MeetingId(meeting), voices_onnx))
    return meeting


async def seed(database: str, meeting: MeetingId, voices_onnx: Path) -> None:
    """The words are made up, the voices are not: later speech than that by which they become known."""
    store, model = SqlStore.open(database), VoiceModel(VoiceNetworks(voices_onnx))
    for each in (ROOM, ERIC, CLAIRE):
        await store.add_participant(meeting, each)
    track = await store.next_track(meeting, ROOM.id)
    words = tuple(Word(f" {text}", place / 2, place / 2 + 0.4) for place, text in enumerate(SAID.split()))
    final = Caption(TrackId(track), UtteranceId(f"{track}#1"), 1, True, "en", words)
    shelf = store.for_meeting(meeting)
    await shelf.keep_final(final)
    await shelf.keep_runs([VoiceRun(final.utterance, *run) for run in ((0, 3, 1), (3, 4, 2), (7, 2, 1))])
    for voice, heard in enumerate((spoken("eric", 7.0), spoken("claire", 5.0)), 1):
        await shelf.keep_voice(ROOM.id, voice, await voice_of_clip(model, heard))
    model.close()
    await store.close()


def speakers(page: Page) -> list[str]:
    return page.locator(".turn .speaker bdi").all_inner_texts()


def clip(path: Path, sound: Samples) -> Path:
    return write_sound(path, (sound / 32768).astype(np.float32).reshape(1, -1), SAMPLE_RATE, "mono")


def test_a_voice_is_known_by_a_file_once_the_person_agrees_until_it_is_forgotten(
    visitors: Visitors, server: Process, meeting: str, tmp_path: Path
) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript")
    assert speakers(page) == [FIRST, SECOND, FIRST]
    page.get_by_role("button", name="Let this voice be known: Éric").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Let the voice of Éric be known")
    consent, send = dialog.get_by_role("checkbox", name="was asked, and agrees"), dialog.locator("#enrol-send")
    expect(consent).to_be_focused()
    expect(consent).not_to_be_checked()
    assert not violations(page)
    send.press("Enter")
    alert = dialog.get_by_role("alert").filter(has_text=re.compile("."))
    expect(alert).to_have_text("Ask this person first, and tick the box if they agree.")
    expect(consent).to_be_focused()
    page.keyboard.press("Space")
    send.press("Enter")
    expect(alert).to_have_text("Choose a file first.")
    file = dialog.get_by_label("Sound file")
    expect(file).to_be_focused()

    large, notes = tmp_path / "large.wav", tmp_path / "notes.wav"
    notes.write_text("nothing to hear")
    with large.open("wb") as written:
        written.truncate(20_000_001)
    both = np.concatenate([spoken("eric", 0.0, 5.0), spoken("claire", 0.0, 5.0)])
    for given, why in (
        (large, "larger than is taken here"),
        (notes, "no sound can be read in this file"),
        (clip(tmp_path / "quiet.wav", silence(5.0)), "too little speech is heard"),
        (clip(tmp_path / "both.wav", both), "more than one voice is heard"),
    ):
        file.set_input_files(given)
        send.press("Enter")
        expect(alert).to_contain_text(why)
        expect(send).to_be_focused()
    assert not violations(page)

    file.set_input_files(SAMPLE / "eric.ogg")
    send.press("Enter")
    oblivion = page.get_by_role("button", name="Forget this voice: Éric")
    expect(oblivion).to_be_focused()
    expect(page.locator("#said")).to_have_text("This voice is known now.")
    assert page.locator("#known .badge").all_inner_texts() == ["Voice known"]
    assert speakers(page) == ["Éric", SECOND, "Éric"]

    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Forget the voice of Éric?")).to_be_visible()
    assert not violations(page)
    page.keyboard.press("Escape")
    expect(oblivion).to_be_focused()
    page.keyboard.press("Enter")
    forgotten = server.ask("DELETE", f"/api/v1/meetings/{meeting}/participants/eric/enrolment")  # by somebody else
    assert forgotten.status_code == 204
    page.get_by_role("button", name="Forget it").press("Enter")
    expect(page.get_by_role("button", name="Let this voice be known: Éric")).to_be_focused()
    expect(page.locator("#said")).to_have_text("This voice is forgotten.")
    assert speakers(page) == [FIRST, SECOND, FIRST]


def test_a_voice_is_known_by_what_is_said_at_the_microphone_of_the_browser(
    microphones: Microphones, meeting: str
) -> None:
    page = microphones.page(f"/meetings/{meeting}/transcript", spoken("claire", 0.0), loops=True)
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "PUT" else None)
    page.get_by_role("button", name="Let this voice be known: Claire").click()
    dialog = page.get_by_role("dialog", name="Let the voice of Claire be known")
    record = dialog.locator("#enrol-record")
    record.click()
    expect(dialog.locator("#enrol-consent-error")).to_contain_text("Ask this person first")
    dialog.get_by_role("checkbox").check()
    page.evaluate(LATER)
    record.click()
    expect(record).to_have_text("Stop, keep nothing")
    expect(dialog.get_by_role("status")).to_be_empty()  # it is not said to begin before it does
    page.evaluate("allow()")
    expect(dialog.get_by_role("timer")).to_have_text(re.compile(r"Speak now: \d+ s left"), timeout=HEARD)
    assert not violations(page)
    record.click()
    expect(dialog.get_by_role("status")).to_have_text("Stopped. Nothing is kept.")
    expect(dialog.get_by_role("timer")).to_be_hidden()
    record.click()
    dialog.get_by_role("checkbox").uncheck()  # who agreed thinks again
    expect(dialog.get_by_role("status")).to_have_text("Stopped. Nothing is kept.")
    expect(record).to_have_text("Record with the microphone")

    dialog.get_by_role("checkbox").check()
    record.click()
    expect(dialog.get_by_role("status")).to_have_text(
        "Recording begins in 6 seconds. Then speak for 12 seconds; you are told when it is over."
    )
    expect(page.get_by_role("button", name="Forget this voice: Claire")).to_be_focused(timeout=HEARD)
    assert speakers(page) == [FIRST, "Claire", FIRST]
    (request,) = sent
    assert (request.header_value("content-type") or "").startswith("audio/webm")


def test_a_clip_that_is_on_its_way_is_stopped_with_the_dialog(visitors: Visitors, meeting: str) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript")
    page.route("**/enrolment?consent=true", lambda route: None)  # it never arrives
    enrol = page.get_by_role("button", name="Let this voice be known: Éric")
    enrol.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_label("Sound file").set_input_files(SAMPLE / "eric.ogg")
    with page.expect_event("requestfailed"):
        dialog.get_by_role("button", name="Send this file").click()
        expect(dialog.get_by_role("status")).to_contain_text("The sound is sent")
        page.keyboard.press("Escape")
    expect(enrol).to_be_focused()
    page.unroute_all(behavior="ignoreErrors")
    enrol.click()
    expect(dialog.get_by_role("checkbox")).not_to_be_checked()  # it is asked anew
    expect(dialog.get_by_role("status")).to_be_empty()


def test_what_the_server_has_is_not_taken_back_but_nobody_waits_for_ever(
    visitors: Visitors, server: Process, meeting: str
) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript")
    page.clock.install()
    enrol = page.get_by_role("button", name="Let this voice be known: Éric")
    enrol.click()
    dialog = page.get_by_role("dialog")
    consent = dialog.get_by_role("checkbox")
    consent.check()
    dialog.get_by_label("Sound file").set_input_files(SAMPLE / "eric.ogg")
    assert server.running is not None
    server.running.send_signal(signal.SIGSTOP)
    try:
        dialog.get_by_role("button", name="Send this file").click()
        expect(dialog.get_by_role("timer")).to_have_text("Listening…")
        consent.press("Space")
        expect(consent).to_be_checked()
        expect(consent).to_have_attribute("aria-disabled", "true")
        page.keyboard.press("Escape")
        expect(dialog).to_be_visible()
        page.clock.fast_forward(120_000)
        expect(dialog.locator("#enrol-file-error")).to_have_text("That did not work: the server does not answer")
    finally:
        server.running.send_signal(signal.SIGCONT)
    dialog.get_by_role("button", name="Cancel").click()
    expect(enrol).to_be_focused()


def test_without_a_microphone_the_page_says_in_french_what_to_do(
    visitors: Visitors, meeting: str, tmp_path: Path
) -> None:
    page = visitors.page(f"/meetings/{meeting}/transcript", "fr-FR")
    page.get_by_role("button", name="Faire connaître cette voix : Éric").click()
    dialog = page.get_by_role("dialog", name="Faire connaître une voix : Éric")
    assert not violations(page)
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Enregistrer avec le micro").click()
    alert = dialog.get_by_role("alert").filter(has_text=re.compile("."))
    expect(alert).to_contain_text("choisissez un fichier")
    page.clock.install()
    page.evaluate(UNPLUGGED)
    dialog.get_by_role("button", name="Enregistrer avec le micro").click()
    expect(dialog.get_by_role("timer")).to_have_text(re.compile("Préparez-vous"))
    page.clock.fast_forward(6_000)
    expect(alert).to_have_text("Aucun micro n’a été trouvé. Branchez-en un, ou choisissez un fichier.")
    dialog.get_by_label("Fichier son").set_input_files(clip(tmp_path / "quiet.wav", silence(5.0)))
    dialog.get_by_role("button", name="Envoyer ce fichier").click()
    expect(alert).to_contain_text("Cela n’a pas marché : trop peu de parole est entendue")
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    dialog.get_by_role("button", name="Annuler").click()
    expect(page.get_by_role("button", name="Faire connaître cette voix : Éric")).to_be_focused()


@pytest.mark.usefixtures("voices_onnx")
def test_whoever_takes_part_lets_their_own_voice_be_known_on_the_live_page(
    microphones: Microphones, meetings: Meetings
) -> None:
    meeting = meetings.new("My voice")
    page = microphones.page(f"/meetings/{meeting}", silence(2.0), loops=True)
    mine, mode = page.locator("#my-voice"), page.locator("#mode")
    expect(mine).to_be_hidden()
    speak(page, "Éric")
    expect(mode).to_have_text("Your microphone is on")
    expect(mine).to_have_text("Let my voice be known")
    mine.click()
    expect(mode).to_have_text("Your microphone is off")  # captions are spared what is said for it
    dialog = page.get_by_role("dialog", name="Let the voice of Éric be known")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_label("Sound file").set_input_files(SAMPLE / "eric.ogg")
    dialog.get_by_role("button", name="Send this file").click()
    expect(mine).to_have_text("Forget my voice")
    expect(mine).to_be_focused()
    expect(mode).to_have_text("Your microphone is on")
    assert enrolled(meetings, meeting) == [True]
    assert not violations(page)
    mine.click()
    page.get_by_role("button", name="Forget it").click()
    expect(mine).to_have_text("Let my voice be known")
    assert enrolled(meetings, meeting) == [False]


def enrolled(meetings: Meetings, meeting: str) -> list[bool]:
    listed = meetings.server.ask("GET", f"/api/v1/meetings/{meeting}/participants").json()["participants"]
    return [each["enrolled"] for each in listed]

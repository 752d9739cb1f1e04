"""A recording of two people over HTTP, with the real models: two participants, each renamed once for everywhere."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.diarizing import of_recordings, voice_search
from api.settings import read_settings
from api.wiring import Recognition
from media_gateway.recording import read_recording
from tests.recordings import write_sound
from tests.serving import Served, serving
from tests.two_voices import TWO_VOICES


@pytest.fixture
async def served(loaded: Recognition, tmp_path: Path) -> AsyncIterator[Served]:
    home = tmp_path / "home"
    settings = replace(read_settings({}), cache=read_settings().cache, home=home)
    async with serving(loaded, replace(settings, database_url=f"sqlite:///{home}/greffier.db")) as served:
        yield served


async def done(served: Served, location: str) -> dict[str, Any]:
    async with asyncio.timeout(100.0):
        while True:
            recording = (await served.client.get(location)).json()
            if recording["state"] in {"done", "failed"}:
                return dict(recording)
            await asyncio.sleep(0.1)


async def test_two_people_of_a_recording_are_two_participants_and_one_rename_changes_all(
    served: Served, tmp_path: Path
) -> None:
    sound = read_recording(TWO_VOICES)[: 18 * 16_000]
    call = write_sound(tmp_path / "call.wav", sound[None] / 32768, 16_000, "mono")
    with call.open("rb") as file:
        fields = {"title": "Call", "languages": "en"}
        answer = await served.client.post("/api/v1/recordings", data=fields, files={"file": ("call.wav", file)})
    recording = await done(served, answer.headers["Location"])
    assert (recording["state"], recording["error"]) == ("done", None)
    meeting = f"/api/v1/meetings/{recording['meeting']}"
    whole = (await served.client.get(f"{meeting}/transcript.json")).json()
    names = {person["id"]: person["name"] for person in whole["participants"]}
    assert {"Call (voix 1)", "Call (voix 2)"} <= set(names.values())
    diane = next(segment for segment in whole["segments"] if "Diane" in segment["text"])
    texas = next(segment for segment in whole["segments"] if "Texas" in segment["text"])
    hers, other = names[diane["participant"]], names[texas["participant"]]
    assert {hers, other} == {"Call (voix 1)", "Call (voix 2)"}
    renamed = await served.client.patch(f"{meeting}/participants/{diane['participant']}", json={"name": "Madame Leroy"})
    assert renamed.status_code == 200, renamed.text
    shown = [
        (await served.client.get(f"{meeting}/transcript.{kind}")).text for kind in ("txt", "vtt", "srt", "md", "json")
    ]
    async with httpx2.AsyncClient(base_url=served.url, timeout=30.0, trust_env=False) as browser:
        shown.append((await browser.get(f"/meetings/{recording['meeting']}/transcript")).text)
    shown += [
        (await served.client.get(f"{meeting}/captions.vtt")).text,
        (await served.client.get(f"{meeting}/participants")).text,
    ]
    for text in shown:
        assert ("Madame Leroy" in text, hers in text, other in text) == (True, False, True), text[:500]


def test_recordings_go_without_voices_where_the_settings_say_so_or_the_extra_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    voices = voice_search(read_settings({}))
    assert voices is not None
    assert of_recordings(read_settings({}), voices) is voices
    assert of_recordings(read_settings({"GREFFIER_DIARIZE_RECORDINGS": "never"}), voices) is None
    monkeypatch.setitem(sys.modules, "torch", None)
    assert voice_search(read_settings({})) is None

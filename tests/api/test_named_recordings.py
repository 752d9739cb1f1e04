"""Voices of a recording get the names of its participants, by the metadata file that is uploaded beside it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from api.settings import read_settings
from api.wiring import Recognition
from media_gateway.recording import read_recording
from pipeline.domain import VoiceSpan
from pipeline.mixed import VoiceSearch
from tests.pipeline.test_mixed import Voices
from tests.recordings import recorded, write_sound
from tests.serving import Served, serving
from tests.two_voices import TWO_VOICES, reference

BEGAN = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
NAMES = {1: "Diane Leroy", 2: "Salle Descartes"}
SPANS = tuple(sorted(reference(), key=lambda span: span.start))


@pytest.fixture
async def served(loaded: Recognition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """Its diarizer says what people heard in the recording of two voices."""
    monkeypatch.setattr("api.opening.voice_search", lambda *_, **__: VoiceSearch(lambda: Voices(SPANS)))
    home = tmp_path / "home"
    settings = replace(read_settings({}), cache=read_settings().cache, home=home)
    async with serving(loaded, replace(settings, database_url=f"sqlite:///{home}/greffier.db")) as served:
        yield served


def metadata(voices: dict[int, str]) -> str:
    """As if each of ``voices`` had a microphone of its own; LiveKit is told of speech a little late."""
    events = [
        {"participant_id": f"sub-{span.voice}", "type": kind, "timestamp": (BEGAN + timedelta(seconds=at)).isoformat()}
        for span in SPANS
        if span.voice in voices
        for kind, at in (("speech_start", span.start + 0.1), ("speech_end", span.end + 0.3))
    ]
    people = [{"participantId": f"sub-{voice}", "name": name} for voice, name in voices.items()]
    return json.dumps({"events": events, "participants": people})


async def uploaded(served: Served, path: Path, **parts: str) -> httpx2.Response:
    with path.open("rb") as file:
        return await served.client.post("/api/v1/recordings", data=parts, files={"file": (path.name, file)})


async def transcript(served: Served, answer: httpx2.Response) -> list[tuple[str, float, float, str]]:
    """Who said what, and when."""
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(60.0):
        while (job := (await served.client.get(answer.headers["Location"])).json())["state"] != "done":
            assert job["state"] != "failed", job
            await asyncio.sleep(0.05)
    whole = (await served.client.get(f"/api/v1/meetings/{job['meeting']}/transcript.json")).json()
    names = {person["id"]: person["name"] for person in whole["participants"]}
    return [(names[each["participant"]], each["start"], each["end"], each["text"]) for each in whole["segments"]]


def spoke_most(start: float, end: float) -> int:
    def shared(span: VoiceSpan) -> float:
        return max(0.0, min(end, span.end) - max(start, span.start))

    return max(NAMES, key=lambda voice: sum(shared(span) for span in SPANS if span.voice == voice))


@pytest.mark.parametrize("known", [{1, 2}, {2}])
async def test_participants_who_spoke_are_named_and_who_is_unknown_is_a_voice(
    served: Served, tmp_path: Path, known: set[int]
) -> None:
    call = write_sound(tmp_path / "call.wav", read_recording(TWO_VOICES)[None] / 32768, 16_000, "mono")
    said = await transcript(
        served,
        await uploaded(
            served,
            call,
            title="Call",
            languages="en",
            started_at="2026-11-26T10:00:00+01:00",
            metadata=metadata({voice: NAMES[voice] for voice in known}),
        ),
    )
    expected = {voice: NAMES[voice] if voice in known else f"Call (voix {voice})" for voice in NAMES}
    assert {name for name, *_ in said} - {"Call"} == set(expected.values())
    diane = next(each for each in said if "Diane" in each[3])
    assert diane[0] == expected[spoke_most(diane[1], diane[2])]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"metadata": metadata(NAMES)}, "metadata needs started_at"),
        ({"metadata": metadata(NAMES), "started_at": "this morning"}, "started_at: Input should be a valid datetime"),
        ({"metadata": metadata(NAMES), "started_at": "2026-11-26T10:00:00"}, "should have timezone info"),
        ({"metadata": "speech", "started_at": "2026-11-26T10:00:00Z"}, "metadata: Invalid JSON"),
        ({"metadata": '{"events": [{}]}', "started_at": "2026-11-26T10:00:00Z"}, "metadata.events.0.participant_id: "),
        ({"metadata": "[" * 8_000_001}, "longer than 8000000 bytes"),
    ],
)
async def test_metadata_that_cannot_be_used_is_refused_in_words_and_leaves_nothing(
    served: Served, parts: dict[str, str], said: str
) -> None:
    answer = await uploaded(served, recorded("en_jfk.flac"), **parts)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert said in answer.json()["detail"]
    assert list((served.house.settings.home / "uploads").glob("*")) == []
    assert (await served.client.get("/api/v1/recordings")).json() == {"recordings": []}

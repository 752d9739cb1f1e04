"""Metadata of recordings goes to a bucket of S3, as Visio's summary reads it, also after the S3 was away."""

import asyncio
import json
import logging
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.settings import LiveKitSettings
from tests.api.serving import serving
from tests.livekit import collecting as c
from tests.livekit.collecting import collecting
from tests.livekit.people import People, Person, until
from tests.livekit.server import LiveKit
from tests.s3_server import S3, SECRET, running_s3

SETTINGS = replace(c.SETTINGS, longest_pause=0.5)


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    with running_s3(tmp_path / "s3") as server:
        yield server


@pytest.fixture
def recording() -> str:
    return str(uuid.uuid4())


def kept(s3: S3, recording: str) -> dict[str, Any]:
    """The file in the bucket; an empty one while there is none."""
    path = s3.path(f"metadata/{recording}-metadata.json")
    return json.loads(path.read_text()) if path.exists() else {"events": [], "participants": []}


def told(s3: S3, recording: str, kind: str) -> list[str]:
    return [
        event["data"] or event["participant_id"] for event in kept(s3, recording)["events"] if event["type"] == kind
    ]


async def write(person: Person, text: str) -> None:
    await person.room.local_participant.send_text(text, topic="lk.chat")


async def test_what_is_collected_lies_in_visios_bucket(
    livekit: LiveKit, people: People, room: str, recording: str, s3: S3, tmp_path: Path
) -> None:
    ann = await people.join(room, "ann", "Ann Smith")
    settings = LiveKitSettings(livekit.url, livekit.key, livekit.secret, collector=c.NAME)
    async with serving(tmp_path / "home", livekit=settings, s3=s3.settings):
        dispatched = await c.dispatch(livekit, room, recording)
        await c.collectors_are_in(livekit, room, 1)
        await write(ann, "hello")
        await asyncio.sleep(0.5)
        await c.delete(livekit, room, dispatched)
        await until(lambda: told(s3, recording, "chat_received") == ["hello"])
    assert kept(s3, recording)["participants"] == [{"participantId": "ann", "name": "Ann Smith"}]
    assert not list((tmp_path / "home").rglob("*metadata.json"))


async def test_a_recording_that_ends_while_the_s3_is_away_is_written_when_it_is_back(
    livekit: LiveKit,
    people: People,
    room: str,
    recording: str,
    s3: S3,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ann = await people.join(room, "ann", "Ann")
    async with collecting(livekit, tmp_path, s3.objects(), SETTINGS) as desk:
        dispatched = await desk.dispatch(room, recording)
        await desk.is_in(room)
        await write(ann, "before")
        await until(lambda: told(s3, recording, "chat_received") == ["before"])
        s3.kill()
        await write(ann, "while away")
        await asyncio.sleep(1.0)
        await desk.delete(room, dispatched)
        await desk.is_in(room, 0)
        await asyncio.to_thread(s3.start)
        await until(lambda: told(s3, recording, "chat_received") == ["before", "while away"])
        await until(lambda: not desk.collector.recordings)
    assert SECRET not in caplog.text
    assert "while away" not in caplog.text


async def test_a_recording_that_begins_while_the_s3_is_away_loses_nothing_not_even_what_was_there_before(
    livekit: LiveKit, people: People, room: str, recording: str, s3: S3, tmp_path: Path
) -> None:
    ann, bob = await people.join(room, "ann", "Ann"), await people.join(room, "bob", "Bob")
    async with collecting(livekit, tmp_path, s3.objects(), SETTINGS) as desk:
        dispatched = await desk.dispatch(room, recording)
        await desk.is_in(room)
        await write(ann, "first")
        await until(lambda: told(s3, recording, "chat_received") == ["first"])
    s3.kill()
    await bob.leave()
    async with collecting(livekit, tmp_path, s3.objects(), SETTINGS) as desk:
        await desk.is_in(room)
        await people.join(room, "eve", "Eve")
        await write(ann, "second")
        await asyncio.sleep(1.0)
        await asyncio.to_thread(s3.start)
        await until(lambda: told(s3, recording, "chat_received") == ["first", "second"])
        await until(lambda: "eve" in told(s3, recording, "participant_connected"))
        await desk.delete(room, dispatched)
        await until(lambda: not desk.collector.recordings)
    assert told(s3, recording, "participant_connected") == ["ann", "bob", "eve"]
    assert told(s3, recording, "participant_disconnected") == ["bob"]
    assert {each["name"] for each in kept(s3, recording)["participants"]} == {"Ann", "Bob", "Eve"}


async def test_a_file_that_cannot_be_written_before_the_process_ends_is_said_to_be_lost(
    livekit: LiveKit,
    people: People,
    room: str,
    recording: str,
    s3: S3,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("media_gateway.livekit.metadata._CLOSE_SECONDS", 0.5)
    caplog.set_level(logging.WARNING, "greffier.metadata")
    ann = await people.join(room, "ann", "Ann")
    async with collecting(livekit, tmp_path, s3.objects(), SETTINGS) as desk:
        await desk.dispatch(room, recording)
        await desk.is_in(room)
        await until(lambda: told(s3, recording, "participant_connected") == ["ann"])
        s3.kill()
        await write(ann, "while away")
        await asyncio.sleep(0.5)
    lost = [record for record in caplog.records if record.message == "metadata.lost"]
    assert [record.recording for record in lost] == [recording]  # type: ignore[attr-defined]
    assert told(s3, recording, "participant_connected") == ["ann"], "what was written before is still there"

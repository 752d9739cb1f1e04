"""A meeting as the wiring builds it: real speech through the real detector and recogniser to readers and the record."""

import asyncio
from pathlib import Path

from api.files import files_of
from api.wiring import Recognition, equipment
from media_gateway.files import FileTap
from pipeline.domain import Meeting, MeetingId, Participant, ParticipantId
from pipeline.export.event import Event
from pipeline.running import RunningMeeting, RunningMeetings
from pipeline.store.audio import audio_key
from pipeline.store.objects import FolderObjects
from pipeline.store.sql import SqlStore
from tests.api.test_replay import JFK, LEOPARD, errors
from tests.houses import settings_in
from tests.recordings import recorded

MEETING = MeetingId("council")


async def test_captions_of_two_participants_reach_readers_and_the_store(loaded: Recognition, tmp_path: Path) -> None:
    store = SqlStore.open(f"sqlite:///{tmp_path / 'greffier.sqlite'}")
    files, objects = files_of(settings_in(tmp_path), store, shared=False), FolderObjects(tmp_path / "objects")
    async with loaded.batcher() as recognizer:
        meetings = RunningMeetings(equipment(loaded, recognizer, ("en", "fr"), store, files))
        await meetings.start()
        created_at = meetings.equipment.wall()
        await store.create_meeting(Meeting(MEETING, "Council", created_at, keep_audio=True))
        meeting = await meetings.of(MEETING)
        reading = asyncio.create_task(read(meeting))
        await asyncio.gather(speak(meeting, "John", JFK, "en"), speak(meeting, "Léo", LEOPARD, "fr"))
        await meetings.end(MEETING)
        told = await reading
        async with asyncio.timeout(60.0):
            while not meeting.finished:  # noqa: ASYNC110 - the record texts come when they come
                await asyncio.sleep(0.1)
        transcript = await store.transcript(MEETING)
        finals = await store.finals(MEETING)
        sizes = [objects.path(audio_key(MEETING, final.track)).stat().st_size for final in finals]
        await meetings.delete(MEETING)
        assert not any((tmp_path / "objects").rglob("*.ogg"))
        await meetings.close()
    await store.close()

    newest = {event["utterance"]: event for event in told if event["type"] == "caption"}
    assert all(event["final"] for event in newest.values())
    assert {final.utterance: final.committed for final in finals} == {
        name: event["committed"] for name, event in newest.items()
    }
    for speaker, clip, language in (("John", JFK, "en"), ("Léo", LEOPARD, "fr")):
        said = "".join(str(event["committed"]) for event in newest.values() if event["speaker"] == speaker)
        assert errors(clip, said, language) < 0.4
    assert told[-1]["state"] == "ended"
    assert [event["sequence"] for event in told] == sorted(event["sequence"] for event in told)  # type: ignore[type-var]
    assert {participant.name for participant in transcript.participants} == {"John", "Léo"}
    assert any(segment.record for segment in transcript.segments)
    assert all(size > 10_000 for size in sizes)


async def speak(meeting: RunningMeeting, name: str, clip: str, language: str) -> None:
    track = await meeting.join(Participant(ParticipantId(name.lower()), name), (language,))
    await meeting.publish(FileTap(recorded(clip), track, meeting, start=meeting.now()), track)


async def read(meeting: RunningMeeting) -> list[Event]:
    return [reading.event async for batch in meeting.feed.read(None) for reading in batch]

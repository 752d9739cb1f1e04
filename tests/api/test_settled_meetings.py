"""A meeting of two people at one microphone, with the real models: looked through once more after it ended."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from api.settings import Settle, read_settings
from api.wiring import Recognition
from media_gateway.files import FileTap
from pipeline.domain import (
    SAMPLE_RATE,
    Caption,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Samples,
    Settled,
    TrackId,
    UtteranceId,
    Window,
    WindowKind,
    Word,
)
from pipeline.offline import Piece, sentences
from pipeline.record.texts import text_of, words_of
from pipeline.running import RunningMeeting
from pipeline.store.audio import TrackAudio, audio_key
from pipeline.store.objects import FolderObjects
from pipeline.store.sql import SqlStore
from tests.api.serving import serving as scripted_serving
from tests.recordings import frames_of, recorded
from tests.serving import Process, Served, serving
from tests.two_voices import reference, two_voices

ROOM = Participant(ParticipantId("room"), "Salle Descartes", shared_room=True)
MEETING = MeetingId("point")
SOUND: Samples = two_voices()[: 18 * SAMPLE_RATE]


@pytest.fixture
async def served(loaded: Recognition, tmp_path: Path) -> AsyncIterator[Served]:
    home = tmp_path / "home"
    settings = replace(read_settings({}), cache=read_settings().cache, home=home)
    async with serving(loaded, replace(settings, database_url=f"sqlite:///{home}/greffier.db")) as served:
        yield served


async def hold(store: SqlStore, objects: FolderObjects, said: Sequence[tuple[Word, ...]], sound: Samples) -> TrackId:
    """A meeting that goes on still, its sound kept and its captions ``said``."""
    await store.create_meeting(Meeting(MEETING, "Call", time.time() - 60.0, ("en",), keep_audio=True))
    await store.add_participant(MEETING, ROOM)
    await store.mark_shared_room(MEETING, ROOM.id, ROOM.shared_room)
    track = await store.next_track(MEETING, ROOM.id)
    for number, words in enumerate(said):
        final = Caption(track, UtteranceId(f"u{number}"), 1, True, "en", words)
        await store.for_meeting(MEETING).keep_final(final)
    kept = TrackAudio(objects.path(audio_key(MEETING, track)))
    for frame in frames_of(sound, track):
        kept.write(frame)
    kept.finish()
    return track


async def test_two_voices_of_a_shared_microphone_get_their_words_after_the_meeting(
    served: Served, loaded: Recognition
) -> None:
    window = Window(TrackId("t"), UtteranceId("u"), WindowKind.FINAL, 0.0, 18.0, ("en",), "en")
    (heard,) = loaded.engine.hear([(window, SOUND)])
    said = list(sentences(Piece(heard.words, "en")))
    store, objects = served.house.store, served.house.files.objects
    assert isinstance(objects, FolderObjects)
    await hold(store, objects, said, SOUND)
    before = await store.transcript(MEETING)
    assert {segment.participant.name for segment in before.segments} == {"Salle Descartes"}
    corrected = before.segments[0].id
    answer = await served.client.patch(f"/api/v1/meetings/{MEETING}/segments/{corrected}", json={"text": "Hello!"})
    assert answer.status_code == 204
    await served.client.post(f"/api/v1/meetings/{MEETING}/end")
    async with asyncio.timeout(100.0):
        while (shown := (await served.client.get(f"/api/v1/meetings/{MEETING}")).json())["settled"] is None:  # noqa: ASYNC110 - as a client
            await asyncio.sleep(0.1)
    assert shown["settled"] == "sound"
    after = await store.transcript(MEETING)
    assert (after.segments[0].id, text_of(after.segments[0])[0]) == (corrected, "Hello!")
    assert after.segments[0].participant == ROOM
    right: dict[tuple[str, str], int] = {}
    for segment in after.segments[1:]:
        for word in words_of(segment):
            speakers = {span.voice for span in reference() if span.start < (word.start + word.end) / 2 < span.end}
            if len(speakers) == 1:
                pair = (segment.participant.name, str(speakers.pop()))
                right[pair] = right.get(pair, 0) + 1
    assert any(segment.record for segment in after.segments[1:])
    names = {name for name, _ in right}
    assert names == {"Salle Descartes (voix 1)", "Salle Descartes (voix 2)"}
    best = max(right[a] + right[b] for a in right for b in right if a[0] != b[0] and a[1] != b[1])
    assert best / sum(right.values()) > 0.95, right


async def test_a_meeting_whose_sound_is_kept_is_settled_by_its_server_once_its_session_is_done(tmp_path: Path) -> None:
    said = tuple(Word(f" {number}", 0.5 + number * 0.5, 0.9 + number * 0.5) for number in range(30))
    async with scripted_serving(tmp_path, {TrackId("leo.1"): said}, settle=Settle.AUTO) as served:
        meeting = await served.meeting(keep_audio=True)
        running = await served.house.meetings.of(meeting)
        assert isinstance(running, RunningMeeting)
        track = await running.join(Participant(ParticipantId("leo"), "Léo"), ("fr",))
        await running.publish(FileTap(recorded("fr_fleurs_ski.wav"), track, running, start=running.now()), track)
        await served.http.post(f"/api/v1/meetings/{meeting}/end")
        async with asyncio.timeout(30.0):
            while (how := (await served.house.store.meeting(meeting)).settled) is None:
                assert running.finished or served.house.meetings.at_work(meeting)  # type: ignore[attr-defined] # embedded
                await asyncio.sleep(0.05)
        assert how is Settled.SOUND
        (segment,) = (await served.house.store.transcript(meeting)).segments
        assert segment.record


async def test_the_page_of_a_meeting_of_long_ago_promises_nothing(tmp_path: Path) -> None:
    async with scripted_serving(tmp_path, {}, settle=Settle.AUTO) as served, served.stranger() as browser:
        await served.house.store.create_meeting(Meeting(MEETING, "Point", 1000.0, ended_at=1100.0))
        page = await browser.get(f"/meetings/{MEETING}/transcript?language=en")
        assert page.status_code == 200
        assert "listened to once more" not in page.text


@pytest.mark.timeout(120)
async def test_a_server_that_is_killed_in_the_middle_settles_it_at_its_next_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = SqlStore.open(f"sqlite:///{home}/greffier.db")
    said = [(Word(" Hello", at, at + 1.0), Word(" there.", at + 1.0, at + 2.0)) for at in range(0, 300, 25)]
    await hold(store, FolderObjects(home / "objects"), said, SOUND)
    await store.mark_shared_room(MEETING, ROOM.id, False)  # torch takes seconds to load
    await store.for_meeting(MEETING).keep_end(time.time())
    server = Process(home, {"GREFFIER_SETTLE": "auto"})
    await asyncio.to_thread(server.start)
    try:
        async with asyncio.timeout(30.0):
            while "settling.started" not in server.log():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
    finally:
        server.kill()
    assert (await store.meeting(MEETING)).settled is None
    await asyncio.to_thread(server.start)
    try:
        async with asyncio.timeout(60.0):
            while (how := (await store.meeting(MEETING)).settled) is None:  # noqa: ASYNC110 - another process sets it
                await asyncio.sleep(0.1)
    finally:
        await asyncio.to_thread(server.stop)
        server.client.close()
        await store.close()
    assert how is Settled.SOUND

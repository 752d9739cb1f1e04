"""Metadata of recordings, collected in rooms of a real livekit-server where people speak recorded speech."""

import asyncio
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from livekit import api

from media_gateway.livekit import LiveKitServer
from pipeline.domain import SAMPLE_RATE, Meeting, MeetingId, Samples
from tests.livekit import collecting as c
from tests.livekit.collecting import Collecting, collecting
from tests.livekit.naming import names, spoken
from tests.livekit.people import People, until
from tests.livekit.server import LiveKit
from tests.recordings import heard, silence

CLOSE = 0.5
"""Seconds by which the file may be wrong."""
ANN, BOB = "en_arctic_a0024.wav", "fr_pv_leopard.wav"


@pytest.fixture
async def desk(livekit: LiveKit, tmp_path: Path) -> AsyncIterator[Collecting]:
    async with collecting(livekit, tmp_path) as desk:
        yield desk


@pytest.fixture
def recording() -> str:
    return str(uuid.uuid4())


def loud(sound: Samples) -> tuple[float, float]:
    """Where speech begins and ends in a clean recording, by its level in windows of 20 ms."""
    window = SAMPLE_RATE // 50
    levels = np.abs(sound[: len(sound) // window * window].astype(np.float64)).reshape(-1, window).mean(axis=1)
    found = np.flatnonzero(levels > levels.max() / 10)
    return float(found[0] * 0.02), float((found[-1] + 1) * 0.02)


def wall(steady: float) -> float:
    """A moment of ``time.monotonic()`` in seconds since 1970."""
    return time.time() - (time.monotonic() - steady)


def kinds(desk: Collecting, recording: str, who: str) -> list[str]:
    return [event["type"] for event in desk.file(recording)["events"] if event["participant_id"] == who]


async def test_speech_is_where_it_was_said_and_speakers_get_their_names(
    desk: Collecting, people: People, room: str, recording: str
) -> None:
    ann, bob = await people.join(room, "ann", "Ann Smith"), await people.join(room, "bob", "Bob Brown")
    voice, other = await ann.publish(), await bob.publish()
    dispatched = await desk.dispatch(room, recording)
    await desk.is_in(room)
    begins = time.time()
    await asyncio.gather(voice.play(silence(0.5)), other.play(silence(0.5)))
    at = {"ann": [wall(await voice.play(heard(ANN)))], "bob": [wall(await other.play(heard(BOB)))]}
    # The third time both speak at once.
    first, second = await asyncio.gather(voice.play(heard(ANN)), other.play(heard(BOB)))
    at["ann"].append(wall(first))
    at["bob"].append(wall(second))
    await until(lambda: len(desk.told(recording, "speech_end")) >= 4)
    await asyncio.sleep(1.5)  # what is said is over when half a second of silence has followed
    await desk.delete(room, dispatched)
    await desk.is_in(room, 0)
    ends = time.time()

    heard_spans = spoken(desk.file(recording), begins, ends)
    turns: dict[str, list[tuple[float, float]]] = {}
    for who, sound in (("ann", ANN), ("bob", BOB)):
        start, end = loud(heard(sound))
        turns[who] = [(each - begins + start, each - begins + end) for each in at[who]]
        for since, until_ in turns[who]:
            near = [span for span in heard_spans[who] if span[1] > since and span[0] < until_]
            assert near[0][0] == pytest.approx(since, abs=CLOSE)
            assert near[-1][1] == pytest.approx(until_, abs=CLOSE)
    speakers = {
        "SPEAKER_00": turns["bob"],
        "SPEAKER_01": turns["ann"],
        "SPEAKER_02": [(ends - begins, ends - begins + 9)],
    }
    assert names(desk.file(recording), speakers, begins, ends) == {
        "SPEAKER_00": "Bob Brown",
        "SPEAKER_01": "Ann Smith",
        "SPEAKER_02": None,
    }


async def test_the_file_says_who_came_wrote_was_renamed_and_went(
    desk: Collecting, people: People, room: str, recording: str
) -> None:
    ann = await people.join(room, "ann", "Ann")
    dispatched = await desk.dispatch(room, recording)
    await desk.is_in(room)
    before = time.time()
    bob = await people.join(room, "user@example.org/ü", "Bob")
    await bob.room.local_participant.send_text('Voilà : 1 < 2 & "3"\n🙂', topic="lk.chat")
    await ann.room.local_participant.send_text("not chat", topic="lk.other")
    await ann.rename("Ann Smith")
    await until(lambda: desk.told(recording, "chat_received"))
    # LiveKit tells of those who publish nothing every three seconds only.
    await until(lambda: len(desk.told(recording, "participant_connected")) == 2)
    await bob.leave()
    await until(lambda: desk.told(recording, "participant_disconnected"))
    after = time.time()
    await desk.delete(room, dispatched)
    await desk.is_in(room, 0)

    found = desk.file(recording)
    assert [(event["participant_id"], event["type"], event["data"]) for event in found["events"]] == [
        ("ann", "participant_connected", None),
        ("user@example.org/ü", "participant_connected", None),
        ("user@example.org/ü", "chat_received", 'Voilà : 1 < 2 & "3"\n🙂'),
        ("user@example.org/ü", "participant_disconnected", None),
    ]
    assert found["participants"] == [
        {"participantId": "ann", "name": "Ann Smith"},
        {"participantId": "user@example.org/ü", "name": "Bob"},
    ]
    for event in found["events"][1:]:
        moment = datetime.fromisoformat(event["timestamp"])
        assert moment.utcoffset() is not None
        assert before <= moment.timestamp() <= after
    assert len(ann.room.remote_participants) == 0  # nobody sees the collector


async def test_speech_ends_where_the_microphone_is_muted_and_begins_again_after(
    desk: Collecting, people: People, room: str, recording: str
) -> None:
    ann = await people.join(room, "ann", "Ann")
    voice = await ann.publish()
    await desk.dispatch(room, recording)
    await desk.is_in(room)
    await voice.play(silence(0.5))
    playing = asyncio.create_task(voice.play(np.tile(heard(BOB), 2)))
    await asyncio.sleep(2.5)
    voice.mute()
    muted = time.time()
    await until(lambda: kinds(desk, recording, "ann")[-1:] == ["speech_end"] and time.time() > muted + 2.5)
    assert spoken(desk.file(recording), muted - 10.0, time.time())["ann"][-1][1] < 10.0 + CLOSE
    before = len(desk.told(recording, "speech_start"))
    voice.unmute()
    await until(lambda: len(desk.told(recording, "speech_start")) > before)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)


async def test_it_links_the_recording_to_the_room_and_to_the_meeting_that_is_captioned_there(
    desk: Collecting, people: People, room: str, recording: str
) -> None:
    await people.join(room, "ann", "Ann")
    dispatched = await desk.dispatch(room, recording)
    await desk.is_in(room)
    await until(lambda: desk.told(recording, "participant_connected"))
    assert await desk.store.linked_recording(recording) == (room, None)
    meeting = MeetingId("m-of-the-room")
    await desk.store.create_room_meeting("livekit", room, Meeting(meeting, "Room", time.time()))
    await desk.delete(room, dispatched)
    await desk.is_in(room, 0)
    async with asyncio.timeout(30.0):
        while True:
            if await desk.store.linked_recording(recording) == (room, meeting):
                break
            await asyncio.sleep(0.05)


async def test_it_ends_when_the_room_is_over(desk: Collecting, people: People, room: str, recording: str) -> None:
    ann = await people.join(room, "ann", "Ann")
    await desk.dispatch(room, recording)
    await desk.is_in(room)
    await until(lambda: desk.told(recording, "participant_connected"))
    await ann.leave()
    await until(lambda: not desk.collector.recordings)
    assert kinds(desk, recording, "ann") == ["participant_connected", "participant_disconnected"]


async def test_it_stays_away_when_it_was_removed(desk: Collecting, people: People, room: str, recording: str) -> None:
    await people.join(room, "ann", "Ann")
    await desk.dispatch(room, recording)
    await desk.is_in(room)
    await until(lambda: desk.told(recording, "participant_connected"))
    async with desk.livekit.api() as server:
        (identity,) = await c.collectors_in(desk.livekit, room)
        await server.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity))
    await until(lambda: not desk.collector.recordings)
    await asyncio.sleep(2.0)  # four sweeps
    await desk.is_in(room, 0)


async def test_it_leaves_a_room_whose_sound_is_encrypted(
    desk: Collecting, people: People, room: str, recording: str
) -> None:
    ann = await people.join(room, "ann", "Ann", key=b"secret of the room")
    await ann.publish()
    await desk.dispatch(room, recording)
    await until(lambda: c.path_of(desk.folder, recording).exists() and not desk.collector.recordings)
    await asyncio.sleep(2.0)
    await desk.is_in(room, 0)
    assert kinds(desk, recording, "ann") == ["participant_connected"]


async def test_it_goes_on_when_the_server_was_killed_and_is_back(
    own_livekit: LiveKit, own_people: People, room: str, recording: str, tmp_path: Path
) -> None:
    async with collecting(own_livekit, tmp_path) as desk:
        ann = await own_people.join(room, "ann", "Ann")
        voice = await ann.publish()
        await desk.dispatch(room, recording)
        await desk.is_in(room)
        await voice.play(heard(ANN))
        await until(lambda: desk.told(recording, "speech_end"))
        own_livekit.kill()
        await asyncio.to_thread(own_livekit.start)
        await until(lambda: "reconnected" in ann.told)
        began = time.time()
        while len(desk.told(recording, "speech_start")) < 2:
            assert time.time() < began + 60.0, desk.file(recording)
            await voice.play(np.concatenate([heard(ANN), silence(1.0)]))
    assert kinds(desk, recording, "ann")[:6] == [
        *("participant_connected", "speech_start", "speech_end", "participant_disconnected"),
        *("participant_connected", "speech_start"),
    ]


async def test_each_recording_of_a_room_has_its_own_file_and_one_that_is_dispatched_twice_has_one(
    desk: Collecting, people: People, room: str
) -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    await people.join(room, "ann", "Ann")
    one = await desk.dispatch(room, first)
    await desk.is_in(room)
    await desk.dispatch(room, first)
    await desk.dispatch(room, second)
    await desk.is_in(room, 2)
    await desk.delete(room, one)
    await until(lambda: desk.told(second, "participant_connected"))
    await people.join(room, "bob", "Bob")
    await until(lambda: desk.told(second, "participant_connected") == ["ann", "bob"])
    assert desk.told(first, "participant_connected")[0] == "ann"


@pytest.mark.parametrize("name", ["", "../../escaped", "a/b", ".hidden", "x" * 200, "é", "a b"])
async def test_a_dispatch_that_names_no_recording_is_not_collected(
    desk: Collecting, people: People, room: str, name: str
) -> None:
    await people.join(room, "ann", "Ann")
    await desk.dispatch(room, name)
    right = str(uuid.uuid4())
    await desk.dispatch(room, right)  # offered after it
    await desk.is_in(room)
    await until(lambda: desk.told(right, "participant_connected"))
    assert set(desk.collector.recordings) == {right}
    assert [path.name for path in desk.folder.rglob("*.json")] == [f"{right}-metadata.json"]


async def test_a_dispatch_made_while_nobody_collects_is_taken_up(
    livekit: LiveKit, people: People, room: str, recording: str, tmp_path: Path
) -> None:
    await people.join(room, "ann", "Ann")
    await c.dispatch(livekit, room, recording)
    await asyncio.sleep(1.0)  # it has been offered to nobody
    async with collecting(livekit, tmp_path) as desk:
        await until(lambda: desk.told(recording, "participant_connected"))


async def test_what_is_collected_is_written_when_the_process_ends(
    livekit: LiveKit, people: People, room: str, recording: str, tmp_path: Path
) -> None:
    ann = await people.join(room, "ann", "Ann")
    async with collecting(livekit, tmp_path) as desk:
        await desk.dispatch(room, recording)
        await desk.is_in(room)
        await until(lambda: desk.told(recording, "participant_connected"))
        await ann.room.local_participant.send_text("at the last moment", topic="lk.chat")
        await asyncio.sleep(0.3)
    assert c.told(tmp_path, recording, "chat_received") == ["ann"]


async def started(livekit: LiveKit, folder: Path) -> asyncio.subprocess.Process:
    arguments = (livekit.url, livekit.key, livekit.secret, str(folder))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.livekit.collecting", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"registered\n"
    return process


async def test_a_process_that_is_killed_loses_little_and_the_next_goes_on(
    livekit: LiveKit, people: People, room: str, recording: str, tmp_path: Path
) -> None:
    ann, bob = await people.join(room, "ann", "Ann"), await people.join(room, "bob", "Bob")
    process = await started(livekit, tmp_path)
    dispatched = await c.dispatch(livekit, room, recording)
    await until(lambda: c.told(tmp_path, recording, "participant_connected") == ["ann", "bob"])
    await ann.room.local_participant.send_text("before", topic="lk.chat")
    await until(lambda: c.told(tmp_path, recording, "chat_received"))
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await bob.leave()
    await people.join(room, "eve", "Eve")

    process = await started(livekit, tmp_path)
    await until(lambda: "eve" in c.told(tmp_path, recording, "participant_connected"))
    await ann.room.local_participant.send_text("after", topic="lk.chat")
    await until(lambda: c.told(tmp_path, recording, "participant_disconnected"))
    await c.delete(livekit, room, dispatched)
    await c.collectors_are_in(livekit, room, 0)
    process.terminate()
    await process.wait()
    found = c.file_of(tmp_path, recording)
    assert sorted((event["type"], event["participant_id"]) for event in found["events"]) == [
        ("chat_received", "ann"),
        ("chat_received", "ann"),
        ("participant_connected", "ann"),
        ("participant_connected", "bob"),
        ("participant_connected", "eve"),
        ("participant_disconnected", "bob"),
    ]
    assert [event["data"] for event in found["events"] if event["type"] == "chat_received"] == ["before", "after"]
    assert {each["name"] for each in found["participants"]} == {"Ann", "Bob", "Eve"}


async def test_messages_that_never_end_leave_room_for_those_of_others(
    desk: Collecting, people: People, room: str, recording: str
) -> None:
    mallory, ann = await people.join(room, "mallory"), await people.join(room, "ann", "Ann")
    await desk.dispatch(room, recording)
    await desk.is_in(room)
    endless = [await mallory.room.local_participant.stream_text(topic="lk.chat") for _ in range(60)]
    await ann.room.local_participant.send_text("hello", topic="lk.chat")
    await until(lambda: desk.told(recording, "chat_received") == ["ann"])
    for writer in endless:
        await writer.aclose()


async def test_a_look_at_all_rooms_that_breaks_is_followed_by_others(
    desk: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def rooms(*_: object) -> list[api.Room]:
        nonlocal looks
        looks += 1
        raise RuntimeError("nobody thought of it")

    monkeypatch.setattr(LiveKitServer, "rooms", rooms)
    await until(lambda: looks > 2)

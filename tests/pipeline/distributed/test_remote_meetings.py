"""A meeting as processes see it that do not caption it: what they read, what they wish, who is asked to caption it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.domain import Caption, Participant, ParticipantId, Pause, TrackId, UtteranceId, Word
from pipeline.errors import InvalidInput, NotFound
from tests.pipeline.distributed.remote import MEETING, Stage, stage, until
from tests.redis_server import RedisServer, running_redis

ANNE = Participant(ParticipantId("anne"), "Anne")


@pytest.fixture
async def scene(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(redis_server.url, tmp_path) as one:
        yield one


async def test_a_meeting_that_somebody_asks_for_is_offered_at_once_and_by_one_process(scene: Stage) -> None:
    processes = [await scene.process("gateway-1"), await scene.process("api-1")]
    for process in processes:
        await process.meetings.of(MEETING)
    await until(lambda: sum(len(process.offered.meetings) for process in processes))
    await asyncio.sleep(0.6)  # two looks of each
    assert [meeting for process in processes for meeting in process.offered.meetings] == [MEETING]


async def test_whoever_only_looks_at_a_meeting_asks_for_no_captions(scene: Stage) -> None:
    process = await scene.process("api-1")
    assert await process.meetings.find(MEETING) is not None
    await asyncio.sleep(0.6)  # two looks
    assert not process.offered.meetings


async def test_a_meeting_that_somebody_captions_is_not_offered_until_they_are_gone(scene: Stage) -> None:
    owner = await scene.owner()
    process = await scene.process("api-1")
    reading = asyncio.create_task(anext((await process.meetings.of(MEETING)).feed.read(None)))
    try:
        await asyncio.sleep(0.6)
        assert not process.offered.meetings
        await owner.leave()
        await until(lambda: process.offered.meetings == [MEETING])
    finally:
        reading.cancel()
        await asyncio.wait([reading])


async def test_those_who_wait_for_somebody_with_room_are_told_once(scene: Stage) -> None:
    processes = [await scene.process("gateway-1"), await scene.process("api-1")]
    mirrors = [await process.meetings.of(MEETING) for process in processes]

    def told() -> list[object]:
        return [reading.event.get("code") for reading in mirrors[0].feed.history()]

    await until(told)
    await asyncio.sleep(0.6)
    assert told() == ["waiting"]
    assert [reading.sequence for reading in mirrors[1].feed.history()] == [1]


async def test_readers_in_every_process_see_what_the_owner_tells_by_its_numbers(scene: Stage) -> None:
    owner = await scene.owner()
    await owner.say({"type": "meeting", "state": "running", "title": "Council", "paused": False}, "meeting")
    await owner.say({"type": "participant", "participant": "anne", "speaker": "Anne", "present": True}, "p:anne")
    await owner.say({"type": "caption", "utterance": "anne.1#1", "words": []}, "anne.1#1")
    mirror = await (await scene.process("api-1")).meetings.of(MEETING)
    assert [reading.sequence for reading in mirror.feed.history()] == [1, 2, 3]
    seen = mirror.snapshot()
    assert {"sequence": 3, "title": "Council", "state": "running", "paused": False}.items() <= seen.items()
    assert seen["participants"] == [{"participant": "anne", "speaker": "Anne", "present": True}]
    assert [event["utterance"] for event in seen["events"]] == ["anne.1#1"]  # type: ignore[attr-defined]
    await owner.say({"type": "caption", "utterance": "anne.1#2", "words": []}, "anne.1#2")
    await until(lambda: mirror.feed.newest == 4)


async def test_a_pause_is_kept_told_to_the_owner_and_heeded_by_every_gateway(scene: Stage) -> None:
    owner = await scene.owner()
    api, gateway = await scene.process("api-1"), await scene.process("gateway-1")
    asked, heeding = await api.meetings.of(MEETING), await gateway.meetings.of(MEETING)
    await asked.pause()
    assert not asked.listening
    await until(lambda: not heeding.listening)
    (pause,) = await scene.store.pauses(MEETING)
    await until(lambda: owner.wishes == [{"do": "pause", "at": pause.start}])
    assert await gateway.meetings.paused([await scene.store.meeting(MEETING)]) == {MEETING}
    await asked.pause()
    await asked.resume()
    await until(lambda: heeding.listening)
    (pause,) = await scene.store.pauses(MEETING)
    await until(lambda: owner.wishes[1:] == [{"do": "resume", "at": pause.end}])


async def test_whoever_comes_into_a_paused_meeting_hears_nothing(scene: Stage) -> None:
    await scene.store.for_meeting(MEETING).keep_pause(Pause(1.0))
    process = await scene.process("gateway-1")
    assert await process.meetings.paused([await scene.store.meeting(MEETING)]) == {MEETING}
    assert not (await process.meetings.of(MEETING)).listening


async def test_names_languages_terms_and_notices_reach_the_owner_and_names_the_store(scene: Stage) -> None:
    owner = await scene.owner()
    process = await scene.process("gateway-1")
    meeting = await process.meetings.of(MEETING)
    await meeting.enter(ANNE, ("fr",))
    await meeting.rename(ANNE.id, "Anne B.")
    await meeting.set_languages(("en",), ANNE.id)
    await meeting.set_languages(("de",))
    await meeting.set_glossary(("Greffier",))
    await meeting.tell("encrypted")
    await meeting.voices_changed()
    with pytest.raises(InvalidInput):
        await meeting.set_languages(("xx",))
    with pytest.raises(InvalidInput):
        await meeting.set_languages(())
    await until(lambda: len(owner.wishes) == 6)
    assert owner.wishes == [
        {"do": "rename", "participant": "anne", "name": "Anne B."},
        {"do": "languages", "languages": ["en"], "participant": "anne"},
        {"do": "languages", "languages": ["de"], "participant": None},
        {"do": "glossary", "terms": ["Greffier"]},
        {"do": "notice", "code": "encrypted"},
        {"do": "voices"},
    ]
    assert await scene.store.participants(MEETING) == [Participant(ANNE.id, "Anne B.")]
    track = await meeting.join(ANNE)
    assert (track.id, track.participant.name, track.languages) == ("anne.1", "Anne B.", ("en",))


async def test_a_meeting_that_nobody_captions_ends_all_the_same_with_what_was_said(scene: Stage) -> None:
    words = (Word(" Bonjour", 1.0, 1.5, 0.9),)
    await scene.store.add_participant(MEETING, ANNE, ())
    track = await scene.store.next_track(MEETING, ANNE.id)
    left_open = Caption(track, UtteranceId("anne.1#1"), 4, False, "fr", words)
    await scene.store.for_meeting(MEETING).keep_open([left_open])
    ending, reading = await scene.process("api-1"), await scene.process("api-2")
    mirror = await reading.meetings.of(MEETING)
    await ending.meetings.end(MEETING)
    assert (await scene.store.meeting(MEETING)).ended_at is not None
    assert [(final.utterance, final.words) for final in await scene.store.finals(MEETING)] == [
        (left_open.utterance, words)
    ]
    await until(lambda: mirror.over)
    assert mirror.meeting.ended_at is not None
    with pytest.raises(InvalidInput, match="over"):
        await mirror.join(ANNE)
    with pytest.raises(InvalidInput, match="over"):
        await reading.meetings.of(MEETING)
    assert await reading.meetings.find(MEETING) is None
    await ending.meetings.end(MEETING)


async def test_readers_learn_that_a_meeting_is_over_though_whoever_ended_it_could_not_tell(scene: Stage) -> None:
    mirror = await (await scene.process("api-1")).meetings.of(MEETING)
    await scene.store.for_meeting(MEETING).keep_end(1.0)
    await until(lambda: mirror.over)
    assert [reading.event["type"] for reading in mirror.feed.history()] == ["meeting"]


async def test_its_owner_ends_a_meeting_that_is_captioned(scene: Stage) -> None:
    owner, process = await scene.owner(), await scene.process("api-1")
    ending = asyncio.create_task(process.meetings.end(MEETING))
    await until(lambda: owner.wishes == [{"do": "end"}])
    await scene.store.for_meeting(MEETING).keep_end(owner.bus.wall())
    await owner.say({"type": "meeting", "state": "ended", "title": "Council", "paused": False}, "meeting")
    await ending


async def test_whoever_reads_a_deleted_meeting_is_told_that_it_ended(scene: Stage) -> None:
    deleting, reading = await scene.process("api-1"), await scene.process("gateway-1")
    mirror = await reading.meetings.of(MEETING)
    await deleting.meetings.delete(MEETING)
    await until(lambda: mirror.over)
    with pytest.raises(NotFound):
        await scene.store.meeting(MEETING)
    for process in (deleting, reading):
        with pytest.raises(NotFound):
            await process.meetings.of(MEETING)


async def test_a_pause_that_was_asked_for_while_redis_was_away_counts_once_it_is_back(tmp_path: Path) -> None:
    with running_redis() as redis:
        async with stage(redis.url, tmp_path) as scene:
            meeting = await (await scene.process("gateway-1")).meetings.of(MEETING)
            await asyncio.to_thread(redis.kill)
            await scene.store.for_meeting(MEETING).keep_pause(Pause(1.0))
            await asyncio.to_thread(redis.start)
            await until(lambda: meeting.paused)


async def test_a_track_is_named_as_the_meeting_never_had_one(scene: Stage) -> None:
    gateways = [await scene.process("gateway-1"), await scene.process("gateway-2")]
    meetings = [await gateway.meetings.of(MEETING) for gateway in gateways]
    tracks = [await meeting.join(ANNE, ("fr",)) for meeting in meetings]
    assert [track.id for track in tracks] == [TrackId("anne.1"), TrackId("anne.2")]
    with pytest.raises(InvalidInput):
        await meetings[0].join(ANNE, ("xx",))

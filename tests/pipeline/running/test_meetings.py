"""Meetings start when somebody comes, outlive their process, and end when they are ended, empty or deleted."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline import session as shell
from pipeline.domain import AudioLost, MeetingId, Pause
from pipeline.errors import InvalidInput, NotFound, StorageFailed, StorageFull
from pipeline.running import meeting as one
from pipeline.running import meetings as module
from pipeline.running import upkeep
from tests.pipeline.running.stage import (
    ANNE,
    BILAL,
    MEETING,
    Stage,
    events,
    finals,
    kept,
    notices,
    states,
    until,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(shell, "_TICK", 0.01)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


# --- one session of a meeting -----------------------------------------------------------------------------------


async def test_whoever_comes_first_starts_the_meeting_and_all_get_the_same(stage: Stage) -> None:
    await stage.create()
    assert stage.meetings.running(MEETING) is None
    first, second = await asyncio.gather(stage.meetings.of(MEETING), stage.meetings.of(MEETING))
    assert first is second is stage.meetings.running(MEETING)
    assert stage.meetings.all() == [first]


async def test_a_meeting_that_is_not_there_or_over_does_not_start(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await stage.meetings.of(MEETING)
    with pytest.raises(NotFound):
        await stage.meetings.end(MEETING)
    with pytest.raises(NotFound):
        await stage.meetings.delete(MEETING)
    await stage.create()
    await stage.meetings.end(MEETING)
    assert (await stage.store.meeting(MEETING)).ended_at == stage.clock.wall()
    stage.clock.at += 5.0
    await stage.meetings.end(MEETING)
    assert (await stage.store.meeting(MEETING)).ended_at == stage.clock.wall() - 5.0
    with pytest.raises(InvalidInput, match="over"):
        await stage.meetings.of(MEETING)


async def test_meetings_know_nothing_of_each_other(stage: Stage) -> None:
    here, there = await stage.open(), await stage.open(MeetingId("other"))
    anne = await stage.talker(here, ANNE)
    await stage.say(anne, "in here")
    await until(lambda: finals(here))
    assert finals(there) == []
    await stage.meetings.end(MEETING)
    bilal = await stage.talker(there, BILAL)
    await stage.say(bilal, "in there")
    await until(lambda: finals(there))
    assert await kept(stage.store, MeetingId("other")) == ["in there"]


async def test_an_ended_meeting_is_let_go_of_once_its_record_is_kept(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "let us close")
    await stage.meetings.end(MEETING)
    assert stage.meetings.running(MEETING) is None
    await until(lambda: not stage.meetings._finishing)
    (segment,) = (await stage.store.transcript(MEETING)).segments
    assert segment.record


# --- empty meetings ---------------------------------------------------------------------------------------------


async def test_a_meeting_ends_once_it_has_been_empty_for_a_while(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await until(lambda: meeting.tracks)
    stage.clock.at += 1000.0
    await asyncio.sleep(0.1)
    assert not meeting.over, "somebody publishes"
    anne.hang_up()
    await until(lambda: meeting.tracks == 0)
    reader = asyncio.ensure_future(told(meeting))
    await until(lambda: meeting.feed.readers)
    stage.clock.at += 1000.0
    await asyncio.sleep(0.1)
    assert not meeting.over, "somebody reads"
    reader.cancel()
    await asyncio.wait([reader])
    stage.clock.at += 599.0
    await asyncio.sleep(0.1)
    assert not meeting.over, "not for so long yet"
    stage.clock.at += 2.0
    await until(lambda: stage.meetings.running(MEETING) is None)
    await stage.meetings.end(MEETING)
    assert states(meeting) == ["running", "ended"]
    assert (await stage.store.meeting(MEETING)).ended_at is not None


async def told(meeting: one.RunningMeeting) -> list[object]:
    return [reading async for batch in meeting.feed.read(None) for reading in batch]


async def test_a_meeting_to_which_nobody_comes_back_after_a_restart_ends(tmp_path: Path) -> None:
    async with Stage(tmp_path) as before:
        for name in ("left", "resumed"):
            meeting = await before.open(MeetingId(name))
            anne = await before.talker(meeting)
            await before.say(anne, "see you later")
            await until(partial(finals, meeting))
        await before.create(MeetingId("for tomorrow"))
    async with Stage(tmp_path, clock=before.clock) as after:
        await after.talker(await after.meetings.of(MeetingId("resumed")))
        after.clock.at += 599.0
        await asyncio.sleep(0.1)
        assert (await after.store.meeting(MeetingId("left"))).ended_at is None
        after.clock.at += 1.0
        await until(lambda: not after.meetings._left)
        ended = [meeting.id for meeting in await after.store.meetings() if meeting.ended_at is not None]
        assert ended == ["left"]


async def test_a_meeting_that_ended_by_itself_is_let_go_of(stage: Stage) -> None:
    meeting = await stage.open()
    await meeting.end()
    await until(lambda: not stage.meetings._running and not stage.meetings._finishing)


# --- deleted ----------------------------------------------------------------------------------------------------


async def test_a_meeting_deleted_while_it_runs_stops_and_leaves_nothing(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "forget this")
    await until(lambda: finals(meeting))
    await stage.begin(anne, "and this")
    reader = asyncio.ensure_future(told(meeting))
    await asyncio.sleep(0)
    began = time.monotonic()
    await stage.meetings.delete(MEETING)
    assert time.monotonic() - began < 1.0
    await reader
    assert states(meeting) == ["running", "ended"]
    await until(lambda: meeting.tracks == 0)
    assert stage.forgotten == [MEETING]
    with pytest.raises(NotFound):
        await stage.store.meeting(MEETING)
    with pytest.raises(NotFound):
        await stage.meetings.of(MEETING)
    assert await stage.store.finals(MEETING) == []


async def test_deleting_a_meeting_that_was_ended_stops_its_record(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "forget this")
    await until(lambda: finals(meeting))
    stage.gate.clear()
    await stage.meetings.end(MEETING)
    assert not meeting.finished
    await stage.meetings.delete(MEETING)
    assert meeting.finished


async def test_a_meeting_whose_sound_cannot_be_removed_can_be_deleted_again(stage: Stage) -> None:
    await stage.open()
    well = stage.meetings.equipment

    async def stuck(_: MeetingId) -> None:
        raise StorageFailed("a file cannot be removed")

    stage.meetings.equipment = replace(well, forget=stuck)
    with pytest.raises(StorageFailed):
        await stage.meetings.delete(MEETING)
    assert (await stage.store.meeting(MEETING)).id == MEETING
    stage.meetings.equipment = well
    await stage.meetings.delete(MEETING)
    assert stage.forgotten == [MEETING]
    with pytest.raises(NotFound):
        await stage.store.meeting(MEETING)


async def test_a_meeting_of_the_process_before_that_is_deleted_is_not_ended_any_more(tmp_path: Path) -> None:
    async with Stage(tmp_path) as before:
        meeting = await before.open()
        anne = await before.talker(meeting)
        await before.say(anne, "forget this")
        await until(lambda: finals(meeting))
    async with Stage(tmp_path, clock=before.clock) as after:
        assert list(after.meetings._left) == [MEETING]
        await after.meetings.delete(MEETING)
        assert not after.meetings._left


# --- the next process -------------------------------------------------------------------------------------------


async def test_a_process_that_ends_in_order_keeps_what_was_said_and_the_next_goes_on(tmp_path: Path) -> None:
    async with Stage(tmp_path) as before:
        meeting = await before.open()
        anne = await before.talker(meeting)
        await before.say(anne, "first part", pause=0.2)
        reader = asyncio.ensure_future(told(meeting))
        await asyncio.sleep(0)
        await before.meetings.close()
        await reader
        newest = meeting.feed.newest
        assert finals(meeting) == [("Anne", "first part")]
        assert states(meeting) == ["running"], "the meeting goes on in another process"
        await before.create(MeetingId("another"))
        with pytest.raises(InvalidInput, match="shutting down"):
            await before.meetings.of(MeetingId("another"))
    async with Stage(tmp_path, clock=before.clock) as after:
        meeting = await after.meetings.of(MEETING)
        assert finals(meeting) == [("Anne", "first part")]
        assert notices(meeting) == []
        assert all(reading.sequence > newest for reading in meeting.feed.history())
        assert meeting.feed.history(newest) == meeting.feed.history()
        anne = await after.talker(meeting)
        assert anne.track.id == "anne.2"
        await after.say(anne, "second part")
        await until(lambda: len(finals(meeting)) == 2)
        assert await kept(after.store) == ["first part", "second part"]
        assert len({event["utterance"] for event in events(meeting, "caption")}) == 2


async def test_a_process_that_ends_while_a_meeting_ends_keeps_its_last_words_and_its_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one, "_LAST_WORDS", 0.6)
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "one two three four")
    await until(lambda: "three" in str(events(meeting, "caption")[-1:]))
    stage.gate.clear()
    await stage.begin(anne, "five")
    ending = asyncio.create_task(stage.meetings.end(MEETING))
    await until(lambda: meeting.over)
    await stage.meetings.close()
    (text,) = await kept(stage.store)
    assert text.startswith("one two three")
    assert (await stage.store.meeting(MEETING)).ended_at == stage.clock.wall()
    await ending


async def test_after_a_kill_committed_words_are_finals_and_the_meeting_says_that_it_was_cut(tmp_path: Path) -> None:
    async with Stage(tmp_path) as before:
        meeting = await before.open()
        anne = await before.talker(meeting)
        await before.say(anne, "kept before")
        await until(lambda: finals(meeting))
        await before.begin(anne, "one two three four five")
        await until(lambda: "three" in str(events(meeting, "caption")[-1]["committed"]))
        await asyncio.sleep(0.1)
        await before.kill()
    before.clock.at += 1.0
    async with Stage(tmp_path, clock=before.clock) as after:
        meeting = await after.meetings.of(MEETING)
        texts = [text for _, text in finals(meeting)]
        assert texts[0] == "kept before"
        assert str(texts[1]).startswith("one two three")
        assert notices(meeting) == ["cut"]
        assert (await after.store.meeting(MEETING)).cut
        await meeting.suspend()
        assert notices(await after.meetings.of(MEETING)) == [], "the session before this one ended in order"
        assert meeting.now() == pytest.approx(after.clock.at)


async def test_a_pause_outlives_the_process(tmp_path: Path) -> None:
    async with Stage(tmp_path) as before:
        await (await before.open()).pause()
    before.clock.at += 10.0
    async with Stage(tmp_path, clock=before.clock) as after:
        meeting = await after.meetings.of(MEETING)
        assert (meeting.paused, meeting.listening, notices(meeting)) == (True, False, ["paused"])
        await meeting.resume()
        assert await after.store.pauses(MEETING) == [Pause(0.0, 10.0)]


async def test_meeting_time_never_runs_back_when_the_wall_clock_was_set_back(tmp_path: Path) -> None:
    async with Stage(tmp_path) as before:
        meeting = await before.open()
        before.clock.at = 100.0
        anne = await before.talker(meeting)
        await before.say(anne, "late in the day")
        await until(lambda: finals(meeting))
    async with Stage(tmp_path) as after:
        meeting = await after.meetings.of(MEETING)
        assert meeting.now() == pytest.approx(102.0, abs=0.1)


# --- trouble ----------------------------------------------------------------------------------------------------


async def test_a_session_that_breaks_is_replaced_and_the_meeting_says_that_it_was_cut(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "before it broke")
    await until(lambda: finals(meeting))
    reader = asyncio.ensure_future(told(meeting))
    await meeting._bus.send(AudioLost(anne.track.id, cast(Any, "a moment that is none"), 0.0))
    await reader
    assert states(meeting) == ["running"], "its readers come back"
    another = await stage.meetings.of(MEETING)
    assert another is not meeting
    assert notices(another) == ["cut"]
    assert finals(another)[0] == ("Anne", "before it broke")


async def test_a_store_that_fails_at_the_start_of_a_meeting_is_an_error_and_the_next_try_works(stage: Stage) -> None:
    await stage.create()
    stage.store.full = True
    with pytest.raises(StorageFull):
        await stage.meetings.of(MEETING)
    stage.store.full = False
    assert (await stage.meetings.of(MEETING)).listening


async def test_a_meeting_changed_in_the_store_ends_as_it_was_changed(stage: Stage) -> None:
    await stage.open()
    await stage.store.update_meeting(replace(await stage.store.meeting(MEETING), title="Budget"))
    await stage.meetings.end(MEETING)
    assert (await stage.store.meeting(MEETING)).title == "Budget"

"""Who is in a meeting, speaking or not: told as they come and go, and kept whatever becomes of the process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline import session as shell
from pipeline.domain import Participant, Presence
from pipeline.errors import InvalidInput, StorageFull
from pipeline.running import meetings as meetings_module
from pipeline.running import upkeep
from pipeline.running.meeting import RunningMeeting
from tests.pipeline.running.stage import (
    ANNE,
    BILAL,
    MEETING,
    Clock,
    Stage,
    events,
    eventually,
    kept,
    until,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(shell, "_TICK", 0.01)
    monkeypatch.setattr(meetings_module, "_LOOK_EVERY", 0.01)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


def told(meeting: RunningMeeting) -> list[tuple[object, object]]:
    return [(event["participant"], event["state"]) for event in events(meeting, "participant")]


def there(meeting: RunningMeeting) -> list[object]:
    return [each["participant"] for each in meeting.snapshot()["participants"] if each["present"]]  # type: ignore[attr-defined]


async def presences(stage: Stage, *wanted: Presence) -> None:
    """Returns once these are kept, and no others."""
    await eventually(lambda: stage.store.presences(MEETING), lambda found: found == list(wanted))


async def test_who_enters_is_there_without_a_microphone_until_it_leaves(stage: Stage) -> None:
    meeting = await stage.open()
    await meeting.enter(ANNE, ("fr",))
    assert (told(meeting), there(meeting)) == ([("anne", "joined")], ["anne"])
    assert await stage.store.participants(MEETING) == [ANNE]
    assert await stage.store.languages(MEETING) == {"anne": ("fr",)}
    await presences(stage, Presence(ANNE.id, 0.0))
    stage.clock.at = 7.5
    await meeting.leave(ANNE.id)
    assert (told(meeting), there(meeting)) == ([("anne", "joined"), ("anne", "left")], [])
    await presences(stage, Presence(ANNE.id, 0.0, 7.5))


async def test_who_entered_and_publishes_has_left_once_both_are_over(stage: Stage) -> None:
    meeting = await stage.open()
    await meeting.enter(ANNE)
    anne = await stage.talker(meeting, ANNE)
    await stage.say(anne, "good morning")
    assert told(meeting) == [("anne", "joined")]
    await meeting.leave(ANNE.id)
    assert there(meeting) == ["anne"]
    stage.clock.at = 9.0
    anne.hang_up()
    await until(lambda: not there(meeting))
    await presences(stage, Presence(ANNE.id, 0.0, 9.0))


async def test_a_track_alone_is_a_presence_too(stage: Stage) -> None:
    meeting = await stage.open()
    stage.clock.at = 2.0
    bilal = await stage.talker(meeting, BILAL)
    await presences(stage, Presence(BILAL.id, 2.0))
    stage.clock.at = 4.0
    bilal.hang_up()
    await presences(stage, Presence(BILAL.id, 2.0, 4.0))


async def test_who_comes_back_has_two_presences(stage: Stage) -> None:
    meeting = await stage.open()
    for at in (1.0, 5.0):
        stage.clock.at = at
        await meeting.enter(ANNE)
        stage.clock.at = at + 2
        await meeting.leave(ANNE.id)
    await presences(stage, Presence(ANNE.id, 1.0, 3.0), Presence(ANNE.id, 5.0, 7.0))


async def test_who_never_entered_leaves_without_a_trace(stage: Stage) -> None:
    meeting = await stage.open()
    await meeting.leave(ANNE.id)
    assert told(meeting) == []


async def test_languages_given_on_entering_count_for_the_tracks_that_follow(stage: Stage) -> None:
    meeting = await stage.open()
    await meeting.enter(ANNE, ("fr",))
    assert (await meeting.join(ANNE)).languages == ("fr",)
    await meeting.leave(ANNE.id)
    await meeting.enter(Participant(ANNE.id, "Anne M."), ("en",))
    track = await meeting.join(ANNE)
    assert (track.languages, track.participant.name) == (("en",), "Anne")
    await meeting.set_languages(("fr",), ANNE.id)
    assert (await meeting.join(ANNE)).languages == ("fr",)
    with pytest.raises(InvalidInput, match="de"):
        await meeting.enter(BILAL, ("de",))
    assert there(meeting) == ["anne"]


async def test_whoever_is_there_at_the_end_has_left_with_it(stage: Stage) -> None:
    meeting = await stage.open()
    await meeting.enter(BILAL)
    anne = await stage.talker(meeting, ANNE)
    await stage.say(anne, "good morning")
    stage.clock.at = 30.0
    await stage.meetings.end(MEETING)
    assert sorted(told(meeting)[-2:]) == [("anne", "left"), ("bilal", "left")]  # type: ignore[type-var]
    assert [found.left for found in await stage.store.presences(MEETING)] == [30.0, 30.0]
    await meeting.leave(BILAL.id)
    with pytest.raises(InvalidInput, match="over"):
        await meeting.enter(BILAL)
    assert await kept(stage.store) == ["good morning"]


async def test_a_meeting_is_not_empty_while_somebody_is_there_in_silence(stage: Stage) -> None:
    stage.meetings.empty_after = 5.0
    meeting = await stage.open()
    await meeting.enter(ANNE)
    stage.clock.at = 100.0
    assert meeting.empty_for == 0.0
    await meeting.leave(ANNE.id)
    stage.clock.at = 104.0
    assert meeting.empty_for == 4.0
    stage.clock.at = 106.0
    await until(lambda: meeting.over)


async def test_a_full_disk_delays_what_is_kept_of_presences(stage: Stage) -> None:
    meeting = await stage.open()
    await meeting.enter(ANNE)
    await presences(stage, Presence(ANNE.id, 0.0))
    stage.store.full = True
    with pytest.raises(StorageFull):
        await meeting.enter(BILAL)
    stage.clock.at = 3.0
    await meeting.leave(ANNE.id)
    await until(lambda: stage.store.refused > 2)
    stage.store.full = False
    await presences(stage, Presence(ANNE.id, 0.0, 3.0))


async def test_the_process_after_a_kill_ends_presences_at_the_last_moment_it_knows_of(tmp_path: Path) -> None:
    clock = Clock()
    async with Stage(tmp_path, clock) as stage:
        meeting = await stage.open()
        await meeting.enter(BILAL)
        anne = await stage.talker(meeting, ANNE)
        await stage.say(anne, "good morning everybody")
        await eventually(lambda: kept(stage.store), bool)
        await stage.kill()
        clock.at = 60.0
        stage.store.full = True  # what a process that was killed cannot keep
    async with Stage(tmp_path, clock) as after:
        found = await after.store.presences(MEETING)
        assert {presence.participant for presence in found} == {ANNE.id, BILAL.id}
        assert all(presence.left == pytest.approx(1.45) for presence in found)
        again = await after.meetings.of(MEETING)
        await again.enter(BILAL)
        await eventually(lambda: after.store.presences(MEETING), lambda found: len(found) == 3)


async def test_a_silent_meeting_to_which_nobody_comes_back_after_a_restart_ends(tmp_path: Path) -> None:
    clock = Clock()
    async with Stage(tmp_path, clock) as before:
        await (await before.open()).enter(ANNE)
    async with Stage(tmp_path, clock, empty_after=5.0) as after:
        assert (await after.store.meeting(MEETING)).ended_at is None
        clock.at = 6.0
        await eventually(lambda: after.store.meeting(MEETING), lambda found: found.ended_at is not None)

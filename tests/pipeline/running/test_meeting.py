"""A meeting while it runs: people come and go, trouble stays with its track, and nothing committed is lost.

More than 400 lines, because it mirrors one source file, a short test for each of its rules.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline import session as shell
from pipeline.domain import (
    AudioFrame,
    AudioLost,
    Participant,
    ParticipantId,
    Pause,
    TrackId,
    TrackOpened,
    Window,
    WindowKind,
)
from pipeline.errors import InvalidInput, NotFound
from pipeline.running import meeting as module
from pipeline.running import upkeep
from pipeline.running.meeting import RunningMeeting
from tests.pipeline.running.stage import (
    ANNE,
    BILAL,
    MEETING,
    Stage,
    events,
    eventually,
    finals,
    kept,
    notices,
    states,
    until,
)
from tests.recordings import beep


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(shell, "_PAUSE_AFTER_FAILURE", 0.002)
    monkeypatch.setattr(shell, "_TICK", 0.01)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


def committed(meeting: RunningMeeting) -> str:
    """The committed words of the newest caption told."""
    told = events(meeting, "caption")
    return str(told[-1]["committed"]).strip() if told else ""


async def record(stage: Stage) -> str:
    """The record text of the one segment of the meeting, once there is one."""

    async def stored() -> str:
        segments = (await stage.store.transcript(MEETING)).segments
        return "".join(word.text for segment in segments for word in segment.record).strip()

    return await eventually(stored, bool)


# --- captions ---------------------------------------------------------------------------------------------------


async def test_captions_of_two_participants_reach_the_feed_and_the_store_under_their_names(stage: Stage) -> None:
    meeting = await stage.open()
    anne, bilal = await stage.talker(meeting, ANNE), await stage.talker(meeting, BILAL)
    await stage.say(anne, "good morning everybody")
    await until(lambda: finals(meeting))
    await stage.say(bilal, "hello Anne")
    await until(lambda: len(finals(meeting)) == 2)
    assert finals(meeting) == [("Anne", "good morning everybody"), ("Bilal", "hello Anne")]
    assert await kept(stage.store) == ["good morning everybody", "hello Anne"]
    caption = events(meeting, "caption")[0]
    assert caption["meeting"] == MEETING
    assert caption["participant"] == "anne"
    assert caption["track"] == anne.track.id == "anne.1"
    assert caption["sent_at"] == pytest.approx(stage.clock.at, abs=3.0)


async def test_committed_words_are_durable_while_somebody_still_speaks(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "one two three four five")
    await until(lambda: "three" in committed(meeting))

    async def stored() -> str:
        found = (await stage.store.unfinished()).get(MEETING, [])
        return found[0].committed.strip() if found else ""

    await eventually(stored, lambda text: text.startswith("one two three"))
    assert await kept(stage.store) == []


async def test_the_record_is_kept_while_the_meeting_goes_on(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "good morning everybody", pause=3.0)
    assert await record(stage) == "good morning everybody"
    assert not meeting.over


# --- people -----------------------------------------------------------------------------------------------------


async def test_who_comes_and_goes_is_told_once_per_participant_however_many_tracks(stage: Stage) -> None:
    meeting = await stage.open()
    first = await stage.talker(meeting)
    second = await stage.talker(meeting)
    await until(lambda: meeting.tracks == 2)
    first.hang_up()
    await until(lambda: meeting.tracks == 1)
    assert [event["state"] for event in events(meeting, "participant")] == ["joined"]
    second.hang_up()
    await until(lambda: len(events(meeting, "participant")) == 2)
    joined, left = events(meeting, "participant")
    assert (joined["participant"], joined["speaker"], left["state"]) == ("anne", "Anne", "left")
    assert (first.track.id, second.track.id) == ("anne.1", "anne.2")


async def test_two_tabs_of_one_participant_are_two_tracks_of_one_speaker(stage: Stage) -> None:
    meeting = await stage.open()
    first, second = await stage.talker(meeting), await stage.talker(meeting)
    await stage.say(first, "from the desk")
    await until(lambda: finals(meeting))
    await stage.say(second, "from the phone")
    await until(lambda: len(finals(meeting)) == 2)
    assert finals(meeting) == [("Anne", "from the desk"), ("Anne", "from the phone")]


async def test_a_participant_keeps_the_name_that_the_meeting_knows(stage: Stage) -> None:
    meeting = await stage.open()
    await meeting.join(ANNE)
    await meeting.rename(ANNE.id, "Anne-Marie")
    track = await meeting.join(ANNE)
    assert track.participant.name == "Anne-Marie"
    await stage.store.add_participant(MEETING, BILAL, ("fr",))  # by somebody else, while it runs
    track = await meeting.join(Participant(BILAL.id, "Bob"))
    assert (track.participant, track.languages) == (BILAL, ("fr",))


async def test_a_new_name_is_in_events_from_then_on_and_in_the_store(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "before")
    await until(lambda: finals(meeting))
    await meeting.rename(ANNE.id, "Anne-Marie")
    await stage.say(anne, "after")
    await until(lambda: len(finals(meeting)) == 2)
    assert finals(meeting) == [("Anne", "before"), ("Anne-Marie", "after")]
    assert events(meeting, "participant")[-1]["state"] == "renamed"
    assert (await stage.store.participants(MEETING))[0].name == "Anne-Marie"
    with pytest.raises(NotFound):
        await meeting.rename(ParticipantId("nobody"), "Nobody")


async def test_a_newcomer_is_shown_the_meeting_as_it_stands(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await meeting.join(BILAL)
    await stage.say(anne, "good morning")
    await until(lambda: finals(meeting))
    shown = meeting.snapshot()
    assert shown | {"sent_at": 0.0, "events": []} == {
        "type": "snapshot",
        "meeting": MEETING,
        "sent_at": 0.0,
        "sequence": meeting.feed.newest,
        "title": "Council",
        "state": "running",
        "paused": False,
        "participants": [
            {"participant": "anne", "speaker": "Anne", "present": True},
            {"participant": "bilal", "speaker": "Bilal", "present": False},
        ],
        "events": [],
    }
    assert shown["events"] == events(meeting, "caption") != []
    assert meeting.snapshot(meeting.feed.newest)["events"] == []


async def test_who_leaves_in_mid_sentence_has_left_once_that_is_final(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "I must go")
    await until(lambda: events(meeting, "caption"))
    stage.engine.wait = lambda seconds: time.sleep(0.1)
    anne.hang_up()
    await until(lambda: len(events(meeting, "participant")) == 2)
    assert finals(meeting) == [("Anne", "I must go")]
    told = [reading.event for reading in meeting.feed.history()]
    assert [event["type"] for event in told][-2:] == ["caption", "participant"]


async def test_who_leaves_while_the_engine_is_stuck_has_left_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_WORDS", 0.2)
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    stage.gate.clear()
    await stage.begin(anne, "I must go")
    anne.hang_up()
    await until(lambda: len(events(meeting, "participant")) == 2)
    assert finals(meeting) == []
    stage.gate.set()
    await until(lambda: finals(meeting))


# --- trouble with sources ---------------------------------------------------------------------------------------


async def test_a_source_that_breaks_ends_its_own_track_and_keeps_what_was_said(stage: Stage) -> None:
    meeting = await stage.open()
    anne, bilal = await stage.talker(meeting, ANNE), await stage.talker(meeting, BILAL)
    await stage.begin(anne, "half a sentence")
    anne.fail(OSError("the network is gone"))
    await until(lambda: finals(meeting))
    assert meeting.tracks == 1
    await stage.say(bilal, "we lost Anne")
    await until(lambda: len(finals(meeting)) == 2)
    assert finals(meeting) == [("Anne", "half a sentence"), ("Bilal", "we lost Anne")]


async def test_a_source_that_stalls_ends_its_speech_and_may_go_on_later(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "can you hear")
    stage.clock.at += 5.0
    await until(lambda: finals(meeting))
    await stage.say(anne, "me now")
    await until(lambda: len(finals(meeting)) == 2)
    assert [text for _, text in finals(meeting)] == ["can you hear", "me now"]


async def test_a_publisher_that_is_cancelled_leaves_its_words(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "half a sentence")
    await until(lambda: events(meeting, "caption"))
    stage.tasks[0].cancel()
    await until(lambda: finals(meeting))
    assert finals(meeting) == [("Anne", "half a sentence")]
    assert meeting.tracks == 0


async def test_frames_of_other_tracks_before_the_opening_and_a_second_opening_are_not_taken(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await until(lambda: meeting.tracks)
    await stage.begin(anne, "one two")
    anne.send(AudioFrame(TrackId("bilal.1"), stage.clock.at, beep(0.5)))
    anne.send(TrackOpened(anne.track, stage.clock.at))
    await stage.say(anne, "three")
    await until(lambda: finals(meeting))
    assert finals(meeting) == [("Anne", "one two three")]


async def test_sound_that_was_lost_is_told_and_marked(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "one two")
    start, stage.clock.at = stage.clock.at, stage.clock.at + 0.3
    anne.send(AudioLost(anne.track.id, start, stage.clock.at))
    await stage.say(anne, "three")
    await until(lambda: "sound_lost" in notices(meeting))
    (notice,) = events(meeting, "notice")
    assert (notice["participant"], notice["speaker"], notice["at"], notice["end"]) == ("anne", "Anne", 1.0, 1.3)
    await until(lambda: finals(meeting))
    (gap,) = (await stage.store.transcript(MEETING)).gaps
    assert [gap.start, gap.end] == pytest.approx([1.0, 1.3])


# --- pauses -----------------------------------------------------------------------------------------------------


async def test_a_pause_ends_the_speech_under_way_and_nothing_is_recognised_until_it_ends(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "on the record")
    await until(lambda: "on" in committed(meeting))
    began = stage.clock.at
    await meeting.pause()
    assert not meeting.listening
    await until(lambda: finals(meeting))
    stage.clock.at += 3.0
    await until(lambda: meeting._core.idle)
    before = len(stage.engine.batches)
    await stage.say(anne, "this is secret", pause=2.0)
    await asyncio.sleep(0.1)
    assert len(stage.engine.batches) == before
    await meeting.resume()
    ended = stage.clock.at
    await stage.say(anne, "back again")
    await until(lambda: len(finals(meeting)) == 2)
    assert [text for _, text in finals(meeting)] == ["on the record", "back again"]
    assert notices(meeting) == ["paused", "resumed"]
    assert await stage.store.pauses(MEETING) == [Pause(began, ended)]
    assert (await stage.store.transcript(MEETING)).gaps == ()


async def test_pausing_and_resuming_twice_changes_nothing(stage: Stage) -> None:
    meeting = await stage.open()
    await meeting.resume()
    await meeting.pause()
    stage.clock.at += 1.0
    await meeting.pause()
    assert meeting.snapshot()["paused"]
    await meeting.resume()
    await meeting.resume()
    assert notices(meeting) == ["paused", "resumed"]
    assert await stage.store.pauses(MEETING) == [Pause(0.0, 1.0)]


async def test_sound_from_before_the_end_of_a_pause_that_comes_late_is_not_taken(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await until(lambda: meeting.tracks)
    await meeting.pause()
    stage.clock.at = 5.0
    await meeting.resume()
    anne.send(AudioFrame(anne.track.id, 4.0, beep(0.9)))
    await stage.say(anne, "heard")
    await until(lambda: finals(meeting))
    assert all(window.start >= 4.5 for batch in stage.engine.batches for window in batch)


# --- notices ----------------------------------------------------------------------------------------------------


async def test_captions_that_lag_are_told_and_told_again_when_they_are_in_time(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    stage.gate.clear()
    await stage.begin(anne, "is anybody listening to what I say here or not anymore")
    for _ in range(3):
        stage.clock.at += 1.0
        anne.sound(1.0, loud=True)
        await asyncio.sleep(0.05)
    await until(lambda: notices(meeting) == ["delayed"])
    stage.gate.set()
    await stage.say(anne, "yes")
    await until(lambda: notices(meeting) == ["delayed", "in_time"])


async def test_an_engine_that_fails_again_and_again_is_told_and_told_when_it_works_again(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    stage.engine.fail = lambda batch: True
    await stage.begin(anne, "one two three")
    await until(lambda: meeting.session.failing >= 3)
    stage.clock.at += 1.0
    anne.sound(1.0, loud=True)
    await until(lambda: notices(meeting) == ["engine_down"])
    stage.engine.fail = lambda batch: False
    await until(lambda: notices(meeting) == ["engine_down", "engine_up"])
    await stage.say(anne, "four")
    await until(lambda: finals(meeting))


# --- a store that fails -----------------------------------------------------------------------------------------


async def test_on_a_full_disk_captions_go_on_and_nothing_is_announced_as_final_until_it_is_kept(stage: Stage) -> None:
    meeting = await stage.open()
    anne, bilal = await stage.talker(meeting, ANNE), await stage.talker(meeting, BILAL)
    await until(lambda: meeting.tracks == 2)
    stage.store.full = True
    await stage.say(anne, "first words")
    await stage.say(bilal, "second words", pause=3.0)
    await until(lambda: "second words" in committed(meeting) and notices(meeting))
    assert notices(meeting) == ["not_kept"]
    assert finals(meeting) == []
    assert await kept(stage.store) == []
    revisions = {event["utterance"]: event["revision"] for event in events(meeting, "caption")}
    stage.store.full = False
    await until(lambda: "kept" in notices(meeting))
    assert finals(meeting) == [("Anne", "first words"), ("Bilal", "second words")]
    assert await kept(stage.store) == ["first words", "second words"]
    for event in events(meeting, "caption"):
        assert event["revision"] > revisions[event["utterance"]], "readers take a final for news"  # type: ignore[operator]


async def test_a_pause_and_an_end_on_a_full_disk_are_kept_once_there_is_room(stage: Stage) -> None:
    meeting = await stage.open()
    stage.store.full = True
    await meeting.pause()
    stage.clock.at += 1.0
    await meeting.end()
    assert states(meeting) == ["running", "running", "ended"]
    assert (await stage.store.meeting(MEETING)).ended_at is None
    stage.store.full = False
    await until(lambda: meeting.finished)
    assert (await stage.store.meeting(MEETING)).ended_at == stage.clock.wall()
    assert await stage.store.pauses(MEETING) == [Pause(0.0, 1.0)]


async def test_an_end_on_a_disk_that_stays_full_for_a_night_is_kept_in_the_morning(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = await stage.open()
    stage.store.full = True
    await meeting.end()
    monkeypatch.setattr(upkeep, "_BEAT", 0.0)
    await until(lambda: stage.store.refused > 1_000, 30.0)
    assert not meeting.finished
    stage.store.full = False
    await until(lambda: meeting.finished)
    assert (await stage.store.meeting(MEETING)).ended_at == stage.clock.wall()


# --- what may change --------------------------------------------------------------------------------------------


async def test_languages_and_glossary_change_while_it_runs(stage: Stage) -> None:
    meeting = await stage.open()
    anne, bilal = await stage.talker(meeting, ANNE), await stage.talker(meeting, BILAL, languages=("en",))
    await meeting.set_languages(("fr",))
    await meeting.set_glossary(("Greffier",))
    await stage.say(anne, "bonjour")
    await until(lambda: finals(meeting))
    window = heard(stage, anne.track.id)
    assert (window.languages, window.glossary) == (("fr",), ("Greffier", "Anne", "Bilal"))
    await meeting.set_languages(("fr", "en"), BILAL.id)
    await stage.say(bilal, "hello")
    await until(lambda: len(finals(meeting)) == 2)
    assert heard(stage, bilal.track.id).languages == ("fr", "en")
    assert (await meeting.join(BILAL, ("en",))).languages == ("fr", "en"), "what was chosen while it runs counts"
    assert meeting.meeting.languages == ("fr",)
    assert meeting.meeting.glossary == ("Greffier",)


def heard(stage: Stage, track: TrackId) -> Window:
    """The newest window of a track that was recognised for its captions."""
    windows = [window for batch in stage.engine.batches for window in batch if window.kind is not WindowKind.RECORD]
    return [window for window in windows if window.track == track][-1]


async def test_languages_that_the_model_does_not_know_are_refused(stage: Stage) -> None:
    meeting = await stage.open()
    with pytest.raises(InvalidInput, match="xx"):
        await meeting.set_languages(("xx",))
    with pytest.raises(InvalidInput, match="at least one"):
        await meeting.set_languages(())
    with pytest.raises(InvalidInput, match="xx"):
        await meeting.join(ANNE, ("xx",))


# --- how it ends ------------------------------------------------------------------------------------------------


async def test_an_end_waits_for_the_final_of_speech_already_heard_and_then_tells_readers(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    stage.engine.wait = lambda seconds: time.sleep(0.1)
    await stage.begin(anne, "any other business")
    await until(lambda: events(meeting, "caption"))
    reading = asyncio.ensure_future(told(meeting))
    await meeting.end()
    last = [(event["type"], event.get("final"), event.get("state")) for event in (await reading)[-3:]]
    assert last[-1] == ("meeting", None, "ended")
    assert ("caption", True, None) in last
    assert finals(meeting) == [("Anne", "any other business")]
    assert await kept(stage.store) == ["any other business"]
    assert (await stage.store.meeting(MEETING)).ended_at == stage.clock.wall()
    assert meeting.snapshot()["state"] == "ended"
    await until(lambda: meeting.tracks == 0)


async def told(meeting: RunningMeeting) -> list[dict[str, object]]:
    return [reading.event async for batch in meeting.feed.read(None) for reading in batch]


async def test_an_end_that_the_engine_holds_up_finishes_with_the_committed_words(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_WORDS", 0.6)
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.begin(anne, "one two three four")
    await until(lambda: "three" in committed(meeting))
    stage.gate.clear()
    await stage.begin(anne, "five")
    began = time.monotonic()
    await meeting.end()
    assert time.monotonic() - began < 1.0
    ((speaker, text),) = finals(meeting)
    assert speaker == "Anne"
    assert text.startswith("one two three")  # type: ignore[attr-defined]
    assert await kept(stage.store) == [text]
    assert states(meeting) == ["running", "ended"]
    stage.gate.set()
    await until(lambda: meeting.finished)
    assert await kept(stage.store) == [text], "what is found out later is not a second final"


async def test_record_texts_are_kept_after_the_end(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await stage.say(anne, "let us close")
    await until(lambda: finals(meeting))
    await meeting.end()
    assert await record(stage) == "let us close"


async def test_after_the_end_nobody_joins_publishes_or_pauses_and_ending_again_does_nothing(stage: Stage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting)
    await until(lambda: meeting.tracks)
    await asyncio.gather(meeting.end(), meeting.end())
    await meeting.pause()
    await meeting.resume()
    with pytest.raises(InvalidInput, match="over"):
        await meeting.join(ANNE)
    with pytest.raises(InvalidInput, match="over"):
        await meeting.publish(anne, anne.track)
    assert states(meeting) == ["running", "ended"]
    assert notices(meeting) == []
    assert not meeting.listening


async def test_meeting_time_is_that_of_the_steady_clock_since_the_meeting_was_created(stage: Stage) -> None:
    await stage.create()
    stage.clock.at = 100.0
    meeting = await stage.meetings.of(MEETING)
    assert meeting.now() == pytest.approx(100.0)
    stage.clock.at = 101.5
    assert meeting.now() == pytest.approx(101.5)
    await meeting.until(101.0)


async def test_more_numbers_are_reserved_before_they_run_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "RESERVED", 20)
    meeting = await stage.open()
    for _ in range(3):
        for _ in range(15):
            meeting.feed.publish({"type": "notice"})
        await asyncio.sleep(0.1)
    assert await stage.store.reserve_sequence(MEETING) > meeting.feed.newest

"""Several people at one microphone: their voices are told apart while they speak, and captions never wait for that."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import pytest

from pipeline import session as shell
from pipeline.domain import Participant, ParticipantId, VoiceSpan
from pipeline.running import RunningMeeting, shared_rooms, upkeep
from tests.pipeline.running.owners import Gateway
from tests.pipeline.running.shared import ROOM, RoomStage, sound_of
from tests.pipeline.running.stage import ANNE, MEETING, Talker, events, eventually, finals, kept, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(shell, "_TICK", 0.01)
    monkeypatch.setattr(shared_rooms, "_PAUSE_AFTER_FAILURE", 0.002)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[RoomStage]:
    async with RoomStage(tmp_path) as stage:
        yield stage


async def say(stage: RoomStage, talker: Talker, *parts: tuple[int, str]) -> None:
    """Each part by its voice, after a hum of a second, half a second a word."""
    for voice, text in parts:
        start = stage.clock.at
        stage.model.turns.append(VoiceSpan(voice, start, start + 1.0 + len(text.split()) * 0.5))
        stage.clock.at += 1.0
        talker.sound(1.0, loud=True)
        await stage.begin(talker, text)
    stage.clock.at += 1.0
    talker.sound(1.0, loud=False)


def voices(meeting: RunningMeeting) -> list[dict[str, Any]]:
    """The newest ``voices`` event of each utterance."""
    told = {event["utterance"]: event for event in cast("list[dict[str, Any]]", events(meeting, "voices"))}
    return list(told.values())


def labelled(meeting: RunningMeeting) -> list[tuple[str, str]]:
    """Who said which words, as told last; what one voice says in a row together."""
    captions = {event["utterance"]: event for event in cast("list[dict[str, Any]]", events(meeting, "caption"))}
    said = [
        (captions[event["utterance"]]["words"][place], run["speaker"])
        for event in voices(meeting)
        for run in event["runs"]
        for place in range(run["first"], run["first"] + run["count"])
    ]
    said.sort(key=lambda each: each[0]["start"])
    return [
        (speaker, "".join(word["text"] for word, _ in words).strip())
        for speaker, words in groupby(said, key=lambda each: each[1])
    ]


FIRST, SECOND = "we begin with the budget of the town", "and then comes the road to the station"
BOTH = [("Salle Descartes (voix 1)", FIRST), ("Salle Descartes (voix 2)", SECOND)]


async def test_readers_are_told_which_voice_of_a_marked_room_said_which_words(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    await say(stage, room, (7, FIRST), (3, SECOND))
    await until(lambda: finals(meeting) and labelled(meeting) == BOTH)
    assert {name for name, _ in finals(meeting)} == {"Salle Descartes"}, "captions never change"
    event = voices(meeting)[-1]
    assert (event["participant"], event["speaker"], event["meeting"]) == ("descartes", "Salle Descartes", MEETING)
    last = event["runs"][-1]
    assert last == {"first": last["first"], "count": 8, "voice": 2, "speaker": "Salle Descartes (voix 2)"}


async def test_a_word_has_one_label_once_and_for_all(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    await say(stage, room, (7, FIRST), (3, SECOND), (7, FIRST))
    await until(lambda: [len(text.split()) for _, text in labelled(meeting)] == [8, 8, 8])
    seen: dict[tuple[object, int], int] = {}
    for event in cast("list[dict[str, Any]]", events(meeting, "voices")):
        told = {
            (event["utterance"], place): run["voice"]
            for run in event["runs"]
            for place in range(run["first"], run["first"] + run["count"])
        }
        assert told.items() >= {key: voice for key, voice in seen.items() if key[0] == event["utterance"]}.items()
        seen |= told


async def test_labels_and_voices_are_kept(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    await say(stage, room, (7, FIRST), (3, SECOND))
    await until(lambda: labelled(meeting) == BOTH)
    runs = await eventually(lambda: stage.store.runs(MEETING), lambda found: sum(run.count for run in found) == 16)
    assert [(run.count, run.voice) for run in runs] == [(8, 1), (8, 2)]

    async def centroids() -> list[int]:
        return [each.voice for each in await stage.store.voices(MEETING) if each.centroid is not None]

    assert await eventually(centroids, lambda found: len(found) == 2) == [1, 2]


async def test_whoever_comes_in_later_gets_the_labels_with_the_captions(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    await say(stage, room, (7, FIRST), (3, SECOND))
    await until(lambda: finals(meeting) and labelled(meeting) == BOTH)
    told = cast("list[dict[str, Any]]", meeting.snapshot()["events"])
    assert {event["type"] for event in told} == {"caption", "voices"}


async def test_what_was_said_last_has_its_labels_when_the_meeting_ends(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    stage.model.turns = [VoiceSpan(7, 0.0, 4.0)]
    await stage.begin(room, FIRST)
    await stage.meetings.end(MEETING)
    assert labelled(meeting) == [("Salle Descartes (voix 1)", FIRST)]
    assert sum(run.count for run in await stage.store.runs(MEETING)) == 8


async def test_a_participant_who_speaks_alone_costs_nothing(stage: RoomStage) -> None:
    meeting = await stage.open()
    anne = await stage.talker(meeting, ANNE)
    await say(stage, anne, (7, FIRST), (3, SECOND))
    await until(lambda: finals(meeting))
    assert voices(meeting) == []
    assert not stage.model.heard
    assert not stage.model.checked


async def test_a_room_is_marked_and_unmarked_while_it_speaks(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, replace(ROOM, shared_room=None))
    await say(stage, room, (7, FIRST))
    await until(lambda: len(finals(meeting)) == 1)
    await stage.store.mark_shared_room(MEETING, ROOM.id, shared=True)
    await meeting.voices_changed()
    await say(stage, room, (3, SECOND))
    await until(lambda: labelled(meeting) == [("Salle Descartes (voix 1)", SECOND)])
    await stage.store.mark_shared_room(MEETING, ROOM.id, shared=False)
    await meeting.voices_changed()
    heard = len(stage.model.heard)
    await say(stage, room, (3, SECOND))
    await until(lambda: len(finals(meeting)) == 3)
    assert len(stage.model.heard) == heard
    assert len(voices(meeting)) == 1


# --- rooms that nobody marked -----------------------------------------------------------------------------------


@pytest.fixture
async def alert(tmp_path: Path) -> AsyncIterator[RoomStage]:
    async with RoomStage(tmp_path, by_themselves=True) as stage:
        yield stage


TALK = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"


async def test_a_second_voice_is_found_by_itself_and_what_was_just_said_is_labelled_too(alert: RoomStage) -> None:
    meeting = await alert.open()
    anne = await alert.talker(meeting, ANNE)
    alert.model.finds = [True]
    await say(alert, anne, (7, TALK), (3, TALK), (7, FIRST))
    await until(
        lambda: finals(meeting) and {name for name, _ in labelled(meeting)} >= {"Anne (voix 1)", "Anne (voix 2)"}
    )
    assert alert.model.checked == [pytest.approx(10.0, abs=0.2)]
    await until(lambda: ("Anne (voix 1)", FIRST) in labelled(meeting))


async def test_who_speaks_alone_is_looked_at_less_and_less(alert: RoomStage) -> None:
    meeting = await alert.open()
    anne = await alert.talker(meeting, ANNE)
    for number in range(8):
        await say(alert, anne, (7, TALK))
        await until(lambda number=number: len(finals(meeting)) == number + 1)
    assert len(alert.model.checked) == 3, "at 10, 30 and 70 of 72 seconds"
    assert not alert.model.heard
    assert voices(meeting) == []


async def test_a_participant_who_is_said_to_speak_alone_is_not_listened_to_whatever_is_heard(alert: RoomStage) -> None:
    meeting = await alert.open()
    anne = await alert.talker(meeting, ANNE)
    alert.model.finds = [True]
    await say(alert, anne, (7, TALK), (3, TALK))
    await until(lambda: len({name for name, _ in labelled(meeting)}) == 2)
    await alert.store.mark_shared_room(MEETING, ANNE.id, shared=False)
    await meeting.voices_changed()
    heard, checked, told = len(alert.model.heard), len(alert.model.checked), len(events(meeting, "voices"))
    alert.model.finds = [True]
    await say(alert, anne, (7, TALK), (3, TALK))
    again = await alert.talker(meeting, replace(ANNE, shared_room=True))
    await say(alert, again, (7, FIRST))
    await until(lambda: any(FIRST in text for _, text in finals(meeting)))
    assert len(alert.model.heard) <= heard + 1, "one may have been on its way"
    assert (len(alert.model.checked), len(events(meeting, "voices"))) == (checked, told)


async def test_a_second_voice_that_never_comes_is_waited_for_no_longer(alert: RoomStage) -> None:
    meeting = await alert.open()
    anne = await alert.talker(meeting, ANNE)
    alert.model.finds = [True]
    for number in range(10):
        await say(alert, anne, (7, TALK))
        await until(lambda number=number: len(finals(meeting)) == number + 1)
    heard = len(alert.model.heard)
    assert heard > 10
    await say(alert, anne, (7, TALK))
    await until(lambda: len(finals(meeting)) == 11)
    assert len(alert.model.heard) == heard
    assert voices(meeting) == [], "one voice keeps its name"


# --- trouble ----------------------------------------------------------------------------------------------------


async def test_a_model_that_never_answers_delays_no_caption_and_no_end(
    stage: RoomStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    stage.model.open.clear()
    await say(stage, room, (7, FIRST), (3, SECOND))
    await until(lambda: finals(meeting))
    assert stage.model.most == 1, "one window of a track is on its way"
    await stage.meetings.end(MEETING)
    assert meeting.over
    assert voices(meeting) == []
    assert " ".join(await kept(stage.store)) == f"{FIRST} {SECOND}"


async def test_windows_that_fail_cost_labels_and_the_next_ones_have_theirs(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    stage.model.failures = 1000
    await say(stage, room, (7, FIRST))
    await until(lambda: finals(meeting))
    stage.model.failures = 0
    await say(stage, room, (3, SECOND))
    await until(lambda: [text for _, text in labelled(meeting)] == [SECOND])
    assert len(finals(meeting)) == 2


async def test_a_broken_model_costs_labels_alone(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    stage.model.breaks = True
    await say(stage, room, (7, FIRST))
    await say(stage, room, (3, SECOND))
    await until(lambda: len(finals(meeting)) == 2)
    assert voices(meeting) == []
    assert not meeting.broken


async def test_a_participant_on_two_tracks_is_listened_to_on_the_first(stage: RoomStage) -> None:
    meeting = await stage.open()
    first, second = await stage.talker(meeting, ROOM), await stage.talker(meeting, ROOM)
    await say(stage, second, (3, SECOND))
    await until(lambda: finals(meeting))
    assert not stage.model.heard
    first.hang_up()
    await until(lambda: meeting.tracks == 1)
    await say(stage, second, (3, SECOND))
    await until(lambda: ("Salle Descartes (voix 1)", SECOND) in labelled(meeting))


async def test_nothing_is_kept_of_the_sound_of_a_track_that_has_ended(alert: RoomStage) -> None:
    meeting = await alert.open()
    anne, room = await alert.talker(meeting, ANNE), await alert.talker(meeting, ROOM)
    await say(alert, anne, (7, FIRST))
    await say(alert, room, (3, SECOND))
    await until(lambda: len(finals(meeting)) == 2 and labelled(meeting))
    kept = [each.sound for each in meeting._rooms._rooms.values()]
    assert [sound.stretch() is None for sound in kept] == [False, False]
    anne.hang_up()
    room.hang_up()
    await until(lambda: all(sound.stretch() is None for sound in kept))


async def test_who_comes_back_has_the_voice_they_had(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    await say(stage, room, (7, FIRST), (3, SECOND))
    await until(lambda: labelled(meeting) == BOTH)
    room.hang_up()
    await until(lambda: not meeting.tracks)
    again = await stage.talker(meeting, ROOM)
    await say(stage, again, (3, SECOND))
    await until(lambda: labelled(meeting) == [BOTH[0], (BOTH[1][0], f"{SECOND} {SECOND}")])


# --- names ------------------------------------------------------------------------------------------------------


async def test_a_voice_that_people_name_has_its_name_everywhere_at_once(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    await say(stage, room, (7, FIRST), (3, SECOND))
    await until(lambda: finals(meeting) and labelled(meeting) == BOTH)
    await eventually(lambda: stage.store.runs(MEETING), lambda found: len(found) == 2)
    await stage.store.rename_voice(MEETING, ROOM.id, 2, "Éric")
    await meeting.voices_changed()
    assert labelled(meeting) == [BOTH[0], ("Éric", SECOND)]
    await stage.store.merge_voices(MEETING, ROOM.id, 1, 2)
    await meeting.voices_changed()
    assert labelled(meeting) == [("Éric", f"{FIRST} {SECOND}")]
    told = len(events(meeting, "voices"))
    await meeting.voices_changed()
    assert len(events(meeting, "voices")) == told, "what readers know is not told again"


async def test_who_enrolled_has_their_name_as_soon_as_they_are_heard(stage: RoomStage) -> None:
    meeting = await stage.open()
    eric = Participant(ParticipantId("eric"), "Éric")
    await stage.store.add_participant(MEETING, eric, ())
    await stage.store.keep_enrolment(MEETING, eric.id, sound_of(3))
    room = await stage.talker(meeting, ROOM)
    await say(stage, room, (7, FIRST), (3, SECOND))
    await until(lambda: finals(meeting) and labelled(meeting) == [BOTH[0], ("Éric", SECOND)])


async def test_voices_without_names_are_called_as_the_room_is_called_now(stage: RoomStage) -> None:
    meeting = await stage.open()
    room = await stage.talker(meeting, ROOM)
    await say(stage, room, (7, FIRST))
    await until(lambda: finals(meeting) and labelled(meeting))
    await meeting.rename(ROOM.id, "Salle Pascal")
    assert labelled(meeting) == [("Salle Pascal (voix 1)", FIRST)]
    await say(stage, room, (3, SECOND))
    await until(lambda: ("Salle Pascal (voix 2)", SECOND) in labelled(meeting))


# --- from one session to the next -------------------------------------------------------------------------------


async def test_a_session_that_goes_on_knows_the_voices_and_changes_no_label(stage: RoomStage) -> None:
    await stage.create()
    await stage.store.add_participant(MEETING, replace(ANNE, shared_room=True), ())
    await stage.store.next_track(MEETING, ANNE.id)
    gateway = Gateway(stage)
    first = await gateway.take()
    for voice, text in ((7, FIRST), (3, SECOND), (7, "and")):
        stage.model.turns.append(VoiceSpan(voice, stage.clock.at, stage.clock.at + len(text.split()) * 0.5))
        await gateway.begin(text)
    await until(lambda: len({name for name, _ in labelled(first)}) == 2)
    await first.hand_over()
    before = labels(first)
    assert len(before) > 10
    second = await gateway.take(first.needed())
    stage.model.turns.append(VoiceSpan(3, stage.clock.at, stage.clock.at + 4.0))
    await gateway.begin(SECOND)
    await gateway.end()
    await until(lambda: finals(second) and len(labels(second)) > 20)
    after = labels(second)
    assert after.items() >= before.items()
    assert set(after.values()) == {1, 2}
    assert [after.get(("anne.1#1", place)) for place in range(20, 25)] == [2] * 5, "whom the first session called so"
    for owner in gateway.owners:
        await owner.drop()


async def test_a_server_that_starts_again_tells_the_labels_again(tmp_path: Path) -> None:
    async with RoomStage(tmp_path) as before:
        meeting = await before.open()
        room = await before.talker(meeting, ROOM)
        await say(before, room, (7, FIRST), (3, SECOND))
        await until(lambda: finals(meeting) and labelled(meeting) == BOTH)
        clock = before.clock
    async with RoomStage(tmp_path, clock=clock) as after:
        assert labelled(await after.meetings.of(MEETING)) == BOTH


def labels(meeting: RunningMeeting) -> dict[tuple[str, int], int]:
    """The voice of each word."""
    return {
        (event["utterance"], place): run["voice"]
        for event in voices(meeting)
        for run in event["runs"]
        for place in range(run["first"], run["first"] + run["count"])
    }

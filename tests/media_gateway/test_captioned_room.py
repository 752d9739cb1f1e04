"""Who is in a captioned room takes part in its meeting: presence, names, languages, microphones, trouble with each."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_gateway import captioned_room
from media_gateway.sfu import Arrived, Departed, Parting, Published, Renewed
from pipeline import session as shell
from pipeline.domain import MeetingId, Participant, ParticipantId
from pipeline.running import meeting as one
from pipeline.running import meetings as module
from pipeline.running import upkeep
from tests.media_gateway.rooms import Gathering, finals, gathering
from tests.media_gateway.sfu_script import ScriptedMicrophone
from tests.pipeline.running.stage import events, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(shell, "_TICK", 0.01)
    monkeypatch.setattr(captioned_room, "_PAUSES", (0.01, 0.01, 0.05))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Gathering]:
    async with gathering(tmp_path) as here:
        yield here


@pytest.fixture
async def meeting(here: Gathering) -> MeetingId:
    return await here.rooms.start("council")


def told(here: Gathering, meeting: MeetingId) -> list[tuple[object, object]]:
    """Who came, went and was renamed, as readers are told."""
    return [(event["speaker"], event["state"]) for event in events(here.meeting(meeting), "participant")]


# --- who is there -----------------------------------------------------------------------------------------------


async def test_whoever_arrives_is_there_until_they_leave_speaking_or_not(here: Gathering, meeting: MeetingId) -> None:
    here.room.arrive("Anne")
    here.room.arrive("Bilal")
    await until(lambda: len(told(here, meeting)) == 2)
    here.stage.clock.at += 7.0
    here.room.depart("anne")
    await until(lambda: ("Anne", "left") in told(here, meeting))
    assert told(here, meeting) == [("Anne", "joined"), ("Bilal", "joined"), ("Anne", "left")]
    here.stage.clock.at += 1000.0
    await asyncio.sleep(0.1)
    assert not here.meeting(meeting).over, "Bilal is there"


async def test_leaving_twice_or_without_having_arrived_changes_nothing(here: Gathering, meeting: MeetingId) -> None:
    here.room.depart("nobody")
    here.room.arrive("Anne")
    here.room.depart("anne")
    here.room.depart("anne")
    here.room.arrive("Bilal")
    await until(lambda: ("Bilal", "joined") in told(here, meeting))
    assert told(here, meeting) == [("Anne", "joined"), ("Anne", "left"), ("Bilal", "joined")]


async def test_arriving_twice_is_being_there_once(here: Gathering, meeting: MeetingId) -> None:
    here.room.arrive("Anne")
    here.room.arrive("Anne")
    here.room.depart("anne")
    await until(lambda: ("Anne", "left") in told(here, meeting))
    assert told(here, meeting) == [("Anne", "joined"), ("Anne", "left")]


async def test_whoever_reconnects_is_the_same_participant_with_a_new_track(here: Gathering, meeting: MeetingId) -> None:
    first = await here.speaker()
    await here.say(first, "once")
    await here.hears("once")
    here.room.depart("anne")
    second = await here.speaker()
    await here.say(second, "and again")
    await here.hears("and again")
    assert first.tracks[0].participant == second.tracks[0].participant
    assert first.tracks[0].id != second.tracks[0].id
    assert len(await here.stage.store.participants(meeting)) == 1


async def test_everybody_is_there_again_after_the_room_was_lost(here: Gathering, meeting: MeetingId) -> None:
    for name in ("Anne", "Bilal"):
        here.room.arrive(name)
    await until(lambda: len(told(here, meeting)) == 2)
    here.room.part(Parting.LOST)
    await until(lambda: len(here.gateway.joined) == 2)
    here.room.arrive("Anne")
    await until(lambda: len(told(here, meeting)) == 5)
    people = here.meeting(meeting).snapshot()["participants"]
    assert [(each["speaker"], each["present"]) for each in people] == [("Anne", True), ("Bilal", False)]  # type: ignore[attr-defined]


async def test_everybody_is_in_the_session_that_follows_a_broken_one(here: Gathering, meeting: MeetingId) -> None:
    here.room.arrive("Anne")
    await until(lambda: told(here, meeting))
    broken = here.meeting(meeting)
    await broken.cancel()
    await until(lambda: here.stage.meetings.running(meeting) not in {None, broken})
    await until(lambda: told(here, meeting) == [("Anne", "joined")])
    here.room.depart("anne")
    await until(lambda: told(here, meeting) == [("Anne", "joined"), ("Anne", "left")])


async def test_a_store_that_is_full_keeps_nobody_from_being_heard_later(here: Gathering, meeting: MeetingId) -> None:
    here.stage.store.full = True
    microphone = here.room.publish(here.room.arrive("Anne"))
    await until(lambda: here.stage.store.refused > 3)
    here.stage.store.full = False
    await until(lambda: microphone.tracks)
    await here.say(microphone, "at last")
    await here.hears("at last")


# --- names and languages ----------------------------------------------------------------------------------------


async def test_a_new_name_in_the_room_is_the_name_in_the_meeting(here: Gathering, meeting: MeetingId) -> None:
    microphone = await here.speaker("Anne")
    here.room.change("anne", "Anne-Marie")
    await until(lambda: ("Anne-Marie", "renamed") in told(here, meeting))
    await here.say(microphone, "it is me")
    await here.hears("it is me")
    assert {event["speaker"] for event in here.room.shown} == {"Anne-Marie"}
    here.room.change("anne", "Anne-Marie")
    here.room.arrive("Bilal")
    await until(lambda: ("Bilal", "joined") in told(here, meeting))
    assert [state for _, state in told(here, meeting)].count("renamed") == 1


async def test_whoever_changes_names_all_the_time_is_told_of_now_and_then_and_the_last_one_counts(
    here: Gathering, meeting: MeetingId
) -> None:
    here.room.arrive("Anne")
    await until(lambda: told(here, meeting))
    for number in range(2000):
        here.room.change("anne", f"Anne {number}")
        if not number % 100:
            await asyncio.sleep(0.001)
    await until(lambda: ("Anne 1999", "renamed") in told(here, meeting))
    assert len(told(here, meeting)) < 20


async def test_the_last_name_of_whoever_leaves_at_once_is_kept(here: Gathering, meeting: MeetingId) -> None:
    here.room.arrive("Anne")
    here.room.change("anne", "Anne A.")
    await until(lambda: ("Anne A.", "renamed") in told(here, meeting))
    here.room.change("anne", "Anne B.")
    here.room.depart("anne")
    await until(lambda: told(here, meeting)[-1] == ("Anne B.", "left"))


async def test_what_nobody_thought_of_befalls_one_participant_alone(
    here: Gathering, meeting: MeetingId, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = one.RunningMeeting.enter

    async def refuse(self: one.RunningMeeting, participant: Participant, languages: tuple[str, ...] = ()) -> None:
        if participant.name == "Bobby":
            raise ValueError("a name nobody thought of")
        await enter(self, participant, languages)

    monkeypatch.setattr(one.RunningMeeting, "enter", refuse)
    here.room.arrive("Bobby")
    here.room.arrive("Anne")
    await until(lambda: told(here, meeting) == [("Anne", "joined")])
    assert len(here.gateway.joined) == 1, "nobody else was thrown out"


async def test_whoever_comes_back_under_another_name_is_renamed(here: Gathering, meeting: MeetingId) -> None:
    here.room.arrive("Anne")
    here.room.depart("anne")
    here.room.arrive("Anne M.", identity="anne")
    await until(lambda: ("Anne M.", "renamed") in told(here, meeting))
    here.room.part(Parting.LOST)
    await until(lambda: len(here.gateway.joined) == 2)
    here.room.arrive("Anne B.", identity="anne")
    await until(lambda: ("Anne B.", "renamed") in told(here, meeting))


async def test_a_name_that_the_meeting_gave_holds_until_the_room_changes_it(
    here: Gathering, meeting: MeetingId
) -> None:
    here.room.arrive("Anne")
    await until(lambda: told(here, meeting))
    await here.meeting(meeting).rename(ParticipantId("anne"), "Dr. Anne")
    here.room.change("anne", "Anne", "fr")
    here.room.depart("anne")
    here.room.arrive("Anne")
    await until(lambda: len(told(here, meeting)) == 4)
    assert told(here, meeting)[-1] == ("Dr. Anne", "joined")


async def test_the_languages_that_a_participant_declares_count(here: Gathering, meeting: MeetingId) -> None:
    microphone = here.room.publish(here.room.arrive("Anne", "fr"))
    await until(lambda: microphone.tracks)
    assert microphone.tracks[0].languages == ("fr",)
    await here.say(microphone, "bonjour")
    await here.hears("bonjour")
    here.room.change("anne", "Anne", "en", "fr")
    here.room.arrive("Bilal")
    await until(lambda: ("Bilal", "joined") in told(here, meeting))
    await here.say(microphone, "hello")
    await here.hears("hello")
    asked = {window.languages for batch in here.stage.engine.batches for window in batch}
    assert asked == {("fr",), ("en", "fr")}


async def test_a_participant_who_says_so_shares_a_microphone(here: Gathering, meeting: MeetingId) -> None:
    here.room.tell(Arrived(Participant(ParticipantId("room"), "Salle Descartes", shared_room=True)))
    microphone = here.room.publish("room")
    await until(lambda: microphone.tracks)
    (room,) = await here.stage.store.participants(meeting)
    assert room.shared_room


async def test_a_language_that_the_model_does_not_know_is_as_none(here: Gathering, meeting: MeetingId) -> None:
    microphone = here.room.publish(here.room.arrive("Anne", "tlh"))
    await until(lambda: microphone.tracks)
    assert microphone.tracks[0].languages == ()
    here.room.change("anne", "Anne", "xx")
    await here.say(microphone, "still here")
    await here.hears("still here")
    assert ("Anne", "joined") in told(here, meeting)


# --- microphones ------------------------------------------------------------------------------------------------


async def test_a_microphone_published_again_is_another_track_of_the_same_person(
    here: Gathering, meeting: MeetingId
) -> None:
    first = await here.speaker()
    first.hang_up()
    second = here.room.publish("anne")
    await until(lambda: second.tracks)
    assert second.tracks[0].id != first.tracks[0].id
    await here.say(second, "another device")
    await here.hears("another device")


async def test_a_microphone_that_fails_is_asked_for_again(here: Gathering, meeting: MeetingId) -> None:
    microphone = ScriptedMicrophone("TR_1", failures=[OSError("broken"), OSError("still broken")])
    identity = here.room.arrive("Anne")
    here.room.microphones[identity] = microphone
    here.room.tell(Published(identity, microphone))
    await until(lambda: len(microphone.sources) == 3)
    await here.say(microphone, "works now")
    await here.hears("works now")


async def test_a_microphone_that_cannot_even_be_asked_stays_with_itself(here: Gathering, meeting: MeetingId) -> None:
    class Broken(ScriptedMicrophone):
        asked = 0

        def source(self, *given: object) -> object:  # type: ignore[override]
            self.asked += 1
            raise ZeroDivisionError

    broken = Broken("TR_1")
    here.room.tell(Published(here.room.arrive("Bilal"), broken))  # type: ignore[arg-type]
    anne = await here.speaker("Anne")
    await until(lambda: broken.asked > 1)
    await here.say(anne, "I can speak")
    await here.hears("I can speak")


async def test_a_microphone_of_nobody_is_not_listened_to(here: Gathering, meeting: MeetingId) -> None:
    stray = here.room.publish("nobody")
    anne = await here.speaker("Anne")
    await here.say(anne, "only me")
    await here.hears("only me")
    assert not stray.tracks


async def test_a_paused_meeting_does_not_listen_and_goes_on_after_it(here: Gathering, meeting: MeetingId) -> None:
    anne = await here.speaker()
    assert anne.listening()
    await here.meeting(meeting).pause()
    assert not anne.listening()
    await here.say(anne, "not for you")
    await here.meeting(meeting).resume()
    assert anne.listening()
    here.stage.clock.at += 0.5
    await here.say(anne, "this is for you")
    await here.hears("this is for you")
    assert finals(here.room) == ["this is for you"]
    assert [event["code"] for event in here.room.shown if event["type"] == "notice"] == ["paused", "resumed"]


async def test_a_microphone_that_never_ends_does_not_hold_the_room(
    here: Gathering, meeting: MeetingId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captioned_room, "_LAST_WORDS", 0.05)
    await here.speaker()
    here.room.microphones.clear()  # so that it does not end with the room
    here.room.part(Parting.EVICTED)
    await until(lambda: here.partings)
    assert here.meeting(meeting).tracks == 0


async def test_the_last_words_of_whoever_leaves_are_shown(here: Gathering, meeting: MeetingId) -> None:
    anne = await here.speaker()
    await here.begin(anne, "I have to go")
    here.room.depart("anne")
    await here.hears("I have to go")


# --- an SFU that misbehaves -------------------------------------------------------------------------------------


async def test_a_room_that_ends_without_saying_why_was_lost(here: Gathering, meeting: MeetingId) -> None:
    here.room.fall_silent()
    await until(lambda: len(here.gateway.joined) == 2)


async def test_a_room_that_raises_was_lost(here: Gathering, meeting: MeetingId) -> None:
    here.room.tell(Departed)  # type: ignore[arg-type]
    here.room.fall_silent(ZeroDivisionError())
    await until(lambda: len(here.gateway.joined) == 2)
    assert here.gateway.joined[0].left


async def test_a_room_that_cannot_be_left_is_forgotten(here: Gathering, meeting: MeetingId) -> None:
    here.room.unleavable = True
    await here.rooms.stop("council")
    assert here.rooms.all() == []


async def test_a_connection_that_was_renewed_shows_again_what_went_nowhere_also_to_those_who_come_back_later(
    here: Gathering, meeting: MeetingId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captioned_room, "_COMING_BACK", (0.05,) * 20)
    anne = await here.speaker()
    await here.say(anne, "long before")
    await here.hears("long before")
    here.stage.clock.at += 60.0
    await here.say(anne, "into the void")
    await here.hears("into the void")
    room, heard = here.room, len(here.room.shown)
    here.stage.clock.at += 3.0
    room.tell(Renewed(3.0))
    await until(lambda: len(room.shown) == heard + 3)  # at once, and at the next two looks
    await asyncio.sleep(0.15)
    assert [str(event["committed"]).strip() for event in room.shown[heard:]] == ["into the void"] * 3
    room.arrive("Bilal")
    await until(lambda: len(room.shown) == heard + 5)
    await asyncio.sleep(0.15)
    assert len(room.shown) == heard + 5
    room.tell(Renewed(3.0))
    await until(lambda: len(room.shown) == heard + 8)


async def test_a_connection_that_is_renewed_before_the_meeting_runs_changes_nothing(here: Gathering) -> None:
    here.gateway.greeting = [Renewed(1.0)]
    meeting = await here.rooms.start("council")
    here.room.arrive("Anne")
    await until(lambda: told(here, meeting))

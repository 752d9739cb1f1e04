"""Rooms are captioned once each: started, lost and joined again, left, ended; one meeting at a time."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_gateway.captioned_rooms import RoomState
from media_gateway.sfu import Parting
from pipeline import session as shell
from pipeline.domain import Participant, ParticipantId
from pipeline.errors import GatewayFailed, InvalidInput, NotFound, StorageFull
from pipeline.running import meetings as module
from pipeline.running import upkeep
from tests.media_gateway.rooms import Gathering, finals, gathering, impatiently, notices, state
from tests.pipeline.running.stage import until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(shell, "_TICK", 0.01)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Gathering]:
    async with gathering(tmp_path) as here:
        yield here


# --- how captions start -----------------------------------------------------------------------------------------


async def test_a_room_that_is_captioned_has_a_meeting_named_like_it(here: Gathering) -> None:
    meeting = await here.rooms.start("council", ("fr",))
    kept = await here.stage.store.meeting(meeting)
    assert (kept.title, kept.languages, kept.created_at) == ("council", ("fr",), here.stage.clock.wall())
    assert await here.stage.store.rooms_of(meeting) == ("livekit", "council")
    assert here.rooms.state("council") == RoomState("council", meeting, "captioning")
    assert here.rooms.all() == [RoomState("council", meeting, "captioning")]
    assert here.rooms.state("another") is None


async def test_started_five_times_at_once_it_is_joined_once(here: Gathering) -> None:
    meetings = await asyncio.gather(*(here.rooms.start("council") for _ in range(5)))
    assert len(set(meetings)) == 1
    assert await here.rooms.start("council") == meetings[0]
    assert len(here.gateway.joined) == 1
    assert [each.id for each in await here.stage.store.meetings()] == [meetings[0]]


async def test_rooms_know_nothing_of_each_other(here: Gathering) -> None:
    first, second = await asyncio.gather(here.rooms.start("council"), here.rooms.start("choir"))
    assert first != second
    council, choir = here.gateway.joined
    council.part(Parting.EMPTY)
    await until(lambda: here.partings)
    assert here.rooms.all() == [RoomState("choir", second, "captioning")]
    assert not choir.left


async def test_whoever_asked_may_go_before_the_room_is_joined(here: Gathering) -> None:
    here.gateway.door.clear()
    asking = asyncio.create_task(here.rooms.start("council"))
    await until(lambda: here.gateway.tries)
    assert here.rooms.state("council") == RoomState("council", None, "starting")
    asking.cancel()
    await asyncio.wait([asking])
    here.gateway.door.set()
    await state(here, "council", lambda now: now == "captioning")


@pytest.mark.parametrize("refusal", [NotFound("no such room"), GatewayFailed("nobody answers")])
async def test_a_room_that_cannot_be_joined_leaves_nothing_behind(here: Gathering, refusal: Exception) -> None:
    here.gateway.refusals = [refusal]
    with pytest.raises(type(refusal), match=str(refusal)):
        await here.rooms.start("council")
    assert here.rooms.all() == []
    assert await here.stage.store.meetings() == []
    assert here.partings == []
    await here.rooms.start("council")


async def test_an_error_that_nobody_thought_of_is_told_as_a_failed_gateway(here: Gathering) -> None:
    here.gateway.refusals = [ZeroDivisionError()]
    with pytest.raises(GatewayFailed):
        await here.rooms.start("council")
    await here.rooms.start("council")


async def test_a_room_is_left_again_when_its_meeting_cannot_be_kept(here: Gathering) -> None:
    here.stage.store.full = True
    with pytest.raises(StorageFull):
        await here.rooms.start("council")
    assert here.room.left
    here.stage.store.full = False
    await here.rooms.start("council")
    assert len(here.gateway.joined) == 2


async def test_languages_that_the_model_does_not_know_are_refused_before_joining(here: Gathering) -> None:
    with pytest.raises(InvalidInput):
        await here.rooms.start("council", ("tlh",))
    assert here.gateway.tries == 0


async def test_languages_given_later_count_from_then_on(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    await here.rooms.start("council", ("fr", "en"))
    assert here.meeting(meeting).meeting.languages == ("fr", "en")
    await here.rooms.start("council")
    assert (await here.stage.store.meeting(meeting)).languages == ("fr", "en")


# --- how they go on ---------------------------------------------------------------------------------------------


async def test_what_is_said_is_shown_in_the_room(here: Gathering) -> None:
    await here.rooms.start("council")
    anne = await here.speaker("Anne")
    await here.say(anne, "bonjour tout le monde")
    await here.hears("bonjour tout le monde")
    speakers = {event["participant"] for event in here.room.shown}
    assert speakers == {"anne"}


async def test_a_lost_room_is_joined_again_and_its_meeting_goes_on(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    anne = await here.speaker()
    await here.say(anne, "before the loss")
    await here.hears("before the loss")
    running, lost = here.meeting(meeting), here.room
    lost.part(Parting.LOST)
    await until(lambda: len(here.gateway.joined) == 2)
    anne = await here.speaker()
    await here.say(anne, "and after it")
    await here.hears("and after it")
    assert here.meeting(meeting) is running
    assert finals(here.room) == ["before the loss", "and after it"], "it is not known what arrived"
    assert len({track.id for track in anne.tracks}) == 1
    utterances = {(event["utterance"], str(event["committed"])) for event in lost.shown + here.room.shown}
    assert len({name for name, _ in utterances}) == 2, "ids are those of before"
    assert here.partings == []
    assert here.rooms.state("council") == RoomState("council", meeting, "captioning")


async def test_only_what_was_shown_just_before_a_loss_is_shown_again(here: Gathering) -> None:
    await here.rooms.start("council")
    anne = await here.speaker()
    await here.say(anne, "long ago")
    await here.hears("long ago")
    here.stage.clock.at += 30.0
    await here.say(anne, "just now")
    await here.hears("just now")
    here.room.part(Parting.LOST)
    await until(lambda: len(here.gateway.joined) == 2)
    await here.hears("just now")
    assert finals(here.room) == ["just now"]


async def test_words_whose_final_comes_while_the_room_is_lost_are_shown_once_it_is_back(here: Gathering) -> None:
    await here.rooms.start("council")
    anne = await here.speaker()
    await here.begin(anne, "these are my last words")
    here.gateway.door.clear()
    here.room.part(Parting.LOST)
    await state(here, "council", lambda now: now == "reconnecting")
    await asyncio.sleep(0.1)
    here.gateway.door.set()
    await until(lambda: len(here.gateway.joined) == 2)
    await here.hears("these are my last words")


async def test_a_start_while_the_room_is_lost_changes_nothing(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    here.gateway.down = True
    here.room.part(Parting.LOST)
    await state(here, "council", lambda now: now == "reconnecting")
    assert await here.rooms.start("council") == meeting
    here.gateway.down = False
    here.gateway.absent.add("council")
    await asyncio.sleep(0.1)
    here.gateway.absent.clear()
    await state(here, "council", lambda now: now == "captioning")
    assert len(here.gateway.joined) == 2


async def test_a_room_lost_for_good_leaves_its_meeting_open_for_another_start(tmp_path: Path) -> None:
    async with gathering(tmp_path, patience=impatiently(limit=0.2)) as here:
        meeting = await here.rooms.start("council")
        here.gateway.down = True
        here.room.part(Parting.LOST)
        await until(lambda: here.partings)
        assert here.partings == [("council", Parting.LOST)]
        assert here.rooms.state("council") == RoomState("council", meeting, "left", Parting.LOST)
        here.gateway.down = False
        assert await here.rooms.start("council") == meeting


async def test_a_room_that_is_lost_over_and_over_is_given_up(tmp_path: Path) -> None:
    async with gathering(tmp_path, patience=impatiently(limit=0.3)) as here:
        await here.rooms.start("council")
        async with asyncio.timeout(10.0):
            while not here.partings:
                here.room.part(Parting.LOST)
                await asyncio.sleep(0.01)
        assert here.partings == [("council", Parting.LOST)]
        assert len(here.gateway.joined) < 30


async def test_a_session_that_breaks_is_replaced_and_microphones_are_heard_anew(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    anne = await here.speaker()
    await here.say(anne, "before it broke")
    await here.hears("before it broke")
    broken = here.meeting(meeting)
    await broken.cancel()
    await until(lambda: len(anne.sources) == 2)
    assert here.meeting(meeting) is not broken
    await here.say(anne, "and now again")
    await here.hears("and now again")
    assert finals(here.room) == ["before it broke", "and now again"]
    assert "cut" in notices(here.room)
    assert here.room is here.gateway.joined[0], "it never left"
    assert anne.tracks[0].id != anne.tracks[1].id


async def test_participants_of_a_room_are_those_of_its_meeting(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    here.room.arrive("Anne")
    await until(lambda: here.meeting(meeting).snapshot()["participants"])
    assert await here.stage.store.participants(meeting) == [Participant(ParticipantId("anne"), "Anne")]

"""Captions of a room end: it empties, puts Greffier out, is encrypted or stopped; or the process ends, or its lease."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_gateway.captioned_rooms import RoomState
from media_gateway.sfu import Parting
from pipeline import session as shell
from pipeline.bus.leases import Board, MemoryLeases
from pipeline.domain import MeetingId
from pipeline.errors import GatewayFailed
from pipeline.running import meeting as one
from pipeline.running import meetings as module
from pipeline.running import upkeep
from tests.media_gateway.rooms import Gathering, finals, gathering, impatiently, notices, state
from tests.pipeline.running.stage import states, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_BEAT", 0.01)
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(shell, "_TICK", 0.01)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Gathering]:
    async with gathering(tmp_path) as here:
        yield here


# --- how they end -----------------------------------------------------------------------------------------------


async def test_a_room_that_is_empty_ends_its_meeting(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    anne = await here.speaker()
    await here.begin(anne, "the last one closes the door")
    here.room.depart("anne")
    here.room.part(Parting.EMPTY)
    await until(lambda: here.partings)
    assert here.partings == [("council", Parting.EMPTY)]
    assert (await here.stage.store.meeting(meeting)).ended_at is not None
    kept = await here.stage.store.finals(meeting)
    assert [final.committed.strip() for final in kept] == ["the last one closes the door"]
    assert here.rooms.state("council") == RoomState("council", meeting, "left", Parting.EMPTY)
    assert await here.rooms.start("council") != meeting


async def test_a_start_while_the_meeting_of_an_empty_room_ends_makes_another(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    anne = await here.speaker()
    here.stage.gate.clear()
    await here.begin(anne, "slow words")
    here.room.part(Parting.EMPTY)
    await until(lambda: here.stage.meetings.running(meeting) is None)
    starting = asyncio.create_task(here.rooms.start("council"))
    await asyncio.sleep(0.05)
    here.stage.gate.set()
    assert await starting != meeting


async def test_greffier_does_not_come_back_to_a_room_that_removed_it_but_its_meeting_stays(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    here.room.part(Parting.EVICTED)
    await until(lambda: here.partings)
    assert here.partings == [("council", Parting.EVICTED)]
    assert len(here.gateway.joined) == 1
    assert (await here.stage.store.meeting(meeting)).ended_at is None
    assert await here.rooms.start("council") == meeting


async def test_an_encrypted_room_is_left_its_meeting_ends_and_a_notice_says_why(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    running = here.meeting(meeting)
    reading = asyncio.create_task(codes(running))
    await asyncio.sleep(0)
    here.room.part(Parting.ENCRYPTED)
    await until(lambda: here.partings)
    assert here.rooms.state("council") == RoomState("council", meeting, "encrypted", Parting.ENCRYPTED)
    assert await reading == ["encrypted"]
    assert (await here.stage.store.meeting(meeting)).ended_at is not None


async def codes(running: one.RunningMeeting) -> list[object]:
    """The notices of a meeting until it is over."""
    every = [reading.event async for batch in running.feed.read(None) for reading in batch]
    return [event["code"] for event in every if event["type"] == "notice"]


async def test_a_meeting_that_is_ended_leaves_its_room_after_its_finals(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    anne = await here.speaker()
    await here.begin(anne, "one more thing")
    await here.stage.meetings.end(meeting)
    await until(lambda: here.partings)
    assert here.partings == [("council", Parting.LEFT)]
    assert finals(here.room) == ["one more thing"]
    assert here.room.left
    assert await here.rooms.start("council") != meeting


async def test_a_meeting_that_is_deleted_leaves_its_room(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    await here.speaker()
    await here.stage.meetings.delete(meeting)
    await until(lambda: here.partings)
    assert here.room.left


async def test_a_start_right_after_the_end_of_the_meeting_makes_another(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    ending = asyncio.create_task(here.stage.meetings.end(meeting))
    await until(lambda: here.stage.meetings.running(meeting) is None)
    assert await here.rooms.start("council") != meeting
    await ending
    assert len(here.rooms.all()) == 1


async def test_captions_that_are_stopped_leave_the_room_and_the_meeting_open(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    anne = await here.speaker()
    await here.begin(anne, "until here")
    await here.rooms.stop("council")
    assert here.room.left
    assert here.rooms.state("council") == RoomState("council", meeting, "left", Parting.LEFT)
    assert here.partings == [("council", Parting.LEFT)]
    running = here.meeting(meeting)
    await until(lambda: running.tracks == 0)
    assert states(running) == ["running"]
    assert await here.rooms.start("council") == meeting
    await here.rooms.stop("council")
    await here.rooms.stop("council")
    await here.rooms.stop("never started")


async def test_captions_that_are_stopped_before_the_room_is_joined_never_start(here: Gathering) -> None:
    here.gateway.door.clear()
    asking = asyncio.create_task(here.rooms.start("council"))
    await until(lambda: here.gateway.tries)
    await here.rooms.stop("council")
    with pytest.raises(GatewayFailed, match="stopped"):
        await asking
    assert here.rooms.all() == []
    assert await here.stage.store.meetings() == []


async def test_captions_that_are_stopped_while_the_room_is_lost_do_not_come_back(here: Gathering) -> None:
    await here.rooms.start("council")
    here.gateway.down = True
    here.room.part(Parting.LOST)
    await state(here, "council", lambda now: now == "reconnecting")
    await here.rooms.stop("council")
    here.gateway.down = False
    tries = here.gateway.tries
    await asyncio.sleep(0.1)
    assert here.gateway.tries == tries
    assert here.partings == [("council", Parting.LEFT)]


async def test_stopped_and_started_again_and_again_it_is_in_the_room_once(here: Gathering) -> None:
    for _ in range(5):
        await asyncio.gather(here.rooms.start("council"), here.rooms.stop("council"), return_exceptions=True)
    await here.rooms.start("council")
    assert [room.left for room in here.gateway.joined].count(False) == 1


async def test_whoever_is_told_may_fail_and_the_next_is_told(here: Gathering) -> None:
    told = []

    async def failing(room: str, why: Parting) -> None:
        told.append(room)
        raise ZeroDivisionError

    here.rooms.on_parted(failing)
    await here.rooms.start("council")
    here.room.part(Parting.EVICTED)
    await until(lambda: here.rooms.state("council") != RoomState("council", MeetingId("meeting-1"), "captioning"))
    await until(lambda: told)
    await here.rooms.start("council")


async def test_the_states_of_the_last_hundred_rooms_are_remembered(here: Gathering) -> None:
    for number in range(102):
        await here.rooms.start(f"room {number}")
        await here.rooms.stop(f"room {number}")
    assert here.rooms.state("room 1") is None
    assert here.rooms.state("room 2") is not None


# --- the end of the process -------------------------------------------------------------------------------------


async def test_at_the_end_of_the_process_finals_are_shown_rooms_left_and_nobody_is_told(here: Gathering) -> None:
    meeting = await here.rooms.start("council")
    anne = await here.speaker()
    await here.begin(anne, "good night")
    await here.stage.meetings.close()
    await here.rooms.close()
    assert finals(here.room) == ["good night"]
    assert here.room.left
    assert here.partings == []
    assert (await here.stage.store.meeting(meeting)).ended_at is None
    with pytest.raises(GatewayFailed, match="shutting down"):
        await here.rooms.start("council")


async def test_a_process_that_ends_while_a_room_is_joined_does_not_wait_for_it(here: Gathering) -> None:
    here.gateway.door.clear()
    asking = asyncio.create_task(here.rooms.start("council"))
    await until(lambda: here.gateway.tries)
    async with asyncio.timeout(2.0):
        await here.rooms.close()
    with pytest.raises(GatewayFailed):
        await asking


async def test_rooms_are_left_at_the_end_though_their_meetings_run(here: Gathering) -> None:
    await here.rooms.start("council")
    await here.rooms.start("choir")
    await here.rooms.close()
    assert [room.left for room in here.gateway.joined] == [True, True]


async def test_the_next_process_shows_what_a_killed_one_left_unsaid(tmp_path: Path) -> None:
    async with gathering(tmp_path) as killed:
        meeting = await killed.rooms.start("council")
        anne = await killed.speaker()
        await killed.say(anne, "long before")
        await killed.hears("long before")
        killed.stage.clock.at += 150.0
        await killed.say(anne, "a moment ago")
        await killed.hears("a moment ago")
        await killed.begin(anne, "and in the middle of a sentence that")
        await asyncio.sleep(0.1)
        shown = {event["utterance"]: event["committed"] for event in killed.room.shown}
        await killed.stage.kill()
        clock = killed.stage.clock
    clock.at += 10.0
    async with gathering(tmp_path, clock=clock, prefix="next") as here:
        assert await here.rooms.start("council") == meeting
        await until(lambda: len(finals(here.room)) == 2)
        assert notices(here.room) == ["cut"]
        first, second = finals(here.room)
        assert first == "a moment ago"
        assert second and "and in the middle of a sentence that".startswith(second)
        assert {event["utterance"] for event in here.room.shown if event["type"] == "caption"} <= shown.keys()
        anne = await here.speaker()
        await here.say(anne, "goes on")
        await here.hears("goes on")
        new = {event["utterance"] for event in here.room.shown if "goes" in str(event.get("committed"))}
        assert not new & shown.keys()


# --- leases -----------------------------------------------------------------------------------------------------


async def test_a_room_that_another_process_captions_is_not_joined(tmp_path: Path) -> None:
    board: Board = {}
    async with gathering(tmp_path, leases=MemoryLeases(board)) as here:
        there = MemoryLeases(board)
        assert await there.acquire("room/livekit/council", 60.0)
        with pytest.raises(GatewayFailed, match="another"):
            await here.rooms.start("council")
        assert here.gateway.tries == 0
        await there.release("room/livekit/council")
        await here.rooms.start("council")
        assert not await there.acquire("room/livekit/council", 60.0)
        await here.rooms.stop("council")
        assert await there.acquire("room/livekit/council", 60.0)


async def test_a_lease_is_renewed_as_long_as_the_room_is_captioned(tmp_path: Path) -> None:
    board: Board = {}
    async with gathering(tmp_path, leases=MemoryLeases(board), patience=impatiently(lease=0.3)) as here:
        await here.rooms.start("council")
        for _ in range(10):
            await asyncio.sleep(0.05)
            assert not await MemoryLeases(board).acquire("room/livekit/council", 60.0)
        assert here.rooms.all()


async def test_a_process_that_lost_its_lease_leaves_the_room(tmp_path: Path) -> None:
    board: Board = {}
    async with gathering(tmp_path, leases=MemoryLeases(board), patience=impatiently(lease=0.15)) as here:
        meeting = await here.rooms.start("council")
        board.clear()
        await MemoryLeases(board).acquire("room/livekit/council", 60.0)
        await until(lambda: here.partings)
        assert here.partings == [("council", Parting.LOST)]
        assert here.room.left
        assert here.rooms.state("council") == RoomState("council", meeting, "left", Parting.LOST)


async def test_a_lease_that_ran_out_unnoticed_is_taken_again(tmp_path: Path) -> None:
    board: Board = {}
    async with gathering(tmp_path, leases=MemoryLeases(board), patience=impatiently(lease=0.15)) as here:
        await here.rooms.start("council")
        board.clear()
        await until(lambda: "room/livekit/council" in board)
        assert here.partings == []


async def test_put_out_by_the_process_that_took_its_lease_it_was_not_removed(tmp_path: Path) -> None:
    board: Board = {}
    async with gathering(tmp_path, leases=MemoryLeases(board)) as here:
        await here.rooms.start("council")
        board.clear()
        await MemoryLeases(board).acquire("room/livekit/council", 60.0)
        here.room.part(Parting.EVICTED)
        await until(lambda: here.partings)
        assert here.partings == [("council", Parting.LOST)]

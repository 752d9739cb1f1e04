"""Captions on demand against a real livekit-server: dispatches as Visio makes and deletes them, and what follows."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from livekit import api

from media_gateway.sfu import Parting
from tests.livekit import captioning as c
from tests.livekit.captioning import Captioning, captioning
from tests.livekit.people import People, until
from tests.livekit.server import LiveKit
from tests.recordings import heard

NAME = "multi-user-transcriber"


@pytest.fixture
async def greffier(livekit: LiveKit, tmp_path: Path) -> AsyncIterator[Captioning]:
    async with captioning(livekit, tmp_path, NAME) as captions:
        yield captions


async def test_a_dispatch_brings_one_hidden_agent_that_hears_the_room_within_a_second(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    took = []
    for name in (room, f"{room}-again", f"{room}-once-more"):  # this machine may be busy with something else
        anne = await people.join(name, "anne")
        await anne.publish()
        assert await c.agents(livekit, name) == []  # nobody is heard before
        began = time.monotonic()
        await c.dispatch(livekit, NAME, name)
        await until(lambda name=name: greffier.stays(name) and greffier.stays(name)[0].subscribed)
        took.append((greffier.stays(name)[0].subscribed or 0.0) - began)
        assert "participant_connected" not in anne.told
        if took[-1] < 1.0:
            break
    assert min(took) < 1.0
    (agent,) = await c.agents(livekit, room)
    assert agent.identity == f"{NAME}-{room}"
    assert agent.permission.hidden
    state = greffier.rooms.state(room)
    assert state is not None
    assert state.meeting is not None


async def test_five_dispatches_at_once_bring_one_agent_and_captions_come_once(
    greffier: Captioning, livekit: LiveKit, people: People, room: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "greffier.livekit")
    anne, eric = await people.join(room, "anne"), await people.join(room, "eric")
    microphone = await anne.publish()
    await asyncio.gather(*(c.dispatch(livekit, NAME, room) for _ in range(5)))
    await greffier.begins(room)
    for _ in range(5):
        await c.dispatch(livekit, NAME, room)
    await until(lambda: [record.message for record in caplog.records].count("dispatch.made") == 10)
    await microphone.play(heard("en_arctic_a0024.wav"))
    await until(eric.finals)
    await asyncio.sleep(0.5)
    words = [word for word in " ".join(eric.finals().values()).split() if len(word) == len("word000")]
    assert len(words) > 3
    assert words == sorted(set(words))
    assert len([text for text in eric.texts if text.final]) == len(eric.finals())
    assert len(greffier.stays(room)) == 1
    assert [agent.identity for agent in await c.agents(livekit, room)] == [f"{NAME}-{room}"]
    assert not greffier.partings


async def test_captions_last_until_the_last_dispatch_is_deleted(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    made = [await c.dispatch(livekit, NAME, room) for _ in range(3)]
    await greffier.begins(room)
    for each in made[:2]:
        await c.delete(livekit, each)
    await asyncio.sleep(9)  # the server tells up to 5 s later, and would remove the agent of a job 3 s after that
    assert greffier.captions(room)
    await c.delete(livekit, made[2])
    await greffier.ends(room)
    assert len(greffier.stays(room)) == 1
    await until(lambda: greffier.partings == [(room, Parting.LEFT)])


async def test_a_dispatch_after_the_last_was_deleted_brings_the_agent_back(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    made = await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    await c.delete(livekit, made)
    await greffier.ends(room)
    await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    assert len(greffier.stays(room)) == 2


async def test_who_was_removed_stays_away_and_its_dispatches_are_gone_until_a_new_one(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    for _ in range(2):
        await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    await c.evict(livekit, NAME, room)
    await greffier.ends(room)
    await c.has_none(livekit, NAME, room)
    await asyncio.sleep(c.SWEPT)  # more than one sweep
    assert len(greffier.stays(room)) == 1
    await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)


async def test_a_dispatch_at_once_after_the_removal_counts(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    await c.evict(livekit, NAME, room)
    made = await c.dispatch(livekit, NAME, room)
    await until(lambda: len(greffier.stays(room)) == 2)
    await greffier.begins(room)
    assert [each.id for each in await c.dispatches(livekit, NAME, room)] == [made.id]


async def test_visios_stop_ends_captions_at_once(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    """Meet's PR 1495: it deletes every dispatch of the name, then removes the participant, and minds no failure."""
    await people.join(room, "anne")
    for _ in range(3):
        await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    began = time.monotonic()
    async with livekit.api() as server:
        for made in await server.agent_dispatch.list_dispatch(room):
            if made.agent_name == NAME:
                await server.agent_dispatch.delete_dispatch(made.id, room)
        await server.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=f"{NAME}-{room}"))
    await greffier.ends(room)
    assert time.monotonic() - began < 2.0
    await asyncio.sleep(c.SWEPT)
    assert len(greffier.stays(room)) == 1
    await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)


async def test_a_dispatch_made_while_nobody_was_registered_is_taken_up(
    livekit: LiveKit, people: People, room: str, tmp_path: Path
) -> None:
    await people.join(room, "anne")
    await c.dispatch(livekit, NAME, room)
    async with captioning(livekit, tmp_path, NAME) as greffier:
        await greffier.begins(room)
        (made,) = await c.dispatches(livekit, NAME, room)
        await c.delete(livekit, made)
        await greffier.ends(room)


async def test_a_dispatch_in_a_room_without_people_is_taken_up_when_they_come(
    livekit: LiveKit, people: People, room: str, tmp_path: Path
) -> None:
    await c.dispatch(livekit, NAME, room)
    async with captioning(livekit, tmp_path, NAME) as greffier:
        await asyncio.sleep(c.SWEPT)
        assert not greffier.stays(room)
        await people.join(room, "anne")
        await greffier.begins(room)


async def test_a_room_that_empties_is_left_and_captioned_again_when_people_come_back(
    livekit: LiveKit, people: People, room: str, tmp_path: Path
) -> None:
    async with captioning(livekit, tmp_path, NAME, empty_after=1.0) as greffier:
        anne = await people.join(room, "anne")
        await c.dispatch(livekit, NAME, room)
        await greffier.begins(room)
        await anne.leave()
        await greffier.ends(room)
        await until(lambda: greffier.partings == [(room, Parting.EMPTY)])
        await people.join(room, "anne")
        await greffier.begins(room)


async def test_captions_started_without_a_dispatch_do_not_end_for_lack_of_one(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    await greffier.rooms.start(room)
    await asyncio.sleep(c.SWEPT)
    assert greffier.captions(room)
    made = await c.dispatch(livekit, NAME, room)
    await asyncio.sleep(0.5)
    await c.delete(livekit, made)
    await asyncio.sleep(9)
    assert greffier.captions(room)
    assert len(greffier.stays(room)) == 1


async def test_captions_stopped_by_the_api_stay_so_although_there_were_dispatches(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    await greffier.rooms.stop(room)
    await c.has_none(livekit, NAME, room)
    await asyncio.sleep(c.SWEPT)
    assert len(greffier.stays(room)) == 1


async def test_a_meeting_that_is_ended_does_not_begin_again(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    state = greffier.rooms.state(room)
    assert state is not None
    assert state.meeting is not None
    await greffier.house.meetings.end(state.meeting)
    await greffier.ends(room)
    stays = len(greffier.stays(room))
    await asyncio.sleep(c.SWEPT)
    assert len(greffier.stays(room)) == stays
    assert not await c.dispatches(livekit, NAME, room)

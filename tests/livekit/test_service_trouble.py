"""Captions on demand while things fail: servers and processes killed, rooms refused, others of the same identity."""

import asyncio
import logging
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from livekit import api

from media_gateway.livekit import service
from media_gateway.sfu import Parting
from pipeline.bus.leases import Board, MemoryLeases
from pipeline.errors import GatewayFailed
from tests.livekit import captioning as c
from tests.livekit.captioning import Captioning, captioning
from tests.livekit.people import People, until
from tests.livekit.server import LiveKit

NAME = "multi-user-transcriber"


@pytest.fixture
async def greffier(livekit: LiveKit, tmp_path: Path) -> AsyncIterator[Captioning]:
    async with captioning(livekit, tmp_path, NAME) as captions:
        yield captions


async def test_captions_go_on_when_livekit_was_killed_and_started(
    own_livekit: LiveKit, own_people: People, room: str, tmp_path: Path
) -> None:
    async with captioning(own_livekit, tmp_path, NAME) as greffier:
        await own_people.join(room, "anne")
        await c.dispatch(own_livekit, NAME, room)
        await greffier.begins(room)
        before = greffier.rooms.state(room)
        await asyncio.to_thread(own_livekit.kill)
        await until(lambda: not greffier.service.registered)
        await asyncio.to_thread(own_livekit.start)
        await until(lambda: greffier.service.registered)
        await c.are_there(own_livekit, room, lambda inside: len(inside) == 1)
        await greffier.begins(room)
        await asyncio.sleep(c.SWEPT)  # its list of dispatches is empty now
        assert greffier.captions(room)
        after = greffier.rooms.state(room)
        assert before is not None
        assert after is not None
        assert after.meeting == before.meeting


async def test_a_killed_process_has_its_successor_in_the_room_long_before_its_own_participant_is_gone(
    livekit: LiveKit, people: People, room: str, tmp_path: Path
) -> None:
    await people.join(room, "anne")
    one = process(livekit, tmp_path)
    try:
        made = await c.dispatch(livekit, NAME, room)
        await c.are_there(livekit, room, lambda found: len(found) == 1)
        (first,) = await c.agents(livekit, room)
        one.send_signal(signal.SIGKILL)
        one.wait()
        one = process(livekit, tmp_path)
        began = time.monotonic()
        await c.are_there(livekit, room, lambda found: [each.sid for each in found] != [first.sid])
        assert time.monotonic() - began < 5.0
        await c.delete(livekit, made)
        await c.is_gone(livekit, NAME, room)
    finally:
        one.kill()
        one.wait()


async def test_a_participant_of_another_house_with_our_identity_keeps_its_place(
    livekit: LiveKit, people: People, room: str, tmp_path: Path
) -> None:
    await people.join(room, "anne")
    async with (
        captioning(livekit, tmp_path / "one", NAME, house="one") as one,
        captioning(livekit, tmp_path / "other", NAME, house="other", start=False) as other,
    ):
        await c.dispatch(livekit, NAME, room)
        await one.begins(room)
        await other.service.start()
        await asyncio.sleep(c.SWEPT)  # its first sweeps
        assert one.captions(room)
        assert not other.stays(room)
        await one.service.close()
        await one.rooms.close()
        await other.begins(room)


async def test_an_encrypted_room_is_left_and_its_dispatch_is_gone(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    anne = await people.join(room, "anne", key=b"a key that only they know")
    await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    await anne.publish()
    await greffier.ends(room)
    await c.has_none(livekit, NAME, room)
    await asyncio.sleep(c.SWEPT)
    assert greffier.partings == [(room, Parting.ENCRYPTED)]
    assert len(greffier.stays(room)) == 1
    assert '"status": "JS_FAILED", "error": "the room is encrypted"' in livekit.log()


async def test_of_two_processes_that_share_leases_one_captions_and_the_other_takes_over(
    livekit: LiveKit, people: People, room: str, tmp_path: Path
) -> None:
    await people.join(room, "anne")
    board: Board = {}
    async with (
        captioning(livekit, tmp_path / "one", NAME, leases=MemoryLeases(board)) as one,
        captioning(livekit, tmp_path / "other", NAME, leases=MemoryLeases(board)) as other,
    ):
        for _ in range(4):
            await c.dispatch(livekit, NAME, room)
        await until(lambda: one.captions(room) or other.captions(room))
        await asyncio.sleep(c.SWEPT)
        first, second = (one, other) if one.captions(room) else (other, one)
        assert not second.stays(room)
        await first.service.close()
        await first.rooms.close()
        await second.begins(room)
        for made in await c.dispatches(livekit, NAME, room):
            await c.delete(livekit, made)
        await second.ends(room)


async def test_another_agent_that_takes_our_identity_is_not_fought(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    other = await people.join(room, f"{NAME}-{room}", kind="agent", hidden=True)
    await until(lambda: greffier.partings == [(room, Parting.EVICTED)])
    await asyncio.sleep(c.SWEPT)
    assert "disconnected" not in other.told
    assert len(await c.dispatches(livekit, NAME, room)) == 1
    await other.leave()
    await greffier.begins(room)


async def test_a_room_is_left_to_another_agent_of_our_identity_until_it_goes(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    """As where Visio's own agent still runs: both are offered each press of the button."""
    await people.join(room, "anne")
    other = await people.join(room, f"{NAME}-{room}", kind="agent", hidden=True)
    for _ in range(3):
        await c.dispatch(livekit, NAME, room)
    await asyncio.sleep(c.SWEPT)
    assert not greffier.stays(room)
    assert "disconnected" not in other.told
    await other.leave()
    await greffier.begins(room)


async def test_a_dispatch_that_comes_while_the_room_is_being_left_counts(
    greffier: Captioning, livekit: LiveKit, people: People, room: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "greffier.livekit")
    await people.join(room, "anne")
    first = await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    greffier.gateway.door.clear()
    await c.delete(livekit, first)
    await until(lambda: [record.message for record in caplog.records].count("dispatch.deleted") == 1)
    second = await c.dispatch(livekit, NAME, room)
    await until(lambda: [record.message for record in caplog.records].count("dispatch.made") == 2)
    greffier.gateway.door.set()
    await until(lambda: len(greffier.stays(room)) == 2)
    await greffier.begins(room)
    assert [each.id for each in await c.dispatches(livekit, NAME, room)] == [second.id]


async def test_a_room_that_could_not_be_joined_is_tried_again(
    greffier: Captioning, livekit: LiveKit, people: People, room: str
) -> None:
    await people.join(room, "anne")
    greffier.gateway.refusals = [GatewayFailed("the test says so")] * 2
    made = await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    await c.delete(livekit, made)
    await greffier.ends(room)


async def test_dispatches_that_a_server_lost_are_no_reason_to_leave(
    greffier: Captioning, livekit: LiveKit, people: People, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the node of a room was restarted behind one that was not: it knows of no dispatch, and tells nothing."""

    async def none(*_: str) -> list[api.AgentDispatch]:
        return []

    await people.join(room, "anne")
    await c.dispatch(livekit, NAME, room)
    await greffier.begins(room)
    monkeypatch.setattr(service, "_TOLD_SECONDS", 0.5)
    monkeypatch.setattr(greffier.service._server, "dispatches", none)
    await asyncio.sleep(c.SWEPT + 1)
    assert greffier.captions(room)


async def test_what_the_server_is_told_is_our_own_load(
    own_livekit: LiveKit, own_people: People, room: str, tmp_path: Path
) -> None:
    """livekit-server offers nothing to a worker that says 0.7 or more; a full Greffier still takes what comes."""
    await own_people.join(room, "anne")
    async with captioning(own_livekit, tmp_path, NAME, load=1.0) as greffier:
        busy = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
        try:
            await c.dispatch(own_livekit, NAME, room)
            await greffier.begins(room)
        finally:
            busy.kill()
            await busy.wait()


def process(livekit: LiveKit, folder: Path) -> "subprocess.Popen[bytes]":
    """Greffier in a process of its own, once it is registered."""
    arguments = [livekit.url, livekit.key, livekit.secret, str(folder), NAME, c.HOUSE]
    started = subprocess.Popen([sys.executable, "-m", "tests.livekit.captioning", *arguments], stdout=subprocess.PIPE)
    assert started.stdout is not None
    with started.stdout as said:
        assert said.readline() == b"registered\n"
    return started

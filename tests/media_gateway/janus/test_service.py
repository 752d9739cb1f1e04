"""Rooms that are captioned whenever somebody is there; who asked that a room be left is heard."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from media_gateway.captioned_rooms import RoomState
from media_gateway.janus import JanusCaptions, JanusGateway, JanusServer, service
from media_gateway.sfu import Parting
from pipeline.domain import MeetingId
from pipeline.errors import GatewayFailed
from tests.media_gateway.janus.janus_script import ScriptedJanus, scripted_janus, until


@dataclass
class Rooms:
    """``CaptionedRooms`` as a test plays them."""

    started: list[str] = field(default_factory=list)
    states: dict[str, RoomState] = field(default_factory=dict)
    failing: bool = False
    tell: Callable[[str, Parting], Awaitable[None]] | None = None

    async def start(self, room: str, languages: tuple[str, ...] = ()) -> MeetingId:
        self.started.append(room)
        if self.failing:
            raise GatewayFailed("no")
        self.states[room] = RoomState(room, MeetingId("m"), "captioning")
        return MeetingId("m")

    def state(self, room: str) -> RoomState | None:
        return self.states.get(room)

    def on_parted(self, tell: Callable[[str, Parting], Awaitable[None]]) -> None:
        self.tell = tell

    async def part(self, room: str, why: Parting) -> None:
        assert self.tell is not None
        self.states[room] = RoomState(room, MeetingId("m"), "left", why)
        await self.tell(room, why)


@dataclass
class Stage:
    janus: ScriptedJanus
    rooms: Rooms
    captions: JanusCaptions
    people: list[dict[str, Any]]

    async def look(self, times: int = 2) -> None:
        """Returns once Janus was asked so many times more who is there, and what came of it is done."""
        asked = len(self.janus.asked)
        await until(lambda: sum("listparticipants" in str(each) for each in self.janus.asked[asked:]) > times)


ANNE = {"id": 11, "display": "Anne", "publisher": True}


@asynccontextmanager
async def watching(monkeypatch: pytest.MonkeyPatch, *names: str) -> AsyncIterator[Stage]:
    monkeypatch.setattr(service, "_LOOK_SECONDS", 0.01)
    people: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        if body["request"] == "exists" and body["room"] == "forbidden":
            return {"videoroom": "event", "error_code": 433, "error": "Unauthorized"}
        if body["request"] == "exists":
            return {"videoroom": "success", "exists": body["room"] == 1}
        return {"videoroom": "participants", "participants": people}

    async with scripted_janus(answer) as janus:
        rooms = Rooms()
        captions = JanusCaptions(JanusGateway(janus.server), rooms, names or ("1",))
        await captions.start()
        try:
            yield Stage(janus, rooms, captions, people)
        finally:
            await captions.close()


async def test_a_room_is_captioned_when_somebody_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watching(monkeypatch) as stage:
        await stage.look()
        assert stage.rooms.started == []
        stage.people.append(ANNE)
        await until(lambda: stage.rooms.started)
        await until(lambda: stage.captions.reachable)
        assert stage.rooms.started == ["1"]


@pytest.mark.parametrize(
    "nobody",
    [
        ANNE | {"publisher": False},
        ANNE | {"display": "captions"},
        ANNE | {"dummy": True},
    ],
)
async def test_who_does_not_publish_or_captions_is_nobody(
    monkeypatch: pytest.MonkeyPatch, nobody: dict[str, Any]
) -> None:
    async with watching(monkeypatch) as stage:
        stage.people.append(nobody)
        await stage.look()
        assert stage.rooms.started == []


async def test_a_room_that_is_not_there_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watching(monkeypatch, "2", "1") as stage:
        stage.people.append(ANNE)
        await until(lambda: stage.rooms.started)
        assert stage.rooms.started == ["1"]


async def test_a_room_that_janus_says_nothing_of_keeps_no_other_from_being_captioned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(monkeypatch, "forbidden", "1") as stage:
        await stage.look()
        stage.people.append(ANNE)
        await until(lambda: stage.rooms.started)
        assert stage.rooms.started == ["1"]
        assert caplog.messages.count("janus.refused") == 1


@pytest.mark.parametrize("why", [Parting.EVICTED, Parting.LEFT, Parting.ENCRYPTED])
async def test_a_room_that_was_to_be_left_stays_left_until_everybody_has_left_it(
    monkeypatch: pytest.MonkeyPatch, why: Parting
) -> None:
    async with watching(monkeypatch) as stage:
        stage.people.append(ANNE)
        await until(lambda: stage.rooms.started)
        await stage.rooms.part("1", why)
        await stage.look()
        assert stage.rooms.started == ["1"]
        stage.people.clear()
        await stage.look()
        stage.people.append(ANNE)
        await until(lambda: len(stage.rooms.started) == 2)


@pytest.mark.parametrize("why", [Parting.EMPTY, Parting.LOST])
async def test_a_room_that_was_empty_or_lost_is_captioned_again_when_somebody_is_there(
    monkeypatch: pytest.MonkeyPatch, why: Parting
) -> None:
    async with watching(monkeypatch) as stage:
        stage.people.append(ANNE)
        await until(lambda: stage.rooms.started)
        await stage.rooms.part("1", why)
        await until(lambda: len(stage.rooms.started) == 2)


async def test_a_room_that_fails_is_tried_again_but_not_at_every_look(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(monkeypatch) as stage:
        stage.rooms.failing = True
        stage.people.append(ANNE)
        await until(lambda: stage.rooms.started)
        await stage.look(5)
        assert len(stage.rooms.started) == 1
        assert [record.__dict__["why"] for record in caplog.records] == ["no"]
        await until(lambda: len(stage.rooms.started) == 2)


async def test_a_janus_that_was_away_is_watched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watching(monkeypatch) as stage:
        await until(lambda: stage.captions.reachable)
        stage.people.append(ANNE)
        stage.rooms.states["1"] = RoomState("1", MeetingId("m"), "reconnecting")
        stage.janus.sockets[0].transport.abort()
        await until(lambda: len(stage.janus.sockets) == 2)
        stage.rooms.states.clear()
        await until(lambda: stage.rooms.started)


async def test_a_janus_that_is_not_there_is_no_reason_not_to_start() -> None:
    captions = JanusCaptions(JanusGateway(JanusServer("ws://127.0.0.1:9")), Rooms(), ["1"])
    await captions.start()
    await asyncio.sleep(0.05)
    assert not captions.reachable
    await captions.close()


async def test_what_was_never_started_can_be_closed() -> None:
    await JanusCaptions(JanusGateway(JanusServer("ws://127.0.0.1:9")), Rooms(), []).close()

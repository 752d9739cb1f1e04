"""A Greffier that captions rooms of a LiveKit server on demand, with a recogniser that follows a script.

Run as a program it is one process of that: ``python -m tests.livekit.captioning URL KEY SECRET FOLDER NAME HOUSE``.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from livekit import api

from api.house import House
from api.meetings import new_id
from media_gateway.captioned_rooms import CaptionedRooms
from media_gateway.livekit import LiveKitGateway, LiveKitRoom, LiveKitServer
from media_gateway.livekit.service import LiveKitCaptions
from media_gateway.sfu import Parting, Published, RoomEvent
from pipeline.bus.leases import MemoryLeases
from pipeline.domain import TrackId, Word
from pipeline.ports import Leases
from tests.houses import scripted_house
from tests.livekit.people import until
from tests.livekit.server import LiveKit
from tests.server_process import WAIT

HOUSE = "house of tests"
SWEEP = 1.0
SWEPT = 2.5
"""Seconds in which there is a sweep, or two."""


class Counting(dict[TrackId, Sequence[Word]]):
    """The script of every track."""

    words = tuple(Word(f" word{k:03}", k / 2, k / 2 + 0.45, 0.9) for k in range(400))

    def get(self, track: TrackId, default: object = None) -> Sequence[Word]:  # type: ignore[override]
        return self.words


@dataclass(slots=True, eq=False)
class WatchedRoom:
    """A stay that notes when its first microphone was subscribed to, by ``time.monotonic()``."""

    room: LiveKitRoom
    door: asyncio.Event
    subscribed: float | None = None

    async def events(self) -> AsyncIterator[RoomEvent]:
        async for event in self.room.events():
            if isinstance(event, Published) and self.subscribed is None:
                self.subscribed = time.monotonic()
            yield event

    async def show(self, event: "object") -> None:
        await self.room.show(event)  # type: ignore[arg-type]

    async def leave(self) -> None:
        await self.door.wait()
        await self.room.leave()


@dataclass(slots=True)
class WatchedGateway:
    """``stays`` of each room, oldest first; ``refusals`` are raised by the next joins, one each; ``door``: closed, it
    holds back whoever leaves."""

    gateway: LiveKitGateway
    provider: str = "livekit"
    stays: dict[str, list[WatchedRoom]] = field(default_factory=dict)
    refusals: list[Exception] = field(default_factory=list)
    door: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.door.set()

    async def join(self, room: str) -> WatchedRoom:
        if self.refusals:
            raise self.refusals.pop()
        stay = WatchedRoom(await self.gateway.join(room), self.door)
        self.stays.setdefault(room, []).append(stay)
        return stay


@dataclass(slots=True)
class Captioning:
    """``partings`` are what ``rooms`` told of their ends. Everybody who speaks is heard to say ``word000 word001 …``,
    one in each half second of meeting time."""

    livekit: LiveKit
    name: str
    house: House
    gateway: WatchedGateway
    rooms: CaptionedRooms
    service: LiveKitCaptions
    partings: list[tuple[str, Parting]] = field(default_factory=list)

    async def tell(self, room: str, why: Parting) -> None:
        self.partings.append((room, why))

    def stays(self, room: str) -> list[WatchedRoom]:
        return self.gateway.stays.get(room, [])

    def captions(self, room: str) -> bool:
        state = self.rooms.state(room)
        return state is not None and state.state == "captioning" and state.why is None

    async def begins(self, room: str) -> None:
        await until(lambda: self.captions(room), what=lambda: f"{self.rooms.state(room)}, {self.service.trouble}")

    async def ends(self, room: str) -> None:
        await until(lambda: not self.captions(room), what=lambda: str(self.rooms.state(room)))
        await is_gone(self.livekit, self.name, room)


@asynccontextmanager
async def captioning(
    livekit: LiveKit,
    folder: Path,
    name: str,
    *,
    house: str = HOUSE,
    load: float = 0.0,
    empty_after: float = 10.0,
    start: bool = True,
    leases: Leases | None = None,
) -> AsyncIterator[Captioning]:
    """Started and registered, unless ``start`` is False."""
    server = LiveKitServer(livekit.url, livekit.key, livekit.secret, house=house)
    gateway = WatchedGateway(LiveKitGateway(server, name, empty_after=empty_after))
    async with scripted_house(folder, Counting({TrackId("any"): ()})) as home:
        await home.meetings.start()
        rooms = CaptionedRooms(gateway, home.meetings, home.store, leases or MemoryLeases(), lambda: new_id(12))
        service = LiveKitCaptions(server, rooms, name, load=lambda: load, sweep=SWEEP)
        captions = Captioning(livekit, name, home, gateway, rooms, service)
        rooms.on_parted(captions.tell)
        try:
            if start:
                await service.start()
                await until(lambda: service.registered)
            yield captions
        finally:
            await service.close()
            await home.meetings.close()
            await rooms.close()
            await server.close()


async def dispatch(livekit: LiveKit, name: str, room: str) -> api.AgentDispatch:
    """As Visio does when somebody presses the button."""
    async with livekit.api() as server:
        wanted = api.CreateAgentDispatchRequest(agent_name=name, room=room)
        return await server.agent_dispatch.create_dispatch(wanted)


async def delete(livekit: LiveKit, dispatched: api.AgentDispatch) -> None:
    async with livekit.api() as server:
        await server.agent_dispatch.delete_dispatch(dispatched.id, dispatched.room)


async def dispatches(livekit: LiveKit, name: str, room: str) -> list[api.AgentDispatch]:
    async with livekit.api() as server:
        return [each for each in await server.agent_dispatch.list_dispatch(room) if each.agent_name == name]


async def evict(livekit: LiveKit, name: str, room: str) -> None:
    async with livekit.api() as server:
        await server.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=f"{name}-{room}"))


async def agents(livekit: LiveKit, room: str) -> list[api.ParticipantInfo]:
    async with livekit.api() as server:
        inside = await server.room.list_participants(api.ListParticipantsRequest(room=room))
    return [each for each in inside.participants if each.kind == api.ParticipantInfo.AGENT]


async def are_there(livekit: LiveKit, room: str, wanted: Callable[[list[api.ParticipantInfo]], bool]) -> None:
    """Returns once the agents of a room are as ``wanted``."""
    async with asyncio.timeout(WAIT):
        while not wanted(await agents(livekit, room)):  # noqa: ASYNC110 - a server is asked, it tells nobody
            await asyncio.sleep(0.02)


async def is_gone(livekit: LiveKit, name: str, room: str) -> None:
    await are_there(livekit, room, lambda inside: all(each.identity != f"{name}-{room}" for each in inside))


async def has_none(livekit: LiveKit, name: str, room: str) -> None:
    """Returns once no dispatch of ``name`` is listed."""
    async with asyncio.timeout(WAIT):
        while await dispatches(livekit, name, room):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def _serve(url: str, key: str, secret: str, folder: str, name: str, house: str) -> None:
    livekit = LiveKit(Path(folder), binary=Path(), key=key, secret=secret, url=url)
    async with captioning(livekit, Path(folder), name, house=house):
        print("registered", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))

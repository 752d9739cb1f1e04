"""The rooms of one Janus that are captioned whenever somebody publishes in them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from media_gateway.captioned_rooms import CaptionedElsewhere, RoomState
from media_gateway.janus.messages import Code, Refused, RoomId
from media_gateway.janus.outward import FEED_NAME
from media_gateway.janus.room import JanusGateway, find_room
from media_gateway.janus.session import JanusHandle, JanusSession
from media_gateway.sfu import Parting
from pipeline.domain import MeetingId
from pipeline.errors import GatewayFailed, GreffierError, NotFound

_log = logging.getLogger("greffier.janus")

_LOOK_SECONDS = 1.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0
_LOOKS_AFTER_FAILURE = 10
_LOOKS_WHILE_ELSEWHERE = 1
_CAPTIONED = {"starting", "captioning", "reconnecting"}
_WANTED_AGAIN = {Parting.EMPTY, Parting.LOST}


class Rooms(Protocol):
    """What is needed of ``CaptionedRooms``."""

    async def start(self, room: str, languages: tuple[str, ...] = ()) -> MeetingId: ...

    def state(self, room: str) -> RoomState | None: ...

    def on_parted(self, tell: Callable[[str, Parting], Awaitable[None]]) -> None: ...


class JanusCaptions:
    """Starts captions of the rooms ``names`` when somebody publishes there; they end by themselves.

    A room that was left because somebody asked for it, or that is encrypted, is captioned again once everybody has left
    it and somebody has come.
    """

    def __init__(self, gateway: JanusGateway, rooms: Rooms, names: Sequence[str]) -> None:
        self._gateway = gateway
        self._rooms = rooms
        self._names = tuple(names)
        self._dismissed: set[str] = set()
        self._ids: dict[str, RoomId] = {}
        self._wait: dict[str, int] = {}  # looks until a room that failed is tried again
        self._refused: dict[str, int] = {}  # what Janus said of a room last, so that it is logged once
        self._watching: asyncio.Task[None] | None = None
        self.reachable = False
        rooms.on_parted(self._parted)

    async def start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Starts nothing any more; rooms that are captioned are left to whoever owns them."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    async def _parted(self, room: str, why: Parting) -> None:
        if why not in _WANTED_AGAIN:
            self._dismissed.add(room)

    async def _watch(self) -> None:
        """Looks into the rooms as long as Janus answers, and comes back when it does again."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._look_on()
            except GatewayFailed as failure:
                if self.reachable or pause == _FIRST_PAUSE_SECONDS:
                    _log.warning("janus.unreachable", extra={"error": type(failure).__name__})
            except Exception:  # noqa: BLE001 - a service that ended would be missed by nobody
                _log.exception("janus.broken")
            pause = _FIRST_PAUSE_SECONDS if self.reachable else min(2 * pause, _LONGEST_PAUSE_SECONDS)
            self.reachable = False
            await asyncio.sleep(pause)

    async def _look_on(self) -> None:
        """Raises ``GatewayFailed`` when Janus cannot be reached any more."""
        session = await JanusSession.open(self._gateway.server)
        try:
            handle = await session.attach(lambda _: None)
            while not session.over.done():
                for name in self._names:
                    try:
                        await self._look(handle, name)
                    except Refused as refused:  # what is wrong with one room is not wrong with the others
                        if self._refused.get(name) != refused.code:
                            _log.warning("janus.refused", extra={"code": refused.code})
                        self._refused[name] = refused.code
                self.reachable = True
                await asyncio.wait([session.over], timeout=_LOOK_SECONDS)
        finally:
            await session.close()

    async def _look(self, handle: JanusHandle, name: str) -> None:
        state = self._rooms.state(name)
        if state is not None and state.state in _CAPTIONED:
            return
        if not await self._occupied(handle, name):
            self._dismissed.discard(name)
            self._wait.pop(name, None)
        elif name not in self._dismissed and self._wait.get(name, 0) <= 0:
            await self._start(name)
        else:
            self._wait[name] = self._wait.get(name, 0) - 1

    async def _start(self, name: str) -> None:
        try:
            await self._rooms.start(name)
        except CaptionedElsewhere:
            self._wait[name] = _LOOKS_WHILE_ELSEWHERE  # that gateway may have died then
        except GreffierError as failure:
            _log.warning("janus.unstarted", extra={"error": type(failure).__name__, "why": str(failure)})
            self._wait[name] = _LOOKS_AFTER_FAILURE

    async def _occupied(self, handle: JanusHandle, name: str) -> bool:
        """Whether anybody publishes there but those who caption; nobody does in a room that is not there."""
        try:
            if name not in self._ids:
                self._ids[name] = await find_room(handle, name)
            listed = await handle.ask({"request": "listparticipants", "room": self._ids[name]})
        except NotFound:
            return False
        except Refused as refused:
            if refused.code != Code.NO_SUCH_ROOM:
                raise
            del self._ids[name]
            return False
        return any(_publishes(each) for each in listed.content.get("participants") or ())


def _publishes(person: Mapping[str, Any]) -> bool:
    return bool(person.get("publisher")) and not person.get("dummy") and person.get("display") != FEED_NAME

"""A stay in a VideoRoom of Janus: who publishes there, their microphones, and captions as a feed of their own."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator

from aiortc import RTCConfiguration

from media_gateway.janus.messages import Code, Refused, RoomId, Said, needs_encryption, room_error
from media_gateway.janus.outward import FEED_NAME, CaptionsFeed
from media_gateway.janus.roster import Change, Closed, Opened, Roster
from media_gateway.janus.server import JanusServer
from media_gateway.janus.session import JanusHandle, JanusSession
from media_gateway.janus.tap import JanusTap
from media_gateway.sfu import Parted, Parting, Published, RoomEvent
from media_gateway.webrtc.ice import configuration_with
from pipeline.errors import GatewayFailed, NotFound
from pipeline.export.event import Event

_log = logging.getLogger("greffier.janus")

EMPTY_AFTER_SECONDS = 10.0
_TICK_SECONDS = 0.1
_TICKS_PER_REPORT = 10
_MOST_EVENTS = 10_000
_SHOWN = {"caption", "voices", "notice"}


class JanusGateway:
    """An ``SfuGateway`` of one Janus. A room that nobody publishes in for ``empty_after`` seconds is empty."""

    provider = "janus"

    def __init__(self, server: JanusServer, empty_after: float = EMPTY_AFTER_SECONDS) -> None:
        """Raises ``InvalidSetting`` for the address of an ICE server that is none."""
        self.server = server
        self._configuration = configuration_with(server.ice_servers)
        self._empty_after = empty_after

    async def join(self, room: str) -> "JanusRoom":
        session = await JanusSession.open(self.server)
        stay = JanusRoom(session, self.server, self._configuration, self._empty_after)
        try:
            await stay.enter(room)
        except BaseException:
            await stay.leave()
            raise
        return stay

    async def check(self) -> None:
        """Raises ``GatewayFailed`` when Janus cannot be reached or lets nobody in."""
        session = await JanusSession.open(self.server)
        await session.close()


class JanusRoom:
    """An ``SfuRoom``, made by ``JanusGateway``."""

    def __init__(
        self, session: JanusSession, server: JanusServer, configuration: RTCConfiguration, empty_after: float
    ) -> None:
        self._session = session
        self._server = server
        self._configuration = configuration
        self._empty_after = empty_after
        self._roster = Roster()
        self._access: dict[str, object] = {}  # what every request to enter says
        self._taps: dict[RoomId, tuple[JanusTap, asyncio.Task[None]]] = {}
        self._going: set[asyncio.Task[None]] = set()
        self._captions = CaptionsFeed(configuration, self._lost)
        self._due: deque[RoomEvent] = deque()  # bounded: _MOST_EVENTS, then the stay is lost
        self._changed = asyncio.Event()
        self._parted: Parting | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        session.over.add_done_callback(lambda _: self._lost())

    async def enter(self, room: str) -> None:
        """Joins and publishes captions. Raises ``NotFound``, ``GatewayFailed``."""
        self._ticking = asyncio.create_task(self._tick())
        handle = await self._session.attach(self._told)
        try:
            self._access.update(self._server.entrance(await find_room(handle, room)))
            await handle.ask({"request": "join", "ptype": "publisher", "display": FEED_NAME} | self._access)
            await self._captions.publish(handle)
        except Refused as refused:
            if not needs_encryption(refused):
                raise room_error(refused) from refused
            self._part(Parting.ENCRYPTED)

    async def events(self) -> AsyncIterator[RoomEvent]:
        while True:
            while self._due:
                event = self._due.popleft()
                if isinstance(event, Parted):
                    await self.leave()
                yield event
                if isinstance(event, Parted):
                    return
            self._changed.clear()
            await self._changed.wait()

    async def show(self, event: Event) -> None:
        if event.get("type") not in _SHOWN:
            return
        if self._parted is not None:
            raise GatewayFailed("the room was left")
        await self._captions.show(event)

    async def leave(self) -> None:
        self._part(Parting.LEFT)
        if self._closing is not None:
            await asyncio.shield(self._closing)

    # --- what Janus tells -------------------------------------------------------------------------------------

    def _told(self, said: Said) -> None:
        if said.kind in {"hangup", "detached"}:
            self._lost()
        elif said.kind == "event":
            if said.content.get("videoroom") == "joined":
                self._access["private_id"] = said.content.get("private_id")
            for change in self._roster.told(said.content):
                self._apply(change)

    def _apply(self, change: Change) -> None:
        if isinstance(change, Parted):
            self._part(change.why)
        elif isinstance(change, Opened):
            self._open(change)
        elif isinstance(change, Closed):
            self._shut(change.feed)
        else:
            self._tell(change)

    def _open(self, opened: Opened) -> None:
        subscription = {
            "request": "join",
            "ptype": "subscriber",
            "streams": [{"feed": opened.feed, "mid": opened.mid}],
            "autoupdate": False,  # the publisher's own events say when it goes
        }
        tap = JanusTap(
            self._session,
            self._access | subscription,
            f"{opened.feed}/{opened.mid}",
            self._configuration,
            lambda: self._part(Parting.ENCRYPTED),
        )
        task = asyncio.create_task(tap.run())
        task.add_done_callback(lambda done: _unheard(tap, done))
        self._taps[opened.feed] = tap, task
        self._tell(Published(opened.participant.id, tap))

    def _shut(self, feed: RoomId) -> None:
        tap, task = self._taps.pop(feed)
        tap.end()
        task.cancel()
        self._going.add(task)
        task.add_done_callback(self._going.discard)

    def _tell(self, event: RoomEvent) -> None:
        if self._parted is not None:
            return
        self._due.append(event)
        self._changed.set()
        if len(self._due) > _MOST_EVENTS:
            self._part(Parting.LOST)

    # --- how it ends ------------------------------------------------------------------------------------------

    def _lost(self) -> None:
        self._part(Parting.LOST)

    def _part(self, why: Parting) -> None:
        """The first reason counts."""
        if self._parted is not None:
            return
        self._parted = why
        for feed in tuple(self._taps):
            self._shut(feed)
        self._due.append(Parted(why))
        self._changed.set()
        self._closing = asyncio.create_task(self._close())

    async def _close(self) -> None:
        """Captions that are on their way go first; with the session Janus lets go of all its handles."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.wait([self._ticking])
        if self._parted is not Parting.LOST:
            await self._captions.sent()
        await self._captions.close()
        await self._session.close()
        if self._going:
            await asyncio.wait(self._going)

    async def _tick(self) -> None:
        """One timer for all taps; looks whether anybody is left, too."""
        loop, ticks, occupied_at = asyncio.get_running_loop(), 0, asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            ticks += 1
            if len(self._roster):
                occupied_at = loop.time()
            elif loop.time() - occupied_at >= self._empty_after:
                return self._part(Parting.EMPTY)
            for tap, _ in tuple(self._taps.values()):
                try:
                    await tap.tick(report=ticks % _TICKS_PER_REPORT == 0)
                except Exception:  # noqa: BLE001 - whatever befalls one tap stays with it
                    _log.exception("janus.broken")
                    tap.end()


async def find_room(handle: JanusHandle, room: str) -> RoomId:
    """The id of a room as its Janus wants it: a number, or a text. Raises ``NotFound``, ``GatewayFailed``."""
    ids: list[RoomId] = [int(room), room] if room.isascii() and room.isdecimal() else [room]
    for each in ids:
        try:
            found = await handle.ask({"request": "exists", "room": each})
        except Refused as refused:
            if refused.code != Code.INVALID_ELEMENT:
                raise
        else:
            if found.content.get("exists"):
                return each
    raise NotFound("Janus has no such room")


def _unheard(tap: JanusTap, done: "asyncio.Task[None]") -> None:
    if not done.cancelled() and (error := done.exception()):
        _log.warning("janus.failed", extra={"error": type(error).__name__})
        tap.end()

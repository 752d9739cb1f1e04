"""One session with a Janus gateway over one WebSocket, and the handles in it."""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from media_gateway.janus.messages import PLUGIN, SUBPROTOCOL, Said, read
from media_gateway.janus.server import JanusServer
from pipeline.errors import GatewayFailed

ANSWER_SECONDS = 10.0
_KEEPALIVE_SECONDS = 15.0
"""Janus ends a session that is silent for ``session_timeout``, 60 s by default."""
_PING_SECONDS = 5.0
_LARGEST_MESSAGE = 8 * 2**20
"""Bytes: one message may name all publishers of a room, and Janus bounds neither their number nor their names. A larger
one ends the session."""
_FAILED = (OSError, WebSocketException, TimeoutError)

OnEvent = Callable[[Said], None]
"""Takes what is said to a handle, in order, answers too."""


class JanusSession:
    """Made by ``open``. ``over`` is done once it ended, whoever ended it; nothing can be asked then."""

    def __init__(self, socket: ClientConnection, server: JanusServer) -> None:
        self._socket = socket
        self._credentials = server.credentials()
        self._id: int | None = None
        self._waiting: dict[str, asyncio.Future[Said]] = {}
        self._handles: dict[int, OnEvent] = {}
        self._due = asyncio.get_running_loop().time() + _KEEPALIVE_SECONDS
        self.over: asyncio.Task[None] = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, server: JanusServer) -> "JanusSession":
        """Raises ``GatewayFailed`` when Janus cannot be reached or lets nobody in."""
        try:
            socket = await connect(
                server.url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                open_timeout=ANSWER_SECONDS,
                ping_interval=_PING_SECONDS,
                ping_timeout=2 * _PING_SECONDS,
                close_timeout=1.0,
                max_size=_LARGEST_MESSAGE,
                proxy=None,
            )
        except _FAILED as error:
            raise GatewayFailed(f"Janus cannot be reached: {type(error).__name__}") from error
        session = cls(socket, server)
        try:
            session._id = (await session.ask("create")).content["id"]
        except BaseException as error:
            await session.close()
            if isinstance(error, KeyError):
                raise GatewayFailed("what answers is no Janus gateway") from error
            raise
        return session

    async def attach(self, on_event: OnEvent) -> "JanusHandle":
        """A handle of the VideoRoom plugin. Raises ``GatewayFailed``."""
        said = await self.ask("attach", plugin=PLUGIN)
        handle = said.content.get("id")
        if not isinstance(handle, int):
            raise GatewayFailed("Janus gave no handle")
        self._handles[handle] = on_event
        return JanusHandle(self, handle)

    async def ask(self, janus: str, **fields: object) -> Said:
        """Asks and waits for the answer. Raises ``Refused``, ``GatewayFailed``."""
        transaction = secrets.token_hex(8)
        answer: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # who asked may fail to
        self._waiting[transaction] = answer
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._send({"janus": janus, "transaction": transaction, **fields})
                said = await answer
        except TimeoutError as error:
            raise GatewayFailed("Janus does not answer") from error
        finally:
            self._waiting.pop(transaction, None)
        if said.error is not None:
            raise said.error
        return said

    def forget(self, handle: int) -> None:
        """Nothing said to ``handle`` is passed on any more."""
        self._handles.pop(handle, None)

    async def close(self) -> None:
        """Janus ends the session, all its handles too, when its socket goes. May be called again."""
        self.over.cancel()
        await asyncio.wait([self.over])

    async def _send(self, message: dict[str, object]) -> None:
        if self.over.done():
            raise GatewayFailed("the connection with Janus was lost")
        known = {} if self._id is None else {"session_id": self._id}
        self._due = asyncio.get_running_loop().time() + _KEEPALIVE_SECONDS
        try:
            await self._socket.send(json.dumps({**message, **known, **self._credentials}))
        except _FAILED as error:
            raise GatewayFailed("the connection with Janus was lost") from error

    async def _read(self) -> None:
        """Reads until the connection or the session ends."""
        try:
            while True:
                try:
                    async with asyncio.timeout_at(self._due):
                        text = await self._socket.recv()
                except TimeoutError:
                    await self._send({"janus": "keepalive", "transaction": "keepalive"})
                    continue
                said = read(text)
                if said is not None and said.kind == "timeout":
                    return
                if said is not None:
                    self._take(said)
        except (*_FAILED, GatewayFailed):
            return
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(GatewayFailed("the connection with Janus was lost"))
            await self._socket.close()

    def _take(self, said: Said) -> None:
        if said.kind == "ack":
            return
        if said.handle is not None and (on_event := self._handles.get(said.handle)) is not None:
            on_event(said)
        answer = self._waiting.get(said.transaction or "")
        if answer is not None and not answer.done():
            answer.set_result(said)


class JanusHandle:
    """One handle of a session: what one PeerConnection belongs to."""

    def __init__(self, session: JanusSession, handle: int) -> None:
        self._session = session
        self._id = handle

    async def ask(self, body: Mapping[str, object], jsep: Mapping[str, Any] | None = None) -> Said:
        """Asks the plugin and waits for its answer. Raises ``Refused``, ``GatewayFailed``."""
        more = {} if jsep is None else {"jsep": {**jsep, "trickle": False}}
        return await self._session.ask("message", handle_id=self._id, body=body, **more)

    async def detach(self) -> None:
        """Janus closes its PeerConnection; nothing is raised when it is gone already."""
        self._session.forget(self._id)
        try:
            await self._session.ask("detach", handle_id=self._id)
        except GatewayFailed:
            return

"""A moshi-server that follows a script, in the event loop of a test: its messages, its channels, and its troubles.

As in moshi-server 0.6.4's batched recogniser (``batched_asr.rs``), one loop steps all channels: each takes one message
a turn, 80 ms of sound make a step, and what a word says comes ``delay`` after its end was heard, so silence must follow
it. An ``EndWord`` comes when the next word begins. A ``Marker`` comes back so many turns of the *server* later, which
on a busy one may be before the channel's own sound was heard: sound must be sent after it without a break.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import msgpack
import numpy as np
from websockets import ConnectionClosed
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from pipeline.domain import Word
from tests.kyutai.scripts import FRAME, STEP_SECONDS, NewScript, Pcm, Script, level_of

KEY = "a key of the tests"
_PATIENCE = 120.0
_PAUSE_STEPS = 3
"""Silent steps after which the pause heads are sure."""
_SILENT = -50.0


@dataclass(frozen=True, slots=True)
class Said:
    """A ``Word`` that was sent: over which connection, counted from 0, and at which time of the event loop."""

    connection: int
    text: str
    start: float
    at: float


@dataclass(slots=True)
class _Channel:
    number: int
    socket: ServerConnection
    script: Script
    inbox: deque[dict[str, Any]] = field(default_factory=deque)
    outbox: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    pcm: Pcm = field(default_factory=lambda: np.zeros(0, np.float32))
    steps: int = 0
    silent: int = 0
    unended: bool = False
    due: deque[tuple[int, Word]] = field(default_factory=deque)  # the step at which a word is told

    def tell(self, kind: str, **more: Any) -> None:
        self.outbox.put_nowait(msgpack.packb({"type": kind, **more}))


@dataclass(slots=True)
class KyutaiServer:
    """``channels``, ``status``, ``mute``, ``step_seconds`` and ``script`` may change while it runs.

    ``status``: a handshake is answered with that status of HTTP. ``mute``: it steps, and hears no words.
    ``step_seconds``: what a step of all channels takes; 0.08 is real time.
    """

    script: NewScript
    channels: int = 64
    delay: float = 0.5
    step_seconds: float = 0.004
    patience: float = _PATIENCE
    status: HTTPStatus | None = None
    mute: bool = False
    port: int = 0
    opened: int = 0
    refused: int = 0
    most_open: int = 0
    said: list[Said] = field(default_factory=list)
    pcm_seconds: float = 0.0
    _open: dict[int, _Channel] = field(default_factory=dict)
    _steps: int = 0
    _markers: list[tuple[int, _Channel, int]] = field(default_factory=list)
    _going: asyncio.Event = field(default_factory=asyncio.Event)
    _fed: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: Server | None = None
    _stepping: "asyncio.Task[None] | None" = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/asr-streaming"

    @property
    def now_open(self) -> int:
        return len(self._open)

    @property
    def words(self) -> list[str]:
        return [word.text for word in self.said]

    async def start(self) -> None:
        """At the port it had, if it had one."""
        self._going.set()
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, process_request=self._answer, ping_interval=10, max_size=None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._stepping = asyncio.create_task(self._step_for_ever())

    async def stop(self) -> None:
        """As if killed: connections break, new ones are refused by the machine."""
        self.resume()
        self.cut()
        if self._stepping is not None:
            self._stepping.cancel()
            await asyncio.wait([self._stepping])
            if not self._stepping.cancelled():
                self._stepping.result()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    # --- trouble -----------------------------------------------------------------------------------------------------

    def stall(self) -> None:
        """As if stopped by SIGSTOP: connections stay and are taken, nothing is read or said, pings are not answered."""
        self._going.clear()
        for channel in self._open.values():
            channel.socket.transport.pause_reading()

    def resume(self) -> None:
        self._going.set()
        for channel in self._open.values():
            if not channel.socket.transport.is_closing():
                channel.socket.transport.resume_reading()

    def cut(self, count: int | None = None) -> int:
        """Breaks the oldest ``count`` connections, or all, without a closing handshake; how many it broke."""
        broken = list(self._open.values())[:count]
        for channel in broken:
            channel.socket.transport.abort()
        return len(broken)

    def truncate(self) -> int:
        """The next message of every connection is the first half of a ``Word``; how many there are."""
        half = msgpack.packb({"type": "Word", "text": "half of it", "start_time": 1.0})[:20]
        for channel in self._open.values():
            channel.outbox.put_nowait(half)
        return len(self._open)

    # --- what tests wait for -----------------------------------------------------------------------------------------

    async def until_said(self, count: int, seconds: float = 30.0) -> None:
        """Returns once so many words were sent since it was made."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(self.said) >= count)

    async def until_open(self, count: int, seconds: float = 30.0) -> None:
        """Returns once exactly so many channels are taken."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(self._open) == count)

    async def _tell_change(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # --- connections -------------------------------------------------------------------------------------------------

    async def _answer(self, socket: ServerConnection, request: Request) -> Response | None:
        await self._going.wait()
        path, _, query = request.path.partition("?")
        if path == "/api/build_info":
            return socket.respond(HTTPStatus.OK, json.dumps({"build_timestamp": "now", "rustc_version": "scripted"}))
        if path != "/api/asr-streaming":
            return socket.respond(HTTPStatus.NOT_FOUND, "")
        if self.status is not None:
            return socket.respond(self.status, "")
        if request.headers.get("kyutai-api-key") != KEY and query != f"auth_id={KEY.replace(' ', '%20')}":
            return socket.respond(HTTPStatus.UNAUTHORIZED, "")
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        if len(self._open) >= self.channels:
            self.refused += 1
            await self._tell_change()
            with suppress(ConnectionClosed):
                await socket.send(msgpack.packb({"type": "Error", "message": "no free channels"}))
            return
        channel = _Channel(self.opened, socket, self.script())
        channel.inbox.append({"type": "Init"})
        self.opened += 1
        self._open[channel.number] = channel
        self.most_open = max(self.most_open, len(self._open))
        self._fed.set()
        await self._tell_change()
        sending = asyncio.create_task(self._send(channel))
        try:
            await self._receive(channel)
        finally:
            del self._open[channel.number]
            channel.outbox.put_nowait(None)
            await sending
            await self._tell_change()

    async def _receive(self, channel: _Channel) -> None:
        """Takes what comes as fast as it comes, as moshi-server does: its inbox has no bound."""
        with suppress(ConnectionClosed, TimeoutError):
            while True:
                async with asyncio.timeout(self.patience):
                    packed = await channel.socket.recv()
                await self._going.wait()
                if isinstance(packed, bytes):
                    channel.inbox.append(msgpack.unpackb(packed))
                    self._fed.set()

    async def _send(self, channel: _Channel) -> None:
        with suppress(ConnectionClosed):
            while (packed := await channel.outbox.get()) is not None:
                await self._going.wait()
                await channel.socket.send(packed)

    # --- the loop of the model ---------------------------------------------------------------------------------------

    async def _step_for_ever(self) -> None:
        while True:
            await self._going.wait()
            self._fed.clear()
            stepped = [channel for channel in list(self._open.values()) if self._take(channel)]
            if stepped:
                self._steps += 1
                spoken = sum(self._step(channel) for channel in stepped)
                self._return_markers()
                if spoken:
                    await self._tell_change()
                await asyncio.sleep(self.step_seconds)
            elif not any(channel.inbox for channel in self._open.values()):
                await self._fed.wait()

    def _take(self, channel: _Channel) -> bool:
        """One message; whether the channel has sound for a step."""
        message = channel.inbox.popleft() if channel.inbox else {"type": "Audio", "pcm": []}
        match message["type"]:
            case "Audio":
                fresh = np.asarray(message["pcm"], np.float32)
                self.pcm_seconds += len(fresh) / FRAME * STEP_SECONDS
                channel.pcm = np.concatenate([channel.pcm, fresh])
                return len(channel.pcm) >= FRAME
            case "Marker":
                due = self._steps + round(self.delay / STEP_SECONDS) + len(channel.pcm) // FRAME
                self._markers.append((due, channel, message["id"]))
            case "Init":
                channel.script, channel.steps, channel.silent, channel.unended = self.script(), 0, 0, False
                channel.due.clear()
                channel.tell("Ready")
        return False

    def _step(self, channel: _Channel) -> int:
        """Hears 80 ms; how many words were told."""
        frame, channel.pcm = channel.pcm[:FRAME], channel.pcm[FRAME:]
        channel.steps += 1
        channel.silent = channel.silent + 1 if level_of(frame) < _SILENT else 0
        later = channel.steps + round(self.delay / STEP_SECONDS)
        channel.due.extend((later, word) for word in channel.script.hear(frame))
        told = 0
        while channel.due and channel.due[0][0] <= channel.steps:
            told += self._tell_word(channel, channel.due.popleft()[1])
        sure = 0.9 if channel.silent >= _PAUSE_STEPS else 0.05
        channel.tell("Step", step_idx=self._steps, prs=[sure] * 4, buffered_pcm=len(channel.pcm))
        return told

    def _tell_word(self, channel: _Channel, word: Word) -> bool:
        if self.mute:
            return False
        if channel.unended:
            channel.tell("EndWord", stop_time=round(word.start / STEP_SECONDS) * STEP_SECONDS)
        channel.tell("Word", text=word.text.strip(), start_time=round(word.start / STEP_SECONDS) * STEP_SECONDS)
        channel.unended = True
        at = asyncio.get_running_loop().time()
        self.said.append(Said(channel.number, word.text.strip(), word.start, at))
        return True

    def _return_markers(self) -> None:
        for marker in [one for one in self._markers if one[0] <= self._steps]:
            self._markers.remove(marker)
            marker[1].tell("Marker", id=marker[2])


@asynccontextmanager
async def kyutai_server(script: NewScript, **more: Any) -> AsyncIterator[KyutaiServer]:
    """On a free port; ``more`` are fields of ``KyutaiServer``."""
    server = KyutaiServer(script, **more)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()

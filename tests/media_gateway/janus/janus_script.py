"""A Janus that says what a test wants, on a WebSocket of this machine; for the logic around the real one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from media_gateway.janus import JanusServer

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


@dataclass
class ScriptedJanus:
    """``answer`` answers requests to the plugin by its data, or not at all; ``asked`` is everything that came."""

    answer: Answer = lambda body: {}
    core: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda message: None
    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[ServerConnection] = field(default_factory=list)

    @property
    def server(self) -> JanusServer:
        return JanusServer(f"ws://127.0.0.1:{self.port}")

    async def serve(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        try:
            async for text in socket:
                message = json.loads(text)
                self.asked.append(message)
                for answer in self._answers(message):
                    await socket.send(answer if isinstance(answer, str) else json.dumps(answer))
        except ConnectionClosed:
            return

    async def tell(self, **message: Any) -> None:
        """Says something to whoever is connected."""
        for socket in self.sockets:
            await socket.send(json.dumps(message))

    def count(self, janus: str) -> int:
        return sum(message["janus"] == janus for message in self.asked)

    def _answers(self, message: dict[str, Any]) -> list[dict[str, Any] | str]:
        known = {"transaction": message["transaction"]}
        if (instead := self.core(message)) is not None:
            return [known | instead]
        match message["janus"]:
            case "create":
                return [{"janus": "success", "data": {"id": 1}} | known]
            case "attach":
                return ["no JSON", {"janus": "success", "session_id": 1, "data": {"id": 5}} | known]
            case "message":
                ack = {"janus": "ack", "session_id": 1} | known
                data = self.answer(message["body"])
                event = {"janus": "event", "sender": 5, "plugindata": {"data": data}}
                return [ack] if data is None else [ack, event | known]
            case "detach":
                return [{"janus": "success", "session_id": 1} | known]
        return [{"janus": "ack"} | known]


@asynccontextmanager
async def scripted_janus(answer: Answer | None = None) -> AsyncIterator[ScriptedJanus]:
    janus = ScriptedJanus() if answer is None else ScriptedJanus(answer)
    async with serve(janus.serve, "127.0.0.1", 0, subprotocols=[Subprotocol("janus-protocol")]) as listening:
        janus.port = next(iter(listening.sockets)).getsockname()[1]
        yield janus


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.01)

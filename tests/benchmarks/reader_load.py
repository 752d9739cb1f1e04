"""A thousand readers of one meeting: how late events reach them, and what that costs the server's process.

The server runs in a process of its own with everything but a model; events are published straight into the meeting's
feed, five a second, as large as captions are. Readers live here, on raw sockets, so that they cost little themselves.
"""

import asyncio
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

READERS = 1000
EVENTS_PER_SECOND = 5.0
SECONDS = 20.0
_STAMP = re.compile(rb'"stamp":([0-9.]+)')
_HELLO = "\r\n".join(
    (
        "GET {path} HTTP/1.1",
        "Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "",
        "",
    )
)
"""RFC 6455, section 4.1."""


@dataclass(frozen=True, slots=True)
class ReaderLoad:
    """``late_95`` seconds from publishing to the reader; ``cores`` that the server's process used meanwhile."""

    readers: int
    events: int
    expected: int
    late_50: float
    late_95: float
    late_most: float
    cores: float


@dataclass(slots=True)
class _Readers:
    late: list[float] = field(default_factory=list)
    opened: int = 0
    counting: bool = False


class _Reader(asyncio.Protocol):
    """Speaks as much of RFC 6455 as a silent reader must."""

    def __init__(self, readers: _Readers, hello: bytes) -> None:
        self._readers = readers
        self._hello = hello

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._hello)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:  # the name is asyncio's
        now = time.monotonic()
        if data.startswith(b"HTTP/1.1 101"):
            self._readers.opened += 1
        if self._readers.counting:
            self._readers.late += [now - float(stamp) for stamp in _STAMP.findall(data)]


def measure(readers: int = READERS, seconds: float = SECONDS, ws: str = "") -> ReaderLoad:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.reader_load", "serve", folder, ws]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                port, path = server.stdout.readline().split()
                return asyncio.run(_read(int(port), path, readers, seconds, psutil.Process(server.pid)))
            finally:
                server.kill()


async def _read(port: int, path: str, count: int, seconds: float, server: psutil.Process) -> ReaderLoad:
    readers = _Readers()
    hello = _HELLO.format(path=path, host=f"localhost:{port}").encode()
    loop = asyncio.get_running_loop()
    transports = []
    for _ in range(count):
        transport, _protocol = await loop.create_connection(lambda: _Reader(readers, hello), "127.0.0.1", port)
        transports.append(transport)
    while readers.opened < count:  # noqa: ASYNC110 - a measurement
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)
    readers.counting = True
    before, began = server.cpu_times(), time.monotonic()
    await asyncio.sleep(seconds)
    after, took = server.cpu_times(), time.monotonic() - began
    readers.counting = False
    for transport in transports:
        transport.close()
    late = sorted(readers.late)
    used = (after.user + after.system) - (before.user + before.system)
    return ReaderLoad(
        readers=count,
        events=len(late),
        expected=round(count * EVENTS_PER_SECOND * took),
        late_50=late[len(late) // 2],
        late_95=late[int(len(late) * 0.95)],
        late_most=late[-1],
        cores=used / took,
    )


async def _serve(folder: Path, ws: str) -> None:
    """Prints the port and the address of the captions, then publishes for ever."""
    from api.access import Access
    from api.server import HouseServer
    from api.tokens import Can, Token
    from pipeline.domain import Meeting, MeetingId
    from tests.houses import scripted_house

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    async with scripted_house(folder) as house:
        access: Access = house.access
        meeting = MeetingId("load")
        await house.store.create_meeting(Meeting(meeting, "load", time.time()))
        server = HouseServer(house, "nowhere", None, opens=False)
        if ws:
            server.config.ws = ws
        sys.stdout, stdout = sys.stderr, sys.stdout
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.05)
        token, _ = access.issue(Token(meeting, frozenset({Can.READ})))
        running = await house.meetings.of(meeting)
        path = f"/api/v1/meetings/{meeting}/captions.ws?token={token}"
        print(listener.getsockname()[1], path, file=stdout, flush=True)
        number, began = 0, time.monotonic()
        words = [{"text": " caption", "start": 1.0, "end": 1.5, "confidence": 0.9}] * 12
        while not serving.done():
            number += 1
            event = {
                "type": "caption",
                "meeting": meeting,
                "sent_at": running.now(),
                "stamp": time.monotonic(),
                "utterance": f"load#{number // 10}",
                "revision": number % 10,
                "final": number % 10 == 9,
                "committed": " caption" * 12,
                "tail": " and what may change",
                "words": words,
                "lag": 0.3,
            }
            running.feed.publish(event, f"load#{number // 10}")
            await asyncio.sleep(max(0.0, began + number / EVENTS_PER_SECOND - time.monotonic()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        import uvloop

        uvloop.run(_serve(Path(sys.argv[2]), sys.argv[3]))
    else:
        print(measure(ws=sys.argv[1] if len(sys.argv) > 1 else ""))

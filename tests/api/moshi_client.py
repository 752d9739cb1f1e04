"""A client of the moshi dialect, for tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import numpy as np
import soxr
import websockets

from pipeline.domain import SAMPLE_RATE, Samples

RATE = 24_000
FRAME = 1_920


def audio_messages(sound: Samples, frame: int = FRAME) -> list[bytes]:
    """Sound of 16 kHz as the agent of Visio sends it: 80 ms a message, single floats."""
    pcm = soxr.resample(sound.astype(np.float32) / 32768, SAMPLE_RATE, RATE)
    pieces = [pcm[begin : begin + frame] for begin in range(0, len(pcm), frame)]
    return [packed(type="Audio", pcm=piece.tolist()) for piece in pieces]


def packed(**message: Any) -> bytes:
    content: bytes = msgpack.packb(message, use_single_float=True)
    return content


class MoshiClient:
    """Reads from the beginning on; ``heard`` holds every message that came."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self._changed = asyncio.Condition()
        self.reading = asyncio.create_task(self._read())

    async def send(self, *messages: bytes, pace: float = 0.0) -> None:
        for message in messages:
            await self.socket.send(message)
            await asyncio.sleep(pace)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["type"] == kind]

    @property
    def text(self) -> str:
        return " ".join(word["text"] for word in self.of("Word"))

    async def until(self, kind: str, count: int = 1, seconds: float = 30.0) -> dict[str, Any]:
        """The message of that type that makes ``count`` of them."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: len(self.of(kind)) >= count or self.closed)
        assert len(self.of(kind)) >= count, (self.closed, self.heard[-3:])
        return self.of(kind)[count - 1]

    async def until_closed(self, seconds: float = 30.0) -> tuple[int, str]:
        async with asyncio.timeout(seconds):
            await self.reading
        assert self.closed is not None
        return self.closed

    async def _read(self) -> None:
        try:
            while True:
                await self._told(msgpack.unpackb(await self.socket.recv()))
        except websockets.ConnectionClosed as error:
            async with self._changed:
                self.closed = (error.rcvd.code, error.rcvd.reason) if error.rcvd else (1006, "")
                self._changed.notify_all()

    async def _told(self, message: dict[str, Any]) -> None:
        async with self._changed:
            self.heard.append(message)
            self._changed.notify_all()


@asynccontextmanager
async def moshi_client(url: str, key: str, **more: Any) -> AsyncIterator[MoshiClient]:
    """``url`` is that of the server, with ``ws``."""
    address = f"{url}/api/asr-streaming"
    async with websockets.connect(address, additional_headers={"kyutai-api-key": key}, proxy=None, **more) as socket:
        client = MoshiClient(socket)
        try:
            yield client
        finally:
            client.reading.cancel()
            await asyncio.gather(client.reading, return_exceptions=True)

"""A proxy of TCP that makes trouble: it delays, truncates and cuts what goes through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_CHUNK = 65_536


@dataclass(slots=True)
class Proxy:
    """Each connection goes to ``port``; what comes back from there is passed on ``delay`` seconds later."""

    port: int
    delay: float = 0.0
    listens_at: int = 0
    taken: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _truncating: bool = False

    def cut(self) -> int:
        """Breaks all connections on both sides; how many there were."""
        broken = len(self._open) // 2
        for writer in self._open:
            writer.transport.abort()
        return broken

    def truncate(self) -> None:
        """Half of what comes back next is passed on, then its connection breaks."""
        self._truncating = True

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            self.taken += 1
            both = {writer, back}
            self._open |= both
            try:
                ways = [asyncio.create_task(self._pass(reader, back)), asyncio.create_task(self._return(there, writer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
            finally:
                self._open -= both
                for each in both:
                    each.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(_CHUNK):
            writer.write(content)
            await writer.drain()

    async def _return(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In order, each piece ``delay`` after it came: as much is held as comes in that time."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def pass_on() -> None:
            while True:
                at, content = await held.get()
                await asyncio.sleep(max(0.0, at + self.delay - loop.time()))
                if self._truncating:
                    self._truncating = False
                    writer.write(content[: len(content) // 2])
                    await writer.drain()
                    writer.transport.abort()
                    return
                writer.write(content)
                await writer.drain()

        passing = asyncio.create_task(pass_on())
        try:
            while not passing.done() and (content := await reader.read(_CHUNK)):
                held.put_nowait((loop.time(), content))
        finally:
            passing.cancel()
            await asyncio.gather(passing, return_exceptions=True)


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    server = await asyncio.start_server(proxy.take, "127.0.0.1", 0)
    proxy.listens_at = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await server.wait_closed()

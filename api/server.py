"""The server of a process: uvicorn around its application, from the first line on the terminal to the last."""

import asyncio
import logging
import signal
import socket
import webbrowser
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.access import is_loopback
from api.app import create_app, wind_down
from api.house import House
from api.roles import Role

_log = logging.getLogger("greffier.server")

_GOODBYE = 1
"""Seconds for answers under way once meetings have their finals."""
_LARGEST_MESSAGE = 1024 * 1024


def run(
    opening: AbstractAsyncContextManager[House], listener: socket.socket, host: str, *, opens: bool = False
) -> None:
    """Serves on ``listener`` until SIGTERM or SIGINT; another one ends it at once."""

    async def serving() -> None:
        async with opening as house:
            key = None if house.role is Role.GATEWAY else await house.access.first_key()
            await HouseServer(house, address_of(listener, host), key, opens=opens).serve([listener])

    run_loop(serving())


def run_loop(serving: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


def address_of(listener: socket.socket, host: str) -> str:
    port = listener.getsockname()[1]
    if is_loopback(host):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _AbortableProtocol(HttpToolsProtocol):
    """Gives the application ``state.abort``: lets go of a peer that takes nothing, and of what waits for it.

    Closing would wait until everything was taken. Sockets are upgraded from here and inherit it.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.app_state = {**self.app_state, "abort": self._abort}

    def _abort(self) -> None:
        self.transport.abort()


class ProcessServer(uvicorn.Server):
    """uvicorn, which says where it is once it listens, and stops when ``stop`` has done what is to come first."""

    def __init__(
        self, app: FastAPI, address: str, stop: Callable[[], Awaitable[None]], key: str | None = None, *, opens: bool
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="on",
                http=_AbortableProtocol,
                ws="websockets-sansio",  # a tenth cheaper than "websockets" for a thousand readers, which goes away
                ws_ping_timeout=300.0,  # an answer stands behind the sound that its client sent ahead of time
                ws_per_message_deflate=False,  # a caption is short, and a thousand readers are many
                ws_max_size=_LARGEST_MESSAGE,
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=_GOODBYE,
            )
        )
        self._stop = stop
        self._address = address
        self._key = key
        self._opens = opens

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals stop the server; unlike uvicorn's own, they do not kill the process after it has stopped well."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"Greffier listens on {self._address}", flush=True)
        if self._key is not None:
            print(f"API key for everything, shown once: {self._key}", flush=True)
        _log.info("server.started", extra={"address": self._address})
        if self._opens:
            await asyncio.to_thread(webbrowser.open, self._address)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _log.info("server.stopping")
        for server in self.servers:
            server.close()  # nobody new comes in
        await self._stop()
        await super().shutdown(sockets)
        _log.info("server.stopped")


class HouseServer(ProcessServer):
    """Of a process that serves people; it stops when meetings have their finals."""

    def __init__(self, house: House, address: str, key: str | None, *, opens: bool) -> None:
        super().__init__(create_app(house), address, lambda: wind_down(house), key, opens=opens)

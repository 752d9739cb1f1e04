"""``greffier serve``: the whole product in one process."""

import argparse
import asyncio
import logging
import socket
import sys
import webbrowser
from dataclasses import replace

import uvicorn

from api.access import is_loopback
from api.app import create_app, wind_down
from api.house import House
from api.logs import set_up_logs
from api.opening import open_house
from api.output import fetch_progress
from api.settings import Settings
from api.wiring import recognition
from pipeline.errors import InvalidSetting

_log = logging.getLogger("greffier.server")

_GOODBYE = 1
"""Seconds for answers under way once meetings have their finals."""
_LARGEST_MESSAGE = 1024 * 1024
_BACKLOG = 2048


def serve(arguments: argparse.Namespace, settings: Settings) -> int:
    settings = replace(
        settings,
        host=settings.host if arguments.host is None else arguments.host,
        port=settings.port if arguments.port is None else arguments.port,
    )
    set_up_logs()
    with listening(settings.host, settings.port) as listener:
        address = address_of(listener, settings.host)
        engine = recognition(settings, fetch_progress)

        async def run() -> None:
            async with open_house(settings, engine) as house:
                key = await house.access.first_key()
                server = _Server(house, address, key, opens=arguments.open)
                await server.serve([listener])

        with asyncio.Runner(loop_factory=_loop_factory) as runner:
            runner.run(run())
    return 0


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that whatever is wrong with the address is said before the model is loaded."""
    try:
        family, kind, _, _, bound = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(bound)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidSetting(
            f"the server cannot listen on {host}, port {port}: {reason}; choose others with --host and --port, "
            "or GREFFIER_HOST and GREFFIER_PORT"
        ) from error
    return listener


def address_of(listener: socket.socket, host: str) -> str:
    port = listener.getsockname()[1]
    if is_loopback(host):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, which says where it is once it listens, and stops when meetings have their finals."""

    def __init__(self, house: House, address: str, key: str | None, *, opens: bool) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(house),
                lifespan="on",
                ws="websockets-sansio",
                ws_per_message_deflate=False,  # a caption is short, and a thousand readers are many
                ws_max_size=_LARGEST_MESSAGE,
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=_GOODBYE,
            )
        )
        self._house = house
        self._address = address
        self._key = key
        self._opens = opens

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
        await wind_down(self._house)
        await super().shutdown(sockets)
        _log.info("server.stopped")


def _loop_factory() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()

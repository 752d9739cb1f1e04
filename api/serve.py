"""``greffier serve``: the whole product in one process."""

import argparse
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from api.logs import set_up_logs
from api.output import fetch_progress
from api.settings import Settings
from api.wiring import recognition
from pipeline.errors import InvalidSetting

_BACKLOG = 2048


def serve(arguments: argparse.Namespace, settings: Settings) -> int:
    settings = replace(
        settings,
        host=settings.host if arguments.host is None else arguments.host,
        port=settings.port if arguments.port is None else arguments.port,
    )
    set_up_logs()
    with listening(settings.host, settings.port) as listener, ThreadPoolExecutor(1, "engine") as loading:
        # The model is read while the rest of the server is imported: each takes a second, and both hold up the start.
        engine = loading.submit(recognition, settings, fetch_progress)
        from api.server import run

        run(settings, engine.result(), listener, opens=arguments.open)
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

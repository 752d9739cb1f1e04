"""Commands that run as servers: ``greffier serve`` does all in one process, the others share meetings with more."""

import argparse
import logging
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from api.logs import set_up_logs
from api.output import fetch_progress
from api.roles import Role, process_name
from api.settings import Settings, for_many_processes
from pipeline.errors import InvalidSetting

_log = logging.getLogger("greffier.server")

_BACKLOG = 2048


def serve(arguments: argparse.Namespace, settings: Settings) -> int:
    """The whole product."""
    settings = _at(arguments, settings)
    set_up_logs()
    with listening(settings.host, settings.port) as listener, ThreadPoolExecutor(1, "engine") as loading:
        from api.wiring import recognition

        # The model is read while the rest of the server is imported: each takes a second, and both hold up the start.
        engine = loading.submit(recognition, settings, _progress)
        from api.opening import open_house
        from api.server import run

        run(open_house(settings, engine.result()), listener, settings.host, opens=arguments.open)
    return 0


def gateway(arguments: argparse.Namespace, settings: Settings) -> int:
    """Takes sound, and sends speech to workers."""
    return _share(arguments, settings, Role.GATEWAY)


def api(arguments: argparse.Namespace, settings: Settings) -> int:
    """Pages, captions for readers and everything that is asked over HTTP."""
    return _share(arguments, settings, Role.API)


def worker(arguments: argparse.Namespace, settings: Settings) -> int:
    """Recognises what is said in meetings (``live``), or recordings (``batch``)."""
    settings = _at(arguments, settings)
    for_many_processes(settings, signs=False)
    with _process(Role.WORKER, settings) as (name, listener), ThreadPoolExecutor(1, "engine") as loading:
        from api.wiring import recognition

        engine = loading.submit(recognition, settings, _progress)
        from api.working import run_worker

        run_worker(settings, engine.result(), arguments.queues, name, listener)
    return 0


def _share(arguments: argparse.Namespace, settings: Settings, role: Role) -> int:
    settings = _at(arguments, settings)
    for_many_processes(settings, signs=True)
    with _process(role, settings) as (name, listener):
        from api.server import run
        from api.sharing import open_shared_house

        run(open_shared_house(settings, role, name), listener, settings.host)
    return 0


@contextmanager
def _process(role: Role, settings: Settings) -> Iterator[tuple[str, socket.socket]]:
    name = process_name(role)
    set_up_logs(role=role, process=name)
    with listening(settings.host, settings.port) as listener:
        yield name, listener


def _progress(what: str, done: int, total: int) -> None:
    """What the start waits for: a bar on a terminal, else a line in the log."""
    if sys.stderr.isatty():
        fetch_progress(what, done, total)
    elif not done:
        _log.info("model.awaited", extra={"what": what})


def _at(arguments: argparse.Namespace, settings: Settings) -> Settings:
    return replace(
        settings,
        host=settings.host if arguments.host is None else arguments.host,
        port=settings.port if arguments.port is None else arguments.port,
    )


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

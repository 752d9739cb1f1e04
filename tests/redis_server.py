"""A real redis-server on this machine, in a folder of its own, that may be stopped, killed, paused and started at its
port, with what it kept or without."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.server_process import WAIT, ServerProcess, started


def _binary() -> str:
    """Debian's; without it a laptop skips and CI fails."""
    found = shutil.which("redis-server")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("there is no redis-server: CI needs Debian's redis-server, which .ci/services installs")
        pytest.skip("redis-server is not on this machine: make services installs it")
    return found


@dataclass(slots=True)
class RedisServer(ServerProcess):
    """Keeps nothing over a restart unless ``keeps`` (an append-only file, synced at every write)."""

    binary: str
    keeps: bool = False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def connect(self) -> Redis:
        """A client beside what is tested, that gives bytes; whoever takes it closes it (``with``)."""
        return Redis.from_url(self.url, socket_timeout=WAIT)

    def stop(self) -> None:
        """In order: what is to be kept is kept."""
        self.end(signal.SIGTERM)

    def restart(self) -> None:
        """Killed, and back at its port; empty unless it ``keeps``."""
        self.kill()
        self.start()

    def empty(self) -> None:
        with self.connect() as client:
            client.flushall()

    def command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if self.keeps else "no",
            "appendfsync": "always",
        }
        return [self.binary, *(part for name, value in options.items() for part in (f"--{name}", value))]

    def answers(self) -> bool:
        with suppress(RedisError), self.connect() as client:
            return bool(client.ping())
        return False


@contextmanager
def running_redis(*, keeps: bool = False) -> Iterator[RedisServer]:
    """A server of its own, started, and gone in the end with all it kept."""
    binary = _binary()
    with (
        tempfile.TemporaryDirectory(prefix="greffier-redis-") as folder,
        started(RedisServer(Path(folder), binary, keeps)) as server,
    ):
        yield server

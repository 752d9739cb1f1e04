"""A real redis-server on this machine, in a folder of its own, that may be stopped, killed, paused and started at its
port, with what it kept or without."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

WAIT = 30.0


def _binary() -> str:
    """Debian's; without it a laptop skips and CI fails."""
    found = shutil.which("redis-server")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("there is no redis-server: CI needs Debian's redis-server, which .ci/services installs")
        pytest.skip("redis-server is not on this machine: make services installs it")
    return found


@dataclass(slots=True)
class RedisServer:
    """Keeps nothing over a restart unless ``keeps`` (an append-only file, synced at every write)."""

    folder: Path
    binary: str
    keeps: bool = False
    port: int = 0
    running: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def connect(self) -> Redis:
        """A client beside what is tested, that gives bytes; whoever takes it closes it (``with``)."""
        return Redis.from_url(self.url, socket_timeout=WAIT)

    def start(self) -> None:
        """Returns once it answers, at the port it had. In an event loop: ``await asyncio.to_thread(server.start)``."""
        until, chosen = time.monotonic() + WAIT, self.port
        while not self._started(chosen or free_port()):
            assert time.monotonic() < until, f"redis-server does not answer: {self.log()[-2000:]}"

    def stop(self) -> None:
        """In order: what is to be kept is kept."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Killed, and back at its port; empty unless it ``keeps``."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """It takes connections and says nothing until ``resume``."""
        assert self.running is not None
        self.running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        with self.connect() as client:
            client.flushall()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _end(self, how: signal.Signals) -> None:
        assert self.running is not None
        self.running.send_signal(how)
        self.running.send_signal(signal.SIGCONT)
        self.running.wait(WAIT)
        self.running = None

    def _started(self, port: int) -> bool:
        self.port = port
        options = {
            "port": str(port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if self.keeps else "no",
            "appendfsync": "always",
        }
        with (self.folder / "log").open("ab") as log:
            arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
            self.running = subprocess.Popen([self.binary, *arguments], stdout=log, stderr=log, cwd=self.folder)
        until = time.monotonic() + WAIT
        while self.running.poll() is None and time.monotonic() < until:
            with suppress(RedisError), self.connect() as client:
                client.ping()
                return True
            time.sleep(0.02)
        self._end(signal.SIGKILL)
        return False


@contextmanager
def running_redis(*, keeps: bool = False) -> Iterator[RedisServer]:
    """A server of its own, started, and gone in the end with all it kept."""
    binary = _binary()
    with tempfile.TemporaryDirectory(prefix="greffier-redis-") as folder:
        server = RedisServer(Path(folder), binary, keeps)
        server.start()
        try:
            yield server
        finally:
            if server.running is not None:
                server.kill()


def free_port() -> int:
    """None that outgoing connections get while the server is away, which Linux takes from 32768 on."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port

"""Servers of others that tests start as processes: they may be killed, paused, and started again at their port."""

import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

WAIT = 30.0
_START_S = 60.0
"""A new server may take so long on a busy machine."""


@dataclass(slots=True)
class ServerProcess(ABC):
    """Its log is in ``folder``. What is one says by which ``command`` it is started, and whether it ``answers``."""

    folder: Path
    port: int = field(default=0, kw_only=True)
    running: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What starts it at ``port``; prepares what it needs."""

    @abstractmethod
    def answers(self) -> bool: ...

    def start(self) -> None:
        """Returns once it answers, at the port it had. In an event loop: ``await asyncio.to_thread(server.start)``."""
        until, chosen = time.monotonic() + _START_S, self.port
        while not self._started(chosen or free_port()):  # somebody else may take a port meanwhile
            assert time.monotonic() < until, f"{type(self).__name__} does not answer: {self.log()[-2000:]}"

    def kill(self) -> None:
        """As when its machine fails."""
        self.end(signal.SIGKILL)

    def pause(self) -> None:
        """It takes connections, hears and says nothing until ``resume``, while its connections stand."""
        assert self.running is not None
        self.running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGCONT)

    def end(self, how: signal.Signals) -> None:
        assert self.running is not None
        if self.running.poll() is None:
            self.running.send_signal(how)
            self.resume()
        self.running.wait(WAIT)
        self.running = None

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _started(self, port: int) -> bool:
        self.port = port
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.command()
        with (self.folder / "log").open("ab") as log:
            self.running = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        until = time.monotonic() + _START_S
        while self.running.poll() is None and time.monotonic() < until:
            if self.answers():
                return True
            time.sleep(0.02)
        self.kill()
        return False


Server = TypeVar("Server", bound=ServerProcess)


@contextmanager
def started(server: Server) -> Iterator[Server]:
    """``server``, and gone in the end."""
    server.start()
    try:
        yield server
    finally:
        if server.running is not None:
            server.kill()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """None that outgoing connections get while the server is away, which Linux takes from 32768 on."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket(socket.AF_INET, kind) as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port

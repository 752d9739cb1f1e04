"""A real moshi-server on this machine, with a model that was made up; it may be killed, stopped and started again."""

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from api.settings import read_settings
from tests.kyutai.made_up_model import configuration, make_model
from tests.redis_server import free_port

VERSION = "0.6.4"
WAIT = 60.0
KEY = "a key of the tests"


def moshi_binary() -> Path:
    """What ``make kyutai-server`` builds; it may lack, on CI too."""
    return read_settings().cache / f"moshi-server-{VERSION}"


@dataclass(slots=True)
class MoshiServer:
    """``folder`` gets its configuration and log; ``sockets`` is where clients connect."""

    folder: Path
    channels: int
    port: int = 0
    running: "subprocess.Popen[bytes] | None" = None

    @property
    def sockets(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.sockets}/api/asr-streaming"

    def start(self) -> None:
        """Returns once it answers, at the port it had. In an event loop: ``await asyncio.to_thread(server.start)``."""
        binary, model = moshi_binary(), read_settings().cache / "moshi-made-up"
        make_model(model)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        config = self.folder / "config.toml"
        config.write_text(configuration(model, self.folder, KEY, self.channels))
        address = ["--addr", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "output").open("ab") as output:
            self.running = subprocess.Popen(
                [binary, "worker", "--cpu", *address, "--config", config], stdout=output, stderr=output
            )
        until = time.monotonic() + WAIT
        while not self._answers():
            assert self.running.poll() is None, self.output()[-2000:]
            assert time.monotonic() < until, f"moshi-server does not answer: {self.output()[-2000:]}"
            time.sleep(0.05)

    def _answers(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/api/build_info"
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return bool(json.load(answer))
        return False

    def kill(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGKILL)
        self.running.wait(WAIT)
        self.running = None

    def pause(self) -> None:
        """It takes connections and says nothing until ``resume``."""
        assert self.running is not None
        self.running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGCONT)

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")


@contextmanager
def moshi_server(folder: Path, channels: int = 2) -> Iterator[MoshiServer]:
    """Started, and gone in the end."""
    server = MoshiServer(folder, channels)
    server.start()
    try:
        yield server
    finally:
        if server.running is not None:
            server.kill()

"""A real livekit-server on this machine, which may be killed and started again at the same ports."""

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from api.settings import read_settings

VERSION = "1.13.5"
WAIT = 30.0
KEY = "devkey"
SECRET = "a secret of tests, of 32 characters and more"

_CONFIG = """
port: {port}
bind_addresses: ["127.0.0.1"]
rtc:
  tcp_port: {tcp_port}
  udp_port: {udp_port}
  use_external_ip: false
  node_ip: 127.0.0.1
  enable_loopback_candidate: true
  interfaces: {{ includes: [lo] }}
  stun_servers: ["127.0.0.1:9"]  # nobody: none would mean Google's
keys: {{ {key}: "{secret}" }}
logging: {{ level: debug }}
"""


def livekit_binary() -> Path:
    """What ``make services`` built; without it a laptop skips and CI fails."""
    path = read_settings().cache / "livekit-server"
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing: CI needs livekit-server, which .ci/services builds")
        pytest.skip("livekit-server is not on this machine: make services builds it")
    return path


@dataclass(slots=True)
class LiveKit:
    """``livekit-server`` with a folder for its configuration and log; ``url`` is where clients connect."""

    folder: Path
    binary: Path = field(default_factory=livekit_binary)
    key: str = KEY
    secret: str = SECRET
    port: int = 0
    url: str = ""
    running: "subprocess.Popen[bytes] | None" = None

    @property
    def http(self) -> str:
        return self.url.replace("ws://", "http://")

    def start(self) -> None:
        """Returns once it answers. In a test with an event loop: ``await asyncio.to_thread(server.start)``."""
        until = time.monotonic() + WAIT
        while not self._started():
            assert time.monotonic() < until, f"livekit-server does not answer: {self.log()[-2000:]}"
            if not self.url:
                self.port = 0  # somebody else took a port meanwhile

    def _started(self) -> bool:
        config = self.folder / "livekit.yaml"
        if not self.port:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.port, tcp_port, udp_port = _free_ports()
            ports = {"port": self.port, "tcp_port": tcp_port, "udp_port": udp_port}
            config.write_text(_CONFIG.format(**ports, key=self.key, secret=self.secret))
        with (self.folder / "log").open("ab") as log:
            self.running = subprocess.Popen([self.binary, "--config", config], stdout=log, stderr=log)
        until = time.monotonic() + WAIT
        while self.running.poll() is None and time.monotonic() < until:
            if self._answers():
                self.url = f"ws://127.0.0.1:{self.port}"
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def kill(self) -> None:
        """As when its machine fails."""
        assert self.running is not None
        self.running.kill()
        self.running.wait(WAIT)
        self.running = None

    def stop(self) -> None:
        """As a service is stopped whose operator does not wait until all rooms are empty: the first signal drains it,
        the second one ends the rooms and tells their participants that the server goes."""
        assert self.running is not None
        until = time.monotonic() + WAIT
        while self.running.poll() is None:
            assert time.monotonic() < until, f"livekit-server does not stop: {self.log()[-2000:]}"
            self.running.send_signal(signal.SIGTERM)  # two that come too fast are one
            with suppress(subprocess.TimeoutExpired):
                self.running.wait(0.1)
        self.running = None

    def pause(self) -> None:
        """It hears and answers nothing until ``resume``, while its connections stand."""
        assert self.running is not None
        self.running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGCONT)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def token(self, room: str, identity: str, name: str = "", **more: Any) -> str:
        """A token to join ``room``; ``kind`` and ``attributes`` are the participant's, the rest are further grants."""
        kind, attributes = more.pop("kind", None), more.pop("attributes", None)
        granted: dict[str, Any] = {"room_join": True, "room": room, "can_update_own_metadata": True} | more
        grants = api.VideoGrants(**granted)
        token = api.AccessToken(self.key, self.secret).with_identity(identity).with_name(name).with_grants(grants)
        if kind is not None:
            token = token.with_kind(kind)
        if attributes is not None:
            token = token.with_attributes(attributes)
        return token.to_jwt()

    def api(self) -> api.LiveKitAPI:
        """Its server API, as ``async with server.api() as livekit``."""
        return api.LiveKitAPI(self.http, self.key, self.secret)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}", timeout=WAIT) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False


@contextmanager
def running_livekit(folder: Path) -> Iterator[LiveKit]:
    """A server of its own, started, and gone in the end."""
    server = LiveKit(folder)
    server.start()
    try:
        yield server
    finally:
        if server.running is not None:
            server.kill()


def _free_ports() -> tuple[int, int, int]:
    """Two for TCP and one for UDP, all free until a moment ago; none that outgoing connections get while the server is
    away, which Linux takes from 32768 on."""
    first, second = (_free_port(socket.SOCK_STREAM) for _ in range(2))
    return first, second, _free_port(socket.SOCK_DGRAM)


def _free_port(kind: socket.SocketKind) -> int:
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket(socket.AF_INET, kind) as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port

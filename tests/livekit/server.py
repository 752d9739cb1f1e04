"""A real livekit-server on this machine, which may be killed and started again at the same ports."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from livekit import api

from api.settings import read_settings
from tests.server_process import WAIT, ServerProcess, free_port, started

VERSION = "1.13.5"
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
class LiveKit(ServerProcess):
    """``livekit-server`` with a folder for its configuration and log; ``url`` is where clients connect."""

    binary: Path = field(default_factory=livekit_binary)
    key: str = KEY
    secret: str = SECRET
    url: str = ""

    @property
    def http(self) -> str:
        return self.url.replace("ws://", "http://")

    def command(self) -> list[str | Path]:
        url, config = f"ws://127.0.0.1:{self.port}", self.folder / "livekit.yaml"
        if url != self.url:
            ports = {"tcp_port": free_port(), "udp_port": free_port(socket.SOCK_DGRAM)}
            config.write_text(_CONFIG.format(port=self.port, **ports, key=self.key, secret=self.secret))
            self.url = url
        return [self.binary, "--config", config]

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

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}", timeout=WAIT) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False


def running_livekit(folder: Path) -> AbstractContextManager[LiveKit]:
    """A server of its own, started, and gone in the end."""
    return started(LiveKit(folder))

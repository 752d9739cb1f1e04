"""A server as tests ask it: in the test's own process with its own engine, or as a process that may be killed."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from api.house import House
from api.opening import open_house
from api.serve import listening
from api.server import HouseServer, address_of
from api.settings import Settings
from api.wiring import Recognition

WAIT = 30.0
WITHOUT_VOICES = {"GREFFIER_DIARIZE_RECORDINGS": "never", "GREFFIER_SETTLE": "never"}
"""Telling voices apart loads torch, which is slow where a test asks something else."""


@dataclass(slots=True)
class Served:
    """A server in this process; ``client`` carries its key for everything."""

    url: str
    key: str
    house: House
    client: httpx2.AsyncClient


@asynccontextmanager
async def serving(recognition: Recognition, settings: Settings) -> AsyncIterator[Served]:
    """uvicorn on a free port of this machine, in the loop of the test."""
    with listening("127.0.0.1", 0) as listener:
        async with open_house(settings, recognition) as house:
            key = await house.access.first_key() or ""
            url = address_of(listener, "127.0.0.1").replace("localhost", "127.0.0.1")
            server = HouseServer(house, url, None, opens=False)
            running = asyncio.create_task(server.serve([listener]))
            try:
                async with asyncio.timeout(WAIT):
                    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
                        await asyncio.sleep(0.01)
                headers = {"Authorization": f"Bearer {key}"}
                async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=WAIT, trust_env=False) as client:
                    yield Served(url, key, house, client)
            finally:
                server.should_exit = True
                await running


@dataclass(slots=True)
class Process:
    """``greffier serve`` on ``home``, at the same port each time; its log has one JSON object a line."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    url: str = ""
    key: str = ""
    port: int = 0
    running: "subprocess.Popen[str] | None" = None
    client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=WAIT, trust_env=False, verify=False))

    def start(self) -> float:
        """Returns once it listens, after so many seconds."""
        began = time.monotonic()
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "log").open("a") as log:
            self.running = subprocess.Popen(
                [Path(sys.executable).with_name("greffier"), "serve", "--port", str(self.port)],
                env={**os.environ, **WITHOUT_VOICES, "GREFFIER_HOME": str(self.home), **self.settings},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.running.stdout is not None
        for line in self.running.stdout:
            if found := re.match(r"API key .*: (grf_\S+)", line):
                self.key = found[1]
                break
            if found := re.match(r"Greffier listens on (\S+)", line):
                self.url = found[1].replace("localhost", "127.0.0.1")
                self.port = int(self.url.rsplit(":", 1)[1])
                if self.key:
                    break
        else:
            raise AssertionError(f"greffier serve ended with {self.running.wait()}: {self.log()[-2000:]}")
        return time.monotonic() - began

    def kill(self) -> None:
        assert self.running is not None
        self.running.kill()
        self._ended()

    def stop(self) -> int:
        """As a service is stopped; its exit code."""
        assert self.running is not None
        self.running.send_signal(signal.SIGTERM)
        return self._ended()

    def _ended(self) -> int:
        assert self.running is not None
        code = self.running.wait(WAIT)
        if self.running.stdout is not None:
            self.running.stdout.close()
        self.running = None
        return code

    def log(self) -> str:
        return (self.home / "log").read_text()

    def ask(self, method: str, path: str, **given: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key}"} | given.pop("headers", {})
        return self.client.request(method, self.url + path, headers=headers, **given)


@contextmanager
def process(home: Path, **settings: str) -> Iterator[Process]:
    """A process of its own, started, and gone in the end."""
    one = Process(home, settings)
    one.start()
    try:
        yield one
    finally:
        if one.running is not None:
            one.stop()
        one.client.close()

"""The distributed mode on this machine: one Redis, one PostgreSQL, and any number of processes of each role."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from redis.exceptions import RedisError

from tests.postgresql_server import PostgreSql
from tests.redis_server import RedisServer
from tests.server_process import free_port

WAIT = 30.0
PREFIX = "greffier:"
AHEAD = 30.0
"""Seconds by which the clock of the second process of each role is ahead."""


@dataclass(slots=True, eq=False)
class Machine:
    """One process of a role; killed and started again it has the same name, port and clock."""

    name: str
    command: Sequence[str]
    folder: Path
    settings: Mapping[str, str]
    port: int
    running: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sockets(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def launch(self) -> None:
        """Returns at once; ``ready`` waits."""
        assert self.running is None
        with self.log_path.open("ab") as log:
            self.running = subprocess.Popen(
                self.command,
                env={**os.environ, **self.settings, "GREFFIER_PORT": str(self.port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ready(self) -> None:
        """Waits until it can do its work."""
        until = time.monotonic() + WAIT
        with httpx2.Client(timeout=WAIT, trust_env=False) as client:
            while time.monotonic() < until:
                assert self.running is not None
                assert self.running.poll() is None, f"{self.name} ended: {self.log()[-3000:]}"
                with suppress(httpx2.TransportError):
                    if client.get(f"{self.url}/readyz").status_code == httpx2.codes.OK:
                        return
                time.sleep(0.05)
        raise AssertionError(f"{self.name} is not ready: {self.log()[-3000:]}")

    def start(self) -> None:
        self.launch()
        self.ready()

    def kill(self) -> None:
        """As when its machine fails."""
        self._signal(signal.SIGKILL)
        self.wait()

    def pause(self) -> None:
        """It stands still until ``resume``, and so do its connections."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> int:
        """As a service is stopped; its exit code."""
        self._signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        assert self.running is not None
        try:
            code = self.running.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()
            self.running = None
            raise AssertionError(f"{self.name} does not end: {self.log()[-3000:]}") from None
        self.running = None
        return code

    def holds(self, process: str) -> bool:
        """Whether it is, or was before it was started again, the process that others know by that id."""
        return process in self.log()

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _signal(self, which: signal.Signals) -> None:
        assert self.running is not None
        self.running.send_signal(which)


@dataclass(slots=True)
class Fleet:
    """Machines by role; ``key`` opens everything. The second of each role has its clock ahead.

    ``altered`` are options of tests.faults.altered for all machines of a role.
    """

    folder: Path
    store: RedisServer
    database: PostgreSql
    database_url: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    altered: dict[str, Sequence[str]] = field(default_factory=dict)
    gateways: list[Machine] = field(default_factory=list)
    workers: list[Machine] = field(default_factory=list)
    apis: list[Machine] = field(default_factory=list)
    key: str = ""
    secret: str = field(default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        self.database_url = self.database_url or self.database.url(self.database.new_database())

    def add(self, role: str, *altered: str) -> Machine:
        """A machine of the role that is not started; ``altered`` are options of tests.faults.altered."""
        machines = {"gateway": self.gateways, "worker": self.workers, "api": self.apis}[role]
        options = (*self.altered.get(role, ()), *altered)
        command = (*program(*options), role, *(("--queues", "live") if role == "worker" else ()))
        name = f"{role}-{len(machines) + 1}"
        environment = self.environment() | {"GREFFIER_HOME": str(self.folder / name)}
        machine = Machine(name, command, self.folder, environment, free_port())
        machines.append(machine)
        return machine

    def remove(self, machine: Machine) -> None:
        if machine.running is not None:
            machine.kill()
        for machines in (self.gateways, self.workers, self.apis):
            if machine in machines:
                machines.remove(machine)

    def environment(self) -> dict[str, str]:
        return {
            "GREFFIER_REDIS_URL": self.store.url,
            "GREFFIER_DATABASE_URL": self.database_url,
            "GREFFIER_SECRET": self.secret,
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    def open(self, *, gateways: int = 2, workers: int = 2, apis: int = 2) -> None:
        """Starts everything, and makes a key."""
        for role, count in (("api", apis), ("gateway", gateways), ("worker", workers)):
            for number in range(count):
                self.add(role, *(("--ahead", f"{AHEAD:g}") if number == 1 else ()))
        self.key = self.make_key()
        for machine in self.machines:
            machine.launch()
        for machine in self.machines:
            machine.ready()

    def make_key(self) -> str:
        made = subprocess.run(
            [*program(), "keys", "add", "tests", "--scope", "admin"],
            env={**os.environ, **self.environment(), "GREFFIER_HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        return re.findall(r"grf_\S+", made.stdout)[-1]

    @property
    def machines(self) -> list[Machine]:
        return list(dict.fromkeys([*self.apis, *self.gateways, *self.workers]))

    def close(self) -> None:
        running = [machine for machine in self.machines if machine.running is not None]
        for machine in running:
            machine.resume()
            machine.kill()

    def mend(self) -> None:
        """Whatever does not run is started again."""
        for machine in (stopped := [machine for machine in self.machines if machine.running is None]):
            machine.launch()
        for machine in stopped:
            machine.ready()

    def ask(self, method: str, path: str, **given: Any) -> httpx2.Response:
        """By an API that answers."""
        until = time.monotonic() + WAIT
        with httpx2.Client(timeout=WAIT, trust_env=False) as client:
            while True:
                for machine in self.apis:
                    with suppress(httpx2.TransportError):
                        headers = {"Authorization": f"Bearer {self.key}"}
                        return client.request(method, machine.url + path, headers=headers, **given)
                assert time.monotonic() < until, "no API answers"
                time.sleep(0.1)

    def holder(self, meeting: str) -> str | None:
        """The id of the process that captions the meeting."""
        try:
            with self.store.connect() as client:
                value = client.get(f"{PREFIX}{{{meeting}}}:lease")
        except RedisError:
            return None
        return value.decode().partition("/")[0] if isinstance(value, bytes) else None

    def owner(self, meeting: str, *, but: "Machine | None" = None) -> Machine:
        """Waits for the worker that captions the meeting, and is not ``but``."""
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            process = self.holder(meeting)
            for machine in self.workers:
                if process is not None and machine is not but and machine.holds(process):
                    return machine
            time.sleep(0.05)
        raise AssertionError(f"nobody captions {meeting}: {[machine.log()[-1000:] for machine in self.workers]}")


def program(*altered: str) -> Sequence[str]:
    """What runs greffier, as it is or altered."""
    if altered:
        return (sys.executable, "-m", "tests.faults.altered", *altered)
    return (str(Path(sys.executable).with_name("greffier")),)

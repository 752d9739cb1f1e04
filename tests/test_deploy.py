"""docs/deploy.md is true: its blocks make settings, a Redis and units by which an API, a gateway and workers run."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx
import pytest

from api.cli import parser
from api.settings import for_many_processes, read_settings
from tests.deploying import DOCKER, OURS, tool
from tests.postgresql_server import PostgreSql
from tests.s3_server import BUCKET, KEY, REGION, S3, SECRET, running_s3
from tests.server_process import free_port

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
WAIT = 120.0


def blocks(kind: str = "sh") -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block(holds: str) -> str:
    (found,) = [text for text in blocks() if holds in text]
    return found


@dataclass(slots=True)
class Machine:
    """A folder in place of ``/``, where blocks of the page write."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *texts: str) -> None:
        """Commands that are for root on a machine of its own do nothing."""
        idle = 'systemctl() { :; }\nchgrp() { :; }\nchmod() { :; }\ninstall() { mkdir -p "${@: -1}"; }\n'
        script = "set -euo pipefail\n" + idle + "\n".join(texts)
        for place in ("/etc/greffier", "/etc/systemd", "/etc/redis"):
            (self.folder / place[1:]).mkdir(parents=True, exist_ok=True)
            script = script.replace(place, str(self.folder / place[1:]))
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr

    def units(self) -> dict[str, str]:
        folder = self.folder / "etc" / "systemd" / "system"
        return {path.stem.removeprefix("greffier-"): path.read_text() for path in sorted(folder.glob("*.service"))}

    def settings(self) -> dict[str, str]:
        """The file of settings as systemd reads it."""
        lines = (self.folder / "etc" / "greffier" / "greffier.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if line)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Where the blocks for every machine have run."""
    made = Machine(tmp_path_factory.mktemp("machine"))
    (made.folder / "etc" / "systemd" / "system").mkdir(parents=True)
    made.run(block("> secrets.env"), block("redis.conf"), block("greffier.env << EOF"), block("unit()"))
    return made


def command_of(unit: str) -> list[str]:
    found = re.search(r"^ExecStart=/opt/greffier/\.venv/bin/greffier (.+)$", unit, re.MULTILINE)
    assert found is not None, unit
    return shlex.split(found[1])


def test_its_settings_and_its_commands_can_be_used(machine: Machine) -> None:
    settings = read_settings(machine.settings() | {"HOME": "/var/lib/greffier"})
    assert settings.unknown == ()
    assert settings.s3 is not None
    for_many_processes(settings, signs=True)
    commands = {name: command_of(unit) for name, unit in machine.units().items()}
    assert set(commands) == {"api", "gateway", "live", "batch"}
    for command in commands.values():
        arguments = parser().parse_args(command)
        assert f"| {arguments.port} " in PAGE or f"{arguments.port} (" in PAGE, "the table of ports"


def test_systemd_takes_its_units(machine: Machine) -> None:
    analyze = tool("systemd-analyze", "systemd-analyze")
    for path in (machine.folder / "etc" / "systemd" / "system").glob("*.service"):
        path.write_text(path.read_text().replace("/opt/greffier/.venv/bin/greffier", sys.executable))
        found = subprocess.run([analyze, "verify", "--man=no", path], capture_output=True, text=True, check=False)
        path.write_text(path.read_text().replace(sys.executable, "/opt/greffier/.venv/bin/greffier"))
        assert found.stderr == "", found.stderr


def test_every_shell_block_is_one() -> None:
    for text in blocks():
        checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_caddy_takes_its_proxy_which_is_that_of_compose(tmp_path: Path) -> None:
    (given,) = blocks("caddy")
    (tmp_path / "Caddyfile").write_text(given)
    command = [tool("caddy", "caddy"), "validate", "--adapter", "caddyfile", "--config", tmp_path / "Caddyfile"]
    environment = os.environ | {"HOME": str(tmp_path)}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    (sound,) = re.findall(r"@sound path .*", given)
    assert sound in (DOCKER / "Caddyfile").read_text()
    for path in sound.split()[2:]:
        assert f"`{path}`" in PAGE


def test_every_setting_and_every_page_that_it_names_is_there() -> None:
    known = (DOCKER / "example.env").read_text()
    assert all(name in known for name in set(OURS.findall(PAGE)))
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    measures = "".join((ROOT / "api" / f"{name}.py").read_text() for name in ("measures", "metrics"))
    for name in re.findall(r"greffier_(?:load|jobs_waiting)", PAGE):
        assert f'"{name}"' in measures


@dataclass(slots=True)
class Part:
    """One process of the page, at a port that is free."""

    name: str
    port: int
    running: "subprocess.Popen[bytes]"

    async def ready(self, http: httpx.AsyncClient) -> bool:
        assert self.running.poll() is None, f"{self.name} has ended"
        try:
            return (await http.get(f"http://127.0.0.1:{self.port}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def services(machine: Machine, postgresql: PostgreSql, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of the page, with the addresses of a Redis as it says, a PostgreSQL and an S3 of this machine."""
    database = postgresql.new_database()
    given = (machine.folder / "etc" / "redis" / "redis.conf").read_text()
    password = re.search(r"^requirepass (\S+)$", given, re.MULTILINE)
    assert password is not None
    port, binary = free_port(), shutil.which("redis-server")
    assert binary is not None
    (tmp_path / "redis.conf").write_text(given.replace("10.0.0.1", "127.0.0.1") + f"port {port}\ndir {tmp_path}\n")
    with ExitStack() as stack:
        redis = stack.enter_context(subprocess.Popen([binary, tmp_path / "redis.conf"], stdout=subprocess.DEVNULL))
        stack.callback(redis.terminate)
        s3: S3 = stack.enter_context(running_s3(tmp_path / "s3"))
        yield machine.settings() | {
            "GREFFIER_REDIS_URL": machine.settings()["GREFFIER_REDIS_URL"].replace(
                "10.0.0.1:6379", f"127.0.0.1:{port}"
            ),
            "GREFFIER_DATABASE_URL": postgresql.url(database),
            "GREFFIER_S3_ENDPOINT_URL": s3.url,
            "GREFFIER_S3_BUCKET": BUCKET,
            "GREFFIER_S3_REGION": REGION,
            "GREFFIER_S3_ACCESS_KEY_ID": KEY,
            "GREFFIER_S3_SECRET_ACCESS_KEY": SECRET,
            "GREFFIER_HOST": "127.0.0.1",
        }
    postgresql.drop(database)


def logs_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text()[-1500:] for path in folder.glob("*.log")}


@pytest.mark.timeout(240)
async def test_from_nothing_to_three_workers(machine: Machine, services: dict[str, str], tmp_path: Path) -> None:
    greffier = Path(sys.executable).with_name("greffier")
    kept = ("HOME", "PATH", "XDG_CACHE_HOME", "GREFFIER_CACHE")
    environ = {name: os.environ[name] for name in kept if name in os.environ} | services

    def start(name: str, number: int = 1) -> Part:
        port, command = free_port(), command_of(machine.units()[name])
        command[command.index("--port") + 1] = str(port)
        home = {"GREFFIER_HOME": str(tmp_path / f"{name}-{number}")}
        with (tmp_path / f"{name}-{number}.log").open("wb") as log:
            return Part(name, port, subprocess.Popen([greffier, *command], env=environ | home, stdout=log, stderr=log))

    def asked(*command: str) -> str:
        done = subprocess.run(
            [greffier, *command], env=environ, capture_output=True, text=True, check=False, timeout=WAIT
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    parts: list[Part] = []
    try:
        parts += [start("api"), start("gateway"), *(start("live", number) for number in (1, 2, 3)), start("batch")]
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as http:
            until = time.monotonic() + WAIT
            waiting = list(parts)
            while waiting := [part for part in waiting if not await part.ready(http)]:
                assert time.monotonic() < until, logs_in(tmp_path)
                await asyncio.sleep(0.2)
            key = asked("keys", "add", "first key", "--scope", "admin").split()[-1]
            api = f"http://127.0.0.1:{parts[0].port}"
            made = await http.post(f"{api}/api/v1/meetings", json={}, headers={"Authorization": f"Bearer {key}"})
            assert made.status_code == 201, made.text
        told = json.loads(asked("status", "--json"))
        roles = sorted(each["role"] for each in told["processes"])
        assert roles == ["api", "gateway", "worker", "worker", "worker", "worker"]
    finally:
        for part in parts:
            part.running.send_signal(signal.SIGTERM)
        ended = [part.running.wait(60.0) for part in parts]
    assert ended == [0] * 6, logs_in(tmp_path)

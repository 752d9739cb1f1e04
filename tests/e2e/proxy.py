"""Caddy in front of a fleet, as docker/Caddyfile has it: one address for gateways and APIs."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from tests.faults.fleet import WAIT, Fleet, Machine
from tests.server_process import free_port

_CONFIG = """\
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    @sound path /whip/* /api/v1/meetings/*/audio.ws /api/v1/livekit/* /api/v1/janus/*
    reverse_proxy @sound {gateways} {{
        health_uri /readyz
        health_interval 1s
        lb_try_duration 3s
    }}
    reverse_proxy {apis} {{
        health_uri /readyz
        health_interval 1s
        lb_try_duration 3s
        flush_interval -1
    }}
}}
"""


@contextmanager
def proxied(fleet: Fleet, folder: Path) -> Iterator[str]:
    """The address of all its gateways and APIs."""
    caddy = shutil.which("caddy")
    if caddy is None:
        if os.environ.get("CI"):
            pytest.fail("caddy is missing: CI needs the packages of .ci/debian-packages.txt")
        pytest.skip("caddy is not on this machine: make services installs it")
    port = free_port()
    gateways, apis = _addresses(fleet.gateways), _addresses(fleet.apis)
    config = folder / "Caddyfile"
    config.write_text(_CONFIG.format(port=port, gateways=gateways, apis=apis))
    with (folder / "caddy.log").open("ab") as log:
        running = subprocess.Popen(
            [caddy, "run", "--adapter", "caddyfile", "--config", config],
            env={"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        address, until = f"http://127.0.0.1:{port}", time.monotonic() + WAIT
        with httpx2.Client(timeout=WAIT, trust_env=False) as client:
            while time.monotonic() < until:
                with suppress(httpx2.TransportError):
                    if client.get(f"{address}/healthz").status_code == httpx2.codes.OK:
                        break
                assert running.poll() is None, (folder / "caddy.log").read_text()[-2000:]
                time.sleep(0.05)
        yield address
    finally:
        running.terminate()
        running.wait(WAIT)


def _addresses(machines: Sequence[Machine]) -> str:
    return " ".join(machine.url.removeprefix("http://") for machine in machines)

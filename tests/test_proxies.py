"""Proxies lead every address to a process that answers it: Caddy as compose runs it, the ingresses of the chart."""

import asyncio
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx2 as httpx
from fastapi.routing import iter_route_contexts

from api.app import create_app
from api.roles import Role
from tests.deploying import DOCKER, tool
from tests.houses import scripted_house
from tests.test_helm import resources


async def addresses(folder: Path) -> dict[str, Role]:
    """An address of each route of the distributed mode, and who answers it; that of all processes is anybody's."""
    found: dict[str, set[Role]] = {}
    async with scripted_house(folder) as house:
        for role in (Role.API, Role.GATEWAY):
            house.role = role
            for route in iter_route_contexts(create_app(house).routes):
                path = re.sub(r"{\w+(:\w+)?}", "0", route.path or "")
                found.setdefault(path, set()).add(role)
    return {path: roles.pop() for path, roles in found.items() if len(roles) == 1}


@contextmanager
def answering(text: str) -> Iterator[int]:
    """A server on a port of its own that says the same to everybody."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield http.server_port
        http.shutdown()


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


async def test_caddy_leads_every_address_to_a_process_that_answers_it(tmp_path: Path) -> None:
    caddy, port = tool("caddy", "caddy"), free_port()
    with answering("api") as api, answering("gateway") as gateway:
        text = (DOCKER / "Caddyfile").read_text()
        for placed, here in (
            ("host.docker.internal:8643", f"127.0.0.1:{gateway}"),
            ("dynamic a api 8642", f"to 127.0.0.1:{api}"),
        ):
            assert placed in text
            text = text.replace(placed, here)
        (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
        environment = os.environ | {"DOMAIN": f"http://127.0.0.1:{port}", "HOME": str(tmp_path)}
        command = [caddy, "run", "--config", tmp_path / "Caddyfile", "--adapter", "caddyfile"]
        with (tmp_path / "log").open("wb") as log:
            running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220 - at once
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10.0) as http:
                until = time.monotonic() + 30.0
                while (await answer(http, "/whip/0")) != "gateway":
                    assert time.monotonic() < until, (tmp_path / "log").read_text()
                    await asyncio.sleep(0.05)
                for path, role in (await addresses(tmp_path / "house")).items():
                    assert await answer(http, path) == role.value, path
        finally:
            running.terminate()
            running.wait(30.0)


async def answer(http: httpx.AsyncClient, path: str) -> str:
    try:
        return (await http.get(path)).text
    except httpx.TransportError:
        return ""


async def test_the_ingresses_lead_every_address_to_a_process_that_answers_it(tmp_path: Path) -> None:
    made = resources()
    paths = [
        (each["path"], each["pathType"], each["backend"]["service"]["name"].removeprefix("greffier-"))
        for name, ingress in made.items()
        if name.startswith("Ingress/")
        for each in ingress["spec"]["rules"][0]["http"]["paths"]
    ]
    assert all(f"Service/greffier-{part}" in made for _, _, part in paths)

    def leads(path: str) -> str:
        """As ingress-nginx does where paths are patterns: the longest first, from the beginning of the address."""
        return next(part for start, _, part in sorted(paths, key=lambda each: -len(each[0])) if re.match(start, path))

    for path, role in (await addresses(tmp_path)).items():
        assert leads(path) == role.value, path

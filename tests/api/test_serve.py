"""``greffier serve`` as people run it: the real command, the real model, signals and kills."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx
import pytest
import websockets

import api.serve
from api.serve import listening
from api.server import address_of
from pipeline.errors import InvalidSetting

COMMAND = Path(sys.executable).with_name("greffier")


@dataclass(slots=True)
class Greffier:
    """One ``greffier serve`` after the other, in one folder."""

    home: Path
    key: str = ""
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self) -> httpx.Client:
        """A client of the server, once it says where it listens."""
        log = (self.home.parent / "log.jsonl").open("a")
        self.started.append(
            subprocess.Popen(
                [COMMAND, "serve", "--port", "0"],
                env=os.environ | {"GREFFIER_HOME": str(self.home)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        )
        log.close()
        output = self.started[-1].stdout
        assert output is not None
        address = output.readline().split()[-1]
        if not self.key:
            self.key = output.readline().split()[-1]
        return httpx.Client(base_url=address, headers={"Authorization": f"Bearer {self.key}"}, timeout=10)

    def stop(self, number: signal.Signals) -> int:
        self.started[-1].send_signal(number)
        return self.started[-1].wait(10)

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.home.parent / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def greffier_serve(tmp_path: Path, whisper_base: Path) -> Iterator[Greffier]:
    assert whisper_base
    running = Greffier(tmp_path / "home")
    yield running
    for process in running.started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def meeting_with_sample(http: httpx.Client) -> str:
    meeting: str = http.post("/api/v1/meetings", json={"title": "Sample"}).json()["id"]
    assert http.post(f"/api/v1/meetings/{meeting}/sample").status_code == 202
    return meeting


def segments(http: httpx.Client, meeting: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = http.get(f"/api/v1/meetings/{meeting}/transcript.json").json()["segments"]
    return found


async def first_final(address: str, meeting: str, key: str) -> dict[str, object]:
    url = f"{address.replace('http', 'ws')}/api/v1/meetings/{meeting}/captions.ws"
    async with websockets.connect(url, additional_headers={"Authorization": f"Bearer {key}"}) as reader:
        async with asyncio.timeout(30):
            while True:
                event: dict[str, object] = json.loads(await reader.recv())
                if event["type"] == "caption" and event["final"]:
                    return event


def test_a_killed_server_comes_back_with_its_meetings_and_all_finals(greffier_serve: Greffier) -> None:
    with greffier_serve.start() as http:
        meeting = meeting_with_sample(http)
        final = asyncio.run(first_final(str(http.base_url), meeting, greffier_serve.key))
        greffier_serve.stop(signal.SIGKILL)
    began = time.monotonic()
    with greffier_serve.start() as http:
        (listed,) = http.get("/api/v1/meetings").json()["meetings"]
        back = time.monotonic() - began
        assert (listed["id"], listed["state"]) == (meeting, "running")
        (kept, *_) = segments(http, meeting)
        assert kept["id"] == final["utterance"]
        assert kept["texts"][-1]["text"] == str(final["committed"]).strip()  # type: ignore[index]
        assert http.put(f"/api/v1/meetings/{meeting}/pause").json()["paused"] is True
    assert back < 30.0  # 3 s alone on a machine, which `make bench` measures; tests share theirs with others


def test_sigterm_keeps_what_was_just_said_and_the_next_start_shows_no_key(greffier_serve: Greffier) -> None:
    with greffier_serve.start() as http:
        meeting = meeting_with_sample(http)
        time.sleep(4.0)  # Éric is in the middle of his first sentence
        began = time.monotonic()
        assert greffier_serve.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 6.0
    with greffier_serve.start() as http:
        assert segments(http, meeting)
        greffier_serve.stop(signal.SIGTERM)
    events = [line["event"] for line in greffier_serve.log()]
    assert events.count("server.started") == events.count("server.stopped") == 2
    # The key was shown once, and is kept nowhere.
    second = greffier_serve.started[-1].stdout
    assert second is not None
    assert second.read() == ""
    secret = greffier_serve.key[-20:].encode()  # of which the last four are kept, to tell keys apart
    kept = [path for path in greffier_serve.home.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if secret in path.read_bytes()]


def test_the_log_is_json_without_names_keys_or_what_was_said(greffier_serve: Greffier) -> None:
    with greffier_serve.start() as http:
        http.post("/api/v1/meetings", json={"title": "Nobody's business"})
        http.get("/api/v1/meetings?q=secretquery")
        greffier_serve.stop(signal.SIGINT)
    lines = greffier_serve.log()
    assert {"server.started", "request.served", "server.stopped"} <= {line["event"] for line in lines}
    said = json.dumps(lines)
    assert greffier_serve.key not in said
    assert "business" not in said
    assert "secretquery" not in said


def test_a_port_that_is_taken_is_said_before_anything_is_loaded() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        began = time.monotonic()
        said = subprocess.run(
            [COMMAND, "serve", "--port", str(port)], capture_output=True, text=True, check=False, timeout=60
        )
    assert said.returncode == 64
    assert re.search(rf"cannot listen on 127.0.0.1, port {port}: .*--port", said.stderr)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("wrong", [["--port", "99999"], ["--port", "x"], ["--host", "a b"]])
def test_an_option_that_cannot_be_used_is_refused(wrong: list[str]) -> None:
    said = subprocess.run([COMMAND, "serve", *wrong], capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 2
    assert wrong[0] in said.stderr


def test_a_host_that_is_not_there_is_said() -> None:
    with pytest.raises(InvalidSetting, match="GREFFIER_HOST"):
        listening("no.such.host.invalid", 0)


def test_the_address_is_one_that_a_browser_opens() -> None:
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert address_of(listener, "127.0.0.1") == f"http://localhost:{port}"
        assert address_of(listener, "2001:db8::1") == f"http://[2001:db8::1]:{port}"


def test_what_the_start_waits_for_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "greffier")
    for done in (0, 50, 100):
        api.serve._progress("weights", done, 100)
    assert [(record.getMessage(), record.__dict__["what"]) for record in caplog.records] == [
        ("model.awaited", "weights")
    ]

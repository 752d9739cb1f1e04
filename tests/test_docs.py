"""docs/applications.md is true: every block runs, and every address, event and notice stands there."""

import os
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from api.access import Need
from api.app import create_app
from api.schema import needs_of
from media_gateway.recording import read_recording
from pipeline.access import Scope
from pipeline.domain import SAMPLE_RATE
from tests.houses import scripted_house
from tests.serving import process

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "applications.md"
ADDRESS = "http://localhost:8642"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the page, and the line that it begins on."""

    kind: str
    line: int
    text: str


def blocks() -> Iterator[Block]:
    page = PAGE.read_text()
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        yield Block(found[1], page[: found.start()].count("\n") + 1, found[2])


def speech(path: Path) -> None:
    """The first voice of the sample meeting as a WAV file."""
    sound = read_recording(ROOT / "sample" / "eric.ogg")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(sound.tobytes())


@pytest.mark.timeout(240)
@pytest.mark.skipif(shutil.which("curl") is None and "CI" not in os.environ, reason="there is no curl here")
def test_every_block_runs_and_says_what_was_said(tmp_path: Path) -> None:
    """One shell for all of them, that stops at the first command which fails; Python blocks are files it runs."""
    script = ["set -euo pipefail"]
    for block in blocks():
        assert block.kind in {"sh", "python"}, f"line {block.line}: nobody can run {block.kind}"
        if block.kind == "python":
            name = re.match(r"# (\w+\.py) ", block.text)
            assert name, f"line {block.line}: its first line must name its file"
            (tmp_path / name[1]).write_text(block.text)
        else:
            script += [f"echo 'the block on line {block.line}' >&2", block.text]
    speech(tmp_path / "speech.wav")
    with process(tmp_path / "home") as server:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GREFFIER_HOME": str(server.home),
        }
        said = subprocess.run(
            ["bash", "-c", "\n".join(script).replace(ADDRESS, server.url)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
    assert said.returncode == 0, said.stderr + said.stdout
    spoken = " je suis "  # as the voice says early on
    for name in ("captions.txt", "events.txt", "captions.vtt", "board.vtt", "board.txt", "board.json"):
        text = (tmp_path / name).read_text().replace(">", "> ")  # a cue may begin there, after its voice
        assert spoken in " ".join(text.casefold().split()), name
    assert (tmp_path / "captions.txt").read_text().startswith("Anne: ")
    assert "Bonjour à tous." not in (tmp_path / "captions.txt").read_text()
    assert "Interview: " in said.stdout


async def test_every_address_stands_in_the_page_with_what_it_needs(tmp_path: Path) -> None:
    documented = {}
    for methods, addresses, needs in re.findall(
        r"^\| ([A-Z][\w, ]+) \| (.*?) \| (.*) \|$", PAGE.read_text(), re.MULTILINE
    ):
        for method in methods.split(", "):
            documented |= {(method, path): needs for path in re.findall(r"`(/[^`]*)`", addresses)}
    there = {}
    async with scripted_house(tmp_path) as house:
        for route in iter_route_contexts(create_app(house).routes):
            if (
                getattr(route, "include_in_schema", True)
                and route.endpoint is not None
                and "." in route.endpoint.__module__
            ):
                path = re.sub(r":\w+}", "}", route.path or "")
                there |= {(method, path): needs_of(route) for method in route.methods or {"WebSocket"}}
    assert documented.keys() == there.keys()
    for address, needs in there.items():
        for need in needs & {Need.READ, Need.MEETINGS, Need.RECORDINGS, Need.METRICS, Need.RECOGNITION}:
            assert documented[address].startswith(f"`{need.value}`"), address
        assert ("token" in documented[address]) >= bool(needs & {Need.PUBLISH, Need.TAKE_PART}), address
        assert (documented[address] == "nothing") <= (not needs), address


def test_every_event_notice_and_scope_stands_in_the_page() -> None:
    page = PAGE.read_text()
    told = "".join(path.read_text() for path in (ROOT / "pipeline" / "running").glob("*.py"))
    kinds = set(re.findall(r'_event\("(\w+)"\)', told))
    codes = set(re.findall(r'notice\("(\w+)"', told)) | set(re.findall(r'return \["(\w+)"\]', told))
    codes |= set(re.findall(r'notice\("(\w+)" if .* else "(\w+)"\)', told)[0])
    elsewhere = "".join(
        path.read_text() for room in ("pipeline", "media_gateway") for path in (ROOT / room).rglob("*.py")
    )
    codes |= set(re.findall(r'\.tell(?:_unowned)?\("(\w+)"\)', elsewhere))
    assert {"caption", "snapshot", "paused", "delayed", "not_kept", "waiting", "encrypted"} <= kinds | codes
    missing = [name for name in kinds | codes | {scope.value for scope in Scope} if f"`{name}`" not in page]
    assert not missing

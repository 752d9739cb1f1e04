"""A real S3 server on this machine, versitygw, which may be killed and started again at its port."""

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

import pytest

from api.settings import S3Settings, read_settings
from pipeline.store.s3 import S3Objects

WAIT = 30.0
KEY, SECRET, REGION = "the-key-of-tests", "the secret of tests", "eu-west-2"
BUCKET = "visio-media"


def s3_binary() -> Path:
    """What ``make services`` built; without it a laptop skips and CI fails."""
    path = read_settings().cache / "versitygw"
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing: CI needs versitygw, which .ci/services builds")
        pytest.skip("versitygw is not on this machine: make services builds it")
    return path


@dataclass(slots=True)
class S3:
    """Keeps the bucket ``BUCKET`` in ``folder``; whoever signs with another secret or for another region is refused."""

    folder: Path
    binary: Path = field(default_factory=s3_binary)
    port: int = 0
    running: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> S3Settings:
        return S3Settings(self.url, BUCKET, KEY, SECRET, REGION)

    def objects(
        self,
        bucket: str = BUCKET,
        key: str = KEY,
        secret: str = SECRET,
        region: str = REGION,
        public_url: str | None = None,
    ) -> S3Objects:
        return S3Objects(self.url, bucket, key, secret, region, public_url=public_url)

    def path(self, key: str, bucket: str = BUCKET) -> Path:
        """The file that it keeps an object in."""
        return self.folder / "buckets" / bucket / key

    def start(self) -> None:
        """Returns once it answers. In a test with an event loop: ``await asyncio.to_thread(server.start)``."""
        for name in (f"buckets/{BUCKET}", "attributes", "accounts"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        until, chosen = time.monotonic() + WAIT, self.port
        while not self._started(chosen or _free_port()):
            assert time.monotonic() < until, f"versitygw does not answer: {self.log()[-2000:]}"

    def kill(self) -> None:
        """As when its machine fails."""
        assert self.running is not None
        self.running.kill()
        self.running.wait(WAIT)
        self.running = None

    def pause(self) -> None:
        """It takes connections and answers nothing until ``resume``."""
        assert self.running is not None
        self.running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.running is not None
        self.running.send_signal(signal.SIGCONT)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _started(self, port: int) -> bool:
        self.port = port
        command = [
            *(self.binary, "--port", f"127.0.0.1:{port}", "--access", KEY, "--secret", SECRET, "--region", REGION),
            *("--health", "/health", "--iam-dir", self.folder / "accounts"),
            *("posix", "--sidecar", self.folder / "attributes", self.folder / "buckets"),
        ]
        with (self.folder / "log").open("ab") as log:
            self.running = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + WAIT
        while self.running.poll() is None and time.monotonic() < until:
            if self._answers():
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=WAIT) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False


@contextmanager
def running_s3(folder: Path) -> Iterator[S3]:
    """A server of its own, started, and gone in the end."""
    server = S3(folder)
    server.start()
    try:
        yield server
    finally:
        if server.running is not None:
            server.kill()


def _free_port() -> int:
    """None that outgoing connections get while the server is away, which Linux takes from 32768 on."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as trial, suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return port

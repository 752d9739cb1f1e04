"""A real S3 server on this machine, versitygw, which may be killed and started again at its port."""

import os
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.settings import S3Settings, read_settings
from pipeline.store.s3 import S3Objects
from tests.server_process import WAIT, ServerProcess, started

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
class S3(ServerProcess):
    """Keeps the bucket ``BUCKET`` in ``folder``; whoever signs with another secret or for another region is refused."""

    binary: Path = field(default_factory=s3_binary)

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

    def command(self) -> list[str | Path]:
        for name in (f"buckets/{BUCKET}", "attributes", "accounts"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return [
            *(self.binary, "--port", f"127.0.0.1:{self.port}", "--access", KEY, "--secret", SECRET, "--region", REGION),
            *("--health", "/health", "--iam-dir", self.folder / "accounts"),
            *("posix", "--sidecar", self.folder / "attributes", self.folder / "buckets"),
        ]

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=WAIT) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False


def running_s3(folder: Path) -> AbstractContextManager[S3]:
    """A server of its own, started, and gone in the end."""
    return started(S3(folder))

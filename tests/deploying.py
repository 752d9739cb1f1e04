"""What tests of docker/ and docs/deploy.md have in common: tools of others, and settings as a process reads them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.cli import parser
from api.settings import Settings, for_many_processes, read_settings

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"
OURS = re.compile(r"\b(?:GREFFIER|LIVEKIT)_[A-Z0-9_]+\b")
"""Names of settings."""
A_SECRET = "a-secret-of-tests-that-is-as-long-as-one-must-be"


def tool(name: str, path: Path | str | None) -> str:
    """Where it is; without it a laptop skips and CI fails."""
    found = None if path is None else shutil.which(path)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs {name}: .ci/services brings it")
        pytest.skip(f"{name} is not on this machine: make services brings it")
    return found


def said(*command: str | Path, cwd: Path = ROOT, **environ: str) -> str:
    """What a program that must go well prints."""
    environment = os.environ | environ
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def settings_of(environ: dict[str, str], command: list[str]) -> Settings:
    """As a process of the distributed mode would read them, whose command line must be one."""
    arguments = parser().parse_args(command)
    assert arguments.run.__name__ in {"_gateway", "_worker", "_api"}, command
    settings = read_settings({"HOME": "/var/lib/greffier"} | environ)
    assert settings.unknown == ()
    for_many_processes(settings, signs="worker" not in command)
    return settings

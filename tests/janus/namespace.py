"""A network of its own for Janus, which takes no address of the loopback interface for media: no root, no real network.

127.0.0.53 is put on a virtual interface inside a user and network namespace; both sides find it by themselves there.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_HOUSE = Path(__file__).resolve().parents[2]
_SET_UP = (
    "ip link set lo up && ip link add jv0 type veth peer name jv1 && ip addr add 127.0.0.53/32 dev jv0"
    " && ip link set jv0 up && ip link set jv1 up && "
)
_ENTER = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c")


def needed() -> None:
    """Without Janus, or where namespaces are refused, a laptop skips and CI fails."""
    missing = [each for each in ("janus", "unshare", "ip") if shutil.which(each) is None]
    problem = f"{', '.join(missing)} missing: see .ci/debian-packages.txt" if missing else _refused()
    if problem and os.environ.get("CI"):
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)


def played(module: str, *arguments: str) -> dict[str, Any]:
    """What ``python -m module`` prints as JSON, run inside."""
    command = [*_ENTER, _SET_UP + 'exec "$@"', "sh", sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=_HOUSE, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def _refused() -> str:
    tried = subprocess.run([*_ENTER, _SET_UP + "true"], capture_output=True, text=True, timeout=30, check=False)
    return f"a network namespace is refused here: {tried.stderr.strip()}" if tried.returncode else ""

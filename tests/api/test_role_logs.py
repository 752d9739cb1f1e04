"""What a real process of the distributed mode logs, from its first line to its last."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.redis_server import RedisServer

WAIT = 30.0


def test_each_line_of_a_gateway_says_which_process_it_is(
    tmp_path: Path, redis_server: RedisServer, postgresql_url: str
) -> None:
    log = tmp_path / "log"
    settings = {
        "GREFFIER_REDIS_URL": redis_server.url,
        "GREFFIER_DATABASE_URL": postgresql_url,
        "GREFFIER_SECRET": "0123456789abcdef" * 4,
        "GREFFIER_HOME": str(tmp_path),
        "GREFFIER_PORT": "0",
    }
    with log.open("w") as errors:
        gateway = subprocess.Popen(
            [Path(sys.executable).with_name("greffier"), "gateway"],
            env=os.environ | settings,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert gateway.stdout is not None
    with gateway.stdout as said:
        assert "listens on" in said.readline()
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(WAIT) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines][-2:] == ["server.stopping", "server.stopped"]
    assert {line["role"] for line in lines} == {"gateway"}
    assert len({line["process"] for line in lines}) == 1
    assert lines[0]["process"].startswith("gateway-")
    assert settings["GREFFIER_SECRET"] not in log.read_text()
    assert postgresql_url not in log.read_text()

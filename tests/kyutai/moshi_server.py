"""A real moshi-server on this machine, with a model that was made up; it may be killed, stopped and started again."""

import json
import urllib.request
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from api.settings import read_settings
from tests.kyutai.made_up_model import configuration, make_model
from tests.server_process import ServerProcess, started

VERSION = "0.6.4"
KEY = "a key of the tests"


def moshi_binary() -> Path:
    """What ``make kyutai-server`` builds; it may lack, on CI too."""
    return read_settings().cache / f"moshi-server-{VERSION}"


@dataclass(slots=True)
class MoshiServer(ServerProcess):
    """``folder`` gets its configuration and log; ``sockets`` is where clients connect."""

    channels: int

    @property
    def sockets(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.sockets}/api/asr-streaming"

    def command(self) -> list[str | Path]:
        model, config = read_settings().cache / "moshi-made-up", self.folder / "config.toml"
        make_model(model)
        config.write_text(configuration(model, self.folder, KEY, self.channels))
        address = ["--addr", "127.0.0.1", "--port", str(self.port)]
        return [moshi_binary(), "worker", "--cpu", *address, "--config", config]

    def answers(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/api/build_info"
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return bool(json.load(answer))
        return False


def moshi_server(folder: Path, channels: int = 2) -> AbstractContextManager[MoshiServer]:
    """Started, and gone in the end."""
    return started(MoshiServer(folder, channels))

"""Debian's Janus for tests, with a configuration of its own; runs inside the network namespace of ``namespace.py``."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ADDRESS = "127.0.0.53"
"""Janus takes no address of the loopback interface for media; this one is on a veth."""

_MAIN = """
general: {{
    configs_folder = "{folder}"
    log_to_stdout = true
    debug_level = 3
    protected_folders = []
    {general}
}}
nat: {{ ice_enforce_list = "{address}", ipv6 = false {nat} }}
media: {{ rtp_port_range = "{first}-{last}", ipv6 = false }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
events: {{ broadcast = false }}
loggers: {{ disable = "libjanus_jsonlog.so" }}
"""
_SOCKETS = """
general: {{ json = "compact", ws = true, ws_port = {port}, ws_ip = "127.0.0.1", wss = false }}
admin: {{ admin_ws = false, admin_wss = false }}
"""
_OTHER_PLUGINS = "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall voicemail"
_OTHER_TRANSPORTS = "http mqtt nanomsg pfunix rabbitmq"


@dataclass
class JanusProcess:
    """``general``, ``nat`` and ``plugin`` are added to the settings, ``rooms`` are there from the start."""

    folder: Path
    port: int = 8188
    general: str = ""
    nat: str = ""
    plugin: str = ""
    rooms: dict[str, str] = field(default_factory=dict)
    _process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._configure()
        log = (self.folder / "janus.log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            *("janus", "-F", str(self.folder), "-C", str(self.folder / "janus.jcfg"), "--disable-colors"),
            stdout=log,
            stderr=log,
        )
        log.close()
        async with asyncio.timeout(30):
            while not await self._answers():
                assert self._process.returncode is None, (self.folder / "janus.log").read_text()[-2000:]
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port, family=socket.AF_INET)
            writer.close()
            await writer.wait_closed()
            return True
        return False

    def _configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        first = 20000 + (self.port - 8188) * 1000
        main = _MAIN.format(
            folder=self.folder,
            address=ADDRESS,
            first=first,
            last=first + 999,
            general=self.general,
            nat=self.nat,
            plugins=",".join(f"libjanus_{name}.so" for name in _OTHER_PLUGINS.split()),
            transports=",".join(f"libjanus_{name}.so" for name in _OTHER_TRANSPORTS.split()),
        )
        rooms = "\n".join(f"room-{name}: {{ publishers = 60\n {more} }}" for name, more in self.rooms.items())
        (self.folder / "janus.jcfg").write_text(main)
        (self.folder / "janus.transport.websockets.jcfg").write_text(_SOCKETS.format(port=self.port))
        (self.folder / "janus.plugin.videoroom.jcfg").write_text(f"general: {{ {self.plugin} }}\n{rooms}\n")


@asynccontextmanager
async def running(janus: JanusProcess) -> AsyncIterator[JanusProcess]:
    await janus.start()
    try:
        yield janus
    finally:
        await janus.kill()

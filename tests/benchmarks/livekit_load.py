"""50 people in a room of a real livekit-server, most of them silent: what the gateway beside it costs.

``python -m tests.benchmarks.livekit_load`` starts livekit-server and, in a process of its own (``host``), the whole
server with the scripted engine; the people are SDK participants of this process. Prints the figures as JSON.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvicorn
import uvloop
from livekit import api, rtc

from api.app import create_app
from api.opening import open_house
from api.settings import LiveKitSettings
from media_gateway.recording import read_recording
from models.scripted import Cost
from pipeline.domain import SAMPLE_RATE, Samples
from tests.benchmarks.corpus import load_clips
from tests.benchmarks.mixing import room_noise
from tests.benchmarks.whip_load import Chatter
from tests.houses import scripted_recognition, settings_in
from tests.livekit.people import until
from tests.livekit.server import KEY, SECRET, LiveKit, running_livekit

MUTED, NOISY, TALKING = 40, 8, 2
SECONDS = 30.0
_ROOM = "crowd"
_AGENT = "multi-user-transcriber"
_CLIPS = ("en_LJ001-0002", "en_LJ010-0008")
_SETTLE_SECONDS = 4.0
_BLOCK = SAMPLE_RATE // 20


async def host(folder: Path, livekit: LiveKitSettings) -> None:
    """Serves until its input ends."""
    recognition = scripted_recognition(Chatter(), cost=Cost(0.05, 0.01))
    async with open_house(settings_in(folder, livekit=livekit), recognition) as house:
        server = uvicorn.Server(uvicorn.Config(create_app(house), port=0, log_level="warning", access_log=False))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.05)
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.should_exit = True
        await serving


@dataclass(slots=True)
class _Attendee:
    """One of the crowd: subscribes to nobody, since what the others cost is not measured here."""

    room: rtc.Room
    source: rtc.AudioSource
    sound: Samples | None

    @classmethod
    async def join(cls, livekit: LiveKit, identity: str, sound: Samples | None) -> "_Attendee":
        room, source = rtc.Room(), rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=400)
        await room.connect(livekit.url, livekit.token(_ROOM, identity), rtc.RoomOptions(auto_subscribe=False))
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        if sound is None:
            track.mute()
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(track, options)
        return cls(room, source, sound)

    async def speak(self) -> None:
        """For ever, in real time."""
        while self.sound is not None:
            for start in range(0, len(self.sound) - _BLOCK, _BLOCK):
                block = self.sound[start : start + _BLOCK]
                await self.source.capture_frame(rtc.AudioFrame(block.tobytes(), SAMPLE_RATE, 1, len(block)))

    async def leave(self) -> None:
        await self.room.disconnect()
        await self.source.aclose()


def measure(seconds: float = SECONDS) -> tuple[str, dict[str, float]]:
    """The command and its figures: ``cores`` of the process that holds gateway, pipeline and API."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_livekit(Path(folder) / "livekit") as livekit,
        _hosted(Path(folder) / "home", livekit) as server,
    ):
        figures = uvloop.run(_measure(livekit, server, seconds))
    return "python -m tests.benchmarks.livekit_load", figures


@contextmanager
def _hosted(folder: Path, livekit: LiveKit) -> Iterator[psutil.Process]:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.benchmarks.livekit_load", "host", str(folder), livekit.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline().strip() == "ready"
        try:
            yield psutil.Process(server.pid)
        finally:
            server.communicate(timeout=30)


async def _measure(livekit: LiveKit, server: psutil.Process, seconds: float) -> dict[str, float]:
    crowd = [await _Attendee.join(livekit, f"p{number}", sound) for number, sound in enumerate(_sounds())]
    speaking = [asyncio.create_task(attendee.speak()) for attendee in crowd]
    shown: list[str] = []
    _listen(crowd[0].room, shown)
    async with livekit.api() as asked:
        await asked.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(agent_name=_AGENT, room=_ROOM))
    await until(lambda: len(set(shown)) == TALKING)
    await asyncio.sleep(_SETTLE_SECONDS)
    shown.clear()
    began, cpu = time.monotonic(), _cpu(server)
    await asyncio.sleep(seconds)
    wall, cpu = time.monotonic() - began, _cpu(server) - cpu
    figures = {
        "cores": cpu / wall,
        "participants": len(crowd),
        "captioned": len(set(shown)),
        "events_per_s": len(shown) / wall,
        "memory_mb": server.memory_info().rss / 1e6,
    }
    for task in speaking:
        task.cancel()
    await asyncio.gather(*speaking, return_exceptions=True)
    await asyncio.gather(*(attendee.leave() for attendee in crowd))
    return figures


def _sounds() -> Sequence[Samples | None]:
    voices = [read_recording(load_clips()[name].path) for name in _CLIPS]
    return [*voices, *(room_noise(20.0, seed) for seed in range(NOISY)), *([None] * MUTED)]


def _listen(room: rtc.Room, shown: list[str]) -> None:
    """Notes whose words each caption holds; the text itself is not read."""
    room.register_text_stream_handler("lk.transcription", lambda _, sender: shown.append(sender))


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    if sys.argv[1:2] == ["host"]:
        folder, url = sys.argv[2:]
        uvloop.run(host(Path(folder), LiveKitSettings(url, KEY, SECRET, collector=None)))
        return
    print(json.dumps(measure()[1], indent=1))


if __name__ == "__main__":
    main()

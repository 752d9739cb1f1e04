"""What the dialect costs beside the native path, and words through Greffier's client and dialect: Whisper recognises.

``python -m tests.benchmarks.kyutai_dialect`` prints the figures. One process (``host``) serves the same talkers by
``audio.ws``, then in the dialect; neither makes a record, which the dialect never does. Then another process hears
them, whose words come from the first one's dialect.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import msgpack
import numpy as np
import psutil
import uvicorn
import uvloop
import websockets

from api.app import create_app
from api.opening import open_house
from api.settings import read_settings
from api.wiring import recognition
from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.live.meeting import MeetingCaptioner
from pipeline.running import RunningMeetings
from tests.api.moshi_client import audio_messages, packed
from tests.benchmarks.corpus import cache_folder, clips_named
from tests.benchmarks.events import Event, TimedWord
from tests.benchmarks.latency import measure_track, percentile, with_times
from tests.benchmarks.mixing import TrackFile, read_wav, talk
from tests.benchmarks.score import Errors, score_placed
from tests.benchmarks.truth import truth_of
from tests.recordings import silence
from tests.serving import process

Figures = dict[str, float]
SECONDS = 32.0
_TALKERS = {
    "dialect-1": ("fr_ibm_udhr1", "fr_cv_17301936", "fr_pv_leopard"),
    "dialect-2": ("en_libri_1088", "en_LJ010-0008", "en_pv_quilter"),
    "dialect-3": ("en_jfk", "en_neutts_dave", "en_LJ050-0131"),
}
_BLOCK = 1_280
_AFTER = 2.0
"""Seconds of silence after what is said, so that its last words come in each of the ways."""

Heard = list[tuple[float, str]]
"""Committed words with their moments, in seconds since the first sample was sent."""


def measure() -> tuple[str, Figures]:
    """The command and its figures."""
    tracks = [talk(clips_named(clips), SECONDS, name) for name, clips in _TALKERS.items()]
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder, _hosted(Path(folder) / "host") as host:
        native = _taken(host, tracks, _by_audio_ws)
        dialect = _taken(host, tracks, _by_dialect)
        settings = {"GREFFIER_KYUTAI_URLS": host.dialect, "GREFFIER_KYUTAI_KEY": host.key}
        with process(Path(folder) / "client", **settings) as server:
            assert server.running is not None
            client = _taken(_Host(server.url, server.key, server.running.pid), tracks, _by_audio_ws)
    figures = {"talkers": len(tracks), "seconds": SECONDS}
    for name, way in (("native", native), ("dialect", dialect), ("client", client)):
        figures |= way.figures(name, tracks)
    figures["dialect_over_native"] = dialect.cpu / native.cpu
    return "python -m tests.benchmarks.kyutai_dialect", figures


@dataclass(frozen=True, slots=True)
class _Taken:
    """What came of the talkers, and the CPU seconds of the process that heard them."""

    heard: Sequence[Heard]
    cpu: float

    def figures(self, way: str, tracks: Sequence[TrackFile]) -> Figures:
        errors, late = Errors(), list[float]()
        for track, heard in zip(tracks, self.heard, strict=True):
            truth = truth_of(track)
            timed = with_times([text for _, text in heard], truth)
            errors += sum(score_placed(track.first_times(), timed).values(), Errors())
            late += measure_track(_as_events(heard, timed), truth).committed
        return {
            f"cpu_per_talker_{way}": self.cpu / len(tracks) / SECONDS,
            f"wer_{way}": errors.rate,
            f"words_{way}": errors.words,
            f"commit_p50_{way}": percentile(late, 50),
            f"commit_p95_{way}": percentile(late, 95),
        }


def _as_events(heard: Heard, timed: Sequence[TimedWord]) -> list[Event]:
    """One utterance that grows by a word each time."""
    events = []
    for place, (at, _) in enumerate(heard, start=1):
        words = tuple(timed[:place])
        text = "".join(word.text for word in words)
        events.append(Event(at, "heard", "all", place, place == len(heard), "", text, "", words))
    return events


def _taken(host: "_Host", tracks: Sequence[TrackFile], way: "_Way") -> _Taken:
    async def all_at_once() -> list[Heard]:
        return await asyncio.gather(*(way(host, track) for track in tracks))

    before = host.cpu
    heard = uvloop.run(all_at_once())
    return _Taken(heard, host.cpu - before)


# --- the ways ----------------------------------------------------------------------------------------------


async def _by_audio_ws(host: "_Host", track: TrackFile) -> Heard:
    """In a meeting of its own."""
    headers = {"Authorization": f"Bearer {host.key}"}
    async with httpx.AsyncClient(base_url=host.url, headers=headers, trust_env=False, timeout=30.0) as http:
        meeting = f"/api/v1/meetings/{(await http.post('/api/v1/meetings', json={})).json()['id']}"

        async def token(mode: str) -> str:
            answer = await http.post(f"{meeting}/participants", json={"name": mode, "mode": mode})
            return str(answer.json()["token"])

        loop = asyncio.get_running_loop()
        reader = websockets.connect(f"{host.sockets}{meeting}/captions.ws?token={await token('read')}", proxy=None)
        talker = websockets.connect(f"{host.sockets}{meeting}/audio.ws", proxy=None)
        async with reader as captions, talker as socket:
            await socket.send(json.dumps({"token": await token("publish"), "codec": "pcm16", "sample_rate": 16_000}))
            await socket.recv()
            heard: Heard = []
            reading = asyncio.create_task(_read_captions(captions, heard, loop.time()))
            await _at_its_pace(track, socket.send, lambda piece: piece.tobytes())
            await socket.close()
            await http.post(f"{meeting}/end")
            await asyncio.wait([reading], timeout=20.0)
            reading.cancel()
    return heard


async def _read_captions(socket: Any, heard: Heard, began: float) -> None:
    known: dict[str, int] = {}
    with suppress(websockets.ConnectionClosed):
        async for message in socket:
            event = json.loads(message)
            if event["type"] == "caption":
                words = event["words"][known.get(event["utterance"], 0) :]
                known[event["utterance"]] = len(event["words"])
                heard += [(asyncio.get_running_loop().time() - began, word["text"]) for word in words]


async def _by_dialect(host: "_Host", track: TrackFile) -> Heard:
    """As Visio's agent does it: all sound, silence too."""
    address = f"{host.sockets}/api/asr-streaming"
    async with websockets.connect(address, additional_headers={"kyutai-api-key": host.key}, proxy=None) as socket:
        heard: Heard = []
        marked = asyncio.Event()
        reading = asyncio.create_task(_read_words(socket, heard, asyncio.get_running_loop().time(), marked))
        await _at_its_pace(track, socket.send, lambda piece: audio_messages(piece)[0])
        await socket.send(packed(type="Marker", id=1))
        async with asyncio.timeout(20.0):
            await marked.wait()
        reading.cancel()
        await asyncio.wait([reading])
    return heard


async def _read_words(socket: Any, heard: Heard, began: float, marked: asyncio.Event) -> None:
    async for content in socket:
        message = msgpack.unpackb(content)
        if message["type"] == "Word":
            heard.append((asyncio.get_running_loop().time() - began, f" {message['text']}"))
        elif message["type"] == "Marker":
            marked.set()


async def _at_its_pace(
    track: TrackFile, send: Callable[[bytes], Awaitable[None]], packed_as: Callable[[Samples], bytes]
) -> None:
    loop = asyncio.get_running_loop()
    sound = np.concatenate([read_wav(track.path), silence(_AFTER)])
    began = loop.time()
    for begin in range(0, len(sound) - _BLOCK, _BLOCK):
        message = packed_as(sound[begin : begin + _BLOCK])
        await asyncio.sleep(max(0.0, began + (begin + _BLOCK) / SAMPLE_RATE - loop.time()))
        await send(message)


# --- the process that hears them ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Host:
    url: str
    key: str
    pid: int

    @property
    def sockets(self) -> str:
        return self.url.replace("http", "ws", 1)

    @property
    def dialect(self) -> str:
        return f"{self.sockets}/api/asr-streaming"

    @property
    def cpu(self) -> float:
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


_Way = Callable[[_Host, TrackFile], Awaitable[Heard]]


@contextmanager
def _hosted(folder: Path) -> Iterator[_Host]:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.benchmarks.kyutai_dialect", "host", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        try:
            yield _Host(**json.loads(host.stdout.readline()), pid=host.pid)
        finally:
            host.communicate(timeout=30)


async def serve(folder: Path) -> None:
    """``greffier serve`` without records, until its input ends."""
    settings = replace(read_settings(), home=folder, database_url=f"sqlite:///{folder / 'greffier.db'}")
    async with open_house(settings, recognition(settings, None)) as house:
        made = house.meetings.equipment.new_captioner

        def without_record(languages: tuple[str, ...], glossary: tuple[str, ...]) -> MeetingCaptioner:
            captioner = made(languages, glossary)
            captioner.makes_record = False
            return captioner

        house.meetings = RunningMeetings(replace(house.meetings.equipment, new_captioner=without_record))
        server = uvicorn.Server(uvicorn.Config(create_app(house), port=0, log_level="warning", access_log=False))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        print(json.dumps({"url": f"http://127.0.0.1:{port}", "key": await house.access.first_key()}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        server.should_exit = True
        await serving


def main() -> None:
    if sys.argv[1:2] == ["host"]:
        uvloop.run(serve(Path(sys.argv[2])))
        return
    print(json.dumps(measure()[1], indent=1))


if __name__ == "__main__":
    main()

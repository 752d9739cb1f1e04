"""100 browsers publish by WHIP into one process with the scripted engine: does it keep up, and on how much of a core?

``python -m tests.benchmarks.whip_load --tracks 100 --talkers 8 --seconds 30`` starts the server in a process of its own
(``host``), publishes from this one Opus that was encoded beforehand, and prints the figures as JSON.
"""

import argparse
import asyncio
import json
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
import uvloop
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from api.app import create_app
from api.house import House
from api.opening import open_house
from api.tokens import Can, Token
from media_gateway.recording import read_recording
from media_gateway.webrtc import seam
from models.scripted import Cost
from pipeline.domain import SAMPLE_RATE, AudioFrame, Meeting, MeetingId, ParticipantId, Samples, TrackId, Word
from pipeline.running import RunningMeetings
from tests.benchmarks.corpus import load_clips
from tests.houses import scripted_recognition, settings_in
from tests.media_gateway.opus_packets import PACKET_SECONDS, encoded

TRACKS, TALKERS, SECONDS = 100, 8, 30.0
IN_TIME = 0.3
"""A frame is in real time when the pipeline has it so many seconds after its sound."""
_MEETING = MeetingId("load")
_MOST = 500
_CLIPS = ("en_LJ001-0002", "en_LJ010-0008", "en_LJ050-0131", "en_LJ050-0269")
_SETTLE_SECONDS = 3.0
_NOISE_DBFS = -58.0
_TICKS = round(PACKET_SECONDS * 48_000)


# --- the server -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Ledger:
    """An ``AudioKeeper`` that counts frames as the pipeline takes them."""

    now: Callable[[], float] = time.monotonic
    frames: int = 0
    seconds: float = 0.0
    late: list[float] = field(default_factory=list)

    def write(self, frame: AudioFrame) -> None:
        self.frames += 1
        self.seconds += len(frame.samples) / SAMPLE_RATE
        self.late.append(self.now() - frame.end)

    async def close(self) -> None:
        return

    def reset(self) -> None:
        self.frames, self.seconds = 0, 0.0
        self.late.clear()


class Chatter(dict[TrackId, Sequence[Word]]):
    """Three words a second on every track, whatever is heard."""

    def __bool__(self) -> bool:
        return True

    def get(self, key: TrackId, default: Any = ()) -> Any:
        return _WORDS


_WORDS = tuple(Word(f" spoken{k}", k / 3, k / 3 + 0.3) for k in range(3 * 600))


async def host(folder: Path) -> None:
    """Serves until its input ends; a line begins what is measured, the next one ends it and asks for the figures."""
    recognition = scripted_recognition(Chatter(), cost=Cost(0.05, 0.01))
    async with open_house(settings_in(folder), recognition) as house:
        ledger = Ledger()
        equipment = replace(house.meetings.equipment, new_keeper=lambda *_: ledger)
        house.meetings = RunningMeetings(equipment)
        await house.store.create_meeting(Meeting(_MEETING, "Load", time.time(), keep_audio=True))
        server = uvicorn.Server(uvicorn.Config(create_app(house), port=0, log_level="warning", access_log=False))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.05)
        ledger.now = (await house.meetings.of(_MEETING)).now
        _say({"port": server.servers[0].sockets[0].getsockname()[1], "tokens": _tokens(house)})
        with suppress(EOFError):
            await _measured(ledger)
        server.should_exit = True
        await serving


def _tokens(house: House) -> list[str]:
    people = [ParticipantId(f"p{number}") for number in range(_MOST)]
    return [house.access.issue(Token(_MEETING, frozenset(Can), person, person))[0] for person in people]


async def _measured(ledger: Ledger) -> None:
    loop = asyncio.get_running_loop()
    lags: list[float] = []
    lagging = asyncio.create_task(_lag(lags))
    await loop.run_in_executor(None, input)
    ledger.reset()
    lags.clear()
    wall, cpu = time.monotonic(), time.process_time()
    await loop.run_in_executor(None, input)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    late = np.array(ledger.late)
    _say(
        {
            "cores": cpu / wall,
            "frames": ledger.frames,
            "sound_s": ledger.seconds,
            "wall_s": wall,
            "in_time": float(np.mean(late <= IN_TIME)) if len(late) else 0.0,
            "late_p50_ms": float(np.median(late) * 1000) if len(late) else float("nan"),
            "late_p99_ms": float(np.quantile(late, 0.99) * 1000) if len(late) else float("nan"),
            "loop_lag_p99_ms": float(np.quantile(lags, 0.99) * 1000),
        }
    )
    await loop.run_in_executor(None, input)
    lagging.cancel()


async def _lag(lags: list[float]) -> None:
    while True:
        began = time.monotonic()
        await asyncio.sleep(0.01)
        lags.append(time.monotonic() - began - 0.01)


def _say(said: dict[str, Any]) -> None:
    print(json.dumps(said), flush=True)


# --- the publishers -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Publisher:
    """One browser: aiortc connects it, then packets go straight to SRTP and the socket, which costs a tenth."""

    packets: Sequence[bytes]
    connection: RTCPeerConnection
    ssrc: int = 0
    payload_type: int = 0
    sent: int = 0

    async def connect(self, port: int, token: str) -> None:
        transceiver = self.connection.addTransceiver("audio", direction="sendonly")
        seam.listen_on_loopback(transceiver)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        answer = await asyncio.to_thread(_post, port, token, self.connection.localDescription.sdp)
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        while self.connection.connectionState != "connected":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        await transceiver.sender.stop()  # its loop is not needed
        self.ssrc = transceiver.sender._ssrc
        self.payload_type = int(answer.split("m=audio ")[1].split()[2])

    def send(self) -> None:
        sequence, timestamp = self.sent & 0xFFFF, self.sent * _TICKS & 0xFFFFFFFF
        header = struct.pack("!BBHLL", 0x80, self.payload_type, sequence, timestamp, self.ssrc)
        dtls = seam.transport_of(self.connection)
        pair = dtls.transport._connection._nominated[1]
        packet = dtls._tx_srtp.protect(header + self.packets[self.sent % len(self.packets)])
        pair.protocol.transport.sendto(packet, pair.remote_addr)
        self.sent += 1


def _post(port: int, token: str, offer: str) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/whip/{_MEETING}",
        offer.encode(),
        {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


async def _publishers(port: int, tokens: Sequence[str], talkers: int) -> list[Publisher]:
    """All connected, none sending yet."""
    noise = encoded(_room(20.0))
    voices = [encoded(read_recording(load_clips()[name].path)) for name in _CLIPS]
    chosen = [voices[number % len(voices)] if number < talkers else noise for number in range(len(tokens))]
    made = [Publisher(packets, RTCPeerConnection(RTCConfiguration(iceServers=[]))) for packets in chosen]
    for publisher, token in zip(made, tokens, strict=True):
        await publisher.connect(port, token)
    return made


async def _keep_sending(publishers: Sequence[Publisher], seconds: float) -> float:
    """Slots of 1 ms; the share of packets that were sent when they should be."""
    loop = asyncio.get_running_loop()
    began, slot, sent = loop.time(), 0, 0
    slots = round(PACKET_SECONDS * 1000)
    while loop.time() - began < seconds:
        due = int((loop.time() - began) * 1000)
        while slot <= due:
            for publisher in publishers[slot % slots :: slots]:
                publisher.send()
                sent += 1
            slot += 1
        await asyncio.sleep(max(0.0, began + slot / 1000 - loop.time()))
    return sent / (len(publishers) * seconds / PACKET_SECONDS)


def _room(seconds: float) -> Samples:
    shape = round(seconds * SAMPLE_RATE)
    sound = np.random.default_rng(0).standard_normal(shape) * 32768 * 10 ** (_NOISE_DBFS / 20)
    return np.rint(sound).astype(np.int16)


def measure(tracks: int = TRACKS, talkers: int = TALKERS, seconds: float = SECONDS) -> tuple[str, dict[str, float]]:
    """The command and its figures: ``cores`` of the server, ``heard`` of the sound and ``in_time`` of the frames."""
    options = ["--tracks", str(tracks), "--talkers", str(talkers), "--seconds", f"{seconds:g}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.benchmarks.whip_load", "host", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as server:
            try:
                figures = uvloop.run(_measure(server, tracks, talkers, seconds))
            finally:
                _end(server)
    return f"python -m tests.benchmarks.whip_load {' '.join(options)}", figures


def _end(server: "subprocess.Popen[str]") -> None:
    try:
        server.communicate(timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        server.kill()


async def _measure(server: "subprocess.Popen[str]", tracks: int, talkers: int, seconds: float) -> dict[str, float]:
    assert server.stdout is not None
    assert server.stdin is not None
    told = json.loads(await asyncio.to_thread(server.stdout.readline))
    publishers = await _publishers(told["port"], told["tokens"][:tracks], talkers)
    sending = asyncio.create_task(_keep_sending(publishers, seconds + 2 * _SETTLE_SECONDS))
    await asyncio.sleep(_SETTLE_SECONDS)
    server.stdin.write("begin\n")
    cpu = time.process_time()
    await asyncio.sleep(seconds)
    server.stdin.write("end\n")
    figures: dict[str, float] = json.loads(await asyncio.to_thread(server.stdout.readline))
    figures["publishers_cores"] = (time.process_time() - cpu) / seconds
    figures["sent"] = await sending
    figures["heard"] = figures["sound_s"] / (figures["wall_s"] * tracks)
    figures["in_time"] *= min(figures["heard"], 1.0)  # sound that never came was not in time
    await asyncio.gather(*(publisher.connection.close() for publisher in publishers))
    return figures


def main() -> None:
    if sys.argv[1:2] == ["host"]:
        uvloop.run(host(Path(sys.argv[2])))
        return
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.whip_load")
    parser.add_argument("--tracks", type=int, default=TRACKS)
    parser.add_argument("--talkers", type=int, default=TALKERS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.tracks, asked.talkers, asked.seconds)[1], indent=1))


if __name__ == "__main__":
    main()

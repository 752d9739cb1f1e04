"""A thousand meetings with ten participants each, nearly all silent: what each costs which process.

``python -m tests.benchmarks.crowd [MEETINGS [PEOPLE]]`` prints the figures. Every participant has a connection for
sound to a gateway and one for captions to an API; who is silent sends nothing. One process of each role, a real
Redis and PostgreSQL, and a scripted recogniser share this machine with the two processes that play the people
(``python -m tests.benchmarks.crowd publish|read``). Costs are differences between stages: nobody, one silent
participant a meeting, all of them, and ``TALKERS`` who talk, each in a meeting of its own.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import uvloop

from api.tokens import Can, Signer, Token
from models.scripted import Cost
from pipeline.domain import SAMPLE_RATE, Meeting, MeetingId, ParticipantId
from pipeline.store.sql import SqlStore
from tests.benchmarks.failover import speech
from tests.benchmarks.latency import percentile
from tests.benchmarks.scale import scripted_fleet
from tests.faults.fleet import Fleet
from tests.postgresql_server import PostgreSql
from tests.redis_server import RedisServer

MEETINGS, PEOPLE = 1000, 10
TALKERS = 20
COST = Cost(0.01, 0.005)
"""As quick as a GPU."""
SECONDS = 20.0
_STEP = 0.04
_AT_ONCE = 50
"""Connections that are being made at one time."""
_SETTLE = 8.0

Figures = dict[str, float]


# --- the people --------------------------------------------------------------------------------------------


class Socket(asyncio.Protocol):
    """As much of RFC 6455 as a client of ours needs; the mask is zero, which masks as well as any on loopback."""

    def __init__(self, host: str, path: str, first: str = "") -> None:
        self._hello = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._first = first.encode()
        self._buffer = bytearray()
        self._upgraded = False
        self.captions: list[bytes] | None = None
        """Those that came, where somebody wants them."""
        self.transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        transport.write(self._hello.encode())  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"refused: {bytes(self._buffer[:200])!r} {exc}"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            if (end := self._buffer.find(b"\r\n\r\n")) < 0:
                return
            if not self._buffer.startswith(b"HTTP/1.1 101"):
                return  # the server closes
            del self._buffer[: end + 4]
            self._upgraded = True
            if self._first:
                self.send(self._first, 0x1)
        for code, payload in self._frames():
            if code == 0x9:
                self.send(payload, 0xA)
            elif code in {0x0, 0x1, 0x2}:
                if self.captions is not None and b'"caption"' in payload[:40]:
                    self.captions.append(payload)
                if not self.ready.done():
                    self.ready.set_result(None)

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        """Section 5.2."""
        while len(self._buffer) >= 2:
            length, start = self._buffer[1] & 0x7F, 2
            if length >= 126:
                start += 2 if length == 126 else 8
                length = int.from_bytes(self._buffer[2:start], "big")
            if len(self._buffer) < start + length:
                return
            code, payload = self._buffer[0] & 0x0F, bytes(self._buffer[start : start + length])
            del self._buffer[: start + length]
            yield code, payload

    def send(self, payload: bytes, code: int = 0x2) -> None:
        assert self.transport is not None
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126, size >> 8, size & 0xFF])
        self.transport.write(bytes([0x80 | code]) + length + bytes(4) + payload)


@dataclass(slots=True)
class Crowd:
    """Of publishers or of readers, all at one server; told by lines of JSON what to do."""

    host: str
    port: int
    signer: Signer
    publishes: bool
    sockets: dict[tuple[int, int], Socket] = field(default_factory=dict)
    talking: list["asyncio.Task[None]"] = field(default_factory=list)

    async def connect(self, meetings: int, people: range) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._one(gate, place, person) for person in people for place in range(meetings)))

    async def _one(self, gate: asyncio.Semaphore, place: int, person: int) -> None:
        async with gate:
            name = f"p{person}"
            can = frozenset({Can.PUBLISH if self.publishes else Can.READ})
            token, _ = self.signer.token(Token(meeting_named(place), can, ParticipantId(name), name))
            path = f"/api/v1/meetings/{meeting_named(place)}"
            hello = json.dumps({"token": token, "codec": "pcm16", "sample_rate": SAMPLE_RATE})
            way = f"{path}/audio.ws" if self.publishes else f"{path}/captions.ws?token={token}"
            made: Callable[[], Socket] = lambda: Socket(self.host, way, hello if self.publishes else "")  # noqa: E731
            _, socket = await asyncio.get_running_loop().create_connection(made, self.host, self.port)
            self.sockets[place, person] = socket
            if not self.publishes and person == 0:
                socket.captions = []
            async with asyncio.timeout(60):
                await socket.ready

    async def talk(self, meetings: int) -> None:
        """The first participant of so many meetings talks from now on."""
        said = speech(120.0).sound
        for place in range(meetings):
            turn = round(place * 3.7 * SAMPLE_RATE) % len(said)
            self.talking.append(asyncio.create_task(self._talk(self.sockets[place, 0], said, turn)))

    async def _talk(self, socket: Socket, said: Any, at: int) -> None:
        step = round(_STEP * SAMPLE_RATE)
        begun, sent = time.monotonic(), 0.0
        while not socket.closed:
            part = said[at : at + step]
            socket.send(part.tobytes())
            at = (at + step) % (len(said) - step)
            sent += _STEP
            await asyncio.sleep(max(0.0, begun + sent - time.monotonic()))

    def forget(self) -> None:
        """Delays are those of captions that come from now on."""
        for socket in self.sockets.values():
            if socket.captions is not None:
                socket.captions.clear()

    def told(self) -> dict[str, float]:
        delays = [delay for socket in self.sockets.values() for delay in _commit_delays(socket.captions or ())]
        return {
            "alive": sum(not socket.closed for socket in self.sockets.values()),
            "commit_p50": percentile(delays, 50),
            "commit_p95": percentile(delays, 95),
        }


def _commit_delays(captions: Sequence[bytes]) -> Iterator[float]:
    """Of each word, when its worker committed it, by the time of the meeting."""
    known: dict[str, int] = {}
    for event in map(json.loads, captions):
        before = known.get(event["utterance"], len(event["words"]) if event["revision"] > 1 else 0)
        yield from (event["sent_at"] - word["end"] for word in event["words"][before:])
        known[event["utterance"]] = len(event["words"])


def meeting_named(place: int) -> MeetingId:
    return MeetingId(f"crowd{place}")


async def play(crowd: Crowd) -> None:
    """Reads orders until its input ends; each is answered once it is done."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if "connect" in order:
            await crowd.connect(order["connect"], range(*order["people"]))
        elif "talk" in order:
            await crowd.talk(order["talk"])
        elif "forget" in order:
            crowd.forget()
        print(json.dumps(crowd.told()), flush=True)


@dataclass(slots=True)
class Players:
    """A process that plays people."""

    running: "subprocess.Popen[str]"

    def do(self, **order: Any) -> dict[str, float]:
        assert self.running.stdin is not None
        assert self.running.stdout is not None
        self.running.stdin.write(json.dumps(order) + "\n")
        self.running.stdin.flush()
        answer = self.running.stdout.readline()
        assert answer, "the players are gone"
        told: dict[str, float] = json.loads(answer)
        return told


@contextmanager
def players(what: str, port: int, secret: str) -> Iterator[Players]:
    command = [sys.executable, "-m", "tests.benchmarks.crowd", what, str(port), secret]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield Players(running)
        finally:
            running.kill()


# --- what it costs -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Meter:
    """CPU seconds, memory and traffic of each part of the fleet."""

    fleet: Fleet
    store: RedisServer
    database: PostgreSql

    def read(self) -> dict[str, float]:
        parts = {
            "gateway": [machine.running for machine in self.fleet.gateways],
            "api": [machine.running for machine in self.fleet.apis],
            "worker": [machine.running for machine in self.fleet.workers],
            "redis": [self.store.running],
            "postgresql": [self.database.running],
        }
        told = {"at": time.monotonic()}
        for name, running in parts.items():
            processes = [psutil.Process(one.pid) for one in running if one is not None]
            if name == "postgresql":
                processes += [child for one in processes for child in one.children()]
            told |= {f"cpu_{name}": 0.0, f"memory_{name}": 0.0}
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    told[f"cpu_{name}"] += times.user + times.system
                    told[f"memory_{name}"] += process.memory_info().rss
        with self.store.connect() as client:
            facts = client.info()
        told["memory_held"] = facts["used_memory"]
        told["commands"] = facts["total_commands_processed"]
        told["bytes"] = facts["total_net_input_bytes"] + facts["total_net_output_bytes"]
        return told

    def over(self, seconds: float) -> dict[str, float]:
        """Cores, commands and bytes a second; memory at the end."""
        before = self.read()
        time.sleep(seconds)
        after = self.read()
        took = after["at"] - before["at"]
        rates = {
            name: (after[name] - before[name]) / took
            for name in after
            if name.startswith("cpu_") or name in {"commands", "bytes"}
        }
        return rates | {name: value for name, value in after.items() if name.startswith("memory_")}


ROLES = ("gateway", "api", "worker", "redis", "postgresql")


def measure(
    meetings: int = MEETINGS, people: int = PEOPLE, talkers: int = TALKERS, seconds: float = SECONDS
) -> tuple[str, Figures]:
    """The command and its figures: ``cores`` of each role for a meeting, for a silent participant, for a talker."""
    with scripted_fleet(1, COST, GREFFIER_EMPTY_AFTER="3600") as fleet:
        meter = Meter(fleet, fleet.store, fleet.database)
        asyncio.run(_create(fleet.database_url, meetings))
        address = fleet.gateways[0].port, fleet.apis[0].port
        with players("publish", address[0], fleet.secret) as sound, players("read", address[1], fleet.secret) as eyes:
            stages = [_stage(meter, seconds, "nobody")]
            for part in ((0, 1), (1, people)):
                begun = time.monotonic()
                for crowd in (sound, eyes):
                    crowd.do(connect=meetings, people=part)
                _say(f"{meetings * (part[1] - part[0])} came in within {time.monotonic() - begun:.0f} s")
                stages.append(_stage(meter, seconds, f"{part[1]} in each meeting"))
            sound.do(talk=talkers)
            time.sleep(_SETTLE)
            eyes.do(forget=True)
            stages.append(_stage(meter, seconds, f"{talkers} talk"))
            spoken, read = sound.do(), eyes.do()
    return f"python -m tests.benchmarks.crowd {meetings} {people}", {
        "meetings": meetings,
        "participants": meetings * people,
        "talkers": talkers,
        "publishers_alive": spoken["alive"],
        "readers_alive": read["alive"],
        "commit_p50": read["commit_p50"],
        "commit_p95": read["commit_p95"],
        **_costs(stages, meetings, people, talkers),
    }


def _stage(meter: Meter, seconds: float, says: str) -> dict[str, float]:
    time.sleep(_SETTLE)
    told = meter.over(seconds)
    shown = ", ".join(f"{role} {told[f'cpu_{role}']:.3f}" for role in ROLES)
    _say(
        f"{says}: cores {shown}; {told['commands']:.0f} commands a second, {told['memory_held'] / 1e6:.1f} MB in Redis"
    )
    return told


def _costs(stages: Sequence[dict[str, float]], meetings: int, people: int, talkers: int) -> Figures:
    nobody, one, full, talked = stages
    figures: Figures = {}
    silent = meetings * (people - 1)
    for name in (*(f"cpu_{role}" for role in ROLES), "commands", "bytes"):
        what = name.replace("cpu_", "cores_")
        each = (full[name] - one[name]) / silent if silent else 0.0
        figures[f"{what}_per_silent"] = each
        figures[f"{what}_per_meeting"] = (one[name] - nobody[name]) / meetings - each
        figures[f"{what}_per_talker"] = (talked[name] - full[name]) / talkers
        figures[f"{what}_all"] = talked[name]
    for name in (*(f"memory_{role}" for role in ROLES), "memory_held"):
        figures[f"{name}_kb_per_silent"] = (full[name] - one[name]) / silent / 1e3 if silent else 0.0
        figures[f"{name}_mb_per_talker"] = (talked[name] - full[name]) / talkers / 1e6
        figures[f"{name}_mb_all"] = talked[name] / 1e6
    return figures


async def _create(database_url: str, meetings: int) -> None:
    store = await asyncio.to_thread(SqlStore.open, database_url)
    try:
        for place in range(meetings):
            await store.create_meeting(Meeting(meeting_named(place), f"Crowd {place}", time.time()))
    finally:
        await store.close()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    if sys.argv[1:2] in (["publish"], ["read"]):
        what, port, secret = sys.argv[1:]
        signer = Signer(secret.encode(), 86_400.0)

        async def run() -> None:
            await play(Crowd("127.0.0.1", int(port), signer, what == "publish"))

        uvloop.run(run())
        return
    print(json.dumps(measure(*map(int, sys.argv[1:]))[1], indent=1))


if __name__ == "__main__":
    main()

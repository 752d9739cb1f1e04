"""What is measured of ``greffier serve``: a browser beside ``greffier caption``, many tracks, many readers, a kill."""

import asyncio
import json
import shutil
import tempfile
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import websockets
from playwright.sync_api import Page, sync_playwright

from media_gateway.recording import read_recording
from pipeline.domain import SAMPLE_RATE, Samples
from tests.benchmarks import meetings, reader_load, whip_load
from tests.benchmarks.corpus import cache_folder
from tests.benchmarks.latency import Latencies, measure_track, percentile
from tests.benchmarks.measures import Figures, latencies_of
from tests.benchmarks.mixing import TrackFile
from tests.benchmarks.replay import replay
from tests.benchmarks.shown import as_events
from tests.benchmarks.truth import truth_of
from tests.e2e.people import Microphones, speak
from tests.recordings import beep, silence
from tests.serving import Process, process

_MARK = 1.0
"""When the microphone beeps, in seconds since it was opened: the page notes when it heard that."""
_BEFORE = 2.5
"""When it begins to play the track: the connection stands by then."""
_AFTER = 6.0
_KILLED_AFTER = 30.0
_DURABLE = 1.0
_PROBE = Path(__file__).with_name("probe.js")


# --- a browser beside the command ------------------------------------------------------------------------------------


def measure_browser() -> tuple[str, Figures]:
    """The same talker through Chromium, WHIP and the page, and through ``greffier caption``."""
    track = meetings.one_talker("en")
    base = replay("talkers-1-en", [track], "--language", "fr,en", reuse=True)
    with _home() as home, process(home) as server, sync_playwright() as playwright:
        microphones = Microphones(playwright, shutil.which("chromium") or "/usr/bin/chromium", home, server.url)
        probed = _listened_to(microphones, server, track)
    command, page = latencies_of([base]), _page_latencies(probed, track)
    first = min(shown["at"] for shown in probed["shown"])
    begun = probed["marker"] / 1000 - _MARK + _BEFORE
    first_word = begun + truth_of(track)[0].start
    figures: Figures = {
        "display_p50": percentile(page.displayed, 50),
        "display_p95": percentile(page.displayed, 95),
        "commit_p50": percentile(page.committed, 50),
        "commit_p95": percentile(page.committed, 95),
        "words_timed": len(page.committed),
        "display_more": percentile(page.displayed, 50) - percentile(command.displayed, 50),
        "commit_more": percentile(page.committed, 50) - percentile(command.committed, 50),
        "first_caption_s": first / 1000 - max(probed["connected"] / 1000, first_word),
        "connected_s": (probed["connected"] - probed["opened"]) / 1000,
    }
    return f"greffier serve; Chromium with {track.name} as its microphone", figures


def _listened_to(microphones: Microphones, server: Process, track: TrackFile) -> dict[str, Any]:
    """What the page noted while its microphone played the track."""
    meeting = server.ask("POST", "/api/v1/meetings", json={}).json()["id"]
    page: Page = microphones.page(f"/meetings/{meeting}", _as_played(read_recording(track.path)))
    page.add_init_script(_PROBE.read_text(encoding="utf-8"))
    page.reload()
    speak(page, "Anne")
    page.wait_for_timeout((_BEFORE + track.duration + _AFTER) * 1000)
    noted: dict[str, Any] = page.evaluate("window.noted")
    microphones.leave()
    return noted


def _as_played(sound: Samples) -> Samples:
    mark = np.concatenate([silence(_MARK), beep(0.1, 0.3)])
    return np.concatenate([mark, silence(_BEFORE - len(mark) / SAMPLE_RATE), sound, silence(_AFTER)])


def _page_latencies(noted: dict[str, Any], track: TrackFile) -> Latencies:
    truth = truth_of(track)
    begun = noted["marker"] / 1000 - _MARK + _BEFORE
    return measure_track(list(as_events(noted["shown"], truth, begun)), truth)


# --- many tracks, many readers ---------------------------------------------------------------------------------------


def measure_tracks() -> tuple[str, Figures]:
    return whip_load.measure()


def measure_readers() -> tuple[str, Figures]:
    load = reader_load.measure()
    figures: Figures = {
        "readers": load.readers,
        "late_p50": load.late_50,
        "late_p95": load.late_95,
        "late_max": load.late_most,
        "cores": load.cores,
        "events_read": load.events / load.expected,
    }
    return "python -m tests.benchmarks.reader_load", figures


# --- a kill ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reader:
    """The newest state of each utterance, and the newest of those that were read a second before ``cut``."""

    read: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def states(self, until: float) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for at, event in self.read:
            if at <= until:
                found[event["utterance"]] = event
        return found


def measure_kill() -> tuple[str, Figures]:
    """Four people talk, the process is killed, another is started: what readers had been shown must be there."""
    tracks = meetings.talkers(4, 160.0)
    with _home() as home, process(home) as server:
        meeting = server.ask("POST", "/api/v1/meetings", json={"title": "Killed"}).json()["id"]
        reader = _Reader()
        killed_at = asyncio.run(_talk_until_killed(server, meeting, tracks, reader))
        began = time.monotonic()
        started = server.start()
        while meeting not in {each["id"] for each in server.ask("GET", "/api/v1/meetings").json()["meetings"]}:
            time.sleep(0.01)
        back = time.monotonic() - began
        kept = asyncio.run(_snapshot(server, meeting))
    figures = _losses(reader, killed_at, kept) | {"back_s": back, "start_s": started}
    return f"kill -9 of greffier serve after {_KILLED_AFTER:g} s of four talkers", figures


async def _talk_until_killed(server: Process, meeting: str, tracks: Sequence[TrackFile], reader: _Reader) -> float:
    """When it was killed, in the time of ``reader``."""
    tokens = [_token(server, meeting, f"P{number}", "publish") for number in range(len(tracks))]
    reading = asyncio.create_task(_read(server, meeting, reader))
    talking = [
        asyncio.create_task(_talk(server, meeting, token, track)) for token, track in zip(tokens, tracks, strict=True)
    ]
    await asyncio.sleep(_KILLED_AFTER)
    killed_at = time.monotonic()
    server.kill()
    for task in [reading, *talking]:
        task.cancel()
    await asyncio.gather(reading, *talking, return_exceptions=True)
    return killed_at


async def _talk(server: Process, meeting: str, token: str, track: TrackFile) -> None:
    address = f"{server.url.replace('http', 'ws', 1)}/api/v1/meetings/{meeting}/audio.ws"
    with wave.open(str(track.path)) as sound:
        async with websockets.connect(address) as socket:
            await socket.send(json.dumps({"token": token, "codec": "pcm16", "sample_rate": sound.getframerate()}))
            step = sound.getframerate() // 25
            begun, sent = time.monotonic(), 0.0
            while samples := sound.readframes(step):
                await socket.send(samples)
                sent += 0.04
                await asyncio.sleep(max(0.0, begun + sent - time.monotonic()))


async def _read(server: Process, meeting: str, reader: _Reader) -> None:
    with suppress(websockets.ConnectionClosed):
        async with websockets.connect(_captions(server, meeting)) as socket:
            async for message in socket:
                event = json.loads(message)
                if event["type"] == "caption":
                    reader.read.append((time.monotonic(), event))


async def _snapshot(server: Process, meeting: str) -> dict[str, dict[str, Any]]:
    """What the new process says was said, by utterance."""
    async with websockets.connect(_captions(server, meeting)) as socket:
        return {event["utterance"]: event for event in json.loads(await socket.recv())["events"]}


def _losses(reader: _Reader, killed_at: float, kept: dict[str, dict[str, Any]]) -> Figures:
    shown, durable = reader.states(killed_at), reader.states(killed_at - _DURABLE)
    finals = {name: event for name, event in shown.items() if event["final"]}
    lost = sum(name not in kept or kept[name]["committed"] != event["committed"] for name, event in finals.items())
    words = 0
    for name, event in durable.items():
        there = [word["text"] for word in kept[name]["words"]] if name in kept else []
        words += sum(word["text"] not in there[place : place + 1] for place, word in enumerate(event["words"]))
    return {
        "finals": len(finals),
        "finals_lost": lost,
        "words": sum(len(event["words"]) for event in durable.values()),
        "words_lost": words,
        "open_at_kill": len(shown) - len(finals),
        "open_kept": sum(name in kept for name in shown.keys() - finals.keys()),
    }


def _token(server: Process, meeting: str, name: str, mode: str) -> str:
    answer = server.ask("POST", f"/api/v1/meetings/{meeting}/participants", json={"name": name, "mode": mode})
    token: str = answer.json()["token"]
    return token


def _captions(server: Process, meeting: str) -> str:
    token = _token(server, meeting, "reader", "read")
    return f"{server.url.replace('http', 'ws', 1)}/api/v1/meetings/{meeting}/captions.ws?token={token}"


@contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        yield Path(folder)

"""A talker in a room of a real livekit-server, captioned by a real ``greffier serve``: when readers have which word.

Beside it stands ``greffier caption`` on the same clips; what the room adds is what LiveKit and its adapter cost.
"""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import websockets
from livekit import api
from playwright.sync_api import sync_playwright

from media_gateway.recording import read_recording
from tests.benchmarks import meetings
from tests.benchmarks.corpus import cache_folder
from tests.benchmarks.events import Event
from tests.benchmarks.latency import measure_track, percentile
from tests.benchmarks.measures import Figures, latencies_of
from tests.benchmarks.mixing import TrackFile
from tests.benchmarks.replay import replay
from tests.benchmarks.shown import as_events
from tests.benchmarks.truth import truth_of
from tests.e2e.people import Microphones
from tests.e2e.rooms import Elsewhere, Front, elsewhere, front
from tests.livekit.people import Person, Text
from tests.livekit.server import LiveKit, running_livekit
from tests.recordings import silence
from tests.serving import Process, process

AGENT = "multi-user-transcriber"
_ROOM = "measured"
_AFTER = 8.0
"""Seconds after the last word in which its final comes."""
_SPEAKER = "speaker"
_PATIENCE = 30.0


@dataclass(slots=True)
class Told:
    """The events that the feed of the meeting had, each with when it was made by the meeting's clock."""

    events: list[dict[str, Any]] = field(default_factory=list)


def measure() -> tuple[str, Figures]:
    track = meetings.one_talker("en")
    base = latencies_of([replay("talkers-1-en", [track], "--language", "fr,en", reuse=True)])
    with (
        tempfile.TemporaryDirectory(dir=cache_folder()) as folder,
        running_livekit(Path(folder) / "livekit") as livekit,
        process(Path(folder) / "home", **settings_of(livekit)) as server,
        _page(Path(folder), server) as page,
        elsewhere() as there,
    ):
        found = _measured(livekit, server, there, page, track)
    latencies = measure_track(list(_events(found.texts, found.began, track)), truth_of(track))
    figures: Figures = {
        "dispatch_to_subscribed_s": found.subscribed,
        "display_p50": percentile(latencies.displayed, 50),
        "display_p95": percentile(latencies.displayed, 95),
        "commit_p50": percentile(latencies.committed, 50),
        "commit_p95": percentile(latencies.committed, 95),
        "words_timed": len(latencies.committed),
        "display_more": percentile(latencies.displayed, 50) - percentile(base.displayed, 50),
        "commit_more": percentile(latencies.committed, 50) - percentile(base.committed, 50),
        "leaves_p50": percentile(found.leaves, 50),
        "leaves_p95": percentile(found.leaves, 95),
    }
    return f"greffier serve beside livekit-server; {track.name} published by the SDK", figures | found.delivered


@dataclass(slots=True)
class _Found:
    """``leaves``: seconds from an event of the feed with new committed words to its text stream at a reader."""

    subscribed: float
    began: float
    texts: list[Text]
    leaves: list[float]
    delivered: Figures


def settings_of(livekit: LiveKit) -> dict[str, str]:
    return {"LIVEKIT_URL": livekit.url, "LIVEKIT_API_KEY": livekit.key, "LIVEKIT_API_SECRET": livekit.secret}


def _measured(livekit: LiveKit, server: Process, there: Elsewhere, page: Front, track: TrackFile) -> _Found:
    speaker: Person = there.run(Person.join(livekit, _ROOM, _SPEAKER, "Anne"))
    microphone = there.run(speaker.publish())
    subscribed = _subscribed(livekit, server, there)
    reader: Person = there.run(Person.join(livekit, _ROOM, "reader", can_publish=False))
    page.join(livekit.url, livekit.token(_ROOM, "page"))
    meeting = server.ask("GET", f"/api/v1/livekit/rooms/{_ROOM}/captions").json()["meeting"]
    created = time.monotonic() - there.run(_meeting_now(_captions(server, meeting)))
    told = Told()
    reading = asyncio.run_coroutine_threadsafe(_read(_captions(server, meeting), told), there.loop)
    sound = read_recording(track.path)
    playing = asyncio.run_coroutine_threadsafe(microphone.play(sound), there.loop)
    began = playing.result(track.duration + 60)
    there.run(microphone.play(silence(_AFTER)))
    texts = [text for text in reader.texts if text.sender == _SPEAKER]
    reading.cancel()
    leaves = list(_leaves(told.events, texts, created))
    delivered = delivered_of(_kept(server, meeting), texts, page.packets())
    there.run(speaker.leave())
    there.run(reader.leave())
    return _Found(subscribed, began, texts, leaves, delivered)


def _subscribed(livekit: LiveKit, server: Process, there: Elsewhere) -> float:
    """Seconds from the dispatch until the sound of the room's track is taken, as the server's metrics tell."""
    began = time.monotonic()
    there.run(_dispatch(livekit))
    while "greffier_tracks 1.0" not in server.ask("GET", "/metrics").text:
        if time.monotonic() - began > _PATIENCE:
            raise AssertionError(f"nothing is heard: {server.log()[-2000:]}")
    return time.monotonic() - began


async def _dispatch(livekit: LiveKit) -> None:
    async with livekit.api() as asked:
        await asked.agent_dispatch.create_dispatch(api.CreateAgentDispatchRequest(agent_name=AGENT, room=_ROOM))


async def _meeting_now(address: str) -> float:
    """Meeting time now, by the ``sent_at`` of a snapshot."""
    async with websockets.connect(address) as socket:
        return float(json.loads(await socket.recv())["sent_at"])


async def _read(address: str, told: Told) -> None:
    with suppress(websockets.ConnectionClosed):
        async with websockets.connect(address) as socket:
            async for message in socket:
                event = json.loads(message)
                if event["type"] == "caption":
                    told.events.append(event)


def _captions(server: Process, meeting: str) -> str:
    asked = {"name": "measure", "mode": "read"}
    token = server.ask("POST", f"/api/v1/meetings/{meeting}/participants", json=asked).json()["token"]
    return f"{server.url.replace('http', 'ws', 1)}/api/v1/meetings/{meeting}/captions.ws?token={token}"


def _leaves(events: Sequence[dict[str, Any]], texts: Sequence[Text], origin: float) -> Iterator[float]:
    """For each event that committed more: when a reader in the room had those words. ``origin``: meeting time 0."""
    reached: dict[str, int] = {}
    for event in events:
        name, length = event["utterance"], len(event["committed"])
        if length <= reached.get(name, 0):
            continue
        reached[name] = length
        words = event["committed"].strip()
        came = [text.at for text in texts if committed_of(text).strip().startswith(words)]
        if came:
            yield min(came) - (origin + event["sent_at"])


def committed_of(text: Text) -> str:
    """The part of it that will not change."""
    return text.text[: int(text.attributes["greffier.committed"])]


def _kept(server: Process, meeting: str) -> dict[str, str]:
    """The finals that the store holds, oldest first: the texts of their captions, by utterance."""
    segments = server.ask("GET", f"/api/v1/meetings/{meeting}/transcript.json").json()["segments"]
    captions = {
        each["id"]: text["text"].strip() for each in segments for text in each["texts"] if text["origin"] == "caption"
    }
    return {utterance: text for utterance, text in captions.items() if text}


def delivered_of(kept: dict[str, str], texts: Sequence[Text], packets: Sequence[dict[str, Any]]) -> Figures:
    """How many of the finals that are ``kept`` did not reach readers whole, once and in order, in each dialect."""
    assert kept, "nothing was heard"
    streamed = [(text.segment.partition("/")[2], text.text.strip()) for text in texts if text.final]
    segments: dict[str, str] = {}
    for packet in packets:
        for segment in packet["segments"]:
            segments.setdefault(segment["id"], segment["text"])  # the first version counts, as for Visio
    shown, said = " ".join(segments.values()), " ".join(kept.values())
    spoken = [each for each in streamed if each[1]]
    return {
        "finals": len(kept),
        "streams_amiss": sum(one != other for one, other in zip_longest(spoken, kept.items())),
        "packets": len(packets),
        "packets_again": len(packets) - len(segments),
        "packets_amiss": sum(one != other for one, other in zip_longest(shown.split(), said.split())),
    }


def _events(texts: Sequence[Text], began: float, track: TrackFile) -> Iterator[Event]:
    """Text streams as caption events in the time of the track."""
    shown = [
        {
            "at": text.at * 1000,
            "utterance": text.segment,
            "committed": committed_of(text),
            "tail": text.text[len(committed_of(text)) :],
            "final": text.final,
        }
        for text in texts
    ]
    return as_events(shown, truth_of(track), began)


@contextmanager
def _page(folder: Path, server: Process) -> Iterator[Front]:
    """A browser that reads as Visio's front does."""
    with sync_playwright() as playwright, front() as address:
        microphones = Microphones(playwright, shutil.which("chromium") or "/usr/bin/chromium", folder, server.url)
        page = microphones.page("/", silence(1.0))
        page.goto(address)
        yield Front(page)
        microphones.leave()

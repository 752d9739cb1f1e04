"""``greffier serve`` as it is, two people at one microphone: readers see who said what, while they speak and after."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import websockets

from pipeline.domain import SAMPLE_RATE, Samples
from tests.serving import Process, process
from tests.two_voices import reference, two_voices

_FRAME = SAMPLE_RATE // 25


async def speak(address: str, token: str, sound: Samples) -> None:
    """As it is spoken."""
    async with websockets.connect(address, proxy=None) as socket:
        await socket.send(json.dumps({"token": token, "codec": "pcm16", "sample_rate": SAMPLE_RATE}))
        await socket.recv()
        begun = asyncio.get_running_loop().time()
        for begin in range(0, len(sound), _FRAME):
            await socket.send(sound[begin : begin + _FRAME].tobytes())
            due = begun + (begin + _FRAME) / SAMPLE_RATE
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


async def read(address: str) -> list[dict[str, Any]]:
    """All events until the meeting is over."""
    async with websockets.connect(address, proxy=None) as socket:
        return [json.loads(text) async for text in socket]


def said(events: list[dict[str, Any]]) -> list[tuple[float, float, int]]:
    """Start, end and voice of each labelled word, as told last."""
    captions = {event["utterance"]: event for event in events if event["type"] == "caption"}
    labels = {event["utterance"]: event for event in events if event["type"] == "voices"}
    return [
        (word["start"], word["end"], run["voice"])
        for utterance, event in labels.items()
        for run in event["runs"]
        for word in captions[utterance]["words"][run["first"] : run["first"] + run["count"]]
    ]


def agreement(words: list[tuple[float, float, int]], begun: float) -> float:
    """The part of the words of one real speaker alone that have the voice which stands for that speaker."""
    found: dict[tuple[int, int], int] = {}
    for start, end, voice in words:
        middle = (start + end) / 2 - begun
        speakers = {turn.voice for turn in reference() if turn.start <= middle < turn.end}
        if len(speakers) == 1:
            key = (speakers.pop(), voice)
            found[key] = found.get(key, 0) + 1
    best = max(found.get((1, a), 0) + found.get((2, b), 0) for a in (1, 2) for b in (1, 2) if a != b)
    return best / sum(found.values())


@pytest.fixture
def server(tmp_path: Path, whisper_base: Path, voices_onnx: Path) -> Any:
    with process(tmp_path, GREFFIER_LANGUAGES="en") as serving:
        yield serving


async def test_readers_of_a_marked_room_see_who_said_what_and_the_transcript_says_it_too(server: Process) -> None:
    meeting = server.ask("POST", "/api/v1/meetings", json={"title": "Shared"}).json()["id"]
    base = f"/api/v1/meetings/{meeting}"
    room = {"name": "Salle Descartes", "mode": "publish", "shared_room": True}
    token = server.ask("POST", f"{base}/participants", json=room).json()["token"]
    sockets = f"{server.url.replace('http', 'ws', 1)}{base}"
    reading = asyncio.create_task(read(f"{sockets}/captions.ws?token={token}"))
    await speak(f"{sockets}/audio.ws", token, two_voices())
    server.ask("POST", f"{base}/end")
    events = await asyncio.wait_for(reading, 30)
    words = said(events)
    names = {run["speaker"] for event in events if event["type"] == "voices" for run in event["runs"]}
    assert names >= {"Salle Descartes (voix 1)", "Salle Descartes (voix 2)"}
    finals = [event for event in events if event["type"] == "caption" and event["final"]]
    assert {event["speaker"] for event in finals} == {"Salle Descartes"}, "captions never change"
    assert len(words) > 0.8 * sum(len(event["words"]) for event in finals)
    begun = min(start for start, _, _ in words) - reference()[0].start
    assert agreement(words, begun) > 0.8
    (past,) = await read(f"{sockets}/captions.ws?token={token}")
    assert sorted(said(past["events"])) == sorted(words)
    text = server.ask("GET", f"{base}/transcript.txt").text
    assert "Salle Descartes (voix 1)" in text
    assert "Salle Descartes (voix 2)" in text

"""Sound over a WebSocket: captions of what is sent, and a code with a reason for what is wrong."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websockets

from api import audio_socket
from api.tokens import Can
from pipeline.domain import MeetingId, Track
from pipeline.running import RunningMeeting
from tests.api.serving import Serving, serving
from tests.api.test_whip import Chatter
from tests.media_gateway.opus_packets import encoded
from tests.recordings import beep, heard


def connect(server: Serving, meeting: str) -> Any:
    return websockets.connect(f"{server.sockets}/api/v1/meetings/{meeting}/audio.ws", proxy=None, max_queue=4)


def hello(token: str, codec: str = "pcm16", rate: int = 16_000) -> str:
    return json.dumps({"token": token, "codec": codec, "sample_rate": rate})


async def closed(socket: Any) -> tuple[int, str]:
    """The code and the reason that the server gives."""
    async with asyncio.timeout(10.0):
        try:
            while True:
                await socket.recv()
        except websockets.ConnectionClosed as error:
            assert error.rcvd is not None
            return error.rcvd.code, error.rcvd.reason


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def finals(server: Serving, meeting: str) -> list[Any]:
    running = server.house.meetings.running(MeetingId(meeting))
    history = running.feed.history() if running else []
    return [reading.event for reading in history if reading.event["type"] == "caption" and reading.event["final"]]


@pytest.mark.parametrize("codec", ["pcm16", "opus"])
async def test_what_is_sent_is_captioned(tmp_path: Path, codec: str) -> None:
    sound = heard("en_LJ001-0002.wav")
    packets = encoded(sound) if codec == "opus" else [sound[k : k + 320].tobytes() for k in range(0, len(sound), 320)]
    async with serving(tmp_path, Chatter()) as server:
        meeting = await server.meeting()
        async with connect(server, meeting) as socket:
            await socket.send(hello(server.token(meeting), codec, 16_000))
            assert json.loads(await socket.recv()) == {"type": "ready", "track": "anne.1"}
            for packet in packets:
                await socket.send(packet)
                await asyncio.sleep(0.015)
            running = server.house.meetings.running(meeting)
            assert running is not None
            assert running.tracks == 1
        await until(lambda: finals(server, meeting))
        assert finals(server, meeting)[0]["speaker"] == "anne"
        await until(lambda: running.tracks == 0)


@pytest.mark.parametrize(
    ("first", "code", "said"),
    [
        ("", 1007, "not JSON"),
        ("{}", 1007, "no token"),
        ("[1]", 1007, "JSON object"),
        ("[" * 5_000, 1007, "not JSON"),
        (b"\x00\x01", 1003, "first message must be the hello"),
        ('{"token": "nonsense", "codec": "opus"}', 1008, "token"),
        ('{"token": "nonsense", "codec": "wav"}', 1007, "pcm16 or opus"),
    ],
)
async def test_a_wrong_hello_closes_with_a_reason(served: Serving, first: str | bytes, code: int, said: str) -> None:
    meeting = await served.meeting()
    async with connect(served, meeting) as socket:
        await socket.send(first)
        given, reason = await closed(socket)
    assert given == code
    assert said in reason


async def test_a_token_that_may_not_publish_here_is_refused(served: Serving) -> None:
    meeting, other, over = [await served.meeting() for _ in range(3)]
    await served.http.post(f"/api/v1/meetings/{over}/end")
    for where, token in (
        (meeting, served.token(meeting, can=frozenset({Can.READ}))),
        (meeting, served.token(other)),
        (meeting, served.key),
        (meeting, served.token(meeting, None)),
        ("nowhere", served.token("nowhere")),
        (over, served.token(over)),
    ):
        async with connect(served, where) as socket:
            await socket.send(hello(token))
            code, reason = await closed(socket)
        assert code == 1008
        assert reason


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        (b"\x00" * 641, 1007, "odd number of bytes"),
        ("hello", 1003, "must be binary"),
        (bytes(300_000), 1009, "at most"),
        (bytes(3_000_000), 1009, ""),
    ],
)
async def test_a_wrong_message_closes_with_a_reason_and_disturbs_nobody(
    served: Serving, message: str | bytes, code: int, said: str
) -> None:
    meeting = await served.meeting()
    async with connect(served, meeting) as good, connect(served, meeting) as bad:
        for number, socket in enumerate((good, bad)):
            await socket.send(hello(served.token(meeting, f"p{number}")))
            await socket.recv()
        await bad.send(message)
        given, reason = await closed(bad)
        assert given == code
        assert said in reason
        running = served.house.meetings.running(MeetingId(meeting))
        assert running is not None
        await until(lambda: running.tracks == 1)
        await good.send(beep(0.1).tobytes())
        await (await good.ping())
        assert running.tracks == 1


async def test_no_hello_is_waited_for_no_longer_than_needed(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_socket, "_HELLO_SECONDS", 0.2)
    async with connect(served, await served.meeting()) as socket:
        assert await closed(socket) == (1008, "no hello came")


async def test_a_meeting_that_ends_closes_its_sockets(served: Serving) -> None:
    meeting = await served.meeting()
    async with connect(served, meeting) as socket:
        await socket.send(hello(served.token(meeting)))
        await socket.recv()
        await served.http.post(f"/api/v1/meetings/{meeting}/end")
        assert await closed(socket) == (1000, "the meeting is over")


async def test_a_client_that_leaves_before_its_hello_or_mid_word_leaves_nothing_behind(served: Serving) -> None:
    meeting = await served.meeting()
    async with connect(served, meeting):
        pass
    async with connect(served, meeting) as socket:
        await socket.send(hello(served.token(meeting)))
        await socket.recv()
        await socket.send(np.zeros(1_600, "<i2").tobytes())
        socket.transport.abort()
    running = served.house.meetings.running(MeetingId(meeting))
    assert running is not None
    await until(lambda: running.tracks == 0)


async def test_a_client_that_leaves_before_it_is_told_that_all_is_ready_is_no_participant_any_more(
    served: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = RunningMeeting.join

    async def slow(running: RunningMeeting, *given: Any) -> Track:
        track = await join(running, *given)
        await asyncio.sleep(0.3)  # the client is gone meanwhile
        return track

    monkeypatch.setattr(RunningMeeting, "join", slow)
    meeting = await served.meeting()
    running = await served.house.meetings.of(meeting)
    async with connect(served, meeting) as socket:
        await socket.send(hello(served.token(meeting)))
        await asyncio.sleep(0.1)
        socket.transport.abort()

    def told() -> list[object]:
        return [each.event["state"] for each in running.feed.history() if each.event["type"] == "participant"]

    await until(lambda: told() == ["left"])
    assert running.tracks == 0


async def test_a_client_that_never_reads_is_heard_all_the_same(served: Serving) -> None:
    meeting = await served.meeting()
    async with connect(served, meeting) as socket:
        await socket.send(hello(served.token(meeting)))
        for _ in range(30):
            await socket.send(beep(0.1).tobytes())
            await asyncio.sleep(0.02)
        running = served.house.meetings.running(MeetingId(meeting))
        assert running is not None
        assert running.tracks == 1

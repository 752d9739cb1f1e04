"""Captions reach readers by WebSocket, server-sent events and a growing document; who comes back misses nothing."""

import asyncio
import json
import socket as network
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2 as httpx
import pytest
import websockets

import api.captions
from pipeline.domain import MeetingId, ParticipantId, UtteranceId, VoiceRun
from tests.api.serving import Serving
from tests.api.speech import caption, say

Event = dict[str, Any]


def address(served: Serving, meeting: MeetingId, more: str = "") -> str:
    return f"{served.sockets}/api/v1/meetings/{meeting}/captions.ws?token={served.token(meeting)}{more}"


async def label(served: Serving, meeting: MeetingId, first: int, count: int, voice: int, utterance: str) -> None:
    """As a session labels words, and tells it."""
    running = await served.house.meetings.of(meeting)
    store = served.house.store
    await store.for_meeting(meeting).keep_runs([VoiceRun(UtteranceId(utterance), first, count, voice)])
    await running.voices_changed()


async def received(reader: websockets.ClientConnection) -> Event:
    event: Event = json.loads(await asyncio.wait_for(reader.recv(), 5))
    return event


def texts(events: list[Event]) -> list[str]:
    return [event["committed"] for event in events if event["type"] == "caption"]


class TestSocket:
    async def test_a_snapshot_comes_first_then_every_event_in_order(self, served: Serving) -> None:
        meeting = await served.meeting(title="Point")
        await say(served, meeting, caption("before"))
        async with websockets.connect(address(served, meeting)) as reader:
            snapshot = await received(reader)
            assert snapshot["type"] == "snapshot"
            assert (snapshot["title"], snapshot["state"], snapshot["paused"]) == ("Point", "running", False)
            assert texts(snapshot["events"]) == [" before"]
            assert snapshot["participants"] == [{"participant": "anne", "speaker": "Anne", "present": False}]
            await say(served, meeting, caption("one", number=2, final=False), caption("one two", number=2))
            events = [await received(reader), await received(reader)]
        assert texts(events) == [" one", " one two"]
        numbers = [snapshot["sequence"], *(event["sequence"] for event in events)]
        assert numbers == sorted(set(numbers))
        assert {event["speaker"] for event in events} == {"Anne"}
        assert events[1].keys() >= {"meeting", "participant", "utterance", "revision", "final", "lag", "words", "tail"}

    async def test_who_comes_back_with_the_last_number_misses_nothing_and_gets_nothing_twice(
        self, served: Serving
    ) -> None:
        meeting = await served.meeting()
        await say(served, meeting, caption("one"))
        async with websockets.connect(address(served, meeting)) as reader:
            last = (await received(reader))["sequence"]
        await say(served, meeting, caption("two", number=2), caption("three", number=3))
        async with websockets.connect(address(served, meeting, f"&after={last}")) as reader:
            assert texts((await received(reader))["events"]) == [" two", " three"]

    async def test_a_number_that_nobody_gave_out_gets_everything(self, served: Serving) -> None:
        meeting = await served.meeting()
        await say(served, meeting, caption("one"))
        for after in ("999999", "-5", "0"):
            async with websockets.connect(address(served, meeting, f"&after={after}")) as reader:
                assert texts((await received(reader))["events"]) == [" one"]

    async def test_a_number_that_is_none_is_refused(self, served: Serving) -> None:
        meeting = await served.meeting()
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(address(served, meeting, "&after=first"))
        assert refused.value.response.status_code == 422

    async def test_the_end_of_the_meeting_closes_it(self, served: Serving) -> None:
        meeting = await served.meeting()
        async with websockets.connect(address(served, meeting)) as reader:
            await received(reader)
            await served.http.post(f"/api/v1/meetings/{meeting}/end")
            assert (await received(reader))["state"] == "ended"
            with pytest.raises(websockets.ConnectionClosedOK):
                await reader.recv()

    async def test_a_meeting_that_is_over_is_all_in_its_snapshot(self, served: Serving) -> None:
        meeting = await served.meeting()
        await say(served, meeting, caption("one"), caption("two", number=2, start=5))
        await served.http.post(f"/api/v1/meetings/{meeting}/end")
        async with websockets.connect(address(served, meeting)) as reader:
            snapshot = await received(reader)
            assert (snapshot["state"], texts(snapshot["events"])) == ("ended", [" one", " two"])
            assert snapshot["events"][0]["speaker"] == "Anne"
            with pytest.raises(websockets.ConnectionClosedOK):
                await reader.recv()

    async def test_which_voices_said_a_caption_is_told_with_it_live_to_latecomers_and_after_the_end(
        self, served: Serving
    ) -> None:
        meeting = await served.meeting()
        async with websockets.connect(address(served, meeting)) as reader:
            await received(reader)
            await say(served, meeting, caption("one two three"))
            await label(served, meeting, 0, 2, 1, "anne.1#1")
            assert (await received(reader))["type"] == "caption"
            told = await received(reader)
        assert told.items() >= {"type": "voices", "utterance": "anne.1#1", "participant": "anne"}.items()
        assert told["runs"] == [{"first": 0, "count": 2, "voice": 1, "speaker": "Anne (voix 1)"}]
        await served.house.store.rename_voice(meeting, ParticipantId("anne"), 1, "Bob")
        await (await served.house.meetings.of(meeting)).voices_changed()
        for _ in range(2):  # while it runs, and after
            async with websockets.connect(address(served, meeting)) as reader:
                _, again = (await received(reader))["events"]
            assert (again["type"], again["utterance"]) == ("voices", "anne.1#1")
            assert again["runs"] == [{"first": 0, "count": 2, "voice": 1, "speaker": "Bob"}]
            await served.http.post(f"/api/v1/meetings/{meeting}/end")

    async def test_a_meeting_that_is_not_there_is_not_found(self, served: Serving) -> None:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(address(served, MeetingId("unknown")))
        assert refused.value.response.status_code == 404

    @pytest.mark.parametrize("nonsense", ["hello", b"\x00" * 70_000, "{}"])
    async def test_what_readers_send_is_dropped(self, served: Serving, nonsense: str | bytes) -> None:
        meeting = await served.meeting()
        async with websockets.connect(address(served, meeting)) as reader:
            await received(reader)
            for _ in range(20):
                await reader.send(nonsense)
            await say(served, meeting, caption("still here"))
            assert texts([await received(reader)]) == [" still here"]

    async def test_a_reader_that_leaves_is_no_reader_any_more(self, served: Serving) -> None:
        meeting = await served.meeting()
        running = await served.house.meetings.of(meeting)
        async with websockets.connect(address(served, meeting)) as reader:
            await received(reader)
            assert running.feed.readers == 1
        await until_nobody_reads(served, meeting)

    async def test_a_reader_that_never_reads_is_dropped_and_the_others_notice_nothing(
        self, served: Serving, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api.captions, "_PATIENCE", 0.3)
        meeting = await served.meeting()
        running = await served.house.meetings.of(meeting)
        with stuck_reader(served, f"/api/v1/meetings/{meeting}/captions.ws?token={served.token(meeting)}"):
            async with websockets.connect(address(served, meeting)) as reader:
                await received(reader)
                async with asyncio.timeout(20):
                    while running.feed.readers == 2:
                        running.feed.publish({"type": "notice", "meeting": meeting, "code": "x" * 100_000})
                        await received(reader)
                await say(served, meeting, caption("on it goes"))
                assert texts([await received(reader)]) == [" on it goes"]


async def until_nobody_reads(served: Serving, meeting: MeetingId) -> None:
    running = await served.house.meetings.of(meeting)
    async with asyncio.timeout(5):
        while running.feed.readers:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)


def stuck_reader(served: Serving, path: str) -> network.socket:
    """Asks for captions, by WebSocket where the server likes to, and takes nothing of what comes."""
    reader = network.socket()
    reader.setsockopt(network.SOL_SOCKET, network.SO_RCVBUF, 4096)
    port = int(served.address.rpartition(":")[2])
    reader.connect(("127.0.0.1", port))
    head = [
        f"GET {path} HTTP/1.1",
        f"Host: localhost:{port}",
        *(
            ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
            if "captions.ws" in path
            else ("Accept: */*",)
        ),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    reader.sendall("".join(f"{line}\r\n" for line in [*head, ""]).encode())
    return reader


@pytest.mark.parametrize("way", ["captions.ws", "captions.sse"])
async def test_a_slow_reader_has_the_time_that_a_long_meeting_takes_it(
    served: Serving, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(api.captions, "_PATIENCE", 0.3)
    meeting = await served.meeting()
    running = await served.house.meetings.of(meeting)
    await say(served, meeting, caption("x" * 8_000_000, final=False))
    with stuck_reader(served, f"/api/v1/meetings/{meeting}/{way}?token={served.token(meeting)}"):
        async with asyncio.timeout(20):
            while not running.feed.readers:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        for _ in range(10):
            running.feed.publish({"type": "notice", "meeting": meeting, "code": "paused"})
            await asyncio.sleep(0.1)
        assert running.feed.readers == 1


async def events_of(response: httpx.Response) -> AsyncIterator[tuple[str | None, Event]]:
    """Number and content of each event (HTML Standard, section 9.2.6)."""
    number = None
    async for line in response.aiter_lines():
        if line.startswith("id: "):
            number = line.removeprefix("id: ")
        elif line.startswith("data: "):
            yield number, json.loads(line.removeprefix("data: "))


class TestServerSentEvents:
    async def test_a_snapshot_comes_first_then_every_event_with_its_number(self, served: Serving) -> None:
        meeting = await served.meeting()
        await say(served, meeting, caption("before"))
        async with served.http.stream("GET", f"/api/v1/meetings/{meeting}/captions.sse") as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            events = events_of(response)
            number, snapshot = await anext(events)
            assert texts(snapshot["events"]) == [" before"]
            assert number == str(snapshot["sequence"])
            await say(served, meeting, caption("after", number=2))
            number, event = await anext(events)
            assert texts([event]) == [" after"]
            assert number == str(event["sequence"])
            await label(served, meeting, 0, 1, 2, "anne.1#2")
            _, event = await anext(events)
            assert (event["type"], event["runs"][0]["speaker"]) == ("voices", "Anne (voix 2)")
            await served.http.post(f"/api/v1/meetings/{meeting}/end")
            assert [event["type"] async for _, event in events] == ["meeting"]

    async def test_a_browser_that_comes_back_misses_nothing(self, served: Serving) -> None:
        meeting = await served.meeting()
        await say(served, meeting, caption("one"))
        running = await served.house.meetings.of(meeting)
        last = running.feed.newest
        await say(served, meeting, caption("two", number=2))
        headers = {"Last-Event-ID": str(last)}
        async with served.http.stream("GET", f"/api/v1/meetings/{meeting}/captions.sse", headers=headers) as response:
            _, snapshot = await anext(events_of(response))
        assert texts(snapshot["events"]) == [" two"]

    @pytest.mark.parametrize("last", ["first", "9" * 5_000, "²", "-1"])
    async def test_a_number_that_is_none_gets_everything(self, served: Serving, last: str) -> None:
        meeting = await served.meeting()
        await say(served, meeting, caption("one"))
        headers = {b"Last-Event-ID": last.encode()}
        async with served.http.stream("GET", f"/api/v1/meetings/{meeting}/captions.sse", headers=headers) as response:
            assert response.status_code == 200
            _, snapshot = await anext(events_of(response))
        assert texts(snapshot["events"]) == [" one"]

    async def test_silence_is_broken_so_that_proxies_keep_it_open(
        self, served: Serving, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api.captions, "_HEARTBEAT", 0.05)
        meeting = await served.meeting()
        async with served.http.stream("GET", f"/api/v1/meetings/{meeting}/captions.sse") as response:
            lines = response.aiter_lines()
            async with asyncio.timeout(5):
                assert (await anext(lines)) == "retry: 2000"
                while (await anext(lines)) != ": still here":
                    pass
            await say(served, meeting, caption("and on"))
            async with asyncio.timeout(5):
                while "and on" not in await anext(lines):
                    pass
        await until_nobody_reads(served, meeting)

    async def test_a_meeting_that_is_over_is_one_snapshot(self, served: Serving) -> None:
        meeting = await served.meeting()
        await say(served, meeting, caption("one"))
        await served.http.post(f"/api/v1/meetings/{meeting}/end")
        answer = await served.http.get(f"/api/v1/meetings/{meeting}/captions.sse")
        assert answer.text.count("data: ") == 1
        assert '"state":"ended"' in answer.text

    async def test_a_reader_that_never_reads_is_dropped(self, served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(api.captions, "_PATIENCE", 0.3)
        meeting = await served.meeting()
        running = await served.house.meetings.of(meeting)
        monkeypatch.setattr(api.captions, "_SLOWEST", 10**9)
        with stuck_reader(served, f"/api/v1/meetings/{meeting}/captions.sse?token={served.token(meeting)}"):
            async with asyncio.timeout(20):
                while not running.feed.readers:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
                while running.feed.readers:
                    running.feed.publish({"type": "notice", "meeting": meeting, "code": "x" * 100_000})
                    await asyncio.sleep(0.01)


class TestDocument:
    async def test_cues_come_as_words_are_committed_and_each_once(self, served: Serving) -> None:
        meeting = await served.meeting()
        first = caption("Hello everybody, this is a sentence. And this", final=False)
        async with served.http.stream("GET", f"/api/v1/meetings/{meeting}/captions.vtt") as response:
            assert response.headers["content-type"] == "text/vtt; charset=utf-8"
            parts = response.aiter_text()
            document = await anext(parts)
            assert document == "WEBVTT\n\n"
            await say(served, meeting, first)
            document += await asyncio.wait_for(anext(parts), 5)
            assert "<v Anne>Hello everybody, this is a sentence." in document
            assert "And this" not in document
            whole = caption("Hello everybody, this is a sentence. And this is all.")
            await say(served, meeting, replace(whole, revision=2))
            await served.http.post(f"/api/v1/meetings/{meeting}/end")
            document += "".join([part async for part in parts])
        assert document.count("Hello everybody") == 1
        assert document.count("And this is all.") == 1

    async def test_after_the_meeting_it_is_the_file(self, served: Serving) -> None:
        meeting = await served.meeting()
        await say(served, meeting, caption("one"))
        await served.http.post(f"/api/v1/meetings/{meeting}/end")
        live = await served.http.get(f"/api/v1/meetings/{meeting}/captions.vtt")
        file = await served.http.get(f"/api/v1/meetings/{meeting}/transcript.vtt")
        assert live.text == file.text
        assert "content-disposition" not in live.headers

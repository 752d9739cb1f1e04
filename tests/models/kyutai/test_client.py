"""The client with servers that follow a script: what comes of speech, who is asked, and what each trouble becomes."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest

from models.kyutai.connection import Connection
from models.kyutai.server import ServerSettings
from models.kyutai.servers import KyutaiServers
from models.kyutai.stream import KyutaiStream
from pipeline.domain import Samples, Word
from pipeline.errors import NoFreeChannel, RecognitionFailed, RecognitionStalled
from tests.kyutai.scripted_server import KEY, KyutaiServer, kyutai_server
from tests.kyutai.scripts import Babble, NewScript, Timed
from tests.recordings import noise, silence

WAIT = 30.0
WORDS = [Word(f" mot{k}", 0.4 * k + 0.08, 0.4 * k + 0.32) for k in range(1, 8)]
"""In the first 3.2 s of a connection."""


def settings(*servers: KyutaiServer, **more: Any) -> ServerSettings:
    """A busy machine is given time."""
    given = {"key": KEY, "connecting": 10.0, "stalled": 10.0, "rested": 0.05, "probed": 0.2} | more
    return ServerSettings(tuple(server.url for server in servers), **given)


@asynccontextmanager
async def babbling(count: int = 1, **more: Any) -> AsyncIterator[list[KyutaiServer]]:
    """Servers that say a word for each 0.4 s of sound."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(kyutai_server(Babble, **more)) for _ in range(count)]


def speech(seconds: float) -> Samples:
    return noise(seconds, -20.0)


async def until(holds: Any) -> None:
    async with asyncio.timeout(WAIT):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


class Reader:
    """Reads a stream, as the session does."""

    def __init__(self, stream: KyutaiStream) -> None:
        self.words: list[Word] = []
        self.until = 0.0
        self.task = asyncio.create_task(self._read(stream))

    async def _read(self, stream: KyutaiStream) -> None:
        async for heard in stream.heard():
            self.words += heard.words
            self.until = max(self.until, heard.until)

    async def reaches(self, at: float) -> None:
        await until(lambda: self.until >= at - 1e-6 or self.task.done())
        assert not self.task.done(), self.task.exception()

    async def failure(self) -> BaseException | None:
        async with asyncio.timeout(WAIT):
            await asyncio.wait([self.task])
        return self.task.exception()


@asynccontextmanager
async def talking(
    script: NewScript = Babble, patience: float = 120.0, **more: Any
) -> AsyncIterator[tuple[KyutaiServer, KyutaiStream, Reader]]:
    """A server, its client and a stream; ``patience`` is the server's, ``more`` are settings of the client."""
    async with (
        kyutai_server(script, patience=patience) as server,
        KyutaiServers(settings(server, **more)) as servers,
        streaming(servers) as (stream, reader),
    ):
        yield server, stream, reader


@asynccontextmanager
async def streaming(servers: KyutaiServers) -> AsyncIterator[tuple[KyutaiStream, Reader]]:
    stream = await servers.open()
    reader = Reader(stream)
    try:
        yield stream, reader
    finally:
        await stream.close()
        await asyncio.wait([reader.task])


# --- what comes of speech ---------------------------------------------------------------------------------------------


async def test_words_come_with_the_times_of_the_sound_in_which_they_were_said() -> None:
    async with talking(lambda: Timed(WORDS)) as (_, stream, reader):
        for _ in range(166):
            await stream.send(speech(0.02))
        await stream.flush()
        await reader.reaches(3.32)
    assert [word.text for word in reader.words] == [word.text for word in WORDS]
    for word, said in zip(reader.words, WORDS, strict=True):
        assert word.start == pytest.approx(said.start, abs=0.05)
        assert word.start <= word.end <= said.end + 0.1
    assert reader.task.exception() is None


async def test_a_flush_brings_the_last_words_sooner_than_the_delay_and_speech_goes_on_after_it() -> None:
    async with talking() as (_, stream, reader):
        await stream.send(speech(1.0))
        await stream.flush()
        began = asyncio.get_running_loop().time()
        await reader.reaches(1.0)
        assert asyncio.get_running_loop().time() - began < 0.5
        assert len(reader.words) == 2
        await stream.flush()  # nothing was said since
        await stream.send(speech(1.0))
        await stream.flush()
        await reader.reaches(2.0)
    assert len(reader.words) == 5
    starts = [word.start for word in reader.words]
    assert starts == sorted(starts)
    assert starts[2] == pytest.approx(0.96, abs=0.2)  # begun in the first speech, ended in the second
    assert reader.words[-1].end <= 2.0


async def test_sound_waits_here_while_a_server_has_more_than_5_s_to_hear() -> None:
    async with talking() as (server, stream, reader):
        await stream.send(speech(1.0))
        await server.until_said(1)
        await stream.send(speech(9.0))
        assert server.pcm_seconds > 4.5  # all but 5 s, and one step
        await stream.flush()
        await reader.reaches(10.0)
    assert len(reader.words) == 25


async def test_a_stream_in_silence_is_kept_by_signs_of_life() -> None:
    async with talking(patience=0.5, alive=0.1, stalled=0.4) as (_, stream, reader):
        await stream.send(speech(0.5))
        await stream.flush()
        await reader.reaches(0.5)
        await asyncio.sleep(1.2)  # more than twice that patience
        await stream.send(speech(0.5))
        await stream.flush()
        await reader.reaches(1.0)


# --- slots ------------------------------------------------------------------------------------------------------------


async def test_the_least_loaded_server_is_asked_and_slots_come_back() -> None:
    async with babbling(2) as both, KyutaiServers(settings(*both, slots=2)) as servers:
        await until(lambda: all(server.opened and not server.now_open for server in both))  # they were looked at
        streams = [await servers.open() for _ in range(4)]
        assert [server.now_open for server in both] == [2, 2]
        assert [server.used for server in servers.servers] == [2, 2]
        with pytest.raises(NoFreeChannel):
            await servers.open()
        await streams[1].close()
        await streams[1].close()
        async with streaming(servers):
            assert [server.used for server in servers.servers] == [2, 2]
        for stream in streams:
            await stream.close()
        assert [server.used for server in servers.servers] == [0, 0]
        for server in both:
            await server.until_open(0)
    assert sum(server.refused for server in both) == 0


async def test_a_server_without_free_channels_is_left_alone_for_a_moment_while_another_is_asked() -> None:
    async with babbling(2) as (full, other):
        full.channels = 0
        async with KyutaiServers(settings(full, other, full=5.0, probed=60.0)) as servers:
            seen = servers.servers
            await until(lambda: full.refused == other.opened == 1 and not any(server.used for server in seen))
            await other.until_open(0)
            async with streaming(servers), streaming(servers):
                assert other.now_open == 2
            assert full.refused == 2  # a look, which is no talker, and the first of the talkers
            assert servers.servers[0].healthy
            other.channels = 0
            with pytest.raises(NoFreeChannel):
                await servers.open()
    assert [server.refused for server in servers.servers] == [1, 1]


# --- trouble ----------------------------------------------------------------------------------------------------------


async def test_a_wrong_key_is_said_and_stands_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cret of the operator"
    async with babbling() as (server,), KyutaiServers(settings(server, key=secret)) as servers:
        with pytest.raises(RecognitionFailed, match="the key is refused"):
            await servers.open()
        await until(lambda: not servers.takes(("fr",)))
        assert secret not in repr(servers.settings)
    assert "kyutai.away" in caplog.text
    ours = [record for record in caplog.records if record.name != "websockets.server"]
    assert secret not in "".join(str(vars(record)) for record in ours)


async def test_languages_that_the_model_does_not_know_are_not_taken() -> None:
    async with babbling() as (server,), KyutaiServers(settings(server)) as servers:
        assert servers.takes(("fr",))
        assert servers.takes(("en", "fr"))
        assert not servers.takes(("fr", "de"))
        assert not servers.takes(())


async def test_a_lost_connection_is_told_at_once_and_the_next_one_works() -> None:
    async with babbling() as (server,), KyutaiServers(settings(server)) as servers:
        async with streaming(servers) as (stream, reader):
            await stream.send(speech(1.0))
            await server.until_said(1)
            server.cut()
            assert isinstance(await reader.failure(), RecognitionFailed)
            with pytest.raises(RecognitionFailed):
                await stream.send(speech(1.0))
        assert servers.servers[0].lost == 1
        async with streaming(servers) as (stream, reader):
            await stream.send(speech(1.0))
            await stream.flush()
            await reader.reaches(1.0)


async def test_half_a_message_is_a_lost_stream() -> None:
    async with talking() as (server, stream, reader):
        await stream.send(speech(1.0))
        await server.until_said(1)
        assert server.truncate()
        assert "does not speak as moshi-server does" in str(await reader.failure())


async def test_a_server_that_hangs_is_found_by_what_it_owes_and_nobody_is_sent_there_until_it_goes_on() -> None:
    async with babbling(2) as (hung, other):
        chosen = settings(hung, other, stalled=0.5, connecting=1.0, probed=60.0)
        async with KyutaiServers(chosen) as servers:
            await until(lambda: hung.opened and other.opened and not hung.now_open)
            async with streaming(servers) as (stream, reader):
                await stream.send(speech(1.0))
                await hung.until_said(1)
                hung.stall()
                await stream.send(speech(1.0))
                assert isinstance(await reader.failure(), RecognitionStalled)
            await until(lambda: not servers.servers[0].healthy)
            assert servers.servers[0].used == 0
            async with streaming(servers):
                assert other.now_open == 1
            hung.resume()
            await until(lambda: servers.servers[0].healthy)


async def test_a_server_that_hangs_before_it_has_said_anything_is_found_by_its_pings() -> None:
    async with talking(stalled=0.5) as (server, stream, reader):
        server.stall()
        await stream.send(speech(1.0))
        assert isinstance(await reader.failure(), RecognitionStalled)


async def test_a_server_that_is_away_is_asked_no_more_and_comes_back_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "greffier.kyutai")
    async with babbling() as (server,), KyutaiServers(settings(server)) as servers:
        await server.stop()
        await until(lambda: not servers.takes(("fr",)))
        failed = servers.servers[0].failed
        with pytest.raises(RecognitionFailed, match="no server"):
            await servers.open()
        assert servers.servers[0].failed == failed
        await server.start()
        await until(lambda: servers.takes(("fr",)))
        async with streaming(servers):
            assert server.now_open == 1
    events = [record.message for record in caplog.records]
    assert events == ["kyutai.away", "kyutai.back"]


async def test_whatever_a_look_at_a_server_meets_it_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def surprise(*_: object) -> Connection:
        raise ValueError("nobody foresaw it")

    async with babbling() as (server,), KyutaiServers(settings(server)) as servers:
        with monkeypatch.context() as patched:
            patched.setattr(Connection, "open", surprise)
            await until(lambda: not servers.takes(("fr",)))
        await until(lambda: servers.takes(("fr",)))


async def test_an_answer_that_is_no_handshake_is_a_failure() -> None:
    async with babbling(status=HTTPStatus.BAD_GATEWAY) as (server,), KyutaiServers(settings(server)) as servers:
        with pytest.raises(RecognitionFailed, match="502"):
            await servers.open()


async def test_whoever_stops_waiting_for_a_slot_leaves_none_behind() -> None:
    async with babbling() as (server,), KyutaiServers(settings(server, probed=60.0)) as servers:
        await until(lambda: server.opened == 1 and not server.now_open)
        server.stall()
        opening = asyncio.create_task(servers.open())
        await until(lambda: servers.servers[0].used)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()
        server.resume()
        await until(lambda: not servers.servers[0].used)
        await server.until_open(0)


async def test_the_key_is_sent_to_nobody_to_whom_a_server_refers() -> None:
    async with babbling() as (other,):

        async def refer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()

        async with await asyncio.start_server(refer, "127.0.0.1", 0) as referring:
            port = referring.sockets[0].getsockname()[1]
            chosen = ServerSettings((f"ws://127.0.0.1:{port}/api/asr-streaming",), KEY, connecting=10.0)
            async with KyutaiServers(chosen) as servers:
                with pytest.raises(RecognitionFailed, match="302"):
                    await servers.open()
        assert other.opened == 0


# --- rotation ---------------------------------------------------------------------------------------------------------


async def test_an_old_connection_is_changed_at_a_pause_and_times_go_on() -> None:
    async with babbling() as (server,), KyutaiServers(settings(server, rotated=3.0, probed=60.0)) as servers:
        await until(lambda: server.opened == 1)
        async with streaming(servers) as (stream, reader):
            for _ in range(3):
                await stream.send(speech(1.3))
                await stream.flush()
            await reader.reaches(3.9)
            await server.until_open(1)
        assert server.opened == 3
        assert servers.servers[0].rotated == 1
        assert servers.servers[0].used == 0
    starts = [word.start for word in reader.words]
    assert starts == sorted(starts)
    assert reader.words[-1].start > 3.0
    assert len(reader.words) == 9


async def test_without_a_pause_of_speech_the_pause_that_the_model_foresees_will_do() -> None:
    sound = np.concatenate([speech(1.3), silence(0.6), speech(1.3), silence(0.6), speech(1.3)])
    async with babbling() as (server,), KyutaiServers(settings(server, rotated=1.0, probed=60.0)) as servers:
        await until(lambda: server.opened == 1)
        async with streaming(servers) as (stream, reader):
            for begin in range(0, len(sound), 1_280):
                await stream.send(sound[begin : begin + 1_280])
                await asyncio.sleep(0.01)
            await stream.flush()
            await reader.reaches(len(sound) / 16_000)
        assert servers.servers[0].rotated >= 1
    assert len(reader.words) == 9, [(w.text, round(w.start, 2), round(w.end, 2)) for w in reader.words]


async def test_a_connection_that_is_too_old_is_changed_in_the_middle_of_speech_or_is_lost() -> None:
    more = {"rotated": 1.0, "longest": 2.0, "probed": 60.0}
    async with babbling() as (server,), KyutaiServers(settings(server, **more)) as servers:
        await until(lambda: server.opened == 1 and not servers.servers[0].used)
        async with streaming(servers) as (stream, reader):
            for _ in range(30):
                await stream.send(speech(0.1))
            await stream.flush()
            await reader.reaches(3.0)
            assert servers.servers[0].rotated == 2  # in the middle, and by the flush
            server.channels = 0
            with pytest.raises(NoFreeChannel):
                for _ in range(30):
                    await stream.send(speech(0.1))


async def test_where_no_slot_is_free_the_old_connection_goes_on() -> None:
    async with babbling() as (server,), KyutaiServers(settings(server, rotated=1.0, slots=1, probed=60.0)) as servers:
        await until(lambda: server.opened == 1 and not servers.servers[0].used)
        async with streaming(servers) as (stream, reader):
            for _ in range(3):
                await stream.send(speech(1.3))
                await stream.flush()
            await reader.reaches(3.9)
        assert servers.servers[0].rotated == 0
    assert len(reader.words) == 10

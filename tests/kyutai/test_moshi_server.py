"""Kyutai's own moshi-server with a model that was made up: what its protocol does, and Greffier's client against it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
import websockets

from models.kyutai.server import ServerSettings
from models.kyutai.servers import KyutaiServers
from models.kyutai.stream import KyutaiStream
from pipeline.domain import Word
from pipeline.errors import RecognitionFailed, RecognitionStalled
from tests.api.moshi_client import MoshiClient, audio_messages, moshi_client, packed
from tests.kyutai.made_up_model import DELAY_STEPS, WORDS
from tests.kyutai.moshi_server import KEY, MoshiServer, moshi_binary, moshi_server
from tests.recordings import heard, silence

if not moshi_binary().exists():
    pytest.skip(
        "moshi-server is not on this machine: make kyutai-server builds it, in half an hour", allow_module_level=True
    )

CLIP = "en_LJ001-0002.wav"
PATIENCE = "GREFFIER_TEST_PATIENCE"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoshiServer]:
    """Two channels. Who kills it starts it again."""
    with moshi_server(tmp_path_factory.mktemp("moshi")) as server:
        yield server


@asynccontextmanager
async def client_of(server: MoshiServer, key: str = KEY) -> AsyncIterator[MoshiClient]:
    async with moshi_client(server.sockets, key) as client:
        yield client
    await asyncio.sleep(0.1)  # moshi-server sees that a client has gone when it next steps or writes


async def test_it_takes_a_client_steps_each_80_ms_and_says_words(running: MoshiServer) -> None:
    messages = audio_messages(np.concatenate([heard(CLIP), silence(1.0)]))
    async with client_of(running) as client:
        assert await client.until("Ready") == {"type": "Ready"}
        await client.send(*messages)
        await client.until("Step", len(messages) - 1)
        await client.until("EndWord", 3)
    assert {len(step["prs"]) for step in client.of("Step")} == {4}
    assert {word["text"] for word in client.of("Word")} <= WORDS
    kinds = [message["type"] for message in client.heard]
    assert kinds[: kinds.index("Word")].count("Step") >= DELAY_STEPS
    # A word ends only when the next one begins, where that one starts.
    ends, starts = [e["stop_time"] for e in client.of("EndWord")], [w["start_time"] for w in client.of("Word")]
    assert ends[:2] == pytest.approx(starts[1:3])


async def test_a_wrong_key_is_refused_at_the_handshake(running: MoshiServer) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with client_of(running, "public_token"):
            pass
    assert refused.value.response.status_code == 401


async def test_a_client_too_many_is_told_and_closed_and_a_channel_that_is_left_is_free(running: MoshiServer) -> None:
    async with client_of(running) as first, client_of(running) as second:
        await first.until("Ready")
        await second.until("Ready")
        async with client_of(running) as third:
            assert await third.until("Error") == {"type": "Error", "message": "no free channels"}
            await third.until_closed()
    async with client_of(running) as fourth:
        await fourth.until("Ready")


async def test_a_marker_comes_back_once_silence_of_the_delay_has_followed_it(running: MoshiServer) -> None:
    async with client_of(running) as client:
        await client.send(*audio_messages(heard(CLIP)[:16_000]), packed(type="Marker", id=7))
        await client.until("Step", 12)
        with pytest.raises(TimeoutError):
            await client.until("Marker", seconds=0.5)
        await client.send(*audio_messages(silence(0.08 * (DELAY_STEPS + 1))))
        assert await client.until("Marker") == {"type": "Marker", "id": 7}


async def test_sound_is_heard_faster_than_real_time_where_the_machine_is(running: MoshiServer) -> None:
    async with client_of(running) as client:
        await client.until("Ready")
        began = time.monotonic()
        await client.send(packed(type="Marker", id=1), *audio_messages(silence(0.8)))
        await client.until("Marker")
        assert time.monotonic() - began < 10.0


async def test_killed_in_mid_sentence_its_clients_see_a_broken_connection(running: MoshiServer) -> None:
    async with client_of(running) as client:
        await client.send(*audio_messages(heard(CLIP)))
        await client.until("Word")
        running.kill()
        assert (await client.until_closed())[0] == 1006
    with pytest.raises(OSError, match="Connect call failed"):
        async with client_of(running):
            pass
    await asyncio.to_thread(running.start)
    async with client_of(running) as client:
        await client.until("Ready")


async def test_stopped_it_keeps_its_connections_and_says_nothing_until_it_goes_on(running: MoshiServer) -> None:
    async with client_of(running) as client:
        await client.until("Ready")
        running.pause()
        try:
            await client.send(*audio_messages(heard(CLIP)[:16_000]))
            with pytest.raises(TimeoutError):
                await client.until("Step", seconds=1.0)
            assert client.closed is None
        finally:
            running.resume()
        await client.until("Step", 12)


# --- Greffier's client -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoshiServer]:
    with moshi_server(tmp_path_factory.mktemp("second")) as server:
        yield server


@asynccontextmanager
async def servers_of(*running: MoshiServer, stalled: float = 20.0) -> AsyncIterator[KyutaiServers]:
    """With the patience that a busy machine without a GPU needs."""
    urls = tuple(server.url for server in running)
    settings = ServerSettings(urls, KEY, slots=2, delay=DELAY_STEPS * 0.08, connecting=20.0, stalled=stalled)
    async with KyutaiServers(settings) as servers:
        yield servers


async def hear(stream: KyutaiStream, until: float) -> list[Word]:
    """The words of what comes until all before ``until`` was heard."""
    words: list[Word] = []
    async for more in stream.heard():
        words += more.words
        if more.until >= until - 0.01:
            break
    return words


async def used(servers: KyutaiServers, slots: list[int]) -> None:
    """Returns once so many slots of each server are in use: one more is, while its health is looked at."""
    async with asyncio.timeout(30.0):
        while [server.used for server in servers.servers] != slots:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def test_after_a_flush_the_client_has_the_words_of_all_that_it_sent_and_goes_on(running: MoshiServer) -> None:
    speech = heard(CLIP)[:24_000]
    async with servers_of(running) as servers:
        stream = await servers.open()
        for count in (1, 2):
            await stream.send(speech)
            await stream.flush()
            words = await hear(stream, count * 1.5)
            assert len(words) >= 2
            assert {word.text.strip() for word in words} <= WORDS
            assert all((count - 1) * 1.5 - 0.01 <= word.start <= word.end <= count * 1.5 + 0.01 for word in words)
        await stream.close()


async def test_two_servers_share_talkers_and_who_speaks_at_one_that_is_killed_goes_on_at_the_other(
    running: MoshiServer, second: MoshiServer
) -> None:
    speech = heard(CLIP)[:16_000]
    async with servers_of(running, second) as servers:
        await asyncio.sleep(0.05)
        await used(servers, [0, 0])  # both were looked at
        first, other = [await servers.open() for _ in range(2)]
        await used(servers, [1, 1])
        for stream in (first, other):
            await stream.send(speech)
        second.kill()
        with pytest.raises(RecognitionFailed):
            await hear(other, 60.0)
        await other.close()
        again = await servers.open()
        await used(servers, [2, 0])
        for stream in (first, again):
            await stream.send(speech)
            await stream.flush()
        assert await hear(first, 2.0)
        assert await hear(again, 1.0)
        await first.close()
        await again.close()
    await asyncio.to_thread(second.start)


async def test_a_server_that_is_stopped_in_mid_sentence_is_given_up_after_a_while(running: MoshiServer) -> None:
    async with servers_of(running, stalled=3.0) as servers:
        stream = await servers.open()
        await stream.send(np.concatenate([heard(CLIP), heard(CLIP)]))
        assert await hear(stream, 0.1)  # it has begun to hear
        running.pause()
        try:
            await stream.send(heard(CLIP))
            with pytest.raises(RecognitionStalled):
                await hear(stream, 60.0)
        finally:
            running.resume()
        await stream.close()


@pytest.mark.timeout(240)
@pytest.mark.skipif(PATIENCE not in os.environ, reason=f"waits for two minutes: {PATIENCE}=1 asks for it")
async def test_without_data_it_breaks_the_connection_after_two_minutes(running: MoshiServer) -> None:
    async with client_of(running) as client:
        await client.until("Ready")
        began = time.monotonic()
        code, _ = await client.until_closed(seconds=180.0)
        assert code == 1006  # without a closing handshake
        assert 110.0 < time.monotonic() - began < 150.0

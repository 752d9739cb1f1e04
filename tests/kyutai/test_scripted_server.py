"""The scripted Kyutai server itself: what it hears in sound, and the troubles that it makes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import numpy as np
import pytest
import websockets

from pipeline.domain import Samples, Word
from tests.api.moshi_client import MoshiClient, audio_messages, moshi_client, packed
from tests.kyutai.scripted_server import KEY, KyutaiServer, kyutai_server
from tests.kyutai.scripts import Babble, Recited, Recording, Timed
from tests.recordings import heard, noise, silence

WORDS = [Word(f" w{k}", 0.3 + 0.3 * k, 0.55 + 0.3 * k) for k in range(5)]


@asynccontextmanager
async def client_of(server: KyutaiServer, key: str = KEY) -> AsyncIterator[MoshiClient]:
    async with moshi_client(f"ws://127.0.0.1:{server.port}", key) as client:
        yield client


async def told(server: KyutaiServer, *sound: Samples) -> MoshiClient:
    """What one client hears of sound, with a marker and silence after it."""
    async with client_of(server) as client:
        marked = packed(type="Marker", id=3)
        await client.send(*audio_messages(np.concatenate(sound)), marked, *audio_messages(silence(0.8)))
        await client.until("Marker")
    return client


async def test_words_come_a_delay_after_their_end_and_their_ends_with_the_next_word() -> None:
    async with kyutai_server(lambda: Timed(WORDS)) as server:
        client = await told(server, silence(2.0))
    assert client.heard[0]["type"] == "Ready"
    assert client.text == "w0 w1 w2 w3 w4"
    assert [word["start_time"] for word in client.of("Word")] == pytest.approx([w.start for w in WORDS], abs=0.05)
    assert len(client.of("EndWord")) == 4
    kinds = [message["type"] for message in client.heard]
    assert kinds[: kinds.index("Word")].count("Step") >= round((0.55 + 0.5) / 0.08) - 1


async def test_a_recording_says_its_words_wherever_a_part_of_it_is_heard() -> None:
    sound = heard("en_LJ001-0002.wav")
    recording = Recording(sound, WORDS)
    second = sound[int(0.7 * 16_000) :]  # less than half of w1 is cut off
    async with kyutai_server(lambda: Recited(recording)) as server:
        assert (await told(server, sound)).text == "w0 w1 w2 w3 w4"
        assert (await told(server, silence(0.5), second)).text == "w1 w2 w3 w4"
        assert (await told(server, sound[:17_000], sound)).text == "w0 w1 w0 w1 w2 w3 w4"
        assert (await told(server, sound[:17_000], silence(1.0), sound[22_000:])).text == "w0 w1 w4"
        assert (await told(server, noise(1.0, -20.0))).text == ""
        again = await told(server, silence(1.04), sound)
        assert again.of("Word")[0]["start_time"] == pytest.approx(1.04 + 0.3, abs=0.06)


async def test_babble_says_words_while_it_is_loud() -> None:
    async with kyutai_server(Babble) as server:
        client = await told(server, silence(1.0), noise(2.05, -20.0), silence(2.0))
    assert client.text == "w1 w2 w3 w4 w5"


async def test_pauses_are_seen_in_steps_and_init_begins_anew() -> None:
    async with kyutai_server(lambda: Timed(WORDS)) as server, client_of(server) as client:
        await client.send(*audio_messages(noise(1.6, -20.0)), *audio_messages(silence(1.0)))
        await client.until("Step", 30)
        prs = [step["prs"][2] for step in client.of("Step")]
        assert max(prs[:18]) < 0.5 < min(prs[25:])
        await client.send(packed(type="Init"), *audio_messages(silence(2.5)))
        await client.until("Ready", 2)
        await client.until("Word", 10)


async def test_it_refuses_wrong_keys_more_clients_than_channels_and_everybody_by_status() -> None:
    async with kyutai_server(Babble, channels=1) as server:
        async with client_of(server) as first:
            await first.until("Ready")
            async with client_of(server) as second:
                assert (await second.until("Error"))["message"] == "no free channels"
                await second.until_closed()
        await server.until_open(0)
        assert (server.refused, server.opened, server.most_open) == (1, 1, 1)
        for key, status in ((KEY, HTTPStatus.SERVICE_UNAVAILABLE), ("wrong", None)):
            server.status = status
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with client_of(server, key):
                    pass
            assert refused.value.response.status_code == (status or 401)


async def test_it_cuts_truncates_and_comes_back_at_its_port() -> None:
    async with kyutai_server(Babble) as server:
        async with client_of(server) as client:
            await client.send(*audio_messages(noise(2.0, -20.0)))
            await server.until_said(2)
            assert server.cut() == 1
            assert (await client.until_closed())[0] == 1006
        async with client_of(server) as client:
            await client.until("Ready")
            server.truncate()
            with pytest.raises(ValueError, match="incomplete"):
                await client.until_closed()
        await server.stop()
        with pytest.raises(OSError, match=r"refused|Connect"):
            async with client_of(server):
                pass
        await server.start()
        assert (await told(server, noise(1.0, -20.0))).text == "w1 w2"


async def test_stalled_it_takes_connections_and_says_nothing_until_it_goes_on() -> None:
    async with kyutai_server(Babble) as server, client_of(server) as client:
        await client.until("Ready")
        server.stall()
        await client.send(*audio_messages(noise(1.0, -20.0)), *audio_messages(silence(0.8)))
        with pytest.raises(TimeoutError):
            await client.until("Step", seconds=0.3)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), client_of(server):
                pass
        server.resume()
        await client.until("Word", 2)


async def test_mute_it_steps_and_hears_no_words() -> None:
    async with kyutai_server(Babble, mute=True) as server:
        client = await told(server, noise(1.0, -20.0))
    assert client.text == ""
    assert len(client.of("Step")) >= 15

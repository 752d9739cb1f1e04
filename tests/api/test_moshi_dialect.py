"""The moshi dialect with a recogniser that follows a script: what is said when, what is refused, who waits for whom."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import websockets

from api import moshi_dialect
from api.channels import PER_TALKER, TRACK
from api.keys import new_key
from pipeline.access import Scope
from pipeline.domain import Hypothesis, Samples, Window, Word
from pipeline.errors import RecognitionFailed
from pipeline.ports import RecognitionRequest, Recognizer
from tests.api.moshi_client import MoshiClient, audio_messages, moshi_client, packed
from tests.api.serving import Serving, serving
from tests.recordings import heard, silence

CLIP = "en_LJ001-0002.wav"
WORDS = [Word(f" w{k}", 0.1 + 0.3 * k, 0.35 + 0.3 * k) for k in range(5)]
"""They lie within the speech of the clip."""


def spoken(after: float = 1.5) -> list[bytes]:
    return audio_messages(np.concatenate([heard(CLIP), silence(after)]))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path, {TRACK.id: WORDS}) as server:
        yield server


@asynccontextmanager
async def connected(served: Serving, **more: Any) -> AsyncIterator[MoshiClient]:
    async with moshi_client(served.sockets, served.key, **more) as client:
        yield client


async def until(condition: Any, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def channels(served: Serving) -> Any:
    assert served.house.channels is not None
    return served.house.channels


class Hindered:
    """A ``Recognizer`` that does something before each window."""

    def __init__(self, recognizer: Recognizer, first: Callable[[], Awaitable[object]]) -> None:
        self.recognizer = recognizer
        self.first = first

    async def recognize(self, request: RecognitionRequest) -> tuple[Window, Hypothesis] | None:
        await self.first()
        return await self.recognizer.recognize(request)


def hears_by(served: Serving, first: Callable[[], Awaitable[object]]) -> None:
    """Channels opened from now on recognise so."""
    every = channels(served)
    every.equipment = replace(every.equipment, recognizer=Hindered(every.equipment.recognizer, first))


# --- what comes back ----------------------------------------------------------------------------------------


async def test_words_come_once_they_no_longer_change_each_with_its_end(served: Serving) -> None:
    async with connected(served) as client:
        assert await client.until("Ready") == {"type": "Ready"}
        await client.send(*spoken())
        await client.until("EndWord", len(WORDS))
    told = [message for message in client.heard if message["type"] in {"Word", "EndWord"}]
    assert [message.get("text") for message in told] == [text for k in range(5) for text in (f"w{k}", None)]
    assert [message["start_time"] for message in told[::2]] == pytest.approx([word.start for word in WORDS], abs=0.01)
    assert [message["stop_time"] for message in told[1::2]] == pytest.approx([word.end for word in WORDS], abs=0.01)
    assert await served.house.store.meetings() == []


async def test_each_80_ms_are_one_step_whose_pauses_grow_in_silence_only(served: Serving) -> None:
    sound = np.concatenate([silence(1.2), heard(CLIP), silence(3.5)])
    messages = audio_messages(sound)
    async with connected(served) as client:
        await client.send(*messages)
        await client.until("Step", len(messages) - 1)
    steps = client.of("Step")
    assert [step["step_idx"] for step in steps] == list(range(len(steps)))
    assert all(len(step["prs"]) == 4 for step in steps)
    at_start, mid_speech, at_end = (steps[round(at / 0.08)]["prs"] for at in (1.0, 2.2, len(sound) / 16_000 - 0.2))
    assert at_start == pytest.approx([1.0, 1.0, 0.5, 1 / 3], abs=0.05)
    assert mid_speech[2] < 0.2
    assert at_end == [1.0, 1.0, 1.0, 1.0]


async def test_sound_in_messages_of_any_length_makes_the_same_steps(served: Serving) -> None:
    async with connected(served) as client:
        await client.send(*audio_messages(silence(1.0), 700))
        await client.until("Step", 11)
        await client.send(packed(type="Audio", pcm=[]), *audio_messages(silence(4.0), 96_000))
        step = await client.until("Step", 30)
    assert 0 < step["buffered_pcm"] <= 96_000


async def test_a_marker_comes_after_the_words_before_it_without_any_sound_after_it(served: Serving) -> None:
    async with connected(served) as client:
        await client.send(*audio_messages(heard(CLIP)[:26_000]), packed(type="Marker", id=7))
        assert await client.until("Marker") == {"type": "Marker", "id": 7}
        assert client.text == "w0 w1 w2 w3 w4"
        await client.send(packed(type="Marker", id=-8))  # nothing was said since
        assert (await client.until("Marker", 2))["id"] == -8


async def test_a_microphone_that_stops_sending_in_mid_speech_has_its_words(served: Serving) -> None:
    async with connected(served) as client:
        await client.send(*audio_messages(heard(CLIP)[:26_000]))
        await client.until("Word", 5)


async def test_init_is_answered_and_text_ignored(served: Serving) -> None:
    async with connected(served) as client:
        await client.send(packed(type="Init"))
        await client.until("Ready", 2)
        await client.socket.send("hello")
        await client.send(packed(type="Marker", id=1))
        await client.until("Marker")


def ogg(sound: Samples) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
        frame.rate = 16_000
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48_000, frame_size=960)
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return file.getvalue()


async def test_opus_in_an_ogg_stream_is_heard_in_pieces_of_any_length(served: Serving) -> None:
    stream = ogg(np.concatenate([heard(CLIP), silence(1.0)]))
    pieces = [stream[begin : begin + 777] for begin in range(0, len(stream), 777)]
    async with connected(served) as client:
        await client.send(*(packed(type="OggOpus", data=piece) for piece in pieces))
        await client.until("Word", 5)
        await client.until("Step", int((len(heard(CLIP)) / 16_000 + 0.9) / 0.08))


# --- who is let in ------------------------------------------------------------------------------------------


async def key_for(served: Serving, *scopes: Scope) -> str:
    key, text = new_key("agent", set(scopes), 0.0)
    await served.house.store.add_key(key)
    return text


async def test_keys_for_recognition_are_let_in_by_header_or_address_and_no_others(served: Serving) -> None:
    address = f"{served.sockets}/api/asr-streaming"
    good = await key_for(served, Scope.RECOGNITION)
    async with websockets.connect(f"{address}?auth_id={good}", proxy=None):
        pass
    async with moshi_client(served.sockets, good) as client:
        await client.until("Ready")
    wrong = await key_for(served, Scope.MEETINGS, Scope.READ, Scope.RECORDINGS, Scope.METRICS)
    for key, status in ((wrong, 403), ("public_token", 401), ("", 401)):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with moshi_client(served.sockets, key):
                pass
        assert refused.value.response.status_code == status
        async with served.stranger(**{"kyutai-api-key": key}) as http:
            assert (await http.post("/api/asr-streaming", content=b"")).status_code == status
    with pytest.raises(websockets.InvalidStatus):
        async with websockets.connect(address, proxy=None):
            pass
    async with served.stranger(**{"kyutai-api-key": good}) as http:  # it opens nothing else
        assert (await http.get("/api/v1/meetings")).status_code == 401
        headers = {"Authorization": f"Bearer {good}"}
        assert (await http.get("/api/v1/meetings", headers=headers)).status_code == 403


async def test_whoever_finds_no_free_channel_is_told_and_one_that_is_left_is_free(
    served: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert channels(served).most == 8 * PER_TALKER
    monkeypatch.setattr(channels(served), "most", 2)
    async with connected(served) as first, connected(served) as second:
        await first.until("Ready")
        await second.until("Ready")
        async with connected(served) as third:
            assert await third.until("Error") == {"type": "Error", "message": "no free channels"}
            assert await third.until_closed() == (1013, "no free channels")
        answer = await served.http.post("/api/asr-streaming", content=ogg(silence(1.0)))
        assert answer.status_code == 429
    await until(lambda: len(channels(served)) == 0)
    async with connected(served) as fourth:
        await fourth.until("Ready")
    metrics = (await served.http.get("/metrics")).text
    assert "greffier_channels_refused_total 2.0" in metrics
    assert "greffier_channels_possible 2.0" in metrics


async def test_somebody_who_answers_says_what_it_is(served: Serving) -> None:
    async with served.stranger() as http:
        assert (await http.get("/api/build_info")).json()["server"] == "greffier"


# --- what is wrong ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"\xc1", "no MessagePack"),
        (b"\x81", "no MessagePack"),
        (b"", "no MessagePack"),
        (b"\x81" * 3_000, "no MessagePack"),
        (b"\x93\x01\x02\x03", "must be a map"),
        (packed(type="Text"), "must be one of"),
        (packed(type=["Audio"]), "must be one of"),
        (packed(pcm=[0.0]), "must be one of"),
        (packed(type="Audio"), "pcm"),
        (packed(type="Audio", pcm=["loud"]), "pcm"),
        (packed(type="Audio", pcm=b"\x00\x00"), "pcm"),
        (packed(type="OggOpus", data="text"), "data"),
        (packed(type="OggOpus", data=b"RIFF and so on"), "no Ogg stream"),
        (packed(type="Marker"), "id"),
        (packed(type="Marker", id="one"), "id"),
    ],
)
async def test_what_is_no_message_closes_with_a_reason(served: Serving, message: bytes, said: str) -> None:
    async with connected(served) as client, connected(served) as other:
        await client.send(message)
        code, reason = await client.until_closed()
        assert code == 1007
        assert said in reason
        assert client.of("Error")[0]["message"] == reason
        await other.send(packed(type="Marker", id=1))  # nobody else is disturbed
        await other.until("Marker")


async def test_sound_that_is_no_number_is_silence(served: Serving) -> None:
    async with connected(served) as client:
        await client.send(packed(type="Audio", pcm=[float("nan"), float("inf"), -1e30, 3] * 480), *spoken())
        await client.until("Word", 3)


async def test_whoever_sends_nothing_for_long_is_sent_away(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moshi_dialect, "_STALL", 0.1)
    monkeypatch.setattr(moshi_dialect, "_PATIENCE", 0.4)
    async with connected(served) as client:
        await client.socket.send("text is no message")
        assert (await client.until_closed())[0] == 1008
    await until(lambda: len(channels(served)) == 0)


async def test_a_client_that_vanishes_leaves_nothing_behind(served: Serving) -> None:
    async with connected(served) as client:
        await client.send(*audio_messages(heard(CLIP)[:26_000]))
        await client.until("Step")
        client.socket.transport.abort()
        await until(lambda: len(channels(served)) == 0)


async def test_a_client_that_takes_nothing_is_let_go_of(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moshi_dialect, "_TAKEN", 0.3)
    steps = audio_messages(silence(30.0), 96_000)
    async with connected(served, max_queue=1) as client:
        client.reading.cancel()
        client.socket.transport.pause_reading()
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(60.0):
                while True:
                    await client.send(*steps)
        await until(lambda: len(channels(served)) == 0)


async def test_sound_faster_than_real_time_waits_while_too_much_is_unheard_and_none_is_lost(served: Serving) -> None:
    """The recogniser stands still: ten seconds are taken, the rest waits in the sockets."""
    going = asyncio.Event()
    hears_by(served, going.wait)
    speech = np.concatenate([np.tile(heard(CLIP)[3_000:26_000], 15), silence(1.0)])
    messages = audio_messages(speech)
    async with connected(served) as client:
        sending = asyncio.create_task(client.send(*messages, packed(type="Marker", id=1)))
        await client.until("Step", 100)
        await asyncio.sleep(0.3)
        taken = len(client.of("Step")) * 0.08
        assert 9.0 < taken < 14.0
        going.set()
        await client.until("Marker", seconds=60.0)
        await sending
        assert len(client.of("Step")) >= len(messages) - 3  # the resampler and the marker hold back less than one each
        assert client.text.startswith("w0 w1 w2 w3 w4")
        assert client.of("Error") == []


async def test_sound_that_the_recogniser_fails_on_is_told_of_and_what_follows_is_heard(served: Serving) -> None:
    failing = True

    async def fail() -> None:
        if failing:
            raise RecognitionFailed("the script says so")

    hears_by(served, fail)
    async with connected(served) as client:
        await client.send(*spoken(), packed(type="Marker", id=1))
        await client.until("Marker")
        assert "nothing was recognised from" in client.of("Error")[0]["message"]
        failing = False
        await client.send(*spoken(), packed(type="Marker", id=2))
        await client.until("Marker", 2)
        assert client.closed is None


async def test_a_channel_that_breaks_off_says_so_and_is_free_again(served: Serving) -> None:
    async def surprise() -> None:
        raise ValueError("nobody foresaw it")

    hears_by(served, surprise)
    async with connected(served) as client:
        await client.send(*spoken())
        assert await client.until_closed() == (1011, "the recogniser failed")
        assert client.of("Error")
    answer = await served.http.post("/api/asr-streaming", content=ogg(heard(CLIP)))
    assert answer.status_code == 503
    await until(lambda: len(channels(served)) == 0)


# --- a whole recording --------------------------------------------------------------------------------------


async def test_a_recording_that_is_posted_comes_back_as_its_words(served: Serving) -> None:
    answer = await served.http.post("/api/asr-streaming", content=ogg(heard(CLIP)))
    assert answer.status_code == 200
    told = answer.json()
    assert [message["text"] for message in told if message["type"] == "Word"] == ["w0", "w1", "w2", "w3", "w4"]
    assert {message["type"] for message in told} == {"Word", "EndWord"}
    await until(lambda: len(channels(served)) == 0)


async def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, upload_limit=1_000) as served:
        assert (await served.http.post("/api/asr-streaming", content=b"no sound")).status_code == 422
        assert (await served.http.post("/api/asr-streaming", content=b"")).status_code == 422
        assert (await served.http.post("/api/asr-streaming", content=bytes(2_000))).status_code == 413

"""The moshi dialect with Whisper behind it: the words of recorded speech, when they were said, and markers."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import jiwer
import numpy as np
import pytest
import websockets
from whisper_normalizer.basic import BasicTextNormalizer

from api.tokens import Can, Token
from api.wiring import Recognition
from pipeline.domain import MeetingId, ParticipantId, Samples
from tests.api.moshi_client import audio_messages, moshi_client, packed
from tests.houses import settings_in
from tests.recordings import described, heard, recorded, silence
from tests.serving import Served, serving

CLIPS = ("en_LJ001-0002.wav", "en_LJ010-0008.wav")
PAUSE = 1.5


@pytest.fixture
async def served(tmp_path: Path, loaded: Recognition) -> AsyncIterator[Served]:
    async with serving(loaded, settings_in(tmp_path)) as server:
        yield server


def said(*clips: str) -> str:
    return " ".join(str(described(clip)["ref_text"]) for clip in clips)


def wrong(reference: str, hypothesis: str) -> float:
    plain = BasicTextNormalizer()
    return float(jiwer.wer(plain(reference), plain(hypothesis)))


async def by_audio_ws(served: Served, sound: Samples) -> str:
    """The committed words of a meeting that hears the same at the pace of speech."""
    answer = await served.client.post("/api/v1/meetings", json={})
    meeting = MeetingId(answer.json()["id"])
    token = served.house.access.issue(Token(meeting, frozenset(Can), ParticipantId("anne")))[0]
    address = f"{served.url.replace('http', 'ws')}/api/v1/meetings/{meeting}/audio.ws"
    async with websockets.connect(address, proxy=None) as socket:
        await socket.send(json.dumps({"token": token, "codec": "pcm16", "sample_rate": 16_000}))
        await socket.recv()
        for begin in range(0, len(sound), 1_280):
            await socket.send(sound[begin : begin + 1_280].tobytes())
            await asyncio.sleep(0.08)
    await served.client.post(f"/api/v1/meetings/{meeting}/end")
    finals = await served.house.store.finals(meeting)
    return " ".join(final.committed.strip() for final in finals)


async def test_recorded_speech_comes_back_as_the_words_that_a_meeting_has_at_the_time_they_were_said(
    served: Served,
) -> None:
    sounds = [heard(clip) for clip in CLIPS]
    sound = np.concatenate([sounds[0], silence(PAUSE), sounds[1], silence(PAUSE)])
    second = (len(sounds[0]) / 16_000) + PAUSE
    native = asyncio.create_task(by_audio_ws(served, sound))
    async with moshi_client(served.url.replace("http", "ws"), served.key) as client:
        await client.send(*audio_messages(sound), packed(type="Marker", id=1), pace=0.08)
        await client.until("Marker")
    truth = said(*CLIPS)
    assert wrong(truth, client.text) <= wrong(truth, await native) + 0.02
    assert wrong(truth, client.text) < 0.15
    words, ends = client.of("Word"), client.of("EndWord")
    assert all(not word["text"].startswith(" ") for word in words)
    starts = [word["start_time"] for word in words]
    assert starts == sorted(starts)
    assert all(word["start_time"] <= end["stop_time"] for word, end in zip(words, ends, strict=True))
    # The first word of each clip begins where its sound does, give or take what Whisper does after a pause.
    first = len(said(CLIPS[0]).split())
    assert starts[0] < 0.8
    assert second - 0.6 < starts[first] < second + 0.8
    assert ends[first - 1]["stop_time"] < second


async def test_a_burst_of_silence_after_the_end_of_speech_brings_its_last_words_before_their_marker(
    served: Served,
) -> None:
    async with moshi_client(served.url.replace("http", "ws"), served.key) as client:
        await client.send(*audio_messages(heard(CLIPS[0])), pace=0.02)
        began = asyncio.get_running_loop().time()
        await client.send(packed(type="Marker", id=5), *audio_messages(silence(0.5)))
        await client.until("Marker")
        assert asyncio.get_running_loop().time() - began < 10.0
        kinds = [message["type"] for message in client.heard]
        assert "Word" not in kinds[kinds.index("Marker") :]
        assert wrong(said(CLIPS[0]), client.text) < 0.15


async def test_a_recording_that_is_posted_comes_back_as_its_words(served: Served) -> None:
    answer = await served.client.post("/api/asr-streaming", content=recorded(CLIPS[0]).read_bytes())
    text = " ".join(message["text"] for message in answer.json() if message["type"] == "Word")
    assert wrong(said(CLIPS[0]), text) < 0.15

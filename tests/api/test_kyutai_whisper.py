"""The client of Kyutai's protocol with a real recogniser at the other end: Greffier's own dialect and Whisper."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from api.wiring import Recognition
from models.kyutai.server import ServerSettings
from models.kyutai.servers import KyutaiServers
from pipeline.domain import SAMPLE_RATE, Word
from tests.api.test_moshi_dialect_whisper import by_audio_ws, said, wrong
from tests.houses import settings_in
from tests.recordings import heard, silence
from tests.serving import Served, serving

CLIPS = ("en_LJ010-0008.wav", "fr_pv_leopard.wav")
PAUSE = 1.0
MORE_WRONG = 2
"""How many words more than in a meeting may be wrong: both hear windows cut by the clock, on a machine that is busy."""


@pytest.fixture
async def served(tmp_path: Path, loaded: Recognition) -> AsyncIterator[Served]:
    async with serving(loaded, settings_in(tmp_path)) as server:
        yield server


async def streamed(served: Served, clips: Sequence[str]) -> list[Word]:
    """The words of clips, each flushed at its end, over one connection and at the pace of speech."""
    url = f"{served.url.replace('http', 'ws')}/api/asr-streaming"
    # Whisper shares the machine of the tests: it is given time.
    settings = ServerSettings((url,), served.key, connecting=10.0, stalled=20.0)
    words: list[Word] = []
    reached = asyncio.Event()
    async with KyutaiServers(settings) as servers:
        stream = await servers.open()
        sent = 0.0

        async def read() -> None:
            async for told in stream.heard():
                words.extend(told.words)
                if told.until >= sent - 0.001:
                    reached.set()

        reading = asyncio.create_task(read())
        for clip in clips:
            sound = np.concatenate([heard(clip), silence(PAUSE)])
            for begin in range(0, len(sound), 1_280):
                await stream.send(sound[begin : begin + 1_280])
                await asyncio.sleep(0.08)
            sent += len(sound) / SAMPLE_RATE
            reached.clear()
            await stream.flush()
            async with asyncio.timeout(30):
                await reached.wait()
        await stream.close()
        await reading
    return words


async def test_recorded_speech_comes_out_as_well_as_in_a_meeting_when_it_was_said(served: Served) -> None:
    sound = np.concatenate([piece for clip in CLIPS for piece in (heard(clip), silence(PAUSE))])
    words, native = await asyncio.gather(streamed(served, CLIPS), by_audio_ws(served, sound))
    text, truth = "".join(word.text for word in words), said(*CLIPS)
    assert wrong(truth, text) <= wrong(truth, native) + MORE_WRONG / len(truth.split()), (text, native)
    assert wrong(truth, text) < 0.15, text
    begins = 0.0
    for clip in CLIPS:
        ends = begins + len(heard(clip)) / SAMPLE_RATE
        mine = [word for word in words if begins - 0.3 <= word.start < ends + PAUSE - 0.3]
        assert wrong(said(clip), "".join(word.text for word in mine)) < 0.3
        assert mine[0].start < begins + 1.2  # the clips begin with a breath
        assert mine[-1].end < ends + PAUSE
        begins = ends + PAUSE

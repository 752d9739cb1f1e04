"""A meeting whose words come from two real moshi-servers, one of which is killed or stopped in mid sentence."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.kyutai.server import ServerSettings
from models.kyutai.servers import KyutaiServers
from pipeline.domain import TrackId, Word
from tests.benchmarks.events import caption_words
from tests.benchmarks.integrity import find_violations
from tests.benchmarks.kyutai_meeting import holding
from tests.kyutai.made_up_model import DELAY_STEPS, WORDS
from tests.kyutai.moshi_server import KEY, MoshiServer, moshi_binary, moshi_server
from tests.kyutai.test_client_and_dialect import events_of
from tests.recordings import heard, silence

if not moshi_binary().exists():
    pytest.skip("moshi-server is not on this machine", allow_module_level=True)

CLIP = "en_LJ010-0008.wav"
WHISPERED = [Word(" whispered", 0.4 * k, 0.4 * k + 0.35) for k in range(100)]
"""What windows hear, where this machine is too slow for either server."""


@pytest.mark.parametrize("trouble", [MoshiServer.kill, MoshiServer.pause])
async def test_captions_go_on_when_the_server_in_use_is_killed_or_stopped_and_keep_what_they_said(
    tmp_path: Path, trouble: Callable[[MoshiServer], None]
) -> None:
    sound = np.concatenate([silence(0.5), heard(CLIP), heard(CLIP), silence(1.5)])
    with moshi_server(tmp_path / "one") as one, moshi_server(tmp_path / "other") as other:
        settings = ServerSettings((one.url, other.url), KEY, slots=2, delay=0.08 * DELAY_STEPS)
        async with KyutaiServers(settings) as servers, holding(servers, {TrackId("talker"): WHISPERED}) as held:
            playing = asyncio.create_task(held.play(events_of(sound)))
            async with asyncio.timeout(30.0):
                while not caption_words(held.events):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
            in_use = max(zip(servers.servers, (one, other), strict=True), key=lambda each: each[0].used)[1]
            trouble(in_use)
            fault_at = held.now()
            await playing
    words = caption_words(held.events)
    assert find_violations(held.events).total == 0
    assert {word.text.strip() for word in words} <= WORDS | {"whispered"}
    assert [word.start for word in words] == sorted(word.start for word in words)
    assert any(word.start > fault_at for word in words)

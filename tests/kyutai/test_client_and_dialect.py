"""Greffier's client against Greffier's dialect: real words of recorded speech, through a network that makes trouble."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import jiwer
import numpy as np
from whisper_normalizer.basic import BasicTextNormalizer

from api.detecting import speech_detectors
from api.wiring import Recognition
from models.kyutai.server import ServerSettings
from models.kyutai.servers import KyutaiServers
from pipeline.domain import SAMPLE_RATE, AudioFrame, Samples, TrackClosed, TrackEvent, TrackOpened
from pipeline.edge import TrackEdge
from tests.benchmarks.events import caption_words
from tests.benchmarks.integrity import find_violations
from tests.benchmarks.kyutai_meeting import FRAME, Held, track_of
from tests.houses import settings_in
from tests.kyutai.proxy import Proxy, proxy_to
from tests.recordings import described, heard, silence
from tests.serving import serving

CLIPS = ("en_LJ001-0002.wav", "en_LJ010-0008.wav", "en_LJ001-0002.wav")
PAUSE = 1.0


def spoken() -> tuple[Samples, str, Sequence[float]]:
    """The clips one after the other, what is said in them, and the middle of each in seconds."""
    parts, middles, at = [silence(PAUSE)], [], PAUSE
    for clip in CLIPS:
        sound = heard(clip)
        middles.append(at + len(sound) / SAMPLE_RATE / 2)
        parts += [sound, silence(PAUSE)]
        at += len(sound) / SAMPLE_RATE + PAUSE
    return np.concatenate(parts), " ".join(str(described(clip)["ref_text"]) for clip in CLIPS), middles


def events_of(sound: Samples) -> list[tuple[float, TrackEvent]]:
    """What the edge passes on, each with its moment."""
    track = track_of("talker")
    edge, count = TrackEdge(track.id, speech_detectors()()), round(FRAME * SAMPLE_RATE)
    told: list[tuple[float, TrackEvent]] = [(0.0, TrackOpened(track, 0.0))]
    for begin in range(0, len(sound), count):
        frame = AudioFrame(track.id, begin / SAMPLE_RATE, sound[begin : begin + count])
        told += [(frame.end, event) for event in edge.feed(frame)]
    end = len(sound) / SAMPLE_RATE
    return [*told, *((end, event) for event in edge.close()), (end, TrackClosed(track.id, end))]


async def captioned(loaded: Recognition, proxy: Proxy, key: str, sound: Samples, troubles: Sequence[float]) -> Held:
    """A meeting at the pace of speech, whose network fails at each of ``troubles``: truncated, then cut."""
    url = f"ws://127.0.0.1:{proxy.listens_at}/api/asr-streaming"
    settings = ServerSettings((url,), key, connecting=5.0, stalled=10.0)
    async with KyutaiServers(settings) as servers, loaded.batcher() as batcher:
        held = Held(servers, batcher)
        running = asyncio.create_task(held.run())
        playing = asyncio.create_task(held.play(events_of(sound)))
        for at, fail in zip(troubles, (proxy.truncate, proxy.cut), strict=False):
            await asyncio.sleep(max(0.0, at - held.now()))
            fail()
        await playing
        await held.bus.close()
        await running
    return held


async def test_words_come_through_a_network_that_delays_truncates_and_cuts_and_none_is_lost_or_doubled(
    tmp_path: Path, loaded: Recognition
) -> None:
    sound, text, middles = spoken()
    async with serving(loaded, settings_in(tmp_path)) as served, proxy_to(int(served.url.rsplit(":", 1)[1])) as proxy:
        proxy.delay = 0.15
        held = await captioned(loaded, proxy, served.key, sound, middles[1:])
    assert held.servers.servers[0].lost >= 1
    assert find_violations(held.events).total == 0
    plain = BasicTextNormalizer()
    said = plain("".join(word.text for word in caption_words(held.events)))
    assert jiwer.wer(plain(text), said) < 0.2

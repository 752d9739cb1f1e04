"""What trouble with a Kyutai server costs readers: six kinds, each some times in mid sentence, all at once.

``python -m tests.benchmarks.kyutai faults`` prints the figures. Each has a scripted server, a meeting and a talker of
its own; the server knows by the sound what is said (``Recited``), so that every word lost, said twice or altered shows,
and the recogniser that takes over knows the same words by their time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from api.detecting import speech_detectors
from models.kyutai.server import ServerSettings
from models.kyutai.servers import KyutaiServers
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
    Word,
)
from pipeline.edge import TrackEdge
from tests.benchmarks import failover
from tests.benchmarks.events import Event, by_utterance
from tests.benchmarks.integrity import find_violations
from tests.benchmarks.kyutai_meeting import DELAY, FRAME, Figures, first_committed, holding, track_of
from tests.kyutai.scripted_server import KEY, KyutaiServer, kyutai_server
from tests.kyutai.scripts import Recited, Recording

TIMES = 4
SILENT_AFTER = 4.0
"""N of the issue: seconds of speech without a word after which a slot is taken for broken."""
FAULT_SECONDS = 30.0
_LABEL_SECONDS = 0.35


@dataclass(frozen=True, slots=True)
class Trouble:
    """``silent``: nothing breaks, the server only says no more."""

    name: str
    act: Callable[[KyutaiServer], Awaitable[object]]
    silent: bool = False


async def _cut(server: KyutaiServer) -> None:
    server.cut()


async def _truncate(server: KyutaiServer) -> None:
    server.truncate()


async def _fill(server: KyutaiServer) -> None:
    server.channels = 0
    server.cut()


async def _stall(server: KyutaiServer) -> None:
    server.stall()


async def _mute(server: KyutaiServer) -> None:
    server.mute = True


TROUBLES = (
    Trouble("lost", _cut),
    Trouble("truncated", _truncate),
    Trouble("gone", KyutaiServer.stop),
    Trouble("refused", _fill),
    Trouble("stopped", _stall, silent=True),
    Trouble("mute", _mute, silent=True),
)


async def measure_faults(times: int = TIMES) -> Figures:
    """Each trouble some times in mid sentence, all at once: each has a server, a meeting and a talker of its own."""
    speech = failover.speech(FAULT_SECONDS)
    happenings, words = _edge_events(speech.sound, track_of("talker"))
    recording = Recording(speech.sound, words)
    trials = [(trouble, trial) for trouble in TROUBLES for trial in range(times)]
    async with asyncio.timeout(3 * FAULT_SECONDS):
        found = await asyncio.gather(*(_trial(trouble, trial, happenings, recording) for trouble, trial in trials))
    by_name = {
        trouble.name: [one for one, (mine, _) in zip(found, trials, strict=True) if mine is trouble]
        for trouble in TROUBLES
    }
    broken = [one.back for trouble in TROUBLES if not trouble.silent for one in by_name[trouble.name]]
    silent = [one.back for trouble in TROUBLES if trouble.silent for one in by_name[trouble.name]]
    return {
        "faults": len(found),
        "words": len(words),
        "finals_lost": sum(one.finals_lost for one in found),
        "finals_doubled": sum(one.finals_doubled for one in found),
        "laws_broken": sum(one.laws_broken for one in found),
        "words_lost": sum(one.words_lost for one in found),
        "words_doubled": sum(one.words_doubled for one in found),
        "words_altered": sum(one.words_altered for one in found),
        **{f"back_{name}_max": max(one.back for one in trials) for name, trials in by_name.items()},
        "back_broken_max": max(broken),
        "back_silent_max": max(silent),
    }


@dataclass(frozen=True, slots=True)
class _Trial:
    """``back``: seconds until a word was committed that was said after the fault, infinity where none was."""

    back: float
    finals_lost: int
    finals_doubled: int
    laws_broken: int
    words_lost: int
    words_doubled: int
    words_altered: int


async def _trial(
    trouble: Trouble, trial: int, happenings: Sequence[tuple[float, TrackEvent]], recording: Recording
) -> _Trial:
    fault_at = 0.0
    async with (
        kyutai_server(lambda: Recited(recording), delay=DELAY) as server,
        KyutaiServers(ServerSettings((server.url,), KEY, delay=DELAY)) as servers,
        holding(servers, {TrackId("talker"): recording.said}) as held,
    ):
        playing = asyncio.create_task(held.play(happenings))
        await server.until_said(8 + 3 * trial)
        await asyncio.sleep(0.1 * trial)
        fault_at = held.now()
        await trouble.act(server)
        await playing
        await held.bus.close()
        server.resume()  # so that what is still there may end
    return _judged(held.events, fault_at, [word.text for word in recording.said])


def _judged(events: Sequence[Event], fault_at: float, said: Sequence[str]) -> _Trial:
    found = by_utterance(events).values()
    after = [
        event.sent_at for utterance in found for event, word in first_committed(utterance) if word.start > fault_at
    ]
    shown = [word.text for utterance in found for word in utterance[-1].words]
    violations = find_violations(events)
    return _Trial(
        back=min(after, default=float("inf")) - fault_at,
        finals_lost=violations.lost,
        finals_doubled=violations.doubled,
        laws_broken=violations.total - violations.lost - violations.doubled,
        words_lost=len(set(said) - set(shown)),
        words_doubled=sum(shown.count(text) - 1 for text in set(shown)),
        words_altered=len(set(shown) - set(said)),
    )


def _edge_events(sound: Samples, track: Track) -> tuple[list[tuple[float, TrackEvent]], list[Word]]:
    """What the edge passes on, each with its moment; and words, w0 w1 w2, all along what it took for speech."""
    edge = TrackEdge(track.id, speech_detectors()())
    told: list[tuple[float, TrackEvent]] = [(0.0, TrackOpened(track, 0.0))]
    count = round(FRAME * SAMPLE_RATE)
    for begin in range(0, len(sound), count):
        frame = AudioFrame(track.id, begin / SAMPLE_RATE, sound[begin : begin + count])
        told += [(frame.end, event) for event in edge.feed(frame)]
    end = len(sound) / SAMPLE_RATE
    told += [*((end, event) for event in edge.close()), (end + 0.1, TrackClosed(track.id, end))]
    words: list[Word] = []
    started = 0.0
    for _, event in told:
        if isinstance(event, SpeechStarted):
            started = event.at
        elif isinstance(event, SpeechEnded):
            for at in np.arange(started + 0.15, event.at - _LABEL_SECONDS, _LABEL_SECONDS):
                words.append(Word(f" w{len(words)}", float(at), float(at) + 0.9 * _LABEL_SECONDS))
    return told, words

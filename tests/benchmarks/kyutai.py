"""Greffier as a client of Kyutai: what it adds to a word, how many slots it holds, what trouble costs readers.

``python -m tests.benchmarks.kyutai [client|slots|faults]`` prints the figures of a part. The server is scripted
(tests/kyutai/scripted_server.py) and the clock real; ``kyutai_dialect`` has the part with Whisper.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence

import numpy as np
import uvloop

from models.kyutai.server import ServerSettings
from models.kyutai.servers import KyutaiServers
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Samples,
    SpeechEnded,
    SpeechStarted,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
    Word,
)
from tests.benchmarks.events import Event, by_utterance
from tests.benchmarks.integrity import find_violations
from tests.benchmarks.kyutai_faults import measure_faults
from tests.benchmarks.kyutai_meeting import DELAY, FRAME, Figures, first_committed, holding, track_of
from tests.benchmarks.latency import percentile
from tests.kyutai.scripted_server import KEY, KyutaiServer, kyutai_server
from tests.kyutai.scripts import STEP_SECONDS, Babble, Timed
from tests.recordings import noise

# --- the client alone ------------------------------------------------------------------------------------------------

SPEED = 4.0
"""Times real time at which the scripted server steps."""
_UTTERANCES, _UTTERANCE_SECONDS = 10, 3.2


async def measure_client() -> Figures:
    """How much later than the server could say them words come out of the client, while sound comes at its own pace.

    A word can be said once the last 80 ms that it waits for were handed over, and the server has stepped.
    """
    words = [Word(f" w{k}", 0.4 * k + 0.01, 0.4 * k + 0.35) for k in range(200)]
    added: list[float] = []
    last: list[float] = []
    step = STEP_SECONDS / SPEED
    async with (
        kyutai_server(lambda: Timed(words), delay=DELAY, step_seconds=step) as server,
        KyutaiServers(ServerSettings((server.url,), KEY, delay=DELAY)) as servers,
    ):
        for _ in range(_UTTERANCES):
            after, flushed = await _utterance(servers, words)
            added += after
            last.append(flushed - DELAY / SPEED)
    return {
        "words": len(added),
        "added_p50_ms": 1000 * percentile(added, 50),
        "added_p95_ms": 1000 * percentile(added, 95),
        "server_step_ms": 1000 * step,
        "last_word_more_p50": percentile(last, 50),
        "last_word_more_max": max(last),
    }


async def _utterance(servers: KyutaiServers, words: Sequence[Word]) -> tuple[list[float], float]:
    """Of each word, the time after its last step was handed over; and that of the last word after the flush."""
    loop = asyncio.get_running_loop()
    handed: dict[int, float] = {}  # when each step's last sample was
    came: list[float] = []
    stream = await servers.open()

    async def read() -> None:
        async for heard in stream.heard():
            came.extend(loop.time() for _ in heard.words)

    reading = asyncio.create_task(read())
    sound = noise(_UTTERANCE_SECONDS, -30.0)
    block, began = round(FRAME * SAMPLE_RATE), loop.time()
    for begin in range(0, len(sound), block):
        end = min(begin + block, len(sound))
        await asyncio.sleep(max(0.0, began + end / SAMPLE_RATE - loop.time()))
        handed.setdefault(int(end / SAMPLE_RATE / STEP_SECONDS + 1e-6), loop.time())
        await stream.send(sound[begin:end])
    before, flushed = len(came), loop.time()
    await stream.flush()
    spoken = sum(word.end <= _UTTERANCE_SECONDS for word in words)
    async with asyncio.timeout(10.0):
        while len(came) < spoken:  # noqa: ASYNC110 - what reads is measured here
            await asyncio.sleep(0.002)
    await stream.close()
    await reading
    delay = round(DELAY / STEP_SECONDS)
    waits = [int(np.ceil(word.end / STEP_SECONDS - 1e-6)) + delay for word in words[:before]]
    return [at - handed[step] for at, step in zip(came, waits, strict=False)], came[spoken - 1] - flushed


# --- five hundred people ---------------------------------------------------------------------------------------------

MEETINGS, PEOPLE, TALKERS, SLOTS = 50, 10, 40, 64
SLOTS_SECONDS = 30.0
_WORD_SECONDS = 0.4


async def measure_slots(seconds: float = SLOTS_SECONDS) -> Figures:
    """50 meetings of ten; in 40 of them somebody talks all the time, each person for some seconds."""
    script = Babble(_WORD_SECONDS)
    async with (
        kyutai_server(lambda: Babble(script.every), channels=SLOTS, delay=DELAY) as server,
        KyutaiServers(ServerSettings((server.url,), KEY, slots=SLOTS, delay=DELAY)) as servers,
    ):
        used: list[int] = []
        looking = asyncio.create_task(_look(server, used))
        cpu, began = time.process_time(), time.monotonic()
        meetings = [_talk_in_turn(servers, number, seconds) for number in range(MEETINGS)]
        async with asyncio.timeout(3 * seconds):
            events = [event for held in await asyncio.gather(*meetings) for event in held]
        cores = (time.process_time() - cpu) / (time.monotonic() - began)
        looking.cancel()
        await asyncio.wait([looking])
    utterances = by_utterance(events).values()
    late = [
        event.sent_at - (word.start + 0.9 * _WORD_SECONDS) - DELAY
        for utterance in utterances
        for event, word in first_committed(utterance)
    ]
    return {
        "participants": MEETINGS * PEOPLE,
        "talkers": TALKERS,
        "slots": SLOTS,
        "slots_used_p50": percentile(used[len(used) // 5 :], 50),
        "slots_used_max": max(used),
        "refused": server.refused,
        "fallbacks": servers.fallbacks,
        "words_said": len(server.said),
        "words_lost": len(server.said) - sum(len(utterance[-1].words) for utterance in utterances),
        "laws_broken": find_violations(events).total,
        "later_than_the_model_p50": percentile(late, 50),
        "later_than_the_model_p95": percentile(late, 95),
        "cores": cores,
    }


async def _look(server: KyutaiServer, used: list[int]) -> None:
    while True:
        used.append(server.now_open)
        await asyncio.sleep(0.1)


async def _talk_in_turn(servers: KyutaiServers, number: int, seconds: float) -> list[Event]:
    async with holding(servers) as held:
        await held.play(_turns(number, seconds))
    return [_renamed(event, number) for event in held.events]


def _renamed(event: Event, number: int) -> Event:
    """Tracks of two meetings must not be taken for one."""
    kept = {name: getattr(event, name) for name in Event.__slots__}
    return Event(**kept | {"track": f"{number}/{event.track}"})


def _turns(number: int, seconds: float) -> list[tuple[float, TrackEvent]]:
    """What the edges of a meeting would send, each with its moment: turns of 2 to 8 s, a fifth of a second apart."""
    tracks = [track_of(f"p{person}") for person in range(PEOPLE)]
    told: list[tuple[float, TrackEvent]] = [(0.0, TrackOpened(track, 0.0)) for track in tracks]
    if number < TALKERS:
        chance = random.Random(number)
        sound = noise(1.0, -30.0, number)
        at = chance.uniform(0.2, 2.0)
        while at < seconds:
            end = min(at + chance.uniform(2.0, 8.0), seconds)
            told += _turn(chance.choice(tracks).id, at, end, sound)
            at = told[-1][0] + 0.2
    return [*told, *((seconds + 2.0, TrackClosed(track.id, seconds + 2.0)) for track in tracks)]


def _turn(track: TrackId, start: float, end: float, sound: Samples) -> list[tuple[float, TrackEvent]]:
    count = round(FRAME * SAMPLE_RATE)
    told: list[tuple[float, TrackEvent]] = [(start, SpeechStarted(track, start))]
    for place in range(round((end - start) / FRAME)):
        at = start + place * FRAME
        begin = place * count % (len(sound) - count)
        told.append((at + FRAME, AudioFrame(track, at, sound[begin : begin + count])))
    last = told[-1][0]
    return [*told, (last + 0.3, SpeechEnded(track, last))]


PARTS = {"client": measure_client, "slots": measure_slots, "faults": measure_faults}


def measure(part: str) -> tuple[str, Figures]:
    """The command and its figures."""
    return f"python -m tests.benchmarks.kyutai {part}", uvloop.run(PARTS[part]())


if __name__ == "__main__":
    print(json.dumps({part: measure(part)[1] for part in sys.argv[1:] or PARTS}, indent=1))

"""An hour of meeting at 20 times speed with the scripted recogniser: the live core and its shell, without a model.

``python -m tests.benchmarks.scripted EVENTS.jsonl --minutes 60 --speed 20 --talkers 8`` runs the meeting; ``measure``
runs that in a process of its own and looks at its log and memory.
"""

import argparse
import asyncio
import bisect
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from models.batching import Batcher
from models.scripted import ScriptedEngine
from pipeline.bus.memory import MemoryAudioBus
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Caption,
    Hypothesis,
    Participant,
    ParticipantId,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackClosed,
    TrackEvent,
    TrackId,
    TrackOpened,
    Window,
    Word,
)
from pipeline.export.event import caption_event
from pipeline.live.meeting import MeetingCaptioner
from pipeline.session import Session
from pipeline.store.memory import MemoryTranscriptStore
from pipeline.store.spool import AudioSpool
from tests.benchmarks.corpus import cache_folder
from tests.benchmarks.events import by_utterance, read_events
from tests.benchmarks.integrity import find_violations
from tests.benchmarks.replay import run

MINUTES, SPEED, TALKERS = 60, 20.0, 8
FRAME_SECONDS = 0.2
BATCH_SECONDS, WINDOW_SECONDS = 0.15, 0.1


@dataclass(frozen=True, slots=True)
class Monologue:
    """What one track says: words in order, in bursts of speech."""

    track: Track
    words: tuple[Word, ...]
    bursts: tuple[tuple[float, float], ...]


def write_monologue(number: int, seconds: float) -> Monologue:
    """Bursts of 2 to 20 s of speech, half a second to 6 s apart, three words a second."""
    chance = random.Random(number)
    track = Track(TrackId(f"talker-{number}"), Participant(ParticipantId(f"p{number}"), f"Talker {number}"))
    words: list[Word] = []
    bursts: list[tuple[float, float]] = []
    at = chance.uniform(0.5, 3.0)
    while at < seconds - 25.0:
        begun = at
        until = begun + chance.uniform(2.0, 20.0)
        while at < until:
            words.append(Word(f" word{len(words)}", at, at + 0.3))
            at += 1 / 3
        bursts.append((begun, at))
        at += chance.uniform(0.5, 6.0)
    return Monologue(track, tuple(words), tuple(bursts))


@dataclass(slots=True)
class FarScript:
    """A scripted engine for long scripts: each window is given to one that knows only the words around it."""

    script: Mapping[TrackId, Sequence[Word]]
    speed: float

    def hear(self, batch: Sequence[tuple[Window, Samples]]) -> list[Hypothesis]:
        time.sleep((BATCH_SECONDS + WINDOW_SECONDS * len(batch)) / self.speed)
        return [self._heard(window, samples) for window, samples in batch]

    def _heard(self, window: Window, samples: Samples) -> Hypothesis:
        words = self.script[window.track]
        first = bisect.bisect_left(words, window.start - 1.0, key=lambda word: word.start)
        last = bisect.bisect_right(words, window.end, key=lambda word: word.start)
        return ScriptedEngine({window.track: words[first:last]}).hear([(window, samples)])[0]


@dataclass(frozen=True, slots=True)
class Log:
    file: TextIO
    now: Callable[[], float]

    async def send(self, caption: Caption) -> None:
        self.file.write(json.dumps(caption_event(caption, self.now())) + "\n")


async def hold_meeting(monologues: Sequence[Monologue], speed: float, file: TextIO) -> None:
    begun = time.monotonic()

    def now() -> float:
        return (time.monotonic() - begun) * speed

    core = MeetingCaptioner(languages=("en",))
    bus, memory = MemoryAudioBus(), AudioSpool()
    engine = FarScript({each.track.id: each.words for each in monologues}, speed)
    async with Batcher(engine) as recognizer:
        session = Session(core, recognizer, bus, memory, Log(file, now), MemoryTranscriptStore(), now)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(session.run())
            async with asyncio.TaskGroup() as talkers:
                for monologue in monologues:
                    talkers.create_task(talk(monologue, bus, now, speed))
            await bus.close()
            await running
    memory.close()


async def talk(monologue: Monologue, bus: MemoryAudioBus, now: Callable[[], float], speed: float) -> None:
    for at, event in happenings(monologue):
        await asyncio.sleep(max(0.0, (at - now()) / speed))
        await bus.send(event)


def happenings(monologue: Monologue) -> list[tuple[float, TrackEvent]]:
    """What the edge would send, each with its time."""
    track = monologue.track.id
    sound = np.zeros(round(FRAME_SECONDS * SAMPLE_RATE), np.int16)
    told: list[tuple[float, TrackEvent]] = [(0.0, TrackOpened(monologue.track, 0.0))]
    for start, end in monologue.bursts:
        told.append((start, SpeechStarted(track, start)))
        at = start
        while at < end:
            told.append((at + FRAME_SECONDS, AudioFrame(track, at, sound)))
            at += FRAME_SECONDS
        told.append((at + 0.3, SpeechEnded(track, end)))
    told.append((told[-1][0] + 1.0, TrackClosed(track, told[-1][0] + 1.0)))
    return told


def measure(minutes: int = MINUTES, speed: float = SPEED, talkers: int = TALKERS) -> tuple[str, dict[str, float]]:
    log = cache_folder() / "runs" / "scripted.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    options = ["--minutes", str(minutes), "--speed", f"{speed:g}", "--talkers", str(talkers)]
    usage = run([sys.executable, "-m", "tests.benchmarks.scripted", str(log), *options])
    if usage.returncode:
        raise SystemExit(f"the scripted meeting ended with {usage.returncode}: {usage.errors[-400:]}")
    events = read_events(log)
    said = sum(len(write_monologue(number, minutes * 60.0).words) for number in range(talkers))
    shown = sum(len(utterance[-1].words) for utterance in by_utterance(events).values())
    violations = find_violations(events)
    figures = {
        "events": len(events),
        "words_said": said,
        "words_shown": shown,
        "violations": violations.total,
        "peak_memory_mb": usage.peak_memory / 1e6,
        "memory_growth_mb_min": usage.memory_growth(usage.wall * 0.2, usage.wall) / 1e6,
        "growth_mb_in_last_part": _last_part(usage.samples),
        "cores_used": usage.cpu / usage.wall,
        "wall_s": usage.wall,
    }
    return f"python -m tests.benchmarks.scripted events.jsonl {' '.join(options)}", figures


def _last_part(samples: Sequence) -> float:
    """Megabytes between the mean memory of the middle third and that of the last third."""
    third = max(len(samples) // 3, 1)
    middle, last = samples[third : 2 * third], samples[2 * third :]
    if not middle or not last:
        return float("nan")
    mean = [sum(sample.memory for sample in part) / len(part) for part in (middle, last)]
    return (mean[1] - mean[0]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scripted")
    parser.add_argument("events", type=Path)
    parser.add_argument("--minutes", type=int, default=MINUTES)
    parser.add_argument("--speed", type=float, default=SPEED)
    parser.add_argument("--talkers", type=int, default=TALKERS)
    asked = parser.parse_args()
    monologues = [write_monologue(number, asked.minutes * 60.0) for number in range(asked.talkers)]
    with asked.events.open("w", encoding="utf-8") as file:
        asyncio.run(hold_meeting(monologues, asked.speed, file))


if __name__ == "__main__":
    main()

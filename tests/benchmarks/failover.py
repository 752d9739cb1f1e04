"""What breaks, twenty times each while somebody talks: how long readers wait for captions, and what is lost.

``python -m tests.benchmarks.failover FAULT [TIMES]`` measures one fault and prints its figures; ``FAULTS`` names them.
One meeting goes on through all of them, with real speech and Whisper base, on a fleet of real processes
(tests/faults). ``back`` is the time from a fault to the first committed word that was said after it, the delay of that
word included; words wrong are compared with those of the same speech when nothing breaks.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from media_gateway.recording import read_recording
from pipeline.domain import SAMPLE_RATE, Samples
from tests.benchmarks.corpus import cache_folder, clips_named
from tests.benchmarks.latency import percentile
from tests.faults.fleet import Fleet, Machine
from tests.faults.oracle import broken_laws, errors_in, said_in
from tests.faults.scene import Scene, scene
from tests.postgresql_server import running_postgresql
from tests.recordings import silence
from tests.redis_server import running_redis

TIMES = 20
WITHIN = 15.0
"""Seconds after which captions are taken for gone."""
STALL, STALLED_AT_ONCE = 20.0, 3
CLIPS = (
    *("en_libri_1088", "en_libri_61", "en_LJ010-0008", "en_libri_6313", "en_LJ050-0269", "en_pv_quilter", "en_jfk"),
    *("en_LJ001-0002", "en_LJ050-0131", "en_LJ001-0004", "en_libri_6930"),
)
PAUSE = 0.4

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Speech:
    """Clips one after the other, over and over; ``ends`` are the moments between them."""

    sound: Samples
    texts: tuple[str, ...]
    ends: tuple[float, ...]

    def text_until(self, end: float) -> str:
        return " ".join(text for text, ends in zip(self.texts, self.ends, strict=True) if ends <= end + 0.01)


def speech(seconds: float) -> Speech:
    parts, texts, ends = [], list[str](), list[float]()
    clips = clips_named(CLIPS)
    at = 0.0
    while at < seconds:
        clip = clips[len(texts) % len(clips)]
        part = np.concatenate([read_recording(clip.path), silence(PAUSE)])
        parts.append(part)
        at += len(part) / SAMPLE_RATE
        texts.append(clip.text)
        ends.append(at)
    return Speech(np.concatenate(parts), tuple(texts), tuple(ends))


@dataclass(slots=True)
class Stage:
    """What a fault may break, in the meeting ``held``; ``later`` is what still goes on beside it."""

    fleet: Fleet
    held: Scene
    later: list["asyncio.Task[None]"] = field(default_factory=list)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            act()

        self.later.append(asyncio.create_task(wait()))

    async def mend(self) -> None:
        await asyncio.to_thread(self.fleet.mend)


async def nothing(stage: Stage) -> None:
    del stage


async def kill_worker(stage: Stage) -> None:
    (await stage.held.owner()).kill()


async def kill_gateway(stage: Stage) -> None:
    """The one that the talker is at: each connection is to the next of them."""
    serving_now(stage.fleet.gateways, stage.held.talker.tried).kill()


async def kill_api(stage: Stage) -> None:
    serving_now(stage.fleet.apis, stage.held.reader.tried).kill()


async def stall_worker(stage: Stage) -> None:
    owner = await stage.held.owner()
    owner.pause()
    stage.after(STALL, owner.resume)


async def replace_worker(stage: Stage) -> None:
    owner = await stage.held.owner()
    await asyncio.to_thread(owner.stop)


async def restart_redis(stage: Stage) -> None:
    await asyncio.to_thread(stage.fleet.store.restart)


async def empty_redis(stage: Stage) -> None:
    await asyncio.to_thread(stage.fleet.store.kill)
    shutil.rmtree(stage.fleet.store.folder / "appendonlydir")
    await asyncio.to_thread(stage.fleet.store.start)


async def restart_database(stage: Stage) -> None:
    await asyncio.to_thread(stage.fleet.database.kill)
    await asyncio.to_thread(stage.fleet.database.start)


def serving_now(machines: list[Machine], tried: int) -> Machine:
    return machines[(tried - 1) % len(machines)]


@dataclass(frozen=True, slots=True)
class Fault:
    """``seconds`` is about how long ``TIMES`` of it take; ``pace`` seconds at least lie between two.

    ``forgets`` where the numbers that Redis held may have holes.
    """

    breaks: Callable[[Stage], Awaitable[None]]
    seconds: float
    workers: int = 2
    pace: float = 0.0
    forgets: bool = False


FAULTS = {
    "nothing": Fault(nothing, 110, pace=3.0),
    "worker": Fault(kill_worker, 200),
    "gateway": Fault(kill_gateway, 160),
    "api": Fault(kill_api, 160),
    "stall": Fault(stall_worker, 190, workers=STALLED_AT_ONCE + 2, pace=STALL / STALLED_AT_ONCE),
    "rolling": Fault(replace_worker, 200),
    "redis": Fault(restart_redis, 130),
    "redis-emptied": Fault(empty_redis, 140, forgets=True),
    "postgresql": Fault(restart_database, 130),
}


def measure(name: str, times: int = TIMES) -> tuple[str, Figures]:
    """The command and its figures."""
    fault = FAULTS[name]
    with _stage(fault.workers) as fleet:
        figures = asyncio.run(_measure(fleet, fault, times))
    return f"python -m tests.benchmarks.failover {name} {times}", {"times": times} | figures


@contextmanager
def _stage(workers: int) -> Iterator[Fleet]:
    with (
        tempfile.TemporaryDirectory(dir=cache_folder()) as folder,
        running_redis(keeps=True) as store,
        running_postgresql() as database,
    ):
        fleet = Fleet(Path(folder), store, database)
        try:
            fleet.open(workers=workers)
            yield fleet
        finally:
            fleet.close()


async def _measure(fleet: Fleet, fault: Fault, times: int) -> Figures:
    said = speech(times * (WITHIN + fault.pace) + WITHIN)
    waits: list[float] = []
    async with scene(fleet, said.sound, title="Failover") as held:
        stage = Stage(fleet, held)
        for _ in range(times):
            begun = time.monotonic()
            if (wait := await _once(stage, fault)) is not None:
                waits.append(wait)
            await stage.mend()
            await asyncio.sleep(max(0.0, begun + fault.pace - time.monotonic()))
        until = next(end for end in said.ends if end > held.talker.at)
        held.talker.stop_at(until)
        await held.end()
        await asyncio.gather(*stage.later)
    return {"not_back": times - len(waits)} | _waits(waits) | _losses(held, fault, said.text_until(until))


async def _once(stage: Stage, fault: Fault) -> float | None:
    """Breaks it in the middle of a sentence; the seconds until captions went on, None where they did not."""
    await stage.held.reader.mid_sentence(after=time.monotonic())
    broken_at = time.monotonic()
    await fault.breaks(stage)
    mending = asyncio.create_task(stage.mend())
    try:
        return await stage.held.goes_on(broken_at, wait=WITHIN)
    except TimeoutError:
        return None
    finally:
        await mending


def _waits(waits: list[float]) -> Figures:
    return {
        "back_p50": percentile(waits, 50),
        "back_p95": percentile(waits, 95),
        "back_max": max(waits, default=float("nan")),
    }


def _losses(held: Scene, fault: Fault, reference: str) -> Figures:
    broken = broken_laws(held.reader, None if fault.forgets else held.stream, held.transcript)
    for sentence in broken.all[:20]:
        print(sentence, file=sys.stderr)
    errors = errors_in(said_in(held), reference)
    gaps = [(gap["start"] - held.began, gap["end"] - held.began) for gap in held.transcript["gaps"]]
    unheard = held.talker.unheard
    figures: Figures = {
        "finals": len(held.transcript["segments"]),
        "finals_lost": len(broken.lost),
        "finals_doubled": len(broken.doubled),
        "committed_changed": len(broken.changed),
        "numbers_wrong": len(broken.numbers),
        "words": errors.words,
        "wer": errors.rate,
        "gaps": len(gaps),
        "gap_s": sum(end - start for start, end in gaps),
    }
    if unheard and len(gaps) == len(unheard):
        pairs = list(zip(gaps, unheard, strict=True))
        figures["gap_start_off_max"] = max(abs(gap[0] - lost[0]) for gap, lost in pairs)
        figures["gap_end_off_max"] = max(abs(gap[1] - lost[1]) for gap, lost in pairs)
    return figures | {"gaps_wanted": len(unheard)}


if __name__ == "__main__":
    name, *more = sys.argv[1:]
    print(json.dumps(measure(name, *map(int, more))[1], indent=1))

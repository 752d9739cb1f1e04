"""How many people talk at once on one worker and on two, and what the queue adds to the delay of a word.

``python -m tests.benchmarks.scale workers`` and ``... queue`` print figures. The recogniser is scripted and costs
what it is told to (``COST``): two cores cannot show two models at work, while everything else is as it is. Voices are
real, and so is the speech detector.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.scripted import Cost
from pipeline.domain import SAMPLE_RATE
from tests.benchmarks.corpus import cache_folder
from tests.benchmarks.failover import speech
from tests.benchmarks.gpu import MOST_LAG
from tests.benchmarks.latency import percentile
from tests.faults.fleet import Fleet, Machine, program
from tests.faults.reader import Reader
from tests.faults.scene import Scene, scene
from tests.postgresql_server import running_postgresql
from tests.redis_server import running_redis
from tests.server_process import free_port

COST = Cost(batch=0.2, window=0.1)
"""Of a model that hears 6.7 windows a second, in batches of 4: as slow as is needed to be full before two cores are."""
QUICK = Cost(batch=0.04, window=0.02)
"""Of a model that is far from full with ``QUEUE_TALKERS``."""
SECONDS, SETTLED = 25.0, 10.0
STEPS = (6, 9, 12, 14, 15, 16, 17, 18, 19, 20, 21)
QUEUE_TALKERS, QUEUE_SECONDS = 4, 60.0
_BETWEEN = 3.7
_ANY = 10_000

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Heard:
    """``delays`` are seconds from the end of each word to its committing, as a reader has it."""

    delays: list[float]
    gaps: int

    @property
    def well(self) -> bool:
        return bool(self.delays) and not self.gaps and percentile(self.delays, 95) <= MOST_LAG


# --- one worker and two ------------------------------------------------------------------------------------


def measure_workers(steps: Sequence[int] = STEPS, seconds: float = SECONDS) -> tuple[str, Figures]:
    one, held_one = 0, Heard([], 0)
    with scripted_fleet(1, COST) as fleet:
        for talkers in steps:
            heard = asyncio.run(talk_at_once(fleet, talkers, seconds))
            _say(f"1 worker, {talkers} talkers: {_seen(heard)}")
            if not heard.well:
                break
            one, held_one = talkers, heard
    two, held_two = 0, Heard([], 0)
    with scripted_fleet(2, COST, talkers=max(one, 1)) as fleet:
        for talkers in sorted({round(one * times) for times in (2.0, 1.9, 1.8, 1.5, 1.0)}, reverse=True):
            heard = asyncio.run(talk_at_once(fleet, talkers, seconds))
            _say(f"2 workers, {talkers} talkers: {_seen(heard)}")
            if heard.well:
                two, held_two = talkers, heard
                break
    figures: Figures = {"talkers_1": one, "talkers_2": two, "times": two / one if one else float("nan")}
    for number, heard in ((1, held_one), (2, held_two)):
        figures |= {f"commit_p50_{number}": percentile(heard.delays, 50)}
        figures |= {f"commit_p95_{number}": percentile(heard.delays, 95)}
    return "python -m tests.benchmarks.scale workers", figures


# --- what the queue adds -----------------------------------------------------------------------------------


def measure_queue(talkers: int = QUEUE_TALKERS, seconds: float = QUEUE_SECONDS) -> tuple[str, Figures]:
    """The same talkers at one process, and at a gateway, read at an API, with a worker between."""
    with embedded(QUICK) as fleet:
        alone = asyncio.run(talk_at_once(fleet, talkers, seconds)).delays
    with scripted_fleet(1, QUICK) as fleet:
        apart = asyncio.run(talk_at_once(fleet, talkers, seconds)).delays
    figures: Figures = {}
    for name, delays in (("embedded", alone), ("distributed", apart)):
        figures |= {f"commit_p50_{name}": percentile(delays, 50), f"commit_p95_{name}": percentile(delays, 95)}
        figures |= {f"commit_mean_{name}": float(np.mean(delays)), f"words_{name}": len(delays)}
    for figure in ("p50", "p95", "mean"):
        figures[f"more_{figure}"] = figures[f"commit_{figure}_distributed"] - figures[f"commit_{figure}_embedded"]
    return "python -m tests.benchmarks.scale queue", figures


# --- the stage ---------------------------------------------------------------------------------------------


@contextmanager
def scripted_fleet(workers: int, cost: Cost, talkers: int = _ANY, **settings: str) -> Iterator[Fleet]:
    """A gateway, an API, and workers with a scripted recogniser that say they have room for ``talkers``."""
    altered = {"worker": ("--scripted", f"{cost.batch:g},{cost.window:g}")}
    with (
        tempfile.TemporaryDirectory(dir=cache_folder()) as folder,
        running_redis() as store,
        running_postgresql() as database,
    ):
        given = {"GREFFIER_TALKERS": str(talkers)} | settings
        fleet = Fleet(Path(folder), store, database, settings=given, altered=altered)
        try:
            fleet.open(gateways=1, workers=workers, apis=1)
            yield fleet
        finally:
            fleet.close()


@contextmanager
def embedded(cost: Cost) -> Iterator[Fleet]:
    """One process that is gateway and API, with the recogniser in it; Redis and PostgreSQL are there for nobody."""
    with scripted_fleet(0, cost) as fleet:
        fleet.close()
        command = (*program("--scripted", f"{cost.batch:g},{cost.window:g}"), "serve")
        home = fleet.folder / "serve"
        home.mkdir()
        given = {"GREFFIER_HOME": str(home)}
        serving = Machine("serve", command, fleet.folder, given, free_port())
        fleet.apis = fleet.gateways = [serving]
        fleet.database_url = f"sqlite:///{home}/greffier.db"
        fleet.key = fleet.make_key()
        serving.start()
        yield fleet


async def talk_at_once(fleet: Fleet, talkers: int, seconds: float) -> Heard:
    """Each in a meeting of its own, each from another place in the same speech."""
    said = speech(seconds + talkers * _BETWEEN)
    part = round(seconds * SAMPLE_RATE)
    async with AsyncExitStack() as stack:
        held = [
            await stack.enter_async_context(scene(fleet, said.sound[begin : begin + part], watched=False))
            for begin in (round(number * _BETWEEN * SAMPLE_RATE) for number in range(talkers))
        ]
        await asyncio.gather(*(one.said() for one in held))
        await asyncio.sleep(MOST_LAG)
        delays = [delay for one in held for delay in commit_delays(one)]
        gaps = [len((await transcript_now(one))["gaps"]) for one in held]
        await asyncio.gather(*(end_now(one) for one in held))
    return Heard(delays, sum(gaps))


async def transcript_now(one: Scene) -> dict[str, list[object]]:
    answer = await asyncio.to_thread(one.fleet.ask, "GET", f"/api/v1/meetings/{one.meeting}/transcript.json")
    transcript: dict[str, list[object]] = answer.json()
    return transcript


async def end_now(one: Scene) -> None:
    await asyncio.to_thread(one.fleet.ask, "POST", f"/api/v1/meetings/{one.meeting}/end")


def commit_delays(one: Scene) -> Iterator[float]:
    """Of the words that were said once everything had settled."""
    reader: Reader = one.reader
    monotonic_zero = reader.zero - time.time() + time.monotonic()
    known: dict[str, int] = {}
    for at, event in reader.captions:
        words = event["words"]
        for word in words[known.get(event["utterance"], 0) :]:
            if word["end"] - one.began >= SETTLED:
                yield at - monotonic_zero - word["end"]
        known[event["utterance"]] = len(words)


def _seen(heard: Heard) -> str:
    well = "held" if heard.well else "not held"
    return f"{well}, 95th {percentile(heard.delays, 95):.2f} s, {len(heard.delays)} words, {heard.gaps} gaps"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    measured = {"workers": measure_workers, "queue": measure_queue}[sys.argv[1]]()
    print(json.dumps(measured[1], indent=1))

"""Twenty meetings that no worker takes for longer than their sound is kept: is what was lost marked where it was?

``python -m tests.benchmarks.full_stream`` prints the figures. Voices are real, the recogniser is scripted: it hears a
word every third of a second, so that the first word after a gap says where hearing truly went on.
"""

import asyncio
import json
import math
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack

from pipeline.domain import SAMPLE_RATE, Samples
from tests.benchmarks.failover import speech
from tests.benchmarks.scale import QUICK, scripted_fleet
from tests.faults.fleet import Fleet
from tests.faults.oracle import broken_laws, said_in
from tests.faults.scene import Scene, scene

MEETINGS, SECONDS, ALONE = 20, 90.0, 75.0
"""The worker comes after ``ALONE`` of the ``SECONDS`` that everybody talks."""
_BETWEEN = 3.7

Figures = dict[str, float]


def measure(meetings: int = MEETINGS, seconds: float = SECONDS, alone: float = ALONE) -> tuple[str, Figures]:
    """``gap_..._off_max`` are seconds between what a gap says and the first and last moment without words."""
    with scripted_fleet(0, QUICK) as fleet:
        held = asyncio.run(_held(fleet, meetings, seconds, alone))
    broken = [broken_laws(one.reader, one.stream, one.transcript) for one in held]
    for sentence in [sentence for each in broken for sentence in each.all][:20]:
        print(sentence, file=sys.stderr)
    gaps = [_gaps(one) for one in held]
    marked = [(one, each) for one, each in zip(held, gaps, strict=True) if each]
    figures: Figures = {
        "meetings": meetings,
        "meetings_with_gap": len(marked),
        "gaps": sum(map(len, gaps)),
        "gap_s_min": min((each[-1][1] - each[0][0] for _, each in marked), default=0.0),
        "gap_start_off_max": max((each[0][0] for _, each in marked), default=math.nan),
        "gap_end_off_max": max((abs(said_in(one)[0].start - each[-1][1]) for one, each in marked), default=math.nan),
        "finals_lost": sum(len(each.lost) for each in broken),
        "finals_doubled": sum(len(each.doubled) for each in broken),
        "numbers_wrong": sum(len(each.numbers) for each in broken),
    }
    return "python -m tests.benchmarks.full_stream", figures


def _gaps(one: Scene) -> list[tuple[float, float]]:
    return [(gap["start"] - one.began, gap["end"] - one.began) for gap in one.transcript["gaps"]]


async def _held(fleet: Fleet, meetings: int, seconds: float, alone: float) -> list[Scene]:
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(scene(fleet, sound)) for sound in _sounds(meetings, seconds)]
        await asyncio.sleep(alone)
        await asyncio.to_thread(fleet.add("worker").start)
        for one in held:
            await one.end()
    return held


def _sounds(meetings: int, seconds: float) -> Iterator[Samples]:
    """Each from another place in the same speech."""
    said, part = speech(seconds + meetings * _BETWEEN).sound, round(seconds * SAMPLE_RATE)
    for number in range(meetings):
        begin = round(number * _BETWEEN * SAMPLE_RATE)
        yield said[begin : begin + part]


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:]))[1], indent=1))

"""An engine that does not answer is noticed also while nobody speaks, and so is one that answers again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from api.metrics import Metrics
from api.probe import EngineProbe
from api.wiring import Recognition
from models.batching import Batcher, BatchSettings
from models.scripted import ScriptedEngine
from pipeline.domain import WindowKind

WAIT = 30.0


@asynccontextmanager
async def probing(engine: ScriptedEngine, stall: float = 60.0) -> AsyncIterator[EngineProbe]:
    metrics = Metrics()
    async with Batcher(engine, BatchSettings(stall=stall), metrics) as batcher:
        probe = EngineProbe(batcher, metrics, "en", calm=0.05)
        running = asyncio.create_task(probe.run())
        try:
            yield probe
        finally:
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT):
        while not holds():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)


async def test_an_engine_that_raises_does_not_work_until_it_answers_again() -> None:
    fails = True
    async with probing(ScriptedEngine({}, fail=lambda _: fails)) as probe:
        assert probe.works  # nobody has asked it yet
        await until(lambda: not probe.works)
        fails = False
        await until(lambda: probe.works)


async def test_an_engine_that_says_nothing_does_not_work() -> None:
    async with probing(ScriptedEngine({}, wait=lambda _: time.sleep(0.5)), stall=0.1) as probe:
        await until(lambda: not probe.works)


async def test_silence_is_given_to_it_with_the_rank_of_the_record() -> None:
    engine = ScriptedEngine({})
    async with probing(engine) as probe:
        await until(lambda: len(engine.batches) >= 2)
        assert probe.works
        assert {window.kind for batch in engine.batches for window in batch} == {WindowKind.RECORD}


async def test_the_real_engine_answers_silence(loaded: Recognition) -> None:
    metrics = Metrics()
    async with loaded.batcher(metrics) as batcher:
        probe = EngineProbe(batcher, metrics, "fr")
        await probe._ask()
    assert probe.works
    assert metrics.heard == 1

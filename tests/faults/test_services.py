"""Redis and PostgreSQL are restarted in mid sentence, and what was said is there."""

import asyncio
import shutil
import time

from pipeline.domain import Samples
from tests.faults.fleet import Fleet
from tests.faults.oracle import Said, judge_laws, judge_whole
from tests.faults.scene import scene
from tests.postgresql_server import PostgreSql

BACK = 15.0


async def test_redis_restarted_with_its_content_loses_no_word(
    fleet: Fleet, speech: Samples, uninterrupted: list[Said], reference: str
) -> None:
    async with scene(fleet, speech) as held:
        await held.reader.mid_sentence()
        await asyncio.to_thread(fleet.store.restart)
        await held.goes_on(time.monotonic(), wait=BACK)
        await held.end()
    judge_laws(held.reader, held.stream, held.transcript)
    judge_whole(held, uninterrupted, reference)


async def test_redis_restarted_empty_loses_no_word(
    fleet: Fleet, speech: Samples, uninterrupted: list[Said], reference: str
) -> None:
    async with scene(fleet, speech) as held:
        await held.reader.mid_sentence()
        await asyncio.to_thread(fleet.store.kill)
        shutil.rmtree(fleet.store.folder / "appendonlydir")
        await asyncio.to_thread(fleet.store.start)
        await held.goes_on(time.monotonic(), wait=BACK)
        await held.end()
    judge_laws(held.reader, None, held.transcript)
    judge_whole(held, uninterrupted, reference)


async def test_postgresql_restarted_loses_no_word(
    fleet: Fleet, postgresql: PostgreSql, speech: Samples, uninterrupted: list[Said], reference: str
) -> None:
    async with scene(fleet, speech) as held:
        await held.reader.mid_sentence()
        await asyncio.to_thread(postgresql.kill)
        await asyncio.to_thread(postgresql.start)
        await held.goes_on(time.monotonic(), wait=BACK)
        await held.end()
    judge_laws(held.reader, held.stream, held.transcript)
    judge_whole(held, uninterrupted, reference)

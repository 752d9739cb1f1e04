"""Waits for what comes by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from inspect import isawaitable

from pipeline.bus.redis.connection import RedisBus
from tests.redis_server import RedisServer
from tests.server_process import WAIT


async def until(true: Callable[[], object]) -> None:
    """``true`` may give something to await."""
    async with asyncio.timeout(WAIT):
        while not await _found(true()):  # noqa: ASYNC110 - what it looks at tells nobody
            await asyncio.sleep(0.01)


async def _found(something: object) -> object:
    return await something if isawaitable(something) else something


@asynccontextmanager
async def process(server: RedisServer, name: str) -> AsyncIterator[RedisBus]:
    bus = await RedisBus.open(server.url, name)
    try:
        yield bus
    finally:
        await bus.close()

"""What goes wrong with Redis, in Greffier's words."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError

from pipeline.errors import BusFailed

AWAY = (RedisError, OSError, asyncio.TimeoutError)
"""All that using Redis raises; the first sort of them says something of a command, too."""


@contextmanager
def as_bus_failed() -> Iterator[None]:
    """Never with the text of the error, which may hold a URL with its password."""
    try:
        yield
    except AWAY as failure:
        raise BusFailed(f"Redis (GREFFIER_REDIS_URL) does not answer as it should: {type(failure).__name__}") from None

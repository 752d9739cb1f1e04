"""Servers of these tests alone, for what no other test bears: they are stopped, paused and emptied."""

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer, running_redis


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """Keeps nothing over a restart."""
    with running_redis() as server:
        yield server


@pytest.fixture
def keeping_redis() -> Iterator[RedisServer]:
    """Keeps what it has over a restart."""
    with running_redis(keeps=True) as server:
        yield server

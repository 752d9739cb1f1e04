"""Processes of these tests, and servers for what no other test bears: they are stopped, paused and emptied."""

from collections.abc import AsyncIterator, Iterator

import pytest

from pipeline.bus.redis.audio_out import AudioOutlet
from pipeline.bus.redis.captions_in import MirroredFeed
from pipeline.bus.redis.captions_out import PublishedFeed
from pipeline.bus.redis.connection import RedisBus
from tests.pipeline.bus.redis.captioning import owned
from tests.pipeline.bus.redis.sounding import M, Owner
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


@pytest.fixture
async def worker(redis_server: RedisServer) -> AsyncIterator[RedisBus]:
    bus = await RedisBus.open(redis_server.url, "worker-1")
    yield bus
    await bus.close()


@pytest.fixture
async def gateway(redis_server: RedisServer) -> AsyncIterator[RedisBus]:
    bus = await RedisBus.open(redis_server.url, "gateway-1")
    yield bus
    await bus.close()


@pytest.fixture
async def feed(worker: RedisBus) -> AsyncIterator[PublishedFeed]:
    published = await owned(worker)
    yield published
    await published.close_pump()


@pytest.fixture
async def mirror(gateway: RedisBus) -> AsyncIterator[MirroredFeed]:
    mirrored = await MirroredFeed.open(gateway, M)
    yield mirrored
    await mirrored.stop()


@pytest.fixture
async def outlet(gateway: RedisBus) -> AsyncIterator[AudioOutlet]:
    sending = AudioOutlet(gateway, M)
    yield sending
    await sending.close()


@pytest.fixture
async def owner(worker: RedisBus) -> AsyncIterator[Owner]:
    receiving = await Owner.of(worker)
    yield receiving
    await receiving.leave()

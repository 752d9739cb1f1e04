"""What tests of several folders share: the real cache of weights, the real model by its folder, real databases."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from api.settings import read_settings
from models.voice_onnx import are_made, voice_folder
from models.weights import locate
from pipeline.store.database import open_database
from tests.postgresql_server import PostgreSql, running_postgresql
from tests.redis_server import RedisServer, running_redis

# How long an example takes says something of the machine, nothing of the code.
settings.register_profile("greffier", deadline=None)
settings.load_profile("greffier")


@pytest.fixture(scope="session")
def cache() -> Path:
    """The cache folder that ``make setup`` filled; what it lacks is fetched."""
    return read_settings().cache


@pytest.fixture(scope="session")
def whisper_base(cache: Path) -> Path:
    return locate("whisper-base", cache)


@pytest.fixture(scope="session")
def voices_onnx(cache: Path) -> Path:
    """Made at set-up; without them a laptop skips and CI fails."""
    folder = voice_folder(cache)
    if not are_made(folder):
        if os.environ.get("CI"):
            pytest.fail(f"{folder} is missing: CI needs the voice models that make setup makes")
        pytest.skip(f"{folder} is not on this machine")
    return folder


@pytest.fixture(scope="session")
def silero_vad(cache: Path) -> Path:
    return locate("silero-vad", cache)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """One server for all tests; who stops it starts it again."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def migrated(postgresql: PostgreSql) -> str:
    """The name of a database with the tables of today."""
    name = postgresql.new_database()
    open_database(postgresql.url(name)).dispose()
    return name


@pytest.fixture
def postgresql_url(postgresql: PostgreSql, migrated: str) -> str:
    """A database that nobody uses, with empty tables."""
    postgresql.empty(migrated)
    return postgresql.url(migrated)


@pytest.fixture
def new_postgresql_url(postgresql: PostgreSql) -> Iterator[str]:
    """A database of this test alone, without tables."""
    name = postgresql.new_database()
    yield postgresql.url(name)
    postgresql.drop(name)


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """One server for all tests that leave it running; it keeps nothing over a restart."""
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_server(redis: RedisServer) -> RedisServer:
    """An empty one; ``url`` is where."""
    redis.empty()
    return redis


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a test keeps its meetings, once in each kind of database; nothing is there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/greffier.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url

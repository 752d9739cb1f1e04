"""What tests of several folders share: the real cache of weights, the real model by its folder, real databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from api.settings import read_settings
from models.weights import locate
from tests.postgresql_server import PostgreSql, running_postgresql

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
def silero_vad(cache: Path) -> Path:
    return locate("silero-vad", cache)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """One server for all tests; who stops it starts it again."""
    with running_postgresql() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSql) -> Iterator[str]:
    """An empty database of this test alone."""
    name = postgresql.new_database()
    yield postgresql.url(name)
    postgresql.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a test keeps its meetings, once in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/greffier.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url

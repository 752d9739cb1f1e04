"""A real livekit-server, shared by the tests of this folder, and the people in its rooms."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.livekit.people import People, people_of
from tests.livekit.server import LiveKit, running_livekit

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="package")
def livekit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKit]:
    """One server for all tests that leave it alone; each has rooms of its own."""
    with running_livekit(tmp_path_factory.mktemp("livekit")) as server:
        yield server


@pytest.fixture
def own_livekit(tmp_path: Path) -> Iterator[LiveKit]:
    """A server of this test, which may be killed, paused and started again."""
    with running_livekit(tmp_path / "livekit") as server:
        yield server


@pytest.fixture
def room() -> str:
    """A name that no other test uses."""
    return f"room-{next(_NUMBERS)}"


@pytest.fixture
async def people(livekit: LiveKit) -> AsyncIterator[People]:
    async with people_of(livekit) as people:
        yield people


@pytest.fixture
async def own_people(own_livekit: LiveKit) -> AsyncIterator[People]:
    """In rooms of ``own_livekit``."""
    async with people_of(own_livekit) as people:
        yield people

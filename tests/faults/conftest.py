"""A fleet for all tests of this folder, and what its captions are like when nothing breaks."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.domain import Samples
from tests.faults.fleet import Fleet
from tests.faults.oracle import Said, judge_laws, said_in
from tests.faults.scene import scene
from tests.postgresql_server import PostgreSql
from tests.recordings import described, heard, silence
from tests.redis_server import running_redis

CLIP = "en_libri_1088.wav"
"""16 seconds, two sentences; Whisper base mishears one of their 53 words, so that what a fault costs shows."""


@pytest.fixture(scope="session")
def speech() -> Samples:
    return np.concatenate([silence(0.4), heard(CLIP), silence(0.6)])


@pytest.fixture(scope="session")
def reference() -> str:
    return str(described(CLIP)["ref_text"])


@pytest.fixture(scope="session")
def fleet(postgresql: PostgreSql, whisper_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two processes of each role, the second of each 30 s ahead of time; Redis writes what it has to a file."""
    folder = tmp_path_factory.mktemp("fleet")
    with running_redis(keeps=True) as store:
        fleet = Fleet(folder, store, postgresql)
        try:
            fleet.open()
            yield fleet
        finally:
            fleet.close()


@pytest.fixture(scope="session")
def uninterrupted(fleet: Fleet, speech: Samples) -> list[Said]:
    """What the transcript of a meeting holds that nothing befell."""

    async def held() -> list[Said]:
        async with scene(fleet, speech, title="Uninterrupted") as quiet:
            await quiet.end()
        judge_laws(quiet.reader, quiet.stream, quiet.transcript)
        assert quiet.transcript["gaps"] == []
        return said_in(quiet)

    with ThreadPoolExecutor(1) as beside:  # the loops of tests are their own
        return beside.submit(asyncio.run, held()).result()


@pytest.fixture(autouse=True)
def whole(fleet: Fleet) -> Iterator[None]:
    """Each test finds every machine at work."""
    fleet.mend()
    yield

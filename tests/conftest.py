"""What tests of several folders share: the real cache of weights, and the real model by its folder."""

from pathlib import Path

import pytest
from hypothesis import settings

from api.settings import read_settings
from models.weights import locate

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

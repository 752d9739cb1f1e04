"""Scenes with the real Janus are played once; each test judges one of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.janus import namespace
from tests.janus.people import ANNE, BRUNO
from tests.recordings import recorded

Seen = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="package")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    namespace.needed()
    for name in ("en_LJ001-0004.wav", "fr_fleurs_ski.wav"):
        recorded(name)
    return namespace.played("tests.janus.scenes", str(tmp_path_factory.mktemp("janus")))


@pytest.fixture
def seen(scenes: dict[str, Any]) -> Seen:
    """What a scene returned."""

    def one(name: str) -> dict[str, Any]:
        found: dict[str, Any] = scenes[name]
        assert "failed" not in found, found["failed"]
        return found

    return one


@pytest.fixture(scope="package")
def meeting(whisper_base: Path, silero_vad: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A captioned meeting, with the real recogniser."""
    namespace.needed()
    for name in (*ANNE, *BRUNO):
        recorded(name)
    return namespace.played("tests.janus.meeting_scene", str(tmp_path_factory.mktemp("meeting")))

"""The cuBLAS that pip installed is found where the loader does not look."""

import ctypes
import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

from models.cuda import load_cublas


@pytest.fixture
def loadable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The libraries that the loader finds; others are not there."""
    found: set[str] = set()

    def load(library: str) -> None:
        if library not in found:
            raise OSError(library)

    monkeypatch.setattr(ctypes, "CDLL", load)
    return found


def test_the_library_of_the_system_is_enough(loadable: set[str]) -> None:
    assert not load_cublas()
    loadable.add("libcublas.so.12")
    assert load_cublas()


def test_the_library_of_the_package_is_enough(
    loadable: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = importlib.machinery.ModuleSpec("nvidia.cublas", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: package)
    assert not load_cublas()
    loadable.add(str(tmp_path / "lib" / "libcublas.so.12"))
    assert load_cublas()


def test_a_machine_without_nvidia_packages_has_none(loadable: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert not load_cublas()

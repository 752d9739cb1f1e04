"""Freed memory goes back to the system; without glibc nothing happens."""

import ctypes
import platform
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models import heap


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_freed_memory_below_memory_in_use_goes_back_to_the_system() -> None:
    blocks = [np.ones(50_000, np.uint8) for _ in range(2000)]  # too small to be mapped on their own
    kept = blocks[::100]
    full = resident()
    blocks.clear()
    heap.give_back()
    assert resident() < full - 50e6
    assert all(block[0] == 1 for block in kept)


def test_the_heap_is_shared_and_given_back_by_the_functions_of_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, object]] = []
    libc = SimpleNamespace(
        mallopt=lambda *asked: called.append(("mallopt", asked)),
        malloc_trim=lambda room: called.append(("malloc_trim", room.value)),
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    heap.share_one_arena()
    heap.give_back()
    assert called == [("mallopt", (-8, 1)), ("malloc_trim", 0)]


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    heap.share_one_arena()
    heap.give_back()

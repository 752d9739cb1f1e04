"""Freed memory goes back to the system; without glibc nothing happens."""

import ctypes
import os
import platform
import subprocess
import sys
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
        setenv=lambda *asked: called.append(("setenv", asked)),
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda _: libc)
    heap.share_one_arena()
    heap.cache_no_primitives()
    heap.give_back()
    unless_set = 0
    told = (b"ONEDNN_PRIMITIVE_CACHE_CAPACITY", b"0", unless_set)
    assert called == [("mallopt", (-8, 1)), ("setenv", told), ("malloc_trim", 0)]


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    heap.share_one_arena()
    heap.cache_no_primitives()
    heap.give_back()


_LENGTHS = """
import ctypes, sys
from pathlib import Path
import numpy as np
from models.faster_whisper import EngineSettings, WhisperEngine
from pipeline.domain import TrackId, UtteranceId, Window, WindowKind

class Used(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Used
engine = WhisperEngine(Path(sys.argv[1]), EngineSettings(device="cpu", compute_type="int8", callers=1, threads=1))

def hear(seconds):
    window = Window(TrackId("t"), UtteranceId("u"), WindowKind.LIVE, 0.0, seconds, ("fr",), "fr")
    engine.hear([(window, np.zeros(16000 * seconds, np.int16))])

hear(4)
before = libc.mallinfo2().uordblks
for seconds in range(5, 14):
    hear(seconds)
print(libc.mallinfo2().uordblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="only glibc 2.33 and later tell what is in use")
def test_windows_of_many_lengths_leave_nothing_behind(whisper_base: Path) -> None:
    """In a process of its own, since oneDNN is told once; keeping its primitives took 13 MB here."""
    unset = {name: value for name, value in os.environ.items() if "PRIMITIVE_CACHE" not in name}
    command = [sys.executable, "-c", _LENGTHS, str(whisper_base)]
    ran = subprocess.run(command, capture_output=True, check=True, text=True, env=unset)
    assert int(ran.stdout) < 2e6

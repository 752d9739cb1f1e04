"""How this machine runs a model best: a few seconds of measuring, once, kept in the cache.

Machines differ by three times in what they make of threads, batches and arithmetic (docs/benchmarks.md).
"""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from models.cuda import load_cublas
from models.downloads import Progress
from models.faster_whisper import EngineSettings, WhisperEngine
from pipeline.domain import SAMPLE_RATE, Samples, TrackId, UtteranceId, Window, WindowKind, Word

_VERSION = 5
_WINDOW = 6.0
"""Seconds of the window that is timed: what a live window holds on average."""
_TOKENS = 12
"""Most tokens that it is given: what is new in a live window when many people talk."""
_ROUNDS = 3
_LEAST_STEP, _MOST_STEP = 0.3, 2.0
_CPU_BATCHES, _GPU_BATCHES = (1, 2, 4), (16, 32, 64)
_GPU_CALLERS = 2, 4
"""On a GPU a batch leaves gaps, while its features are computed and its words are timed, that other batches fill."""
_CPU_TALKERS, _GPU_TALKERS = 4, 128
"""How many talk at once when the machine is full: for each caller of a CPU, on a GPU."""
_ONE_PROCESS = 64
"""Talkers beyond which the event loop of one process falls behind, however fast the GPU is (docs/benchmarks.md)."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """``callers`` batches at once of ``threads`` each and at most ``batch`` windows; ``windows_per_second`` together.

    ``step`` is the update interval in seconds at which one talker costs half of the machine; ``talkers`` how many are
    captioned at an interval of two seconds, by one process.
    """

    device: str
    compute_type: str
    callers: int
    threads: int
    batch: int
    step: float
    windows_per_second: float
    talkers: int


def calibrate(
    folder: Path,
    cache: Path,
    device: str,
    compute_type: str | None,
    threads: int | None,
    progress: Progress,
) -> Calibration:
    """The kept calibration of this machine and model, else a new one. Raises ``ModelUnavailable``."""
    key = "|".join(map(str, (_VERSION, _machine(), folder.name, device, compute_type, threads)))
    path = cache / "calibration.json"
    kept = _read(path)
    if key in kept:
        return kept[key]
    progress("calibration of this machine", 0, 0)
    chosen = _measured(folder, _device(device), compute_type, threads)
    _keep(path, {**_read(path), key: chosen})
    return chosen


def _measured(folder: Path, device: str, compute_type: str | None, threads: int | None) -> Calibration:
    """The way that shows words soonest with as many talkers as fill the machine.

    A word waits half an update interval, talkers / rate, and then for the batch it is in, callers * batch / rate.
    """
    best = (float("inf"), 1.0, EngineSettings(), 1)
    for settings in _candidates(device, compute_type, threads):
        engine = WhisperEngine(folder, replace(settings, tokens_per_second=0.0, tokens_more=_TOKENS))
        talkers = _CPU_TALKERS * settings.callers if device == "cpu" else _GPU_TALKERS
        for batch in _CPU_BATCHES if device == "cpu" else _GPU_BATCHES:
            rate = _windows_per_second(engine, settings.callers, batch)
            delay = (talkers / 2 + settings.callers * batch) / rate
            if delay < best[0] * 0.95:
                best = delay, rate, settings, batch
        del engine
    _, rate, settings, batch = best
    step = min(max(2.0 / rate, _LEAST_STEP), _MOST_STEP)
    return Calibration(
        device=device,
        compute_type=settings.compute_type,
        callers=settings.callers,
        threads=settings.threads,
        batch=batch,
        step=round(step, 2),
        windows_per_second=round(rate, 2),
        talkers=min(max(1, int(rate * 2)), _ONE_PROCESS),
    )


def _candidates(device: str, compute_type: str | None, threads: int | None) -> Iterator[EngineSettings]:
    if device != "cpu":
        for callers in _GPU_CALLERS:
            yield EngineSettings(device=device, compute_type=compute_type or "float16", callers=callers, threads=1)
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for kind in [compute_type] if compute_type else ["int8", "float32"]:
        each = threads or 1
        yield EngineSettings(device=device, compute_type=kind, callers=max(1, cores // each), threads=each)


def _windows_per_second(engine: WhisperEngine, callers: int, batch: int) -> float:
    """Rate of all callers together on voiced noise: it costs what speech costs, without a recording."""
    on_gpu = engine.settings.device != "cpu"
    work = _live_windows(batch) if on_gpu else [(_window(0), _voiced(_WINDOW))] * batch
    first = work if on_gpu else work[:1]  # a GPU compiles and allocates at the first batch
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(engine.hear, [first] * callers))
        begun = time.perf_counter()
        list(pool.map(engine.hear, [work] * callers * _ROUNDS))
        return batch * callers * _ROUNDS / (time.perf_counter() - begun)


def _live_windows(count: int) -> list[tuple[Window, Samples]]:
    """Windows as they come together when many people talk: the committed text in them has no one length."""
    sound = _voiced(_WINDOW)
    return [(_window(8 * (number % 4)), sound) for number in range(count)]


def _window(committed: int) -> Window:
    """The window that is timed, with as many committed words of one token each."""
    words = tuple(Word(" de", 0.1 * number, 0.1 * number + 0.1, 1.0) for number in range(1, committed + 1))
    return Window(TrackId("-"), UtteranceId("-"), WindowKind.LIVE, 0.0, _WINDOW, ("fr",), "fr", prefix=words)


def _voiced(seconds: float) -> Samples:
    """Sound of shape (n,) with the pitch and pauses of a voice."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    voice: NDArray[np.float64] = sum(
        np.sin(2 * np.pi * 120 * k * t + 3 * np.sin(2 * np.pi * 0.7 * t)) / k for k in range(1, 20)
    )
    syllables = np.clip(np.sin(2 * np.pi * 4 * t), 0.0, None)
    samples: Samples = (voice * syllables * 3000).astype(np.int16)
    return samples


def _device(asked: str) -> str:
    if asked != "auto":
        return asked
    return "cuda" if ctranslate2.get_cuda_device_count() and load_cublas() else "cpu"


def _machine() -> str:
    cores = os.cpu_count()
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next(
            (line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line), ""
        )
    return f"{model}/{cores}/{ctranslate2.get_cuda_device_count()}/{version('ctranslate2')}"


def _keep(path: Path, calibrations: dict[str, Calibration]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):  # a cache that cannot be written costs the measuring at the next start, nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({key: asdict(one) for key, one in calibrations.items()}, indent=1))
        part.replace(path)
    with suppress(OSError):
        part.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Calibration]:
    """What was measured before; a file that cannot be read, or is of another version, counts as nothing."""
    try:
        return {key: Calibration(**fields) for key, fields in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}

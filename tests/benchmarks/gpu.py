"""What a GPU holds: windows a second by batch size, and how many people talk at once in real time.

``python -m tests.benchmarks gpu`` measures whisper-base, and a model of large-v3-turbo's shape where ``transformers``
and PyTorch are installed. ``BENCH_GPU_TALKERS`` is talkers or talkersxprocesses with commas between; a model is not
asked for more once it did not hold some. ``python -m tests.benchmarks.gpu`` measures and keeps, and makes no rows.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from tests.benchmarks.corpus import SAMPLE_RATE, Clip, Placed, cache_folder, counted_clips
from tests.benchmarks.events import Event, by_utterance, count_gaps
from tests.benchmarks.latency import percentile
from tests.benchmarks.mixing import TrackFile, read_wav, room_noise, talk, write_wav
from tests.benchmarks.replay import CommandFailed, Replay, replay
from tests.benchmarks.turbo_shape import NAME, base_folder, turbo_folder

BATCHES = (1, 4, 8, 16, 32, 64)
TALKERS = "16,64,128x2,256x4,512x8"
SECONDS = float(os.environ.get("BENCH_GPU_SECONDS", "30"))
MOST_LAG = 4.0
"""Talkers are held when 95 of 100 words are committed within so many seconds, and no speech is given up."""
LONGEST_CLIP = 35.0
_SPEECH = ("--language", "fr,en")

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Model:
    """One model; ``program`` captions with it."""

    name: str
    folder: Path
    program: tuple[str, ...] = ()


def devices() -> int:
    import ctranslate2

    from models.cuda import load_cublas

    return int(ctranslate2.get_cuda_device_count()) if load_cublas() else 0


def models() -> list[Model]:
    found = [Model("base", base_folder())]
    if (cache_folder() / NAME / "preprocessor_config.json").is_file() or (
        find_spec("transformers") and find_spec("torch")
    ):
        stand_in = ("python", "-m", "tests.benchmarks.stand_in")
        found.append(Model("turbo-shape", turbo_folder(cache_folder()), stand_in))
    else:
        _say(f"no model of {NAME}: it is made with transformers and torch, which are not installed")
    return found


# --- windows a second -------------------------------------------------------------------------------------


def measure_rates(model: Model) -> Figures:
    """What the calibration chooses, and the rate and the seconds of a batch for each size with as many callers."""
    from api.settings import read_settings
    from models.calibration import _TOKENS, _WINDOW, _windows_per_second, calibrate
    from models.faster_whisper import EngineSettings, WhisperEngine

    settings = read_settings()
    device = settings.device.value
    begun = time.perf_counter()
    chosen = calibrate(model.folder, settings.cache, device, settings.compute_type, None, lambda *_: None)
    took = time.perf_counter() - begun
    engine = WhisperEngine(
        model.folder,
        EngineSettings(
            device=chosen.device,
            compute_type=chosen.compute_type,
            callers=chosen.callers,
            threads=chosen.threads,
            tokens_per_second=0.0,
            tokens_more=_TOKENS,
        ),
    )
    figures: Figures = {name: value for name, value in asdict(chosen).items() if isinstance(value, int | float)}
    figures |= {"calibration_s": took, "window_s": _WINDOW, "tokens": _TOKENS}
    for batch in BATCHES:
        rate = _windows_per_second(engine, chosen.callers, batch)
        figures[f"rate_batch_{batch}"] = rate
        figures[f"ms_batch_{batch}"] = 1000 * chosen.callers * batch / rate
        _say(f"{model.name}: batches of {batch}: {rate:.1f} windows a second")
    return figures


# --- talkers ----------------------------------------------------------------------------------------------


def gpu_talkers(count: int, seconds: float) -> list[TrackFile]:
    """``count`` people who all talk, three of four in French, each from another clip on and begun at another moment."""
    clips = {language: _short(language) for language in ("fr", "en")}
    tracks, heard = [], set[str]()
    for number in range(count):
        said = clips["en" if number % 4 == 3 else "fr"]
        turn = number // 2 % len(said)
        track = talk(said[turn:] + said[:turn], seconds, f"gpu{turn}-{said[0].language}")
        late = number * 0.37 % 3.0
        placed = tuple(_later(place, late, heard) for place in track.placed if place.offset + late < seconds)
        tracks.append(TrackFile(_delayed(track, late, seconds), seconds, placed))
    return tracks


def _short(language: str) -> list[Clip]:
    return sorted((clip for clip in counted_clips(language) if clip.duration <= LONGEST_CLIP), key=lambda clip: clip.id)


def _later(place: Placed, late: float, heard: set[str]) -> Placed:
    """The clip at its later place; it counts where it is said for the first time among all talkers."""
    again = place.clip.id in heard
    heard.add(place.clip.id)
    opens, closes = place.opens + late, place.closes + late
    return replace(place, offset=place.offset + late, opens=opens, closes=closes, again=again)


def _delayed(track: TrackFile, late: float, seconds: float) -> Path:
    path = track.path.with_name(f"{track.path.stem}+{late:.2f}.wav")
    if not path.is_file():
        samples = room_noise(seconds, seed=7)
        begin = round(late * SAMPLE_RATE)
        samples[begin:] = read_wav(track.path)[: len(samples) - begin]
        write_wav(path, samples)
    return path


def talk_at_once(
    model: Model, talkers: int, processes: int, *, seconds: float = SECONDS, reuse: bool = False
) -> list[Replay]:
    """The runs of ``processes`` that caption ``talkers`` together. Raises ``CommandFailed``."""
    tracks = gpu_talkers(talkers, seconds)
    settings = {"GREFFIER_MODEL": str(model.folder)}

    def part(number: int) -> Replay:
        name = f"gpu-{model.name}-{talkers}-{number}of{processes}"
        mine = tracks[number::processes]
        return replay(name, mine, *_SPEECH, settings=settings, reuse=reuse, program=model.program)

    with ThreadPoolExecutor(processes) as pool:
        return list(pool.map(part, range(processes)))


def held(runs: Sequence[Replay]) -> tuple[bool, Figures]:
    """Whether these talkers were captioned in real time, and the figures that say so."""
    behind = list(chain.from_iterable(commit_delays(run.events) for run in runs))
    figures = {
        "behind_p50": percentile(behind, 50),
        "behind_p95": percentile(behind, 95),
        "gaps": sum(count_gaps(run.transcript_path)[0] for run in runs),
        "seconds_after_end": max(run.usage.wall for run in runs) - SECONDS,
        "cores": sum(run.usage.cpu_between(8.0, SECONDS) for run in runs),
    }
    return bool(behind) and not figures["gaps"] and figures["behind_p95"] <= MOST_LAG, figures


def commit_delays(events: Iterable[Event]) -> list[float]:
    """Seconds from the end of each word, as it was heard, to its committing: what needs no true word times."""
    delays: list[float] = []
    for utterance in by_utterance(events).values():
        known = 0
        for event in utterance:
            delays += [event.sent_at - word.end for word in event.words[known:]]
            known = len(event.words)
    return delays


def memory_mb(runs: Sequence[Replay]) -> float:
    """The most that one process held while it ran; the kernel's own maximum counts what its parent held."""
    return max(sample.memory for run in runs for sample in run.usage.samples) / 1e6


def run_name(talkers: int, processes: int) -> str:
    return f"{talkers}x{processes}" if processes > 1 else str(talkers)


def asked_talkers() -> list[tuple[int, int]]:
    pairs = [one.partition("x") for one in os.environ.get("BENCH_GPU_TALKERS", TALKERS).split(",")]
    return [(int(talkers), int(processes or 1)) for talkers, _, processes in pairs]


@contextmanager
def gpu_memory(figures: Figures) -> Iterator[None]:
    """Adds the memory that the GPU used at most, as ``nvidia-smi`` says each half second."""
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "500"]
    try:
        watching = subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        watching.terminate()
        said, _ = watching.communicate()
        used = [float(line) for line in said.splitlines() if line.strip().isdigit()]
        if used:
            figures["gpu_memory_mb"] = max(used)


# --- all of it --------------------------------------------------------------------------------------------


def measure() -> None:
    """Measures what the device bears and keeps it, one model after the other."""
    kept: dict[str, dict] = {"machine": {"name": machine()}}
    for model in models():
        kept[model.name] = {"rates": measure_rates(model), "talkers": {}}
        _keep(kept)
        for talkers, processes in asked_talkers():
            if not measure_talkers(kept, model, talkers, processes):
                break


def measure_talkers(kept: dict[str, dict], model: Model, talkers: int, processes: int) -> bool:
    """Keeps what it was like when so many talked; whether they were held."""
    load: Figures = {}
    try:
        with gpu_memory(load):
            runs = talk_at_once(model, talkers, processes)
    except CommandFailed as failure:
        _say(f"{model.name}: {talkers} talkers: {failure}")
        return False
    well, figures = held(runs)
    how = {name: kept[model.name]["rates"][name] for name in ("callers", "batch")}
    how |= {"talkers": talkers, "processes": processes, "talk_s": SECONDS, "held": int(well)}
    kept[model.name]["talkers"][run_name(talkers, processes)] = how | figures | load
    _keep(kept)
    _say(f"{model.name}: {run_name(talkers, processes)} talkers: {'held' if well else 'not held'} {figures} {load}")
    return well


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("ctranslate2", "faster-whisper", "onnxruntime"))
    return f"{device_name()}, {os.cpu_count()} cores; Python {platform.python_version()}, {packages}."


def device_name() -> str:
    """The GPU and its driver."""
    try:
        asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip().splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "no GPU"


def load_kept() -> dict[str, dict]:
    kept: dict[str, dict] = json.loads(_kept_path().read_text(encoding="utf-8"))
    return kept


def _kept_path() -> Path:
    return cache_folder() / "gpu.json"


def _keep(kept: Mapping[str, object]) -> None:
    _kept_path().write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    measure()

"""The yardstick: plain faster-whisper over each whole file, beam 5, with and without its speech detector.

Its words are also the true word times of clips whose manifest has none, and its detector's spans the speech of a clip.
Everything is kept, keyed by the clip, the weights and the versions of the packages.

``python -m tests.benchmarks.yardstick`` fills the cache and prints the figures.
"""

import hashlib
import importlib.metadata
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.corpus import Clip, Span, cache_folder, decode, load_clips
from tests.benchmarks.events import TimedWord
from tests.benchmarks.score import Errors, score_clip

BEAM = 5
LANGUAGES = ("fr", "en")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the yardstick heard in one clip, and the seconds it took."""

    words: tuple[TimedWord, ...]
    seconds: float

    @property
    def text(self) -> str:
        return "".join(word.text for word in self.words)


@cache
def model_folder() -> Path:
    """The weights that Greffier itself uses; ``BENCH_MODEL`` names another folder."""
    if named := os.environ.get("BENCH_MODEL"):
        return Path(named)
    from api.settings import read_settings
    from models.weights import locate

    return locate("whisper-base", read_settings(os.environ).cache)


@cache
def fingerprint() -> str:
    """What the yardstick's output depends on, beside the clip."""
    with (model_folder() / "model.bin").open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    versions = [f"{name}=={importlib.metadata.version(name)}" for name in ("faster-whisper", "ctranslate2")]
    return hashlib.sha256(" ".join([weights, *versions, f"beam {BEAM}", "int8"]).encode()).hexdigest()[:12]


def read(clip: Clip, *, vad: bool) -> Reading:
    """What was heard in a clip, from the cache where it is kept."""
    kept = _kept(clip, f"{fingerprint()}.{'vad' if vad else 'plain'}")
    if not kept.is_file():
        _write(kept, _recognise(clip, vad=vad))
    row = json.loads(kept.read_text(encoding="utf-8"))
    return Reading(tuple(TimedWord(**word) for word in row["words"]), row["seconds"])


def speech_of(clip: Clip) -> tuple[Span, ...]:
    """The speech of a clip by Silero (threshold 0.5, pauses under 0.1 s bridged, no padding)."""
    kept = _kept(clip, f"{importlib.metadata.version('faster-whisper')}.speech")
    if not kept.is_file():
        _write(kept, {"spans": detect_speech(decode(clip).astype(np.float32) / 32768)})
    return tuple((start, end) for start, end in json.loads(kept.read_text(encoding="utf-8"))["spans"])


def detect_speech(samples: np.ndarray) -> list[list[float]]:
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(threshold=0.5, min_speech_duration_ms=100, min_silence_duration_ms=100, speech_pad_ms=0)
    return [[span["start"] / 16_000, span["end"] / 16_000] for span in get_speech_timestamps(samples, options)]


def errors_of(clips: Iterable[Clip], *, vad: bool) -> dict[str, Errors]:
    totals: dict[str, Errors] = {}
    for clip in clips:
        totals[clip.language] = totals.get(clip.language, Errors()) + score_clip(clip, read(clip, vad=vad).text)
    return totals


def best_errors(clips: Iterable[Clip]) -> dict[str, Errors]:
    """The better of the two figures, per language."""
    listed = list(clips)
    plain, guarded = errors_of(listed, vad=False), errors_of(listed, vad=True)
    return {language: min(plain[language], guarded[language], key=lambda errors: errors.rate) for language in plain}


def fill(clips: Iterable[Clip], processes: int = 1) -> None:
    """Reads every clip that is not kept yet, the longest first."""
    jobs = [(clip, vad) for clip in clips for vad in (False, True) if not _is_kept(clip, vad)]
    jobs.sort(key=lambda job: -job[0].duration)
    if not jobs:
        return
    if processes == 1:
        for clip, vad in jobs:
            _fill_one(clip, vad)
        return
    with ProcessPoolExecutor(processes) as pool:
        for future in [pool.submit(_fill_one, clip, vad) for clip, vad in jobs]:
            future.result()


def _fill_one(clip: Clip, vad: bool) -> None:
    read(clip, vad=vad)


def _is_kept(clip: Clip, vad: bool) -> bool:
    return _kept(clip, f"{fingerprint()}.{'vad' if vad else 'plain'}").is_file()


def _kept(clip: Clip, what: str) -> Path:
    return cache_folder() / "yardstick" / f"{clip.sha256[:24]}.{what}.json"


def _write(path: Path, value: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    part.replace(path)


@cache
def _model() -> Any:
    from faster_whisper import WhisperModel

    return WhisperModel(str(model_folder()), device="cpu", compute_type="int8", cpu_threads=1)


def _recognise(clip: Clip, *, vad: bool) -> dict:
    samples = decode(clip).astype(np.float32) / 32768
    model = _model()
    begun = time.perf_counter()
    segments, _ = model.transcribe(
        samples, language=clip.language, beam_size=BEAM, word_timestamps=True, vad_filter=vad
    )
    words = [
        asdict(TimedWord(word.word, round(float(word.start), 3), round(float(word.end), 3)))
        for segment in segments
        for word in segment.words or ()
    ]
    return {"clip": clip.id, "seconds": time.perf_counter() - begun, "words": words}


def measured_clips() -> list[Clip]:
    """Every clip that some row needs the yardstick for."""
    clips = [clip for clip in load_clips().values() if clip.language in LANGUAGES]
    return [clip for clip in clips if clip.counts or clip.kind.startswith("meeting")]


def main() -> None:
    clips = measured_clips()
    fill(clips, int(os.environ.get("BENCH_PROCESSES", "1")))
    counted = [clip for clip in clips if clip.counts]
    for vad in (False, True):
        for language, errors in errors_of(counted, vad=vad).items():
            print(f"{'with' if vad else 'without'} detector  {language}  {errors.rate:7.2%}  of {errors.words} words")
    print(f"{sum(read(clip, vad=False).seconds for clip in clips):.0f} s for one pass")


if __name__ == "__main__":
    main()

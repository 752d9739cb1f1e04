"""``greffier transcribe`` beside faster-whisper's BatchedInferencePipeline: same recording, weights, beam.

``python -m tests.benchmarks.offline FILE LANGUAGE OUT.json [--word-times]`` is that pipeline as a process of its own.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from tests.benchmarks import meetings
from tests.benchmarks.corpus import cache_folder
from tests.benchmarks.events import read_texts, text_words
from tests.benchmarks.latency import with_times
from tests.benchmarks.mixing import TrackFile
from tests.benchmarks.replay import CommandFailed, Usage, greffier, run
from tests.benchmarks.score import score_placed
from tests.benchmarks.truth import truth_of
from tests.benchmarks.yardstick import BEAM, model_folder

BATCH = 8
LANGUAGE = "fr"


def measure() -> list[tuple[str, str, dict[str, float]]]:
    track = meetings.long_recording()
    folder = cache_folder() / "runs" / "offline"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = []
    for name, options in (("batched", []), ("batched-word-times", ["--word-times"])):
        out = folder / f"{name}.json"
        asked = ["-m", "tests.benchmarks.offline", str(track.path), LANGUAGE, str(out), *options]
        usage = _ran([sys.executable, *asked])
        words = json.loads(out.read_text(encoding="utf-8"))
        command = f"python -m tests.benchmarks.offline recording.wav {LANGUAGE} out.json {' '.join(options)}".strip()
        rows.append((f"offline-{name}", command, _figures(track, usage, words)))
    options = ["--language", LANGUAGE, "--format", "json", "--beam", str(BEAM)]
    usage = _ran([*greffier(), "transcribe", str(track.path), *options, "--out", str(folder)])
    made = next(path for path in folder.glob("*.json") if not path.name.startswith("batched"))
    words = [word.text for word in text_words(read_texts(made))]
    rows.append(
        ("offline-greffier", f"greffier transcribe recording.wav {' '.join(options)}", _figures(track, usage, words))
    )
    return rows


def _ran(command: list[str]) -> Usage:
    usage = run(command)
    if usage.returncode:
        raise CommandFailed(f"{' '.join(command)} ended with {usage.returncode}: {usage.errors[-400:]}")
    return usage


def _figures(track: TrackFile, usage: Usage, words: list[str]) -> dict[str, float]:
    """All three are scored by their texts alone, since one of them has no word times."""
    errors = score_placed(track.placed, with_times(words, truth_of(track)))[LANGUAGE]
    return {
        "audio_s": track.duration,
        "wall_s": usage.wall,
        "times_real_time": track.duration / usage.wall,
        "cpu_s": usage.cpu,
        "peak_memory_mb": usage.peak_memory / 1e6,
        f"wer_{LANGUAGE}": errors.rate,
    }


def main() -> None:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.offline")
    parser.add_argument("file", type=Path)
    parser.add_argument("language")
    parser.add_argument("out", type=Path)
    parser.add_argument("--word-times", action="store_true")
    asked = parser.parse_args()
    pipeline = BatchedInferencePipeline(WhisperModel(str(model_folder()), device="cpu", compute_type="int8"))
    segments, _ = pipeline.transcribe(
        str(asked.file),
        language=asked.language,
        beam_size=BEAM,
        batch_size=BATCH,
        word_timestamps=asked.word_times,
    )
    words = [f" {word}" for segment in segments for word in segment.text.split()]
    asked.out.write_text(json.dumps(words), encoding="utf-8")


if __name__ == "__main__":
    main()

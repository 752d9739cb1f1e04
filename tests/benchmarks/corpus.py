"""The recorded speech that is measured: clips with their references, decoded once, and recipes of conversations."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
REPORTED = ("exact", "near_exact")
Samples = NDArray[np.int16]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word with hand-made times."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording. ``scored_text`` is the part of ``text`` that counts in a WER where not all of it does."""

    id: str
    path: Path
    sha256: str
    language: str
    kind: str
    quality: str
    duration: float
    speakers: int
    text: str
    scored_text: str = ""
    words: tuple[SpokenWord, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether its WER is reported: one speaker, reference by a human; meetings have rows of their own."""
        return self.quality in REPORTED and self.speakers == 1 and not self.kind.startswith("meeting")


@dataclass(frozen=True, slots=True)
class Placed:
    """A clip inside a longer track: it sounds from ``offset`` on; words between ``opens`` and ``closes`` are its own.

    ``again`` says that the same clip was placed before: it is heard once more, and not scored again.
    """

    clip: Clip
    offset: float
    opens: float
    closes: float
    again: bool = False

    @property
    def end(self) -> float:
        return self.offset + self.clip.duration


@dataclass(frozen=True, slots=True)
class Turn:
    """A part of a clip in a composite conversation; ``speech`` are its voiced spans in the time of the composite."""

    clip: str
    cut: Span
    start: float
    end: float
    speaker: str
    language: str
    speech: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Composite:
    id: str
    duration: float
    turns: tuple[Turn, ...]


def corpus_folder() -> Path:
    """``BENCH_SPEECH``, else ``shared/speech`` beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "speech"
    folder = Path(os.environ.get("BENCH_SPEECH", beside))
    if not (folder / "manifest.jsonl").is_file():
        raise SystemExit(f"the benchmarks need recorded speech: {folder} has no manifest.jsonl (BENCH_SPEECH=FOLDER)")
    return folder


def cache_folder() -> Path:
    """Decoded audio, built tracks, the yardstick's output, logs and results: outside the checkout."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = Path(os.environ.get("BENCH_CACHE", base / "greffier" / "bench"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def load_clips() -> dict[str, Clip]:
    folder = corpus_folder()
    with (folder / "manifest.jsonl").open(encoding="utf-8") as lines:
        clips = [_clip_of(json.loads(line), folder) for line in lines]
    return {clip.id: clip for clip in clips}


def counted_clips(language: str) -> list[Clip]:
    return [clip for clip in load_clips().values() if clip.counts and clip.language == language]


def clips_named(ids: Iterable[str]) -> list[Clip]:
    return [load_clips()[name] for name in ids]


def clips_of_kind(*beginnings: str) -> list[Clip]:
    return [clip for clip in load_clips().values() if clip.kind.startswith(beginnings)]


def silent_clips() -> list[Clip]:
    """The clips that hold no speech: the right output is nothing."""
    return [clip for clip in load_clips().values() if clip.language == "none"]


def _clip_of(row: dict, folder: Path) -> Clip:
    return Clip(
        id=row["id"],
        path=folder / row["file"],
        sha256=row["sha256"],
        language=row["language"].split("-")[0],
        kind=row["kind"],
        quality=row["ref_quality"],
        duration=float(row["duration_s"]),
        speakers=len(row["speakers"] or ()),
        text=row["ref_text"] or "",
        scored_text=(row.get("ref_window") or {}).get("text", ""),
        words=_words_of(folder / row["words"]) if row.get("words") else (),
    )


def _words_of(path: Path) -> tuple[SpokenWord, ...]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    spoken = [row for row in rows if row["type"] == "w" and not row["punc"]]
    return tuple(SpokenWord(f" {row['text']}", row["start"], row["end"]) for row in spoken)


@cache
def load_composites() -> dict[str, Composite]:
    recipes = json.loads((corpus_folder() / "composites.json").read_text(encoding="utf-8"))["recipes"]
    return {recipe["id"]: _composite_of(recipe) for recipe in recipes}


def _composite_of(recipe: dict) -> Composite:
    turns = []
    for row in recipe["turns"]:
        clip = load_clips()[row["clip"]]
        cut = (row.get("slice_start_s", 0.0), row.get("slice_end_s", clip.duration))
        speech = tuple((span[0], span[1]) for span in row.get("speech", [[row["start_s"], row["end_s"]]]))
        language = row["language"].split("-")[0]
        turns.append(Turn(clip.id, cut, row["start_s"], row["end_s"], row["speaker"], language, speech))
    return Composite(recipe["id"], recipe["duration_s"], tuple(turns))


def decode(clip: Clip) -> Samples:
    """16 kHz mono samples of a clip, decoded once and kept."""
    kept = cache_folder() / "audio" / f"{clip.sha256}.npy"
    if not kept.is_file():
        kept.parent.mkdir(exist_ok=True)
        samples = decode_file(clip.path)
        part = kept.with_name(f"{clip.sha256}.{os.getpid()}.part.npy")
        np.save(part, samples)
        part.replace(kept)
    loaded: Samples = np.load(kept)
    return loaded


def decode_file(path: Path) -> Samples:
    with av.open(path) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        frames = [
            frame.to_ndarray().reshape(-1)
            for decoded in [*container.decode(audio=0), None]
            for frame in resampler.resample(decoded)
        ]
    return np.concatenate(frames).astype(np.int16) if frames else np.zeros(0, np.int16)


def speech_seconds(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)

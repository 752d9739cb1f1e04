"""Who may speak in windows of shared tracks, on ONNX Runtime: segmentation-3.0 and CAM++ (models/voice_export.py)."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.voice_features import banks_of
from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.errors import ModelUnavailable, RecognitionFailed
from pipeline.mixed import give_way
from pipeline.speakers import VoiceActivity

FRAMES = "frames.onnx"
FILES = ("segmentation.onnx", FRAMES, "pooling.onnx")
_FRAME = 270 / SAMPLE_RATE
"""Seconds from one frame of segmentation to the next."""
_FIRST = (991 - 270) / 2 / SAMPLE_RATE
"""Where the part of its first frame that is the frame's own begins: it hears 991 samples."""
_SHORTEST = SAMPLE_RATE
"""Samples; a shorter window is heard with silence after it."""
_HEARD_ALONE = 0.5
"""Seconds that a voice must be heard alone to have an embedding."""
_TOGETHER, _DIFFERENT = 1.0, 0.6
"""Seconds of two voices at once, or the cosine distance of two that follow each other, that show more than one."""
_BATCH = 4
_MOST_WAITING = 64
"""Windows; a track has one on its way, so that more tracks than this at once are refused one."""
_NEWEST = 1.75
"""Seconds heard alone, the newest of its window, that an embedding is of: what segmentation takes for one voice in five
seconds of short turns is often two, and what is not decided yet is new."""
_FULL_SCALE = np.float32(1 / 32768)
_ONLY_ERRORS = 3
_VOICES_OF_SETS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], np.float32)
"""The sets of voices whose probabilities segmentation gives: nobody, one, two at once."""
_CLOSED = "the voice model is closed"
_Array = NDArray[np.float32]
_Result = TypeVar("_Result")


def voice_folder(cache: Path) -> Path:
    return cache / "weights" / "voices-onnx"


def are_made(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


class VoiceNetworks:
    """The three files of a folder; for one thread at a time. Raises ``ModelUnavailable``."""

    def __init__(self, folder: Path) -> None:
        self._segmentation, self._frames, self._pooling = (opened(folder / name) for name in FILES)

    def hear(self, windows: Sequence[tuple[Samples, float]]) -> list[VoiceActivity]:
        """Windows (n,) with their starts, all of one length."""
        sounds = [_long_enough(samples) for samples, _ in windows]
        (sets,) = self._segmentation.run(None, {"sound": np.stack(sounds) * _FULL_SCALE})
        (frames,) = self._frames.run(None, {"banks": np.stack([banks_of(sound) for sound in sounds])})
        return [
            VoiceActivity(start + _FIRST, _FRAME, one @ _VOICES_OF_SETS, self._embeddings(one[:, 1:4], its))
            for (_, start), one, its in zip(windows, sets, frames, strict=True)
        ]

    def _embeddings(self, alone: _Array, frames: _Array) -> _Array:
        """``alone`` (n, voices) says how likely each voice speaks by itself, ``frames`` (512, m) are of that window."""
        found = np.full((alone.shape[1], 192), np.nan, np.float32)
        weights = (alone > 0.5).astype(np.float32)
        weights[np.cumsum(weights[::-1], axis=0)[::-1] * _FRAME > _NEWEST] = 0.0
        loud = np.flatnonzero(weights.sum(axis=0) * _FRAME >= _HEARD_ALONE)
        if len(loud):
            places = np.arange(frames.shape[1]) * len(alone) // frames.shape[1]
            given = {"frames": np.repeat(frames[None], len(loud), axis=0), "weights": weights[places][:, loud].T}
            (embeddings,) = self._pooling.run(None, given)
            found[loud] = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        return found

    def several(self, samples: Samples) -> bool:
        """Two voices whose sound differs, or two at once for long enough; both halves are heard by themselves."""
        half = len(samples) // 2
        halves = self.hear([(samples[:half], 0.0), (samples[half : 2 * half], 0.0)])
        together = sum(int(((heard.activity >= 0.5).sum(axis=1) >= 2).sum()) for heard in halves)
        if together * _FRAME >= _TOGETHER:
            return True
        voices = np.concatenate([heard.embeddings[np.isfinite(heard.embeddings).all(axis=1)] for heard in halves])
        return any(1.0 - float(one @ other) >= _DIFFERENT for one, other in combinations(voices, 2))


def _long_enough(samples: Samples) -> Samples:
    return np.pad(samples, (0, max(0, _SHORTEST - len(samples))))


def opened(path: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """0 threads are as many as there are cores. Raises ``ModelUnavailable``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ONLY_ERRORS
    if not path.is_file():
        raise ModelUnavailable(f"there is no {path}: make setup makes it where the extra diarization is installed")
    try:
        return onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises bare exceptions of its own for each kind of bad file
        raise ModelUnavailable(f"{path} is not an ONNX model, or is incomplete: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """A window that somebody waits for."""

    samples: Samples
    start: float
    answer: "Future[VoiceActivity]" = field(default_factory=Future)


class VoiceModel:
    """The ``VoiceModel`` of a process: a thread of its own, which gives way to all others, hears what waits together.

    At most ``_MOST_WAITING`` windows wait; one more fails, as do those that wait when it is closed.
    """

    def __init__(self, networks: VoiceNetworks) -> None:
        self._networks = networks
        self._waiting: deque[_Wanted] = deque()
        self._thread = ThreadPoolExecutor(1, "voices", initializer=give_way)

    async def hear(self, samples: Samples, start: float) -> VoiceActivity:
        if len(self._waiting) >= _MOST_WAITING:
            raise RecognitionFailed(f"{_MOST_WAITING} windows wait for the voice model already")
        wanted = _Wanted(samples, start)
        self._waiting.append(wanted)
        self._submit(self._hear_next)
        return await asyncio.wrap_future(wanted.answer)

    async def several(self, samples: Samples) -> bool:
        return await asyncio.wrap_future(self._submit(lambda: self._several(samples)))

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        with suppress(IndexError):  # the thread may take the last one
            while True:
                answer = self._waiting.popleft().answer
                if answer.set_running_or_notify_cancel():
                    answer.set_exception(RecognitionFailed(_CLOSED))

    def _submit(self, work: "Callable[[], _Result]") -> "Future[_Result]":
        try:
            return self._thread.submit(work)
        except RuntimeError as error:
            raise RecognitionFailed(_CLOSED) from error

    def _several(self, samples: Samples) -> bool:
        try:
            return self._networks.several(samples)
        except Exception as error:
            raise _failed(error) from error

    def _taken(self) -> list[_Wanted]:
        """The next batch: what waits, as long as it is of one length."""
        batch: list[_Wanted] = []
        while self._waiting and len(batch) < _BATCH:
            if batch and len(batch[0].samples) != len(self._waiting[0].samples):
                break
            wanted = self._waiting.popleft()
            if wanted.answer.set_running_or_notify_cancel():
                batch.append(wanted)
        return batch

    def _hear_next(self) -> None:
        """Those that wait and are as long as the first of them; nothing where they went with one before."""
        batch = self._taken()
        try:
            heard = self._networks.hear([(wanted.samples, wanted.start) for wanted in batch]) if batch else []
        except Exception as error:  # noqa: BLE001 - ONNX Runtime raises bare exceptions of its own
            for wanted in batch:
                wanted.answer.set_exception(_failed(error))
            return
        for wanted, activity in zip(batch, heard, strict=True):
            wanted.answer.set_result(activity)


def _failed(error: Exception) -> RecognitionFailed:
    """ONNX Runtime raises bare exceptions of its own."""
    return RecognitionFailed(f"the voice model raised {type(error).__name__}")

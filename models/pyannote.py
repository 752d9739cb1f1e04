"""Who spoke when in a whole recording, by pyannote.audio (Bredin, "pyannote.audio 2.1 speaker diarization", 2023).

Out of the box: segmentation-3.0 with CAM++ embeddings and agglomerative clustering; where a folder of
``speaker-diarization-community-1`` is given, that pipeline whole. pyannote.audio and torch are loaded by this module
alone, and only by whoever diarizes. What pyannote would tell its makers of its use is off before it is used.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pyannote.audio import Model, Pipeline
from pyannote.audio.core.plda import PLDA
from pyannote.audio.pipelines import SpeakerDiarization
from pyannote.audio.pipelines.clustering import AgglomerativeClustering
from pyannote.audio.telemetry import set_telemetry_metrics
from pyannote.core import SlidingWindow, SlidingWindowFeature
from torch import Tensor
from torch.nn import functional

from models import heap
from models.campplus import BINS, DIMENSION, CamPlusPlus
from models.filterbank import filterbank
from models.voice_onnx import opened
from pipeline.domain import SAMPLE_RATE, Diarization, Samples, SpeakerCount, VoiceSpan
from pipeline.errors import ModelUnavailable

set_telemetry_metrics(False)

_CLUSTERING = {"method": "average", "threshold": 0.4, "min_cluster_size": 12}
"""From 0.35 to 0.45 the best on pyannote's packaged sample and on the annotated clips (docs/diarization.md)."""
_MOST_CLUSTERED = 5000
"""Embeddings: clustering takes memory with their square. The rest goes to the nearest centroid."""
_SHORTEST = SAMPLE_RATE // 2
_FULL_SCALE = 32768.0
_GIVE_BACK_EVERY = 25
"""Batches of windows: what is kept of each lies between what torch freed, 2 GB of it in six hours."""
_BATCH = 12
_UNKNOWN = SpeakerCount()


def use_threads(count: int) -> None:
    """How many threads work for the calling one, from now on."""
    torch.set_num_threads(count)


def read_models(segmentation: Path, embedding: Path) -> tuple[Model, CamPlusPlus]:
    """From the folders of ``pyannote-segmentation-3.0`` and ``campplus``. Raises ``ModelUnavailable``."""
    with _quiet():
        try:
            state = torch.load(embedding / "campplus_cn_en_common.pt", map_location="cpu", weights_only=True)
            finding = Model.from_pretrained(segmentation / "pytorch_model.bin")
            network = CamPlusPlus.load(state)
        except (OSError, RuntimeError, KeyError) as error:
            raise ModelUnavailable(f"the models of diarization cannot be loaded: {error}") from error
    if finding is None:
        raise ModelUnavailable(f"{segmentation} holds no segmentation model")
    return finding.eval(), network


class VoiceEmbedding(Model):
    """CAM++ as pyannote.audio calls an embedding: (batch, 1, samples) and (batch, frames) to (batch, 192)."""

    dimension = DIMENSION

    def __init__(self, network: CamPlusPlus, frames: Path | None = None, threads: int = 0) -> None:
        """``frames`` is ``frames.onnx`` of voice_export, which takes half of torch's time without a GPU."""
        super().__init__(sample_rate=SAMPLE_RATE, num_channels=1)
        self.network = network
        self._frames = None if frames is None else opened(frames, threads)

    def forward(self, waveforms: Tensor, weights: Tensor | None = None, **_: Any) -> Tensor:
        """Each row of ``weights`` says where in its waveform the voice is alone. Raises ``ValueError`` under 0.5 s."""
        if waveforms.shape[-1] < _SHORTEST:
            raise ValueError("a voice needs half a second of sound")
        different, places = _without_repeats(waveforms[:, 0])
        frames = self._frames_of(filterbank(different, BINS))[places]
        if weights is None:
            spread = torch.ones(len(frames), frames.shape[-1], device=frames.device)
        else:
            spread = functional.interpolate(weights.unsqueeze(1), size=frames.shape[-1], mode="nearest")[:, 0]
        return self.network.pooled(frames, spread)

    def _frames_of(self, banks: Tensor) -> Tensor:
        if self._frames is None:
            return self.network.frames(banks)
        (frames,) = self._frames.run(None, {"banks": banks.numpy()})
        return torch.from_numpy(frames)


def _without_repeats(waveforms: Tensor) -> tuple[Tensor, list[int]]:
    """The rows that differ from the one before, and which of them each row is: voices of a window come together."""
    kept, places = [waveforms[0]], [0]
    for before, row in pairwise(waveforms):
        if not torch.equal(before, row):
            kept.append(row)
        places.append(len(kept) - 1)
    return torch.stack(kept), places


class _BoundedClustering(AgglomerativeClustering):
    """Clusters at most ``_MOST_CLUSTERED`` embeddings, evenly drawn over the recording."""

    def filter_embeddings(self, *given: Any, **named: Any) -> tuple[Any, Any, Any]:
        embeddings, windows, voices = super().filter_embeddings(*given, **named)
        if len(embeddings) > _MOST_CLUSTERED:
            drawn = np.linspace(0, len(embeddings) - 1, _MOST_CLUSTERED).astype(int)
            return embeddings[drawn], windows[drawn], voices[drawn]
        return embeddings, windows, voices


def new_clustering() -> AgglomerativeClustering:
    """Two voices of one window are never one."""
    clustering = _BoundedClustering(metric="cosine", constrained_assignment=True)
    clustering.instantiate(_CLUSTERING)
    return clustering


class BoundedDiarization(SpeakerDiarization):
    """Adds up what windows say of each voice as it goes: side by side they take 2 GB for 20 voices in six hours."""

    def reconstruct(self, segmentations: Any, hard_clusters: NDArray[Any], count: Any) -> Any:
        """As pyannote's: ``segmentations`` of (windows, frames, local voices), the voice of each, negative for nobody,
        and how many speak in each frame of the recording."""
        windows, frame = segmentations.sliding_window, count.sliding_window
        length = windows.duration + (len(hard_clusters) - 1) * windows.step
        frames = SlidingWindow(start=windows.start, duration=frame.duration, step=frame.step)
        total = frames.closest_frame(windows.start + length + frame.duration / 2) + 1
        activity = np.zeros((total, hard_clusters.max() + 1), np.float32)
        for voices, (window, local) in zip(hard_clusters, segmentations, strict=True):
            first = frames.closest_frame(window.start + frame.duration / 2)
            for voice in np.unique(voices[voices >= 0]):
                activity[first : first + len(local), voice] += local[:, voices == voice].max(axis=1)
        whole = SlidingWindow(start=windows.start, duration=length, step=length)
        return self.to_diarization(SlidingWindowFeature(activity[None], whole), count)


@dataclass(frozen=True, slots=True)
class PyannoteDiarizer:
    """A ``Diarizer``; one at a time uses it. ``integers``: whether ``pipeline`` takes samples of 16 bits."""

    pipeline: Any
    integers: bool

    @classmethod
    def of_parts(
        cls, segmentation: Path, embedding: Path, device: str = "cpu", frames: Path | None = None, threads: int = 0
    ) -> "PyannoteDiarizer":
        """From the folders of ``pyannote-segmentation-3.0`` and ``campplus``, on a CPU with ``frames.onnx``, too.

        ``threads`` work on that, 0 takes every core. Raises ``ModelUnavailable``.
        """
        with _quiet():
            finding, network = read_models(segmentation, embedding)
            pipeline = BoundedDiarization(
                segmentation=finding,
                segmentation_batch_size=_BATCH,
                embedding=VoiceEmbedding(network, frames, threads),
                embedding_batch_size=_BATCH,
                embedding_exclude_overlap=True,
                plda=PLDA.__new__(PLDA),  # asked for, and used by another clustering only
                clustering="AgglomerativeClustering",
            )
            pipeline.clustering = new_clustering()
            pipeline.instantiate({"segmentation": {"min_duration_off": 0.0}, "clustering": _CLUSTERING})
            return cls(pipeline.to(torch.device(device)), _takes_integers(pipeline))

    @classmethod
    def of_folder(cls, folder: Path, device: str = "cpu") -> "PyannoteDiarizer":
        """From a folder of ``speaker-diarization-community-1``. Raises ``ModelUnavailable``."""
        with _quiet():
            try:
                pipeline = Pipeline.from_pretrained(folder)
            except Exception as error:  # whatever its loaders raise, the folder is not what it must be
                raise ModelUnavailable(f"{folder} holds no diarization pipeline: {error}") from error
            if pipeline is None:
                raise ModelUnavailable(f"{folder} holds no diarization pipeline")
            return cls(pipeline.to(torch.device(device)), _takes_integers(pipeline))

    def diarize(
        self, samples: Samples, speakers: SpeakerCount = _UNKNOWN, progress: Callable[[float], None] | None = None
    ) -> Diarization:
        """``samples`` of shape (n,) at 16 kHz; ``progress`` is told the part that is done, up to 1."""
        if len(samples) < _SHORTEST:
            return Diarization()
        with _quiet():
            heard = torch.from_numpy(samples)
            waveform = (heard if self.integers else heard / _FULL_SCALE).unsqueeze(0)
            sound = {"waveform": waveform, "sample_rate": SAMPLE_RATE, "uri": "recording"}
            found = self.pipeline(
                sound,
                num_speakers=speakers.exactly,
                min_speakers=speakers.least,
                max_speakers=speakers.most,
                hook=_Progress(progress or _nobody),
            )
        return _diarization(found)


def _takes_integers(pipeline: Any) -> bool:
    """Whether its models take samples of 16 bits from now on: six hours of them take 0.7 GB, half of what floats do."""
    finding = getattr(getattr(pipeline, "_segmentation", None), "model", None)
    voices = getattr(getattr(pipeline, "_embedding", None), "model_", None)
    if not (isinstance(finding, Model) and isinstance(voices, Model)):
        return False
    if not finding.audio.sample_rate == voices.audio.sample_rate == SAMPLE_RATE:
        return False  # pyannote resamples floats only
    for model in (finding, voices):
        model.register_forward_pre_hook(_as_floats)
    return True


def _as_floats(_: object, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    waveforms, *more = given
    return (waveforms / _FULL_SCALE if waveforms.dtype == torch.int16 else waveforms, *more)


def _nobody(_: float) -> None:
    pass


@dataclass(slots=True)
class _Progress:
    """What pyannote tells of its steps as one number; embedding takes three quarters of the time."""

    tell: Callable[[float], None]
    told: int = 0

    def __call__(
        self, step: str, _: object, *, total: int | None = None, completed: int | None = None, **more: object
    ) -> None:
        self.told += 1
        if self.told % _GIVE_BACK_EVERY == 0:
            heap.give_back()
        if total and completed is not None:
            done = completed / total
            if step == "segmentation":
                self.tell(0.2 * done)
            elif step == "embeddings":
                self.tell(0.2 + 0.75 * done)
        elif step == "discrete_diarization":
            self.tell(1.0)


def _diarization(found: Any) -> Diarization:
    """Voices are numbered from 1 in the order in which they are first heard."""
    labels = found.speaker_diarization.labels()
    first = {label: found.speaker_diarization.label_timeline(label)[0].start for label in labels}
    numbers = {label: number for number, label in enumerate(sorted(labels, key=lambda one: (first[one], one)), 1)}
    centroids: NDArray[np.float32] = np.zeros((len(labels), DIMENSION), np.float32)
    known = found.speaker_embeddings
    if known is not None and len(known) == len(labels) and len(labels):
        centroids = np.stack([known[labels.index(label)] for label in numbers]).astype(np.float32)
    return Diarization(
        _spans(found.speaker_diarization, numbers), _spans(found.exclusive_speaker_diarization, numbers), centroids
    )


def _spans(annotation: Any, numbers: dict[str, int]) -> tuple[VoiceSpan, ...]:
    tracks = annotation.itertracks(yield_label=True)
    return tuple(VoiceSpan(numbers[label], float(part.start), float(part.end)) for part, _, label in tracks)


def _quiet() -> Any:
    """pyannote.audio warns of decoders that are not asked for, and torch of statistics over one frame."""
    return warnings.catch_warnings(action="ignore")

"""Three ways to tell voices apart, as processes of one thread: ``python -m tests.benchmarks.diarizers WAY OUT.json``.

``ours`` is what ``greffier diarize`` runs; ``by_hand`` is pyannote.audio's own pipeline on the same weights, with the
clustering that pyannote publishes for its speaker-diarization-3.1; ``online`` is what a shared room hears live, in
virtual time: silero's speech, windows as they come, each decision as it was made then.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from api.diarizing import PACKAGED
from api.settings import read_settings
from models.voice_onnx import FRAMES, VoiceNetworks, voice_folder
from models.weights import locate
from pipeline.domain import (
    SAMPLE_RATE,
    AudioFrame,
    Participant,
    ParticipantId,
    Samples,
    SpeechEnded,
    SpeechStarted,
    Track,
    TrackEvent,
    TrackId,
    TrackOpened,
    VoiceSpan,
)
from pipeline.edge import MeetingEdge
from tests.benchmarks.corpus import corpus_folder, decode, load_clips, load_composites
from tests.benchmarks.mixing import mix, read_wav
from tests.two_voices import two_voices

SAMPLE = "sample"
COMPOSITES = ("fr_conversation_dev", "fr_two_dev", "fren_switch_dev2")
"""Those whose turns are voiced spans."""
_FRAME = SAMPLE_RATE // 50
PUBLISHED = {"method": "centroid", "threshold": 0.7045654963945799, "min_cluster_size": 12}


@dataclass(frozen=True, slots=True)
class Found:
    """What one way says of one recording; ``cpu`` and ``wall`` are the seconds it took, ``spoken`` of speech heard."""

    name: str
    seconds: float
    spoken: float
    cpu: float
    wall: float
    spans: list[tuple[int, float, float]]
    exclusive: list[tuple[int, float, float]]


def recordings() -> dict[str, Samples]:
    """Every recording with turns: pyannote's sample, the annotated clips, conversations mixed of clips."""
    found = {SAMPLE: two_voices()}
    found |= {name: decode(load_clips()[name]) for name in annotated()}
    return found | {name: read_wav(mix(load_composites()[name]).path) for name in COMPOSITES}


def annotated() -> list[str]:
    return [path.stem for path in sorted(references().glob("*.rttm"))]


def references() -> Path:
    return corpus_folder() / "refs"


def main(way: str, out: str) -> None:
    hear = {"ours": _ours, "by_hand": _by_hand, "online": _online}[way]()
    found = []
    for name, samples in recordings().items():
        cpu, wall = time.process_time(), time.perf_counter()
        spans, exclusive, spoken = hear(samples)
        took = time.process_time() - cpu, time.perf_counter() - wall
        found.append(Found(name, len(samples) / SAMPLE_RATE, spoken, *took, _rows(spans), _rows(exclusive)))
    Path(out).write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")


Heard = tuple[tuple[VoiceSpan, ...], tuple[VoiceSpan, ...], float]


def _rows(spans: tuple[VoiceSpan, ...]) -> list[tuple[int, float, float]]:
    return [(span.voice, span.start, span.end) for span in spans]


def _ours() -> Callable[[Samples], Heard]:
    from models.pyannote import PyannoteDiarizer, use_threads

    use_threads(1)
    settings = read_settings()
    parts = [locate(name, settings.cache) for name in PACKAGED]
    diarizer = PyannoteDiarizer.of_parts(*parts, frames=voice_folder(settings.cache) / FRAMES, threads=1)

    def hear(samples: Samples) -> Heard:
        found = diarizer.diarize(samples)
        return found.spans, found.exclusive, len(samples) / SAMPLE_RATE

    return hear


def _by_hand() -> Callable[[Samples], Heard]:
    import warnings

    import torch
    from pyannote.audio.core.plda import PLDA
    from pyannote.audio.pipelines import SpeakerDiarization

    from models.pyannote import VoiceEmbedding, read_models, use_threads

    use_threads(1)
    cache_folder = read_settings().cache
    segmentation, network = read_models(*(locate(name, cache_folder) for name in PACKAGED))
    pipeline = SpeakerDiarization(
        segmentation=segmentation,
        embedding=VoiceEmbedding(network),
        embedding_exclude_overlap=True,
        plda=PLDA.__new__(PLDA),  # of another clustering
        clustering="AgglomerativeClustering",
        segmentation_batch_size=12,
        embedding_batch_size=12,
    )
    pipeline.instantiate({"segmentation": {"min_duration_off": 0.0}, "clustering": PUBLISHED})

    def hear(samples: Samples) -> Heard:
        waveform = torch.from_numpy(samples.astype(np.float32) / 32768)[None]
        with warnings.catch_warnings(action="ignore"):
            found = pipeline({"waveform": waveform, "sample_rate": SAMPLE_RATE, "uri": "recording"})
        parts = (found.speaker_diarization, found.exclusive_speaker_diarization)
        whole, exclusive = (tuple(_spans_of(part)) for part in parts)
        return whole, exclusive, len(samples) / SAMPLE_RATE

    return hear


def _spans_of(annotation: object) -> Iterator[VoiceSpan]:
    labels: dict[str, int] = {}
    for part, _, label in annotation.itertracks(yield_label=True):
        yield VoiceSpan(labels.setdefault(label, len(labels) + 1), float(part.start), float(part.end))


def _online() -> Callable[[Samples], Heard]:
    from api.detecting import speech_detectors
    from pipeline.live.voices import OnlineVoices

    networks = VoiceNetworks(voice_folder(read_settings().cache))
    detectors = speech_detectors()

    def hear(samples: Samples) -> Heard:
        edge, voices = MeetingEdge(detectors), OnlineVoices()
        passed = np.zeros_like(samples)  # what the edge let through, as a session has it
        turns: list[VoiceSpan] = []
        spoken = 0.0
        for event in _events(edge, samples):
            match event:
                case AudioFrame(start=start, samples=heard):
                    begin = round(start * SAMPLE_RATE)
                    passed[begin : begin + len(heard)] = heard[: len(passed) - begin]
                    voices.audio_until(event.end)
                case SpeechStarted(at=at):
                    voices.speech_started(at)
                    spoken -= at
                case SpeechEnded(at=at):
                    voices.speech_ended(at)
                    spoken += at
            while window := voices.window_to_hear():
                start, end = (round(moment * SAMPLE_RATE) for moment in window)
                voices.heard(networks.hear([(passed[start:end], window[0])])[0])
                turns += voices.turns()
        return tuple(turns), tuple(turns), spoken

    return hear


def _events(edge: MeetingEdge, samples: Samples) -> Iterator[TrackEvent]:
    track = Track(TrackId("room"), Participant(ParticipantId("room"), "room"))
    yield from edge.feed(TrackOpened(track, 0.0))
    for start in range(0, len(samples), _FRAME):
        yield from edge.feed(AudioFrame(track.id, start / SAMPLE_RATE, samples[start : start + _FRAME]))
    yield from edge.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

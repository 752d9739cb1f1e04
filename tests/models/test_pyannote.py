"""pyannote.audio with the real segmentation and embedding models, on the conversation that its package brings."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from models import heap
from models.filterbank import filterbank, frames_in
from models.pyannote import PyannoteDiarizer
from models.voice_export import export_voices
from models.voice_onnx import FRAMES
from models.weights import locate
from pipeline.domain import Diarization, Samples, SpeakerCount
from pipeline.errors import ModelUnavailable
from tests.recordings import noise, silence
from tests.two_voices import TWO_VOICES, der, two_voices


@pytest.fixture(scope="module")
def diarizer(cache: Path) -> PyannoteDiarizer:
    parts = locate("pyannote-segmentation-3.0", cache), locate("campplus", cache)
    return PyannoteDiarizer.of_parts(*parts, frames=export_voices(cache) / FRAMES)


@pytest.fixture(scope="module")
def found(diarizer: PyannoteDiarizer) -> Diarization:
    told: list[float] = []
    found = diarizer.diarize(two_voices(), progress=told.append)
    assert told[-1] == 1.0
    assert len(told) > 4
    return found


def test_two_voices_of_a_telephone_call_are_told_apart(found: Diarization):
    assert found.voices == (1, 2)
    assert der(found.spans) <= 0.06


def test_voices_are_numbered_as_they_come_and_each_sounds_like_something(found: Diarization):
    assert min(found.spans, key=lambda span: span.start).voice == 1
    assert found.centroids.shape == (2, 192)
    one, two = found.centroids / np.linalg.norm(found.centroids, axis=1, keepdims=True)
    assert one @ two < 0.8


def test_one_voice_at_a_time_is_exclusive(found: Diarization):
    ordered = sorted(found.exclusive, key=lambda span: span.start)
    assert all(before.end <= after.start + 1e-6 for before, after in pairwise(ordered))


def test_torch_alone_says_what_onnx_runtime_says_and_how_many_voices_there_are_may_be_known(
    diarizer: PyannoteDiarizer, cache: Path
):
    sound = two_voices()[16_000 * 8 : 16_000 * 18]
    alone = PyannoteDiarizer.of_parts(locate("pyannote-segmentation-3.0", cache), locate("campplus", cache))
    assert alone.diarize(sound, SpeakerCount(exactly=1)).voices == (1,)
    assert alone.diarize(sound).spans == diarizer.diarize(sound).spans


def test_freed_memory_is_given_back_on_the_way(diarizer: PyannoteDiarizer, monkeypatch: pytest.MonkeyPatch):
    given: list[bool] = []
    monkeypatch.setattr(heap, "give_back", lambda: given.append(True))
    diarizer.diarize(np.tile(two_voices()[:160_000], 9))
    assert len(given) == 1, "once in 25 batches"


def test_integers_are_heard_as_the_floats_that_they_are(diarizer: PyannoteDiarizer):
    sound = two_voices()[16_000 * 8 : 16_000 * 14]
    assert diarizer.integers
    assert replace(diarizer, integers=False).diarize(sound).spans == diarizer.diarize(sound).spans != ()


@pytest.mark.parametrize("sound", [silence(0.0), silence(0.2), silence(12.0), noise(3.0, -40.0)], ids=len)
def test_where_nobody_speaks_nobody_is_found(diarizer: PyannoteDiarizer, sound: Samples):
    assert diarizer.diarize(sound).spans == ()


def test_the_filterbank_is_that_of_kaldi():
    kaldi = pytest.importorskip("torchaudio.compliance.kaldi", reason="torchaudio fails beside a torch of another kind")
    sound = torch.from_numpy(two_voices()[: 16_000 * 3].astype(np.float32) / 32768)[None]
    theirs = kaldi.fbank(sound * 32768, num_mel_bins=80, sample_frequency=16_000.0, dither=0.0)
    ours = filterbank(sound, 80)[0]
    assert len(ours) == frames_in(sound.shape[-1])
    assert torch.allclose(ours, theirs - theirs.mean(0), atol=2e-3)


def test_a_folder_without_models_is_a_clear_error(tmp_path: Path):
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        PyannoteDiarizer.of_parts(tmp_path, tmp_path)
    with pytest.raises(ModelUnavailable, match="holds no diarization pipeline"):
        PyannoteDiarizer.of_folder(tmp_path)


def test_pyannote_tells_nobody_of_its_use():
    code = "import models.pyannote; from pyannote.audio.telemetry import metrics; print(metrics.is_metrics_enabled())"
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_the_sample_is_there():
    assert TWO_VOICES.exists()

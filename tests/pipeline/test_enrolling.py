"""A clip of one person's speech tells their voice; what is no such clip is refused in words. Real models."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from media_gateway.recording import read_recording
from models.voice_export import export_voices
from models.voice_onnx import VoiceModel, VoiceNetworks
from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.enrolling import voice_of_clip
from pipeline.errors import UnfitClip
from pipeline.record.enrolment import KNOWN_DISTANCE
from tests.recordings import noise, silence

SAMPLE = Path(__file__).parents[2] / "sample"


@pytest.fixture(scope="module")
def networks(cache: Path) -> VoiceNetworks:
    return VoiceNetworks(export_voices(cache))


@pytest.fixture
async def model(networks: VoiceNetworks) -> AsyncIterator[VoiceModel]:
    model = VoiceModel(networks)
    yield model
    model.close()


def spoken(name: str, start: float, end: float) -> Samples:
    return read_recording(SAMPLE / f"{name}.ogg")[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]


async def test_two_clips_of_a_person_are_near_and_those_of_others_are_far(model: VoiceModel) -> None:
    first = await voice_of_clip(model, spoken("eric", 0.0, 6.5))
    again = await voice_of_clip(model, spoken("eric", 6.5, 13.5))
    other = await voice_of_clip(model, spoken("claire", 0.0, 10.0))
    assert first.dtype == np.float32
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-4)
    assert 1 - float(first @ again) < KNOWN_DISTANCE < 1 - float(first @ other)


@pytest.mark.parametrize("between", [0.0, 5.0])
async def test_a_clip_with_two_people_is_refused(model: VoiceModel, between: float) -> None:
    both = np.concatenate([spoken("eric", 0.0, 5.0), silence(between), spoken("claire", 0.0, 5.0)])
    with pytest.raises(UnfitClip, match="more than one voice"):
        await voice_of_clip(model, both)


async def test_a_clip_in_which_two_people_speak_at_once_is_refused(model: VoiceModel) -> None:
    one, other = spoken("eric", 0.0, 9.0).astype(np.int32), spoken("claire", 0.0, 9.0).astype(np.int32)
    both = ((one[: len(other)] + other[: len(one)]) // 2).astype(np.int16)
    with pytest.raises(UnfitClip, match="more than one voice") as refused:
        await voice_of_clip(model, both)
    assert refused.value.reason == "two_voices"


@pytest.mark.parametrize("clip", [silence(0), silence(8), noise(8, -30), spoken("eric", 0.0, 1.5)])
async def test_a_clip_without_enough_speech_is_refused(model: VoiceModel, clip: Samples) -> None:
    with pytest.raises(UnfitClip, match="too little speech") as refused:
        await voice_of_clip(model, clip)
    assert refused.value.reason == "little_speech"

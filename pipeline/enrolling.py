"""What somebody sounds like, from a clip of their speech that they gave so that their voice is known."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pipeline.domain import SAMPLE_RATE, Samples
from pipeline.errors import UnfitClip
from pipeline.ports import VoiceModel
from pipeline.speakers import VoiceActivity

LONGEST_CLIP = 60.0
"""Seconds; more would make no voice better known."""
_WINDOW = 5.0
_LEAST_ALONE = 3.0
"""Seconds of speech without which nobody is known again."""
_SPEAKING = 0.5
_TOGETHER = 1.0
"""Seconds of two voices at once, in one window, that show two people."""
_SURE_ALONE = 2.0
_DIFFERENT = 0.6
"""The cosine distance from which on two embeddings, of so many seconds alone, are of two people."""


async def voice_of_clip(model: VoiceModel, samples: Samples) -> NDArray[np.float32]:
    """A unit embedding of the one voice in ``samples`` (n,). Raises ``UnfitClip`` where there is none, or another
    beside it, and ``RecognitionFailed``."""
    window = round(_WINDOW * SAMPLE_RATE)
    heard: list[tuple[NDArray[np.float32], float]] = []
    for start in range(0, max(1, len(samples)), window):
        activity = await model.hear(samples[start : start + window], start / SAMPLE_RATE)
        if _together(activity) >= _TOGETHER:
            raise _several()
        heard += _alone(activity)
    if sum(alone for _, alone in heard) < _LEAST_ALONE:
        said = f"too little speech was heard in the clip: give {_LEAST_ALONE:g} s of it, better 10"
        raise UnfitClip(said, "little_speech")
    sure = [embedding for embedding, alone in heard if alone >= _SURE_ALONE]
    if any(1.0 - float(one @ other) >= _DIFFERENT for one, other in combinations(sure, 2)):
        raise _several()
    total = np.sum([embedding * np.float32(alone) for embedding, alone in heard], axis=0)
    voice: NDArray[np.float32] = (total / np.linalg.norm(total)).astype(np.float32)
    return voice


def _together(activity: VoiceActivity) -> float:
    speaking = (activity.activity >= _SPEAKING).sum(axis=1)
    return float((speaking >= 2).sum()) * activity.step


def _alone(activity: VoiceActivity) -> list[tuple[NDArray[np.float32], float]]:
    """The embedding of each voice that has one, and for how many seconds it speaks alone."""
    speaking = activity.activity >= _SPEAKING
    alone = (speaking & (speaking.sum(axis=1, keepdims=True) == 1)).sum(axis=0) * activity.step
    return [
        (embedding, float(seconds))
        for embedding, seconds in zip(activity.embeddings, alone, strict=True)
        if np.isfinite(embedding).all()
    ]


def _several() -> UnfitClip:
    return UnfitClip("more than one voice is heard in the clip: give one in which one person speaks", "two_voices")

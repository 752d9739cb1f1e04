"""Sound that tests hear: recorded speech beside the checkout, made-up sound, and files made of it."""

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from media_gateway.recording import read_recording
from pipeline.domain import SAMPLE_RATE, AudioFrame, Samples, TrackId

_SPEECH = Path(__file__).resolve().parents[2] / "shared" / "speech"


def recorded(name: str) -> Path:
    """A file of the recorded speech; without it a laptop skips and CI fails."""
    path = _SPEECH / "audio" / name
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is missing: CI needs the recorded speech")
        pytest.skip(f"{path} is not on this machine")
    return path


def described(name: str) -> dict[str, object]:
    """What the manifest says of a file of the recorded speech."""
    recorded(name)
    lines = (_SPEECH / "manifest.jsonl").read_text().splitlines()
    return next(clip for clip in map(json.loads, lines) if clip["file"] == f"audio/{name}")


@cache
def heard(name: str) -> Samples:
    """A recording as the pipeline hears it."""
    return read_recording(recorded(name))


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def noise(seconds: float, dbfs: float, seed: int = 0) -> Samples:
    """White noise of an RMS level."""
    shape = round(seconds * SAMPLE_RATE)
    sound = np.random.default_rng(seed).standard_normal(shape) * 32768 * 10 ** (dbfs / 20)
    return np.rint(sound).astype(np.int16)


def tone(seconds: float, hertz: float = 440.0, amplitude: float = 0.5, rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """A sine of shape (n,), full scale at 1."""
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def beep(seconds: float, amplitude: float = 0.5) -> Samples:
    return np.rint(tone(seconds, amplitude=amplitude) * 32767).astype(np.int16)


def at_level(sound: Samples, dbfs: float) -> Samples:
    """The same sound at another RMS level."""
    wide = sound.astype(np.float64)
    return np.rint(wide * 32768 * 10 ** (dbfs / 20) / np.sqrt(np.mean(wide**2))).astype(np.int16)


def frames_of(sound: Samples, track: str = "track", start: float = 0.0, frame: int = 320) -> list[AudioFrame]:
    """Sound as the frames of one track, 20 ms each."""
    return [
        AudioFrame(TrackId(track), start + begin / SAMPLE_RATE, sound[begin : begin + frame])
        for begin in range(0, len(sound), frame)
    ]


def joined(frames: Sequence[AudioFrame]) -> Samples:
    return np.concatenate([silence(0), *(frame.samples for frame in frames)])


def write_sound(path: Path, planes: NDArray[np.float32], rate: int, layout: str, codec: str = "pcm_s16le") -> Path:
    """A file of the container that its name says, with planes of shape (channels, n)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        packed = np.rint(np.clip(planes, -1, 1) * 32767).astype(np.int16).T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format="s16", layout=layout)
        frame.rate = rate
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size)
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return path

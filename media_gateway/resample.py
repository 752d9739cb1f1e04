"""Any decoded sound to what the pipeline hears: 16 kHz, mono, 16 bits; streaming, without drift."""

import numpy as np
import soxr
from numpy.typing import NDArray

from pipeline.domain import SAMPLE_RATE, Samples

Planes = NDArray[np.float32]
"""Sound of shape (channels, n), full scale at 1."""

_MEMORY_SECONDS = 1.0
"""How far back the downmix looks to see which channels carry the sound and whether they are opposite."""
_OPPOSITE = -0.5
_NOT_OPPOSITE = -0.2
_TINY = 1e-12
_FULL_SCALE = 32768.0


def to_planes(block: NDArray[np.integer | np.floating], channels: int) -> Planes:
    """Decoded sound of any sample type as planes.

    ``block`` has shape (channels, n), or (1, n * channels) when the channels are interleaved.
    """
    if block.shape[0] != channels:
        block = block.reshape(-1, channels).T
    if block.dtype == np.uint8:
        planes = (block.astype(np.float32) - 128.0) / 128.0
    elif np.issubdtype(block.dtype, np.integer):
        planes = block.astype(np.float32) / float(2 ** (8 * block.dtype.itemsize - 1))
    else:
        planes = np.nan_to_num(block.astype(np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
    return np.ascontiguousarray(planes, dtype=np.float32)


class Downmix:
    """Many channels to one, as loud as the loudest of them.

    A plain mean makes a voice in one channel of six 16 dB quieter and a voice in two opposite channels vanish. Here
    channels are first turned to the sign of the loudest, then scaled so that the sum is as loud as the loudest alone.
    Weights follow the sound of the last second and glide, so that nothing clicks.
    """

    def __init__(self, channels: int, rate: int) -> None:
        self._rate = rate
        self._powers = np.zeros((channels, channels))  # running covariance
        self._signs = np.ones(channels)
        self._weights: NDArray[np.float64] | None = None

    def mix(self, planes: Planes) -> NDArray[np.float32]:
        """One channel of shape (n,) from planes of shape (channels, n)."""
        channels, count = planes.shape
        if channels == 1 or count == 0:
            return np.asarray(planes[0], dtype=np.float32)
        self._learn(planes)
        target = self._wanted_weights()
        before = target if self._weights is None else self._weights
        self._weights = target
        glide = np.linspace(0.0, 1.0, count, dtype=np.float32)
        start = (before @ planes).astype(np.float32)
        if np.array_equal(before, target):
            return start
        end = (target @ planes).astype(np.float32)
        return np.asarray(start + (end - start) * glide, dtype=np.float32)

    def _learn(self, planes: Planes) -> None:
        wide = planes.astype(np.float64)
        seconds = planes.shape[1] / self._rate
        kept = float(np.exp(-seconds / _MEMORY_SECONDS))
        self._powers = kept * self._powers + (1.0 - kept) * (wide @ wide.T) / planes.shape[1]

    def _wanted_weights(self) -> NDArray[np.float64]:
        powers = np.diag(self._powers)
        loudest = int(np.argmax(powers))
        scale = np.sqrt(powers * powers[loudest])
        likeness = self._powers[loudest] / np.maximum(scale, _TINY)
        # A sign is turned on strong evidence and turned back on weaker (hysteresis), relative to the loudest.
        relative = self._signs * self._signs[loudest]
        relative = np.where(likeness < _OPPOSITE, -1.0, np.where(likeness > _NOT_OPPOSITE, 1.0, relative))
        self._signs = relative * self._signs[loudest]
        mixed = float(self._signs @ self._powers @ self._signs)
        gain = min(1.0, float(np.sqrt(powers[loudest] / max(mixed, _TINY)))) if mixed > 0 else 1.0
        return np.asarray(self._signs * gain, dtype=np.float64)


class Resampler:
    """Takes planes of one rate and number of channels, gives 16 kHz mono; ``flush`` gives what it still holds."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate = rate
        self.channels = channels
        self._downmix = Downmix(channels, rate)
        self._stream = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")

    def push(self, planes: Planes) -> Samples:
        """What is ready now that ``planes`` of shape (channels, n) are in: about n * 16000 / rate samples."""
        mono = self._downmix.mix(planes)
        return _sixteen_bits(mono if self._stream is None else self._stream.resample_chunk(mono))

    def flush(self) -> Samples:
        """The end of the sound; nothing may be pushed after it."""
        if self._stream is None:
            return np.zeros(0, np.int16)
        return _sixteen_bits(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))


def _sixteen_bits(sound: NDArray[np.float32]) -> Samples:
    clipped: Samples = np.clip(np.rint(sound * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
    return clipped

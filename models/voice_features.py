"""The log mel filterbank of Kaldi (see ``filterbank``, its twin for torch) with numpy, for ONNX Runtime."""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.domain import SAMPLE_RATE, Samples

BINS = 80
SHIFT = 160
"""Samples from one frame to the next."""
_WINDOW, _FFT = 400, 512
_LOWEST_HZ = 20.0
_PREEMPHASIS = np.float32(0.97)
_ROWS = 12
"""OpenBLAS shares a larger product among threads, which then wait for cores (see ``log_mel``)."""
_EPSILON = np.finfo(np.float32).eps


def banks_of(samples: Samples) -> NDArray[np.float32]:
    """(n,) at 16 kHz to (frames, 80) of the frames that lie whole in it; each bin less its mean over time."""
    frames = sliding_window_view(samples.astype(np.float32), _WINDOW)[::SHIFT]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate((frames[:, :1], frames[:, :-1]), axis=1)
    frames = (frames - _PREEMPHASIS * before) * _povey()
    power = np.square(np.abs(np.fft.rfft(frames, n=_FFT)))[:, : _FFT // 2].astype(np.float32)
    energies = np.concatenate([power[row : row + _ROWS] @ _mel() for row in range(0, len(power), _ROWS)])
    banks: NDArray[np.float32] = np.log(np.maximum(energies, _EPSILON))
    banks -= banks.mean(axis=0)
    return banks


@cache
def _povey() -> NDArray[np.float32]:
    povey: NDArray[np.float32] = (np.hanning(_WINDOW) ** 0.85).astype(np.float32)
    return povey


@cache
def _mel() -> NDArray[np.float32]:
    """Triangles of equal width in mel, (256, 80)."""

    def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1127.0 * np.log1p(hertz / 700.0)

    low, high = mel(np.array([_LOWEST_HZ, SAMPLE_RATE / 2]))
    width = (high - low) / (BINS + 1)
    left = low + np.arange(BINS) * width
    at = mel(np.arange(_FFT // 2) * SAMPLE_RATE / _FFT)[:, None]
    rising, falling = (at - left) / width, (left + 2 * width - at) / width
    triangles: NDArray[np.float32] = np.maximum(np.minimum(rising, falling), 0.0).astype(np.float32)
    return triangles

"""Log-mel features as Whisper was trained on, in the calling thread alone.

faster-whisper's extractor multiplies by the mel filters in one BLAS product, for which OpenBLAS wakes a thread per
core: beside a busy recogniser a window of 7 s then waits 8 to 40 ms for threads that have no core; alone it takes 3 ms.
"""

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.domain import SAMPLE_RATE

Features = NDArray[np.float32]

_FRAME = 400
_HOP = 160
_ALONE = 4 * 65536
"""OpenBLAS shares a product of more multiplications than this among threads (``interface/gemm.c``)."""


class LogMel:
    """Features of ``mels`` bands, a column every 10 ms (Whisper, ``audio.py``, ``log_mel_spectrogram``)."""

    def __init__(self, mels: int) -> None:
        self._filters = FeatureExtractor.get_mel_filters(SAMPLE_RATE, _FRAME, n_mels=mels).astype(np.float32)
        self._columns = _ALONE // self._filters.size // 8 * 8
        self._hann = np.hanning(_FRAME + 1)[:-1].astype(np.float32)

    def __call__(self, audio: NDArray[np.float32]) -> Features:
        """Features of shape (mels, n // 160) of audio of shape (n,), full scale 1; n is at least 400."""
        padded = np.pad(audio, _FRAME // 2, mode="reflect")
        frames = sliding_window_view(padded, _FRAME)[::_HOP][: len(audio) // _HOP]
        power = np.abs(np.fft.rfft(frames * self._hann, axis=1)).T ** 2
        features = np.empty((len(self._filters), power.shape[1]), np.float32)
        for first in range(0, power.shape[1], self._columns):
            some = slice(first, first + self._columns)
            np.matmul(self._filters, power[:, some], out=features[:, some])
        features = np.log10(np.maximum(features, 1e-10))
        np.maximum(features, features.max() - 8.0, out=features)
        return (features + 4.0) / 4.0

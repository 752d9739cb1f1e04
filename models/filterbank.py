"""The log mel filterbank of Kaldi (``compute-fbank-feats``), which embeddings of voices are computed from."""

from functools import cache

import torch
from torch import Tensor

SAMPLE_RATE = 16_000
SHIFT = 160
"""Samples from one frame to the next."""
_WINDOW, _FFT = 400, 512
_LOWEST_HZ = 20.0
_PREEMPHASIS = 0.97
_EPSILON = torch.finfo(torch.float32).eps


def frames_in(samples: int) -> int:
    """How many frames lie whole in so many samples."""
    return max(0, 1 + (samples - _WINDOW) // SHIFT)


def filterbank(waveforms: Tensor, bins: int) -> Tensor:
    """(batch, samples) at 16 kHz in [-1, 1] to (batch, frames, ``bins``); each bin less its mean over time."""
    frames = (waveforms * 32768.0).unfold(-1, _WINDOW, SHIFT)
    frames = frames - frames.mean(-1, keepdim=True)
    before = torch.cat((frames[..., :1], frames[..., :-1]), dim=-1)
    frames = (frames - _PREEMPHASIS * before) * _povey().to(waveforms.device)
    power = torch.fft.rfft(frames, n=_FFT).abs().square()
    energies = power[..., : _FFT // 2] @ _mel(bins).to(waveforms.device)
    features = energies.clamp_min(_EPSILON).log()
    centred: Tensor = features - features.mean(1, keepdim=True)
    return centred


@cache
def _povey() -> Tensor:
    return torch.hann_window(_WINDOW, periodic=False).pow(0.85)


@cache
def _mel(bins: int) -> Tensor:
    """Triangles of equal width in mel, (256, ``bins``)."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127.0 * torch.log1p(hertz / 700.0)

    low, high = (mel(torch.tensor(hertz, dtype=torch.float64)) for hertz in (_LOWEST_HZ, SAMPLE_RATE / 2))
    width = (high - low) / (bins + 1)
    left = low + torch.arange(bins, dtype=torch.float64) * width
    at = mel(torch.arange(_FFT // 2, dtype=torch.float64) * SAMPLE_RATE / _FFT).unsqueeze(1)
    rising, falling = (at - left) / width, (left + 2 * width - at) / width
    return torch.minimum(rising, falling).clamp_min(0.0).float()

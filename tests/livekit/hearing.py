"""Where a piece of sound is in what was heard."""

from dataclasses import dataclass

import numpy as np

from pipeline.domain import SAMPLE_RATE, Samples


@dataclass(frozen=True, slots=True)
class Found:
    """``at`` is in seconds from the start of what was heard; ``likeness`` is the correlation there, at most 1."""

    at: float
    likeness: float


def find(piece: Samples, sound: Samples) -> Found:
    """Where ``piece`` is most like a part of ``sound``, by normalised cross-correlation.

    The SDK stretches sound by some milliseconds now and then, so a piece is best no longer than half a second.
    """
    if len(sound) < len(piece):
        return Found(0.0, 0.0)
    wanted, wide = piece.astype(np.float64), sound.astype(np.float64)
    size = 1 << (len(wide) + len(wanted)).bit_length()
    products = np.fft.irfft(np.fft.rfft(wide, size) * np.conj(np.fft.rfft(wanted, size)), size)
    energy = np.concatenate([[0.0], np.cumsum(wide**2)])
    starts = len(wide) - len(wanted) + 1
    powers = energy[len(wanted) :] - energy[:starts]
    likeness = products[:starts] / np.sqrt(powers * np.sum(wanted**2) + 1.0)
    best = int(np.argmax(likeness))
    return Found(best / SAMPLE_RATE, float(likeness[best]))

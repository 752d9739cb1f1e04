"""A gate before the speech detector that costs microseconds: is there any sound at all above the room's own noise?

It errs towards open. The noise floor is the smallest power heard in the last seconds (minimum statistics, Martin
2001): speech has gaps between its words, so its minimum is the room. Above a fixed ceiling everything passes, so
that speech in loud noise is never judged here.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from pipeline.domain import Samples

_FULL_SCALE_POWER = 32768.0**2


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Levels are RMS in dB relative to full scale (dBFS), the rest is in seconds.

    silence: what lies below never opens the gate.
    ceiling: what lies above always opens it, whatever the noise floor.
    margin_db: how far above the noise floor sound opens it.
    memory: how far back the noise floor looks.
    hangover: how long it stays open after the last sound.
    """

    silence: float = -63.0
    ceiling: float = -45.0
    margin_db: float = 5.0
    memory: float = 4.0
    hangover: float = 0.5


def power(dbfs: float) -> float:
    """The mean square of 16-bit samples at a level in dBFS."""
    return float(_FULL_SCALE_POWER * 10.0 ** (dbfs / 10.0))


class EnergyGate:
    """Fed with every block of one track in order, says whether the detector should hear it.

    It is open until it has heard ``memory`` / 4 seconds, for before that it knows no noise floor.
    """

    def __init__(self, block_seconds: float, settings: GateSettings | None = None) -> None:
        settings = settings or GateSettings()
        self._lowest = power(settings.silence)
        self._highest = power(settings.ceiling)
        self._margin = 10.0 ** (settings.margin_db / 10.0)
        self._hangover_blocks = round(settings.hangover / block_seconds)
        # Minima over quarters of the memory; the oldest quarter falls out as a new one begins.
        self._quarter_blocks = max(1, round(settings.memory / 4 / block_seconds))
        self._minima: deque[float] = deque(maxlen=4)
        self._minimum = float("inf")
        self._blocks_in_quarter = 0
        self._threshold = self._lowest
        self._open_for = 0
        self.power = 0.0
        """The mean square of the newest block."""

    def opens(self, block: Samples) -> bool:
        """Whether the gate is open with this ``block`` of shape (n,)."""
        wide = block.astype(np.float32)
        self.power = float(np.dot(wide, wide)) / len(block)
        self._learn(self.power)
        if self.power > self._threshold:
            self._open_for = self._hangover_blocks + 1
        if self._open_for == 0:
            return False
        self._open_for -= 1
        return True

    def _learn(self, level: float) -> None:
        self._minimum = min(self._minimum, level)
        self._blocks_in_quarter += 1
        if self._blocks_in_quarter < self._quarter_blocks:
            return
        self._minima.append(self._minimum)
        self._minimum = float("inf")
        self._blocks_in_quarter = 0
        floor = min(self._minima)
        self._threshold = min(max(floor * self._margin, self._lowest), self._highest)

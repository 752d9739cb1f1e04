"""How loud one track was, in pieces of a tenth of a second, for as long as words of that time may still come."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from math import log10

import numpy as np

from pipeline.domain import Samples
from pipeline.record.copies import STEP_S

KEPT = 60.0
"""Seconds of loudness that are known, at most."""
_PIECE = 0.1
_QUIETEST = 1e-12


def level_of(samples: Samples) -> float:
    """How loud ``samples`` of shape (n,) are, in dB relative to full scale; -120 for silence."""
    wide = samples.astype(np.float32)
    power = float(np.dot(wide, wide)) / (max(len(samples), 1) * 32768.0**2)
    return 10.0 * log10(max(power, _QUIETEST))


@dataclass(slots=True)
class Loudness:
    """``pieces`` are start, end and power, in order and without overlap."""

    pieces: deque[tuple[float, float, float]] = field(default_factory=deque)

    @property
    def until(self) -> float:
        """The end of the newest sound that is known, before all times where none is."""
        return self.pieces[-1][1] if self.pieces else float("-inf")

    def heard(self, start: float, end: float, level_db: float) -> None:
        """It is so loud between two moments; what was heard before is not heard again."""
        power = 10.0 ** (level_db / 10.0)
        if self.pieces:
            begun, until, before = self.pieces[-1]
            start = max(start, until)
            if until - begun < _PIECE and start == until < end:
                power = (before * (until - begun) + power * (end - start)) / (end - begun)
                self.pieces.pop()
                start = begun
        if start < end:
            self.pieces.append((start, end, power))
        while self.pieces and self.pieces[0][1] < end - KEPT:
            self.pieces.popleft()

    def level(self, start: float, end: float) -> float | None:
        """How loud it was between two moments, in dBFS; None where no sound is known."""
        seconds = energy = 0.0
        first = bisect_left(self.pieces, start, key=lambda piece: piece[1])
        for begun, until, power in islice(self.pieces, first, None):
            if begun >= end:
                break
            shared = min(until, end) - max(begun, start)
            seconds += shared
            energy += power * shared
        return 10.0 * log10(energy / seconds) if seconds > 0.0 else None

    def levels(self, start: float, end: float) -> tuple[tuple[float, float], ...]:
        """From each moment, ``STEP_S`` apart, how loud it was in whole dBFS; those without sound are left out."""
        if not self.pieces:
            return ()
        moments = (number * STEP_S for number in range(int(start / STEP_S), int(end / STEP_S) + 1))
        known = ((moment, self.level(moment, moment + STEP_S)) for moment in moments)
        return tuple((moment, float(round(level))) for moment, level in known if level is not None)

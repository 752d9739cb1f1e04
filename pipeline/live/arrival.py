"""Frames of one track put in order as they arrive: doubled and late ones dropped, small holes concealed, others named.

Networks lose, delay and double packets. A hole is waited for only as long as ``reorder`` seconds of later sound.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.domain import SAMPLE_RATE, AudioFrame, Samples

_FADE_SAMPLES = SAMPLE_RATE // 50
"""20 ms, the stretch of sound that is repeated over a hole: a few periods of any voice."""


@dataclass(frozen=True, slots=True)
class ArrivalSettings:
    """In seconds. slack: differences of clock that are no hole; reorder: how long a hole may stay open;
    conceal: longest hole that is filled by repeating what came before, fading out."""

    slack: float = 0.01
    reorder: float = 0.12
    conceal: float = 0.06


@dataclass(frozen=True, slots=True)
class Hole:
    """Samples ``start`` to ``end`` that never came."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Sound from sample ``start`` on, of shape (n,)."""

    start: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.start + len(self.samples)


class Arrivals:
    """Fed with frames as they come, gives runs and holes in order and without overlap, counted in samples."""

    def __init__(self, settings: ArrivalSettings | None = None) -> None:
        settings = settings or ArrivalSettings()
        self._slack = round(settings.slack * SAMPLE_RATE)
        self._reorder = round(settings.reorder * SAMPLE_RATE)
        self._conceal = round(settings.conceal * SAMPLE_RATE)
        self._next = 0  # the sample that should come now
        self._begun = False
        self._last: Samples = np.zeros(0, np.int16)
        self._waiting: list[Run] = []

    def arrived(self, frame: AudioFrame) -> list[Run | Hole]:
        """What is known to be in order now that ``frame`` is here."""
        run = Run(round(frame.start * SAMPLE_RATE), frame.samples)
        if not self._begun:
            self._begun = True
            self._next = run.start
        if not self._waiting and abs(run.start - self._next) <= self._slack:
            return [self._passed(run.samples)] if len(run.samples) else []
        self._waiting.append(run)
        self._waiting.sort(key=lambda waiting: waiting.start)
        return self._released(self._reorder)

    def flush(self) -> list[Run | Hole]:
        """What still waited for a hole to be filled."""
        return self._released(0)

    def skip_to(self, end: int) -> list[Run | Hole]:
        """What still waited; the sound before sample ``end`` is then known never to come."""
        released = self.flush()
        self._next = max(self._next, end)
        return released

    def _released(self, patience: int) -> list[Run | Hole]:
        released: list[Run | Hole] = []
        while self._waiting:
            run = self._waiting[0]
            gap = run.start - self._next
            if gap > self._slack and self._waiting[-1].end - self._next <= patience:
                break
            del self._waiting[0]
            if run.end - self._next <= self._slack:
                continue  # doubled, or too late
            if gap > self._slack:
                released.append(self._crossed(gap))
            elif gap < -self._slack:
                run = Run(self._next, run.samples[-gap:])
            released.append(self._passed(run.samples))
        return released

    def _passed(self, samples: Samples) -> Run:
        run = Run(self._next, samples)
        self._next = run.end
        self._last = samples
        return run

    def _crossed(self, gap: int) -> Run | Hole:
        """Leaves a hole behind: concealed when it is short, named when it is long."""
        if gap > self._conceal or len(self._last) == 0:
            hole = Hole(self._next, self._next + gap)
            self._next = hole.end
            return hole
        fade = np.linspace(1.0, 0.0, gap, endpoint=False, dtype=np.float32)
        repeated = np.resize(self._last[-_FADE_SAMPLES:], gap)
        return self._passed((repeated * fade).astype(np.int16))

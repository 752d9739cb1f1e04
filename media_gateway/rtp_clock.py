"""The meeting time of RTP timestamps: anchored where the first packet arrives, then following the sender's clock.

Pure: told arrivals, holds no clock. A packet arrives when its sound has ended, or later; the least late of the last
seconds says how far the sender's clock has drifted from ours.
"""

from collections import deque

TICKS_PER_SECOND = 48_000
"""RTP timestamps of Opus count at 48 kHz whatever the sound's rate (RFC 7587, section 4.1)."""
_LOOK_SECONDS = 0.5
_LOOKS = 20  # ten seconds
_TOLERANCE = 0.02
_SLEW = 0.0025
"""Seconds of correction per look, 5 ms a second: clocks of sound cards are a hundred times better."""
_STEP = 0.5
"""Beyond this a sender's timestamps stood still, as when it was muted or slept, or jumped."""


class RtpClock:
    """Fed with the end of each packet's sound in unwrapped ticks and with its arrival."""

    def __init__(self, end: int, at: float) -> None:
        self._ticks = end
        self._at = at
        self._look_began = at
        self._least: float | None = None  # lateness in this look
        self._floors: deque[float] = deque(maxlen=_LOOKS)

    def time(self, ticks: int) -> float:
        return self._at + (ticks - self._ticks) / TICKS_PER_SECOND

    def arrived(self, end: int, at: float) -> None:
        late = at - self.time(end)
        if late < -_STEP:  # sound from the future
            self._move(late)
            return
        if self._least is None:
            self._least, self._look_began = late, at
        self._least = min(late, self._least)
        if at - self._look_began < _LOOK_SECONDS:
            return
        least, self._least = self._least, None
        if least > _STEP:
            self._move(least)
            return
        self._floors.append(least)
        floor = min(self._floors)
        if abs(floor) > _TOLERANCE:
            shift = max(-_SLEW, min(_SLEW, floor))
            self._at += shift
            self._floors = deque((seen - shift for seen in self._floors), maxlen=_LOOKS)

    def _move(self, seconds: float) -> None:
        self._at += seconds
        self._floors.clear()
        self._least = None


def unwrapped(value: int, near: int, bits: int) -> int:
    """The number nearest to ``near`` whose low ``bits`` are ``value``."""
    half = 1 << (bits - 1)
    return near + ((value - near + half) & ((1 << bits) - 1)) - half

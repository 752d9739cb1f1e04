"""The meeting time of sound that carries none: the SDK gives frames as they are decoded.

Pure: told arrivals, holds no clock. A frame arrives when its sound has ended, or later: the event loop was busy, the
machine slow. Frames of one stream follow one another without a hole, since the SDK conceals what the network lost and
keeps to this machine's clock. So the sound goes on where it ended for as long as the least late frame of a second is
less than ``MOST_LATE`` late; beyond it sound never came, and the next frame begins where its arrival says.
"""

from pipeline.domain import SAMPLE_RATE

MOST_LATE = 0.2
"""Seconds."""
_LOOK = 1.0


class FrameClock:
    """``until``: meeting time where the sound given so far ends; nothing begins before it."""

    def __init__(self, until: float = 0.0) -> None:
        self.until = until
        self._anchored = False
        self._least = float("inf")
        self._look_began = 0.0

    def resume(self) -> None:
        """Another stream begins: what comes next has its arrival for its time."""
        self._anchored = False

    def place(self, count: int, at: float) -> float:
        """Where the next ``count`` samples begin, which arrived at meeting time ``at``."""
        length = count / SAMPLE_RATE
        late = at - (self.until + length)
        if not self._anchored:
            self._anchored = True
            self.until = max(self.until, at - length)
            self._look(at, 0.0)
        else:
            self._least = min(self._least, late)
            if at - self._look_began >= _LOOK:
                if self._least > MOST_LATE:
                    self.until += self._least
                self._look(at, float("inf"))
        start = self.until
        self.until += length
        return start

    def _look(self, at: float, least: float) -> None:
        self._look_began = at
        self._least = least

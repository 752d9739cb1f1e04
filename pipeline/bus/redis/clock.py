"""One clock for all machines: Redis's, as seen from here."""

from collections.abc import Callable
from dataclasses import dataclass

_SLEW = 0.05
_STEP = 0.5


@dataclass(slots=True)
class SharedClock:
    """Redis's time, from a steady clock of this machine.

    A small correction is spread, so that time never goes back; one of more than 0.5 s is made at once, since Redis's
    own clock was set then, and all processes step together.
    """

    steady: Callable[[], float]
    _offset: float = 0.0
    _target: float = 0.0
    _since: float | None = None

    def learn(self, asked: float, answered: float, time: float) -> None:
        """Redis said that it was ``time``, between two moments of the steady clock."""
        measured = time - (asked + answered) / 2
        if self._since is None or abs(measured - self._target) > _STEP:
            self._offset = self._target = measured
        else:
            self._offset, self._target = self._at(answered), measured
        self._since = answered

    def wall(self) -> float:
        """Seconds since 1970."""
        now = self.steady()
        return now + self._at(now)

    def _at(self, now: float) -> float:
        most = _SLEW * (now - (self._since if self._since is not None else now))
        return self._offset + max(-most, min(most, self._target - self._offset))

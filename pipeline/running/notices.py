"""When to tell readers that captions are late, that the engine is down or that sound was lost: no clock, no output."""

from dataclasses import dataclass, field

from pipeline.domain import TrackId

_DELAYED = 5.0
_IN_TIME = 3.0
_PERSISTS = 1.0
"""A delay or a failing engine is told once it has lasted for so long."""
_FAILURES = 3
_LOSSES_EVERY = 5.0
"""Losses of one track are told once in so many seconds; the transcript marks each."""


@dataclass(slots=True)
class Watch:
    """Told every half second how captions are doing, says which notices are due. Times are meeting time.

    Captions are ``delayed`` once speech has waited for more than 5 s, for a second; ``in_time`` once it waits for less
    than 3. The engine is down once three windows in a row or more failed and none worked for a second.
    """

    delayed: bool = False
    down: bool = False
    _late_since: float | None = None
    _failing_since: float | None = None
    _told: dict[TrackId, float] = field(default_factory=dict)

    def look(self, now: float, behind: float, failing: int) -> list[str]:
        """The codes due. ``behind``: how long speech has waited; ``failing``: windows that failed since one worked."""
        return [*self._look_at_delay(now, behind), *self._look_at_engine(now, failing)]

    def tells_loss(self, track: TrackId, now: float) -> bool:
        """Whether this loss of sound is told."""
        if now - self._told.get(track, float("-inf")) < _LOSSES_EVERY:
            return False
        self._told[track] = now
        return True

    def _look_at_delay(self, now: float, behind: float) -> list[str]:
        if self.delayed and behind < _IN_TIME:
            self.delayed, self._late_since = False, None
            return ["in_time"]
        if behind <= _DELAYED:
            self._late_since = None
            return []
        self._late_since = now if self._late_since is None else self._late_since
        if self.delayed or now - self._late_since < _PERSISTS:
            return []
        self.delayed = True
        return ["delayed"]

    def _look_at_engine(self, now: float, failing: int) -> list[str]:
        if not failing:
            self._failing_since = None
            was_down, self.down = self.down, False
            return ["engine_up"] if was_down else []
        self._failing_since = now if self._failing_since is None else self._failing_since
        if self.down or failing < _FAILURES or now - self._failing_since < _PERSISTS:
            return []
        self.down = True
        return ["engine_down"]

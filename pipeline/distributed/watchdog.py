"""Speech that gives no words: a track begins anew, then the meeting goes to another worker."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.domain import TrackId

_RESET_AFTER, _HOPELESS_AFTER = 10.0, 20.0


@dataclass(slots=True)
class Watchdog:
    """Told every second for how long each track has had speech without a word; no clock, no output."""

    _reset: set[TrackId] = field(default_factory=set)

    def to_reset(self, wordless: Mapping[TrackId, float]) -> list[TrackId]:
        """The tracks whose engine state is to be forgotten: each once, until it has words again."""
        late = {track for track, seconds in wordless.items() if seconds >= _RESET_AFTER}
        fresh = late - self._reset
        self._reset = late
        return sorted(fresh)

    @staticmethod
    def hopeless(wordless: Mapping[TrackId, float]) -> bool:
        """Whether beginning anew has not helped."""
        return any(seconds >= _HOPELESS_AFTER for seconds in wordless.values())

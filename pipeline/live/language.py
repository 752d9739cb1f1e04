"""Which language a participant speaks: evidence over a rolling window, so that a short "ok" flips nothing."""

import math
from dataclasses import dataclass, field

_HALF_LIFE = 4.0
_SWITCH = 1.5
_CERTAIN = 0.02


@dataclass(slots=True)
class LanguageTracker:
    """Follows one participant among the declared ``languages``, the first preferred.

    Every look at ``seconds`` of speech adds its log-probability ratio, and older looks fade by half every
    four seconds of speech; another language takes over when the evidence for it is ``_SWITCH`` ahead.
    """

    languages: tuple[str, ...]
    current: str | None = None
    _evidence: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.languages) == 1:
            self.current = self.languages[0]

    @property
    def fixed(self) -> bool:
        return len(self.languages) == 1

    def hear(self, scores: tuple[tuple[str, float], ...], seconds: float) -> bool:
        """Take the probabilities of one look; True when the language changed from a known one."""
        if self.fixed or not scores:
            return False
        probabilities = dict(scores)
        fade = 0.5 ** (seconds / _HALF_LIFE)
        mean = sum(math.log(probabilities.get(name, 0.0) + _CERTAIN) for name in self.languages) / len(self.languages)
        weight = min(seconds, 2.0)
        for name in self.languages:
            gain = math.log(probabilities.get(name, 0.0) + _CERTAIN) - mean
            self._evidence[name] = self._evidence.get(name, 0.0) * fade + gain * weight
        best = max(self.languages, key=lambda name: self._evidence[name])
        if self.current is None:
            self.current = best
            return False
        if best != self.current and self._evidence[best] - self._evidence[self.current] > _SWITCH:
            self.current = best
            return True
        return False

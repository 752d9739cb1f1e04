"""Which language a participant speaks: evidence over a rolling window, so that a short "ok" flips nothing."""

import math
from dataclasses import dataclass, field

_HALF_LIFE = 2.0
_MOST = 4.5
_SWITCH = 1.5
_CERTAIN = 0.02
_DOUBT = 0.7
_SURE = 0.85
_ENOUGH = 1.0


@dataclass(slots=True)
class LanguageTracker:
    """Follows one participant among the declared ``languages``, the first preferred.

    Every look at ``seconds`` of speech adds its log-probability ratio; older looks fade by half every two seconds of
    speech and never weigh more than ``_MOST``; another language takes over when it is ``_SWITCH`` ahead.
    ``doubted`` says that the last look spoke for another language: what was heard since had better wait.
    """

    languages: tuple[str, ...]
    current: str | None = None
    doubted: bool = False
    _evidence: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.languages) == 1:
            self.current = self.languages[0]

    @property
    def fixed(self) -> bool:
        return len(self.languages) == 1

    def hear(self, scores: tuple[tuple[str, float], ...], seconds: float, whole: bool = False) -> bool:
        """Take the probabilities of one look; True when the language changed from a known one.

        ``whole`` says that the look was at all of an utterance: a second of speech is then enough to be sure.
        """
        if self.fixed or not scores:
            return False
        probabilities = dict(scores)
        self._weigh(probabilities, seconds)
        best = max(self.languages, key=lambda name: self._evidence[name])
        if self.current is None:
            self.current = best
            return False
        likely = max(self.languages, key=lambda name: probabilities.get(name, 0.0))
        other = likely != self.current
        self.doubted = other and probabilities[likely] > _DOUBT
        if whole and other and probabilities[likely] > _SURE and seconds >= _ENOUGH:
            best = likely
        elif best == self.current or self._evidence[best] - self._evidence[self.current] <= _SWITCH:
            return False
        changed, self.current, self.doubted = best != self.current, best, False
        return changed

    def _weigh(self, probabilities: dict[str, float], seconds: float) -> None:
        fade = 0.5 ** (seconds / _HALF_LIFE)
        logs = {name: math.log(probabilities.get(name, 0.0) + _CERTAIN) for name in self.languages}
        mean = sum(logs.values()) / len(logs)
        for name, log in logs.items():
            weighed = self._evidence.get(name, 0.0) * fade + (log - mean) * min(seconds, 1.0)
            self._evidence[name] = max(-_MOST / 2, min(_MOST / 2, weighed))

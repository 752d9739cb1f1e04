"""Which language a participant speaks: evidence over a rolling window, so that a short "ok" flips nothing."""

import math
from dataclasses import dataclass, field

_HALF_LIFE = 2.0
_MOST = 4.5
_CERTAIN = 0.01
"""What is added to a probability before its logarithm: no look is surer than this."""
_SWITCH, _CLEAR, _SWITCH_UNCLEAR = 1.75, 0.95, 3.5
_DOUBT, _SETTLED, _PATIENCE = 0.5, 1.0, 5.0
_SURE, _ENOUGH = 0.85, 1.0


@dataclass(slots=True)
class LanguageTracker:
    """Follows one participant among the declared ``languages``, the first preferred.

    Every look at ``seconds`` of speech adds its log-probability ratio; older looks fade by half every two seconds of
    speech and never weigh more than ``_MOST``. Another language takes over when it is ``_SWITCH`` ahead and the last
    look is clear, else when it is far ahead: English names in French speech look English, but not clearly.
    """

    languages: tuple[str, ...]
    current: str | None = None
    _evidence: dict[str, float] = field(default_factory=dict)
    _doubted_for: float = 0.0  # seconds of speech since a look spoke for another language and none settled it

    def __post_init__(self) -> None:
        if len(self.languages) == 1:
            self.current = self.languages[0]

    def go_on_with(self, language: str) -> None:
        """``language`` is what was spoken last, as another tracker found; ignored where it is not declared."""
        if language in self.languages:
            self.current = language

    @property
    def fixed(self) -> bool:
        return len(self.languages) == 1

    @property
    def doubted(self) -> bool:
        """Whether another language may just have begun: words had better wait, but not for ever."""
        return 0.0 < self._doubted_for <= _PATIENCE

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
        unsettled = self._doubted_for > 0.0 and self._ahead(self.current) < _SETTLED
        in_doubt = unsettled or (other and probabilities[likely] > _DOUBT)
        self._doubted_for = self._doubted_for + seconds if in_doubt else 0.0
        needed = _SWITCH if probabilities.get(best, 0.0) > _CLEAR else _SWITCH_UNCLEAR
        if whole and other and probabilities[likely] > _SURE and seconds >= _ENOUGH:
            best = likely
        elif self._evidence[best] - self._evidence[self.current] <= needed:
            return False
        changed, self.current, self._doubted_for = best != self.current, best, 0.0
        return changed

    def _ahead(self, name: str) -> float:
        """How far the evidence for ``name`` is ahead of that for any other language."""
        return self._evidence[name] - max(self._evidence[other] for other in self.languages if other != name)

    def _weigh(self, probabilities: dict[str, float], seconds: float) -> None:
        fade = 0.5 ** (seconds / _HALF_LIFE)
        logs = {name: math.log(probabilities.get(name, 0.0) + _CERTAIN) for name in self.languages}
        mean = sum(logs.values()) / len(logs)
        for name, log in logs.items():
            weighed = self._evidence.get(name, 0.0) * fade + (log - mean) * min(seconds, 1.0)
            self._evidence[name] = max(-_MOST / 2, min(_MOST / 2, weighed))

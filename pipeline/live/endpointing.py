"""Where speech begins and ends, from the probabilities of a speech detector. Pure: fed with frames in order."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Thresholds are probabilities in [0, 1]; the rest is in seconds.

    on: speech may begin with a frame at least this likely.
    off: speech goes on while frames are at least this likely (hysteresis).
    min_speech: speech heard before a start is believed; clicks and coughs are shorter. It delays the start and costs
        no audio, since the start is back-dated.
    min_silence: silence after which speech has ended. Shorter makes finals faster and utterances more; the live core
        hears short neighbours together.
    patience: silence after which speech that was not yet believed is forgotten.
    """

    on: float = 0.6
    off: float = 0.35
    min_speech: float = 0.25
    min_silence: float = 0.5
    patience: float = 0.25

    def __post_init__(self) -> None:
        if not 0.0 < self.off <= self.on <= 1.0:
            raise ValueError(f"thresholds must satisfy 0 < off <= on <= 1, not off {self.off} and on {self.on}")
        if min(self.min_speech, self.min_silence, self.patience) < 0.0:
            raise ValueError("durations must not be negative")


class EndpointKind(Enum):
    STARTED = "started"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Speech started or ended at ``at``, which lies before the frame that decided it."""

    kind: EndpointKind
    at: float


class Endpointer:
    """Fed with the probability of every frame, says when speech of one track started and ended."""

    def __init__(self, settings: EndpointSettings | None = None) -> None:
        self._settings = settings or EndpointSettings()
        self._speaking = False
        self._start: float | None = None  # of the speech, believed or not
        self._spoken_until = 0.0
        self._spoken = 0.0  # seconds of likely frames since the start

    @property
    def speaking(self) -> bool:
        """Whether speech has started and not ended."""
        return self._speaking

    @property
    def busy(self) -> bool:
        """Whether speech is under way or may be about to start: every frame must be judged."""
        return self._start is not None

    @property
    def spoken_until(self) -> float:
        """The end of the last frame that was likely to be speech, believed or not; 0 before there was one."""
        return self._spoken_until

    @property
    def start(self) -> float | None:
        """Where the speech that is under way, or may be about to start, began."""
        return self._start

    def heard(self, probability: float, start: float, end: float) -> Endpoint | None:
        """Takes the next frame, from ``start`` to ``end``; sound that was lost is a frame of probability 0."""
        threshold = self._settings.on if self._start is None else self._settings.off
        if probability >= threshold:
            return self._likely(start, end)
        return self._unlikely(end)

    def close(self) -> Endpoint | None:
        """No more frames follow: speech that is under way ends where it was last heard."""
        spoken_until, was_speaking = self._spoken_until, self._speaking
        self._forget()
        return Endpoint(EndpointKind.ENDED, spoken_until) if was_speaking else None

    def _likely(self, start: float, end: float) -> Endpoint | None:
        if self._start is None:
            self._start = start
        self._spoken += end - start
        self._spoken_until = end
        # Half a millisecond of slack: sums of frame lengths are not exact.
        if self._speaking or self._spoken + 0.0005 < self._settings.min_speech:
            return None
        self._speaking = True
        return Endpoint(EndpointKind.STARTED, self._start)

    def _unlikely(self, end: float) -> Endpoint | None:
        if self._start is None:
            return None
        silence = end - self._spoken_until + 0.0005
        if self._speaking and silence >= self._settings.min_silence:
            return self.close()
        if not self._speaking and silence >= self._settings.patience:
            self._forget()
        return None

    def _forget(self) -> None:
        self._speaking = False
        self._start = None
        self._spoken = 0.0

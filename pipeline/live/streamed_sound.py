"""Which sound of a track goes into a stream, and where in meeting time the stream's own times lie."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.domain import SAMPLE_RATE

_HOLE = 1.0
"""A pause without sound is sent as silence up to this length, and left out where it is longer."""
_PIECE = 1.0
"""The most that is sent at once."""


@dataclass(slots=True)
class SpokenSpans:
    """Where a track has sound, in meeting time. Bounded: a new span begins after ``_HOLE`` only, old ones go."""

    spans: deque[tuple[float, float]] = field(default_factory=deque)

    def add(self, start: float, end: float) -> None:
        if self.spans and start <= self.spans[-1][1] + _HOLE:
            self.spans[-1] = (self.spans[-1][0], max(self.spans[-1][1], end))
        else:
            self.spans.append((start, end))

    def forget(self, before: float) -> None:
        while self.spans and self.spans[0][1] <= before:
            self.spans.popleft()


@dataclass(slots=True)
class StreamedSound:
    """The sound of one stream from ``position`` on: all of it in samples, so that no rounding adds up."""

    position: float
    _samples: int = 0
    _pieces: list[tuple[int, float]] = field(default_factory=list)  # from which sample on, and when that was

    @property
    def seconds(self) -> float:
        """How much was sent."""
        return self._samples / SAMPLE_RATE

    def next_piece(self, spans: Iterable[tuple[float, float]]) -> tuple[float, float] | None:
        """What is to be sent next; None when all was."""
        for start, end in spans:
            begin = max(start, self.position)
            if end - begin >= 1 / SAMPLE_RATE:
                return begin, min(end, begin + _PIECE)
        return None

    def sent(self, start: float, samples: int) -> None:
        """``samples`` from meeting time ``start`` on go into the stream now."""
        if not self._pieces or abs(start - self.position) > 0.5 / SAMPLE_RATE:
            self._pieces.append((self._samples, start))
        first, begun = self._pieces[-1]
        self._samples += samples
        self.position = begun + (self._samples - first) / SAMPLE_RATE

    def forget(self, seconds: float) -> None:
        """No times of the stream before ``seconds`` are asked for any more."""
        while len(self._pieces) > 1 and self._pieces[1][0] < seconds * SAMPLE_RATE:
            del self._pieces[0]

    def begin_of(self, seconds: float) -> float:
        """The meeting time of what begins at ``seconds`` of the stream."""
        return self._time(seconds, 0.5)

    def end_of(self, seconds: float) -> float:
        """The meeting time of what ends at ``seconds`` of the stream: where sound was left out, before that."""
        return self._time(seconds, -0.5)

    def _time(self, seconds: float, tolerance: float) -> float:
        sample = seconds * SAMPLE_RATE
        before = [piece for piece in self._pieces if piece[0] <= sample + tolerance]
        first, begun = (before or self._pieces or [(0, self.position)])[-1 if before else 0]
        return begun + (sample - first) / SAMPLE_RATE

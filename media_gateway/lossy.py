"""A bad network in front of any tap: frames dropped, delayed, doubled, and tracks that stop mid word.

The same seed gives the same trouble. Frames are lost without a word, as packets are: what follows has to notice.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from pipeline.domain import AudioFrame, TrackClosed, TrackEvent, TrackId
from pipeline.ports import AudioSource


@dataclass(frozen=True, slots=True)
class Losses:
    """What befalls frames; the first three are probabilities in [0, 1] for each frame.

    drop: a frame never comes. burst: mean number of frames lost in a row (Gilbert's model), 1 or more.
    delay: a frame comes after ``delay_frames`` later ones of its track.
    double: a frame comes twice.
    stop_at: seconds of meeting time after which nothing of a track comes any more.
    closes: whether a stopped track is closed then, or just falls silent until the source ends.
    """

    drop: float = 0.0
    burst: float = 1.0
    delay: float = 0.0
    delay_frames: int = 1
    double: float = 0.0
    stop_at: float | None = None
    closes: bool = True


@dataclass(slots=True)
class _Line:
    """The state of one track's way through the network."""

    chance: random.Random
    losing: bool = False
    stopped: bool = False
    delayed: list[tuple[int, AudioFrame]] = field(default_factory=list)  # frames still to pass first, frame


class LossyTap:
    """An ``AudioSource`` that passes on another one's events as a bad network would."""

    def __init__(self, source: AudioSource, losses: Losses, seed: int = 0) -> None:
        self._source = source
        self._losses = losses
        self._seed = seed
        self._lines: dict[TrackId, _Line] = {}

    async def events(self) -> AsyncIterator[TrackEvent]:
        async for event in self._source.events():
            for passed in self._pass(event):
                yield passed

    def _pass(self, event: TrackEvent) -> list[TrackEvent]:
        if isinstance(event, AudioFrame):
            line = self._line(event.track)
            if self._losses.stop_at is not None and event.end > self._losses.stop_at:
                return self._stop(line, event)
            return [] if self._lost(line) else self._shuffled(line, event)
        if isinstance(event, TrackClosed):
            line = self._line(event.track)
            late: list[TrackEvent] = [frame for _, frame in line.delayed]
            line.delayed.clear()
            return late if line.stopped and self._losses.closes else [*late, event]
        return [event]

    def _line(self, track: TrackId) -> _Line:
        if track not in self._lines:
            self._lines[track] = _Line(random.Random(f"{self._seed} {track}"))  # noqa: S311 (no secret: reproducible)
        return self._lines[track]

    def _stop(self, line: _Line, frame: AudioFrame) -> list[TrackEvent]:
        first, line.stopped = not line.stopped, True
        line.delayed.clear()
        return [TrackClosed(frame.track, frame.start)] if first and self._losses.closes else []

    def _lost(self, line: _Line) -> bool:
        """Two states, losing and not, whose odds give ``drop`` of all frames in runs of mean ``burst``."""
        drop, burst = self._losses.drop, self._losses.burst
        if drop >= 1.0:
            return True
        odds = 1.0 - 1.0 / burst if line.losing else drop / (1.0 - drop) / burst
        if burst == 1.0:
            odds = drop
        line.losing = line.chance.random() < odds
        return line.losing

    def _shuffled(self, line: _Line, frame: AudioFrame) -> list[TrackEvent]:
        due = [frame for left, frame in line.delayed if left <= 1]
        line.delayed = [(left - 1, frame) for left, frame in line.delayed if left > 1]
        if line.chance.random() < self._losses.delay:
            line.delayed.append((self._losses.delay_frames, frame))
            return [*due]
        copies = 2 if line.chance.random() < self._losses.double else 1
        return [*([frame] * copies), *due]

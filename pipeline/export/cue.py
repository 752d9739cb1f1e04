"""A cue as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cue:
    """One WebVTT or SRT block; ``speaker`` is set where a turn begins."""

    id: str
    start: float
    end: float
    lines: tuple[str, ...]
    speaker: str | None = None

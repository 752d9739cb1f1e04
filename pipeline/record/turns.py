"""Turns: what one participant says until somebody else speaks, a long silence falls, or sound was lost."""

from collections.abc import Iterable

from pipeline.domain import Gap, Segment, Transcript, Turn
from pipeline.record.texts import text_of

LONG_SILENCE_S = 5.0
"""A silence longer than this ends a turn: the reader gets a new time and name."""


def turns(transcript: Transcript) -> tuple[Turn, ...]:
    """Consecutive segments of one participant, in order; segments without text neither show nor split a turn.

    A silence of more than ``LONG_SILENCE_S`` and a gap of the same participant split too, so that the
    gap can be marked at its place.
    """
    grouped: list[list[Segment]] = []
    for segment in transcript.segments:
        if not text_of(segment)[0]:
            continue
        if grouped and _goes_on(grouped[-1], segment, transcript.gaps):
            grouped[-1].append(segment)
        else:
            grouped.append([segment])
    return tuple(Turn(group[0].participant, tuple(group)) for group in grouped)


def _goes_on(group: list[Segment], segment: Segment, gaps: Iterable[Gap]) -> bool:
    last = group[-1]
    return (
        last.participant.id == segment.participant.id
        and segment.start - max(spoken.end for spoken in group) <= LONG_SILENCE_S
        and not any(
            gap.participant.id == segment.participant.id and last.start <= gap.start < segment.start for gap in gaps
        )
    )

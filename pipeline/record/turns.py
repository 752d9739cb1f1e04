"""Turns: what one participant says until somebody else speaks, or a long silence, a gap or a pause falls."""

from pipeline.domain import Segment, Transcript, Turn
from pipeline.record.texts import text_of

LONG_SILENCE_S = 5.0
"""A silence longer than this ends a turn: the reader gets a new time and name."""


def turns(transcript: Transcript) -> tuple[Turn, ...]:
    """Consecutive segments of one participant, in order; segments without text neither show nor split a turn.

    A silence of more than ``LONG_SILENCE_S``, a gap of the same participant and a pause split too, so that the
    gap or pause can be marked at its place.
    """
    grouped: list[list[Segment]] = []
    for segment in transcript.segments:
        if not text_of(segment)[0]:
            continue
        if grouped and _goes_on(grouped[-1], segment, transcript):
            grouped[-1].append(segment)
        else:
            grouped.append([segment])
    return tuple(Turn(group[0].participant, tuple(group)) for group in grouped)


def _goes_on(group: list[Segment], segment: Segment, transcript: Transcript) -> bool:
    last = group[-1]
    marks = [gap.start for gap in transcript.gaps if gap.participant.id == segment.participant.id]
    marks += (pause.start for pause in transcript.pauses)
    return (
        last.participant.id == segment.participant.id
        and segment.start - max(spoken.end for spoken in group) <= LONG_SILENCE_S
        and not any(last.start <= mark < segment.start for mark in marks)
    )

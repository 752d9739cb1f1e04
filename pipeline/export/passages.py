"""A transcript in reading order, for documents: turns and gaps by their start."""

from pipeline.domain import Gap, Transcript, Turn
from pipeline.export.characters import one_line
from pipeline.export.clock import short
from pipeline.export.cues import INAUDIBLE
from pipeline.record.texts import text_of
from pipeline.record.turns import turns


def passages(transcript: Transcript) -> tuple[Turn | Gap, ...]:
    """Every turn that has text and every gap, by start; a turn before a gap that begins with it."""
    written = (turn for turn in turns(transcript) if turn_text(turn))
    return tuple(sorted((*written, *transcript.gaps), key=lambda passage: passage.start))


def turn_text(turn: Turn) -> str:
    """What was said in ``turn``, on one line."""
    return " ".join(filter(None, (one_line(text_of(segment)[0]) for segment in turn.segments)))


def gap_text(gap: Gap) -> str:
    """``[inaudible]`` with the gap's extent and reason."""
    reason = one_line(gap.reason)
    return f"{INAUDIBLE} {short(gap.start)}–{short(gap.end)}" + (f" ({reason})" if reason else "")

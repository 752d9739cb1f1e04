"""A transcript in reading order, for documents: turns, gaps and pauses by their start."""

from pipeline.domain import Gap, Pause, Transcript, Turn
from pipeline.export.characters import one_line
from pipeline.export.clock import short
from pipeline.export.cues import INAUDIBLE
from pipeline.record.texts import text_of
from pipeline.record.turns import turns

PAUSED = "[pause]"
CUT = "[interruption]"
"""Tops a transcript of which a session ended without being asked to; a word of French and of English."""


def passages(transcript: Transcript) -> tuple[Turn | Gap | Pause, ...]:
    """Every turn that has text, every gap and every pause, by start; a turn before what begins with it."""
    written = (turn for turn in turns(transcript) if turn_text(turn))
    return tuple(sorted((*written, *transcript.gaps, *transcript.pauses), key=lambda passage: passage.start))


def turn_text(turn: Turn) -> str:
    """What was said in ``turn``, on one line."""
    return " ".join(filter(None, (one_line(text_of(segment)[0]) for segment in turn.segments)))


def gap_text(gap: Gap) -> str:
    """``[inaudible]`` with the gap's extent and reason."""
    reason = one_line(gap.reason)
    return f"{INAUDIBLE} {short(gap.start)}–{short(gap.end)}" + (f" ({reason})" if reason else "")


def pause_text(pause: Pause) -> str:
    """``[pause]`` with its extent, the end left out while it lasts."""
    return f"{PAUSED} {short(pause.start)}–{short(pause.end) if pause.end is not None else ''}"

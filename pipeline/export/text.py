"""Plain text: a line for the title, then one for every turn, gap and pause."""

from collections.abc import Mapping

from pipeline.domain import Gap, ParticipantId, Pause, Transcript, Turn
from pipeline.export.characters import one_line
from pipeline.export.clock import short
from pipeline.export.names import speaker_names
from pipeline.export.passages import CUT, gap_text, passages, pause_text, turn_text


def text(transcript: Transcript) -> str:
    """``transcript`` as lines ``[mm:ss] Name: text``; empty where there is nothing to tell.

    After the title a line says where the transcript was cut.
    """
    names = speaker_names(transcript)
    title = one_line(transcript.title)
    told = [_line(passage, names) for passage in passages(transcript)]
    blocks = filter(None, (title, CUT if transcript.cut else "", "\n".join(told)))
    return "\n".join(f"{block}\n" for block in blocks)


def _line(passage: Turn | Gap | Pause, names: Mapping[ParticipantId, str]) -> str:
    at = f"[{short(passage.start)}]"
    if isinstance(passage, Pause):
        return f"{at} {pause_text(passage)}"
    said = turn_text(passage) if isinstance(passage, Turn) else gap_text(passage)
    return f"{at} {names[passage.participant.id]}: {said}"

"""Plain text: a line for the title, then one for every turn and gap."""

from pipeline.domain import Gap, Transcript, Turn
from pipeline.export.characters import one_line
from pipeline.export.clock import short
from pipeline.export.names import speaker_names
from pipeline.export.passages import gap_text, passages, turn_text


def text(transcript: Transcript) -> str:
    """``transcript`` as lines ``[mm:ss] Name: text``; empty where there is neither title, turn nor gap."""
    names = speaker_names(transcript)
    title = one_line(transcript.title)
    told = [_line(passage, names[passage.participant.id]) for passage in passages(transcript)]
    blocks = filter(None, (title, "\n".join(told)))
    return "\n".join(f"{block}\n" for block in blocks)


def _line(passage: Turn | Gap, name: str) -> str:
    said = turn_text(passage) if isinstance(passage, Turn) else gap_text(passage)
    return f"[{short(passage.start)}] {name}: {said}"

"""Markdown (CommonMark): title, participants, then a paragraph for every turn, gap and pause."""

import re
from collections.abc import Mapping

from pipeline.domain import Gap, ParticipantId, Pause, Transcript, Turn
from pipeline.export.characters import one_line
from pipeline.export.clock import short
from pipeline.export.names import speaker_names
from pipeline.export.passages import CUT, gap_text, passages, pause_text, turn_text

# Any ASCII punctuation may be escaped by a backslash (CommonMark, section 2.4). The first are markup anywhere in a
# line, in CommonMark or its tables, strikethrough and formulas; the others only at its beginning: lists, underlines.
_MARKUP = re.compile(r"[\\`*_\[\]<>#|~&$]|^[-+=:]")
_NUMBERED = re.compile(r"^(\d+)([.)])")


def escaped(text: str) -> str:
    """``text`` on one line, every character of it standing for itself."""
    return _NUMBERED.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", one_line(text)))


def markdown(transcript: Transcript) -> str:
    """``transcript`` as a Markdown document; empty where there is nothing at all to tell."""
    names = speaker_names(transcript)
    blocks = [f"# {escaped(transcript.title)}"] if one_line(transcript.title) else []
    if transcript.cut:
        blocks.append(_aside(CUT))
    if names:
        blocks += ["## Participants", "\n".join(f"- {escaped(name)}" for name in names.values())]
    told = [_block(passage, names) for passage in passages(transcript)]
    if told:
        blocks += ["## Transcription", *told]
    return "".join(f"{block}\n\n" for block in blocks).rstrip("\n") + ("\n" if blocks else "")


def _block(passage: Turn | Gap | Pause, names: Mapping[ParticipantId, str]) -> str:
    if isinstance(passage, Pause):
        return _aside(pause_text(passage))
    said = escaped(turn_text(passage)) if isinstance(passage, Turn) else _aside(gap_text(passage))
    return f"**{escaped(names[passage.participant.id])}** ({short(passage.start)})  \n{said}"


def _aside(text: str) -> str:
    return f"*{escaped(text)}*"

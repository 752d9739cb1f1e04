"""SubRip, which has neither voices nor escapes: names are written before the words they begin."""

from pipeline.domain import Transcript
from pipeline.export.clock import exact
from pipeline.export.cue import Cue
from pipeline.export.cues import voiced_cues


def srt(transcript: Transcript) -> str:
    """``transcript`` as a SubRip document; empty where nothing was said and nothing missed."""
    shown = (voiced.cue for voiced in voiced_cues(transcript, visible_names=True))
    return "\n".join(_block(number, cue) for number, cue in enumerate(shown, 1))


def _block(number: int, cue: Cue) -> str:
    times = f"{exact(cue.start, ',')} --> {exact(cue.end, ',')}"
    # An arrow inside the text would be read as the times of another cue.
    lines = (line.replace("-->", "-- >") for line in cue.lines)
    return "\n".join((str(number), times, *lines, ""))

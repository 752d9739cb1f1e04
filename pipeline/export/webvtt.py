"""WebVTT (W3C), written by webvtt-py: it lays out the blocks and refuses what could not be read back."""

from itertools import chain

import webvtt as library

from pipeline.domain import Gap, Pause, Transcript
from pipeline.export.characters import one_line
from pipeline.export.clock import exact
from pipeline.export.cues import VoicedCue, voiced_cues
from pipeline.export.names import speaker_names


def webvtt(transcript: Transcript) -> str:
    """``transcript`` as a WebVTT document; every cue stands in the voice span of its speaker.

    A gap is a cue ``[inaudible]``, and a NOTE at the top that says its whole extent and reason. Pauses, and that the
    transcript was cut, are NOTEs there too.
    """
    names = speaker_names(transcript)
    notes = ["cut: a session ended without being asked to, speech may be missing"] if transcript.cut else []
    notes += (_note(gap, names[gap.participant.id]) for gap in transcript.gaps)
    notes += map(_pause_note, transcript.pauses)
    document = library.WebVTT(captions=[_block(voiced) for voiced in voiced_cues(transcript)], header_comments=notes)
    return f"{document.content.rstrip()}\n"


def _block(voiced: VoicedCue) -> library.Caption:
    cue = voiced.cue
    first, *more = (escaped(line) for line in cue.lines)
    # The end tag of a voice span may be left out where the span is the whole cue (WebVTT, section 4.2.2).
    lines = chain((f"<v {escaped(voiced.voice)}>{first}",), more)
    return library.Caption(exact(cue.start), exact(cue.end), list(lines), identifier=cue.id)


def escaped(text: str) -> str:
    """Cue text without markup; escaping ``>`` leaves no ``-->`` either."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _note(gap: Gap, name: str) -> str:
    # A comment holds no "-->" (WebVTT, section 4.1).
    note = f"gap from {exact(gap.start)} to {exact(gap.end)}, {one_line(gap.reason)}: {name}"
    return note.replace("-->", "-- >")


def _pause_note(pause: Pause) -> str:
    return f"pause from {exact(pause.start)}" + ("" if pause.end is None else f" to {exact(pause.end)}")

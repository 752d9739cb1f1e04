"""JSON with everything the transcript holds: every text with its origin, words with times, gaps, pauses, participants.

::

    {
      "schema": "greffier/transcript",
      "version": 1,
      "meeting": str,
      "title": str,
      "participants": [{"id": str, "name": str, "label": str}],
      "segments": [{
        "id": str, "track": str, "participant": id of a participant,
        "start": s, "end": s, "language": str,
        "origin": "correction" | "record" | "caption",
        "text": str,
        "count": int,
        "texts": [{"origin": str, "text": str, "words": [{"text": str, "start": s, "end": s, "confidence": number}]}]
      }],
      "gaps": [{"track": str, "participant": id, "start": s, "end": s, "reason": str}],
      "pauses": [{"start": s, "end": s | null}],
      "cut": bool,
      "folded": [{"segment": id, "track": str, "participant": id, "start": s, "end": s, "text": str}]
    }

Times are seconds of meeting time, to the millisecond. ``label`` is the name by which other formats tell participants
apart. ``texts`` holds every text that the segment has, the best first; ``text`` and ``origin`` repeat that one. In a
meeting ``count`` is how many caption words the segment has: once it differs, they are others. A word carries its own
leading space. Words of a correction are timed by those it kept. The ``end`` of a pause is null while it lasts; ``cut``
says that a session ended without being asked to, so that speech may be missing. ``folded`` is what was left out of
segments because another track says it: two microphones in one room. Within a version keys are only added.
"""

import json as standard
import re
from collections.abc import Iterable
from dataclasses import replace

from pipeline.domain import Gap, Pause, Segment, Transcript, Word
from pipeline.export.event import seconds, word_fields
from pipeline.export.names import everybody, speaker_names
from pipeline.record.shares import has_text
from pipeline.record.texts import text_of, words_of

SCHEMA = "greffier/transcript"
VERSION = 1

_SURROGATE = re.compile("[\ud800-\udfff]")


def json(transcript: Transcript) -> str:
    """``transcript`` as a JSON document on one line. Raises ``ValueError`` where a time is not finite."""
    names = speaker_names(transcript)
    people = {participant.id: participant for participant in reversed(everybody(transcript))}
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "meeting": transcript.meeting,
        "title": transcript.title,
        "participants": [{"id": each, "name": people[each].name, "label": label} for each, label in names.items()],
        "segments": [_segment_fields(segment) for segment in transcript.segments],
        "gaps": [_gap_fields(gap) for gap in transcript.gaps],
        "pauses": [_pause_fields(pause) for pause in transcript.pauses],
        "cut": transcript.cut,
        "folded": [_folded_fields(segment) for segment in transcript.folded],
    }
    return without_surrogates(standard.dumps(document, ensure_ascii=False, allow_nan=False)) + "\n"


def without_surrogates(written: str) -> str:
    """UTF-8 has no lone surrogates, JSON escapes do (RFC 8259, section 8.2)."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def _segment_fields(segment: Segment) -> dict[str, object]:
    text, origin = text_of(segment)
    return {
        "id": segment.id,
        "track": segment.track,
        "participant": segment.participant.id,
        "start": seconds(segment.start),
        "end": seconds(segment.end),
        "language": segment.language,
        "origin": origin.value,
        "text": text,
        **({} if segment.count is None else {"count": segment.count}),
        "texts": [_text_fields(each) for each in _by_origin(segment)],
    }


def _by_origin(segment: Segment) -> Iterable[Segment]:
    """``segment`` once for each text it has, reduced to that text, the best first."""
    if segment.correction is not None:
        yield segment
    if has_text(segment.record):
        yield replace(segment, correction=None)
    yield replace(segment, correction=None, record=())


def _text_fields(segment: Segment) -> dict[str, object]:
    text, origin = text_of(segment)
    words: tuple[Word, ...] = words_of(segment)
    return {"origin": origin.value, "text": text, "words": [word_fields(word) for word in words]}


def _gap_fields(gap: Gap) -> dict[str, object]:
    return {
        "track": gap.track,
        "participant": gap.participant.id,
        "start": seconds(gap.start),
        "end": seconds(gap.end),
        "reason": gap.reason,
    }


def _folded_fields(piece: Segment) -> dict[str, object]:
    return {
        "segment": piece.id,
        "track": piece.track,
        "participant": piece.participant.id,
        "start": seconds(piece.start),
        "end": seconds(piece.end),
        "text": text_of(piece)[0],
    }


def _pause_fields(pause: Pause) -> dict[str, object]:
    return {"start": seconds(pause.start), "end": None if pause.end is None else seconds(pause.end)}

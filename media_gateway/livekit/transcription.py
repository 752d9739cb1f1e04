"""What a LiveKit room is sent of an event of the feed, in the two dialects that clients know. Pure.

Legacy ``Transcription`` packets hold one segment each. La Suite Meet's front shows the first version of a segment id
only, and joins those of one speaker by a space. So committed text goes in phrases that never change: a phrase is a
word with what is glued to it, its id counts the words before it, and both depend on the words alone. Whoever sends
them again sends the same, and the front ignores it; joined by spaces they are the final's text.

A word with no space before it that is committed after its phrase was sent is missing there: recognisers put it into
the same word wherever a language writes spaces (no such word in 656 of French and English speech). Where a language
writes none, a phrase waits until the next one begins or its utterance ends.

``lk.transcription`` text streams carry the whole state of an utterance, the words that may change included.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from pipeline.export.event import Event

TRANSCRIPTION_TOPIC = "lk.transcription"
NOTICE_TOPIC = "greffier.notice"
_UNSPACED = {"zh", "ja", "th", "lo", "my", "yue", "km", "bo"}
_OF_THE_FEED = {"type", "sequence", "sent_at"}


class LegacyMode(Enum):
    """How packets are sent: to fronts that show the first version of a segment, or to those that replace it."""

    APPEND = "append"
    IN_PLACE = "in-place"


@dataclass(frozen=True, slots=True)
class LegacySegment:
    """One packet; times in whole milliseconds of meeting time."""

    id: str
    text: str
    final: bool
    language: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class TextStream:
    """A text stream of one piece."""

    topic: str
    text: str
    attributes: dict[str, str]


def segment_id(event: Event) -> str:
    """The id of a caption's utterance, which no other meeting in the same room has."""
    return f"{event['meeting']}/{event['utterance']}"


def legacy_segments(event: Event, mode: LegacyMode = LegacyMode.APPEND) -> tuple[LegacySegment, ...]:
    """The packets of a ``caption``, those sent before included, in order."""
    if mode is LegacyMode.IN_PLACE:
        return (_whole(event),)
    return tuple(_phrases(event))


def caption_stream(event: Event, track: str) -> TextStream:
    """A ``caption`` as clients of LiveKit's agents know it; ``track`` is the microphone's id.

    ``greffier.committed`` is how many characters (code points) of the text will not change.
    """
    text = _text(event)
    left = len(_committed(event)) - (len(_committed(event) + _tail(event)) - len(text))
    attributes = {
        "lk.segment_id": segment_id(event),
        "lk.transcription_final": "true" if event["final"] else "false",
        "lk.transcribed_track_id": track,
        "greffier.language": str(event["language"]),
        "greffier.committed": str(max(0, left)),
    }
    return TextStream(TRANSCRIPTION_TOPIC, text, attributes)


def notice_stream(event: Event) -> TextStream:
    """A ``notice`` as a JSON object: its ``code``, ``at`` in seconds of meeting time, and what else it says."""
    fields = {key: value for key, value in event.items() if key not in _OF_THE_FEED}
    return TextStream(NOTICE_TOPIC, json.dumps(fields, ensure_ascii=False), {})


def _phrases(event: Event) -> Iterator[LegacySegment]:
    words = cast(list[dict[str, Any]], event["words"])
    starts = [index for index, word in enumerate(words) if index == 0 or word["text"].startswith(" ")]
    ends = [*starts[1:], len(words)]
    if event["language"] in _UNSPACED and not event["final"]:
        del starts[-1:]
    for start, end in zip(starts, ends, strict=False):
        phrase = words[start:end]
        text = "".join(word["text"] for word in phrase).strip()
        if text:
            yield LegacySegment(
                f"{segment_id(event)}.{start + 1}",
                text,
                True,
                str(event["language"]),
                _ms(phrase[0]["start"]),
                _ms(phrase[-1]["end"]),
            )


def _whole(event: Event) -> LegacySegment:
    words = cast(list[dict[str, Any]], event["words"])
    start, end = (_ms(words[0]["start"]), _ms(words[-1]["end"])) if words else (0, 0)
    return LegacySegment(segment_id(event), _text(event), bool(event["final"]), str(event["language"]), start, end)


def _text(event: Event) -> str:
    return (_committed(event) + _tail(event)).lstrip()


def _committed(event: Event) -> str:
    return str(event["committed"])


def _tail(event: Event) -> str:
    return str(event["tail"])


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))

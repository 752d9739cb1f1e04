"""What a LiveKit room is sent of an event of the feed, in the two dialects that clients know. Pure.

Legacy ``Transcription`` packets hold one segment each. La Suite Meet's front shows the first version of a segment id
only, and joins those of one speaker by a space. So committed text goes in phrases that never change: a phrase is a
word with what is glued to it, its id counts the words before it, and both depend on the words alone. Whoever sends
them again sends the same, and the front ignores it; joined by spaces they are the final's text.

A word with no space before it that is committed after its phrase was sent is missing there: recognisers put it into
the same word wherever a language writes spaces (no such word in 656 of French and English speech). Where a language
writes none, a phrase waits until the next one begins or its utterance ends.

Packets name participants only. Where several people share a microphone a phrase is told the voice that says it, if that
is known when it is sent; it never changes after.

``lk.transcription`` text streams carry the whole state of an utterance, the words that may change included.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
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
    """One packet; times in whole milliseconds of meeting time. ``voice``, of a shared microphone, says it."""

    id: str
    text: str
    final: bool
    language: str
    start_ms: int
    end_ms: int
    voice: str | None = None


@dataclass(frozen=True, slots=True)
class TextStream:
    """A text stream of one piece."""

    topic: str
    text: str
    attributes: dict[str, str]


def segment_id(event: Event) -> str:
    """The id of a caption's utterance, which no other meeting in the same room has."""
    return f"{event['meeting']}/{event['utterance']}"


Runs = Sequence[Mapping[str, Any]]
"""What a ``voices`` event says of the words of its utterance."""


def legacy_segments(event: Event, mode: LegacyMode = LegacyMode.APPEND, runs: Runs = ()) -> tuple[LegacySegment, ...]:
    """The packets of a ``caption``, those sent before included, in order; ``runs`` are what is known of its voices."""
    if mode is LegacyMode.IN_PLACE:
        return (_whole(event, runs),)
    return tuple(_phrases(event, runs))


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


def _voice(event: Event, runs: Runs, number: int) -> str | None:
    """Whose word ``number`` is: ``(voix 2)``, or the name that people gave the voice in such brackets."""
    for run in runs:
        if run["first"] <= number < run["first"] + run["count"]:
            owner, speaker = str(event["speaker"]), str(run["speaker"])
            return speaker.removeprefix(f"{owner} ") if speaker.startswith(f"{owner} (") else f"({speaker})"
    return None


def _phrases(event: Event, runs: Runs) -> Iterator[LegacySegment]:
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
                _voice(event, runs, start),
            )


def _whole(event: Event, runs: Runs) -> LegacySegment:
    words = cast(list[dict[str, Any]], event["words"])
    text, told = "", None
    for number, word in enumerate(words):
        voice = _voice(event, runs, number) or told
        text += word["text"] if voice == told else f" {voice}{word['text']}"
        told = voice
    text = (text + _tail(event)).lstrip()
    start, end = (_ms(words[0]["start"]), _ms(words[-1]["end"])) if words else (0, 0)
    return LegacySegment(segment_id(event), text, bool(event["final"]), str(event["language"]), start, end)


def _text(event: Event) -> str:
    return (_committed(event) + _tail(event)).lstrip()


def _committed(event: Event) -> str:
    return str(event["committed"])


def _tail(event: Event) -> str:
    return str(event["tail"])


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))

"""Captions as the events that readers get while the meeting runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.domain import Caption, Word

Event = dict[str, object]
"""A JSON object; readers of a meeting find ``type``, ``sequence``, ``meeting`` and ``sent_at`` in every one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One event as readers get it; ``text`` is it as JSON, written once for all of them."""

    sequence: int
    event: Event
    text: str


def caption_event(caption: Caption, sent_at: float) -> dict[str, object]:
    """``caption`` as a JSON object; ``sent_at``, in seconds like every time in it, is when it was sent.

    ``committed`` is the texts of ``words`` joined, what is shown is ``committed + tail``; times to the millisecond.
    """
    return {
        "sent_at": seconds(sent_at),
        "track": caption.track,
        "utterance": caption.utterance,
        "revision": caption.revision,
        "final": caption.final,
        "language": caption.language,
        "committed": caption.committed,
        "tail": "".join(word.text for word in caption.tail),
        "words": [word_fields(word) for word in caption.words],
        "lag": seconds(caption.lag),
    }


def word_fields(word: Word) -> dict[str, object]:
    """One word as a JSON object, its text with its leading space, its confidence to three digits."""
    return {
        "text": word.text,
        "start": seconds(word.start),
        "end": seconds(word.end),
        "confidence": round(float(word.confidence), 3),
    }


def word_of(fields: Mapping[str, Any]) -> Word:
    """The word that ``word_fields`` wrote."""
    return Word(fields["text"], fields["start"], fields["end"], fields["confidence"])


def seconds(time: float) -> float:
    """``time`` to the millisecond, as a plain float whatever float it was."""
    return round(float(time), 3)

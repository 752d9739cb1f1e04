"""Captions as the events that readers get while the meeting runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.domain import Caption, Participant, ParticipantId, UtteranceId, VoiceRun, Word
from pipeline.record.attribution import with_voice
from pipeline.record.division import settled_voice
from pipeline.speakers import KnownVoice

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


def voices_event(
    owner: Participant,
    utterance: UtteranceId,
    runs: Sequence[VoiceRun],
    voices: Mapping[tuple[ParticipantId, int], KnownVoice],
) -> dict[str, object]:
    """Which of the ``voices`` at the microphone of ``owner`` said which words of ``utterance``, as a JSON object.

    ``runs`` are all that are known of it so far, in order; none where people gave its words to nobody in particular.
    Each names its voice as people do, and is of the one that it turned out to be.
    """

    def told(run: VoiceRun) -> dict[str, object]:
        voice = settled_voice(voices, owner.id, run.voice)
        known = voices.get((owner.id, voice))
        name = with_voice(owner, voice, known.name if known else None).name
        return {"first": run.first, "count": run.count, "voice": voice, "speaker": name}

    return {
        "utterance": utterance,
        "participant": owner.id,
        "speaker": owner.name,
        "runs": [told(run) for run in runs],
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

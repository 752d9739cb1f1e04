"""Values of the product as rows of the tables, and back."""

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row

from pipeline.access import ApiKey, KeyId, Scope
from pipeline.domain import (
    Caption,
    Gap,
    Meeting,
    MeetingId,
    Participant,
    ParticipantId,
    Pause,
    Presence,
    RecordingId,
    RecordingJob,
    RecordingState,
    RecordText,
    Settled,
    TrackId,
    UtteranceId,
    VoiceRun,
    Word,
)
from pipeline.record.matching import ParticipantSpeech
from pipeline.speakers import KnownVoice, SegmentChange

Values = dict[str, Any]


def folded(text: str) -> str:
    """``text`` without case and accents, as it is searched."""
    plain = unicodedata.normalize("NFKD", text.casefold()).casefold()  # 𝓐 is an A, which has a case, after that only
    apart = unicodedata.normalize("NFKD", plain)
    return "".join(character for character in apart if not unicodedata.combining(character))


def words_kept(words: Iterable[Word]) -> list[list[str | float]]:
    return [[word.text, word.start, word.end, word.confidence] for word in words]


def words_of(kept: Sequence[Sequence[Any]]) -> tuple[Word, ...]:
    return tuple(Word(*word) for word in kept)


def text_of(words: Iterable[Word]) -> str:
    return "".join(word.text for word in words)


def meeting_row(meeting: Meeting) -> Values:
    return {
        "id": meeting.id,
        "title": meeting.title,
        "created_at": meeting.created_at,
        "languages": list(meeting.languages),
        "glossary": list(meeting.glossary),
        "keep_audio": meeting.keep_audio,
        "ended_at": meeting.ended_at,
        "cut": meeting.cut,
        "folded": folded(meeting.title),
    }


def meeting_of(row: Row[Any]) -> Meeting:
    return Meeting(
        MeetingId(row.id),
        row.title,
        row.created_at,
        tuple(row.languages),
        tuple(row.glossary),
        row.keep_audio,
        row.ended_at,
        row.cut,
        Settled(row.settled) if row.settled else None,
    )


def participant_of(row: Row[Any]) -> Participant:
    return Participant(ParticipantId(row.id), row.names[-1], row.shared_room)


def open_row(meeting: MeetingId, caption: Caption) -> Values:
    return {
        "meeting": meeting,
        "utterance": caption.utterance,
        "track": caption.track,
        "revision": caption.revision,
        "language": caption.language,
        "words": words_kept(caption.words),
    }


def final_row(meeting: MeetingId, caption: Caption) -> Values:
    start = caption.words[0].start if caption.words else 0.0
    levels = [[round(moment, 2), level] for moment, level in caption.levels] or None
    return open_row(meeting, caption) | {"start": start, "folded": folded(caption.committed), "levels": levels}


def caption_of(row: Row[Any], final: bool) -> Caption:
    return Caption(
        TrackId(row.track),
        UtteranceId(row.utterance),
        row.revision,
        final,
        row.language,
        words_of(row.words),
        levels=tuple(map(tuple, row.levels or ())) if final else (),
    )


def record_row(meeting: MeetingId, record: RecordText) -> Values:
    return {
        "meeting": meeting,
        "track": record.track,
        "utterances": list(record.utterances),
        "language": record.language,
        "words": words_kept(record.words),
        "folded": folded(text_of(record.words)),
    }


def record_of(row: Row[Any]) -> RecordText:
    utterances = tuple(UtteranceId(utterance) for utterance in row.utterances)
    return RecordText(TrackId(row.track), utterances, row.language, words_of(row.words))


def gap_row(meeting: MeetingId, gap: Gap) -> Values:
    return {
        "meeting": meeting,
        "track": gap.track,
        "participant": gap.participant.id,
        "name": gap.participant.name,
        "start": gap.start,
        "end": gap.end,
        "reason": gap.reason,
    }


def gap_of(row: Row[Any]) -> Gap:
    """The gap with the participant's name of its time."""
    participant = Participant(ParticipantId(row.participant), row.name)
    return Gap(TrackId(row.track), participant, row.start, row.end, row.reason)


def pause_of(row: Row[Any]) -> Pause:
    return Pause(row.start, row.end)


def presence_row(meeting: MeetingId, presence: Presence) -> Values:
    return {
        "meeting": meeting,
        "participant": presence.participant,
        "joined": presence.joined,
        "left": presence.left,
    }


def presence_of(row: Row[Any]) -> Presence:
    return Presence(ParticipantId(row.participant), row.joined, row.left)


def run_row(meeting: MeetingId, run: VoiceRun) -> Values:
    return {
        "meeting": meeting,
        "utterance": run.utterance,
        "first": run.first,
        "count": run.count,
        "voice": run.voice,
    }


def run_of(row: Row[Any]) -> VoiceRun:
    words: Any = row._mapping  # ``count`` of a row is its own method
    return VoiceRun(UtteranceId(words["utterance"]), words["first"], words["count"], words["voice"])


def change_of(row: Row[Any]) -> SegmentChange:
    return SegmentChange(row.text, row.voice, row._mapping["count"])


def voice_of(row: Row[Any]) -> KnownVoice:
    return KnownVoice(ParticipantId(row.participant), row.voice, row.name, row.merged_into, centroid_of(row.centroid))


def centroid_kept(centroid: NDArray[np.float32]) -> bytes:
    return centroid.astype("<f4").tobytes()


def centroid_of(kept: bytes | None) -> NDArray[np.float32] | None:
    """One that was damaged is as good as none."""
    if not kept or len(kept) % 4:
        return None
    centroid = np.frombuffer(kept, "<f4").astype(np.float32)
    return centroid if np.isfinite(centroid).all() and centroid.any() else None


def recording_row(job: RecordingJob) -> Values:
    return {
        "id": job.id,
        "title": job.title,
        "created_at": job.created_at,
        "meeting": job.meeting,
        "languages": list(job.languages),
        "state": job.state.value,
        "heard": job.heard,
        "duration": job.duration,
        "error": job.error,
    }


def recording_of(row: Row[Any]) -> RecordingJob:
    return RecordingJob(
        RecordingId(row.id),
        row.title,
        row.created_at,
        MeetingId(row.meeting),
        tuple(row.languages),
        RecordingState(row.state),
        row.heard,
        row.duration,
        row.error,
    )


def speech_row(recording: RecordingId, people: Iterable[ParticipantSpeech]) -> Values:
    return {"recording": recording, "people": [[person.name, person.spans] for person in people]}


def speech_of(row: Row[Any]) -> tuple[ParticipantSpeech, ...]:
    return tuple(ParticipantSpeech(name, tuple((start, end) for start, end in spans)) for name, spans in row.people)


def key_row(key: ApiKey) -> Values:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(scope.value for scope in key.scopes),
        "digest": key.digest,
        "created_at": key.created_at,
        "ending": key.ending,
    }


def key_of(row: Row[Any]) -> ApiKey:
    scopes = frozenset(Scope(scope) for scope in row.scopes)
    return ApiKey(KeyId(row.id), row.name, scopes, row.digest, row.created_at, row.ending)

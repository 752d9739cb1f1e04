"""Statements on recordings and on the keys of applications; each runs inside a transaction of its caller."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from pipeline.access import ApiKey, KeyId
from pipeline.domain import (
    Caption,
    Meeting,
    Participant,
    RecordingId,
    RecordingJob,
    RecordingState,
    RecordText,
    Settled,
    TrackId,
)
from pipeline.errors import InvalidInput, NotFound
from pipeline.record.matching import ParticipantSpeech
from pipeline.store import tables
from pipeline.store.captions import keep_final, keep_record
from pipeline.store.database import insert_new
from pipeline.store.meetings import add_participant, create_meeting, next_track
from pipeline.store.rows import key_of, key_row, recording_of, recording_row, speech_of, speech_row

_OVER = frozenset({RecordingState.DONE, RecordingState.FAILED})


def create_recording(connection: Connection, job: RecordingJob, people: Sequence[ParticipantSpeech]) -> None:
    if not insert_new(connection, tables.recordings, recording_row(job)):
        raise InvalidInput(f"there is a recording {job.id} already: give another id")
    if people:
        connection.execute(tables.recording_speech.insert().values(speech_row(job.id, people)))


def recording(connection: Connection, identity: RecordingId) -> RecordingJob:
    row = connection.execute(select(tables.recordings).where(tables.recordings.c.id == identity)).one_or_none()
    if row is None:
        raise _no_recording(identity)
    return recording_of(row)


def speech_in(connection: Connection, identity: RecordingId) -> tuple[ParticipantSpeech, ...]:
    """Empty where nobody said it, and once the recording is done or failed."""
    table = tables.recording_speech
    row = connection.execute(select(table).where(table.c.recording == identity)).one_or_none()
    return () if row is None else speech_of(row)


def recordings(connection: Connection) -> list[RecordingJob]:
    """Newest first."""
    table = tables.recordings
    wanted = select(table).order_by(table.c.created_at.desc(), table.c.id)
    return [recording_of(row) for row in connection.execute(wanted)]


def update_recording(connection: Connection, job: RecordingJob) -> None:
    """Who spoke when in it goes as the upload does, once it is over."""
    table, speech = tables.recordings, tables.recording_speech
    if not connection.execute(table.update().where(table.c.id == job.id).values(recording_row(job))).rowcount:
        raise _no_recording(job.id)
    if job.state in _OVER:
        connection.execute(speech.delete().where(speech.c.recording == job.id))


def delete_recording(connection: Connection, identity: RecordingId) -> None:
    """With the meeting it became."""
    job = recording(connection, identity)
    connection.execute(tables.recordings.delete().where(tables.recordings.c.id == identity))
    connection.execute(tables.meetings.delete().where(tables.meetings.c.id == job.meeting))


def finish_recording(
    connection: Connection,
    job: RecordingJob,
    meeting: Meeting,
    participants: Sequence[Participant],
    sentences: Sequence[Caption],
) -> None:
    """All of the meeting that a recording became, or nothing where the recording was deleted meanwhile.

    Each sentence names its participant in place of its track. It is kept as caption and as record text: live outputs
    replay the one, files hold the other.
    """
    update_recording(connection, job)
    create_meeting(connection, meeting)
    table = tables.meetings
    connection.execute(table.update().where(table.c.id == meeting.id).values(settled=Settled.NOTHING.value))
    tracks: dict[str, TrackId] = {}
    for participant in participants:
        add_participant(connection, meeting.id, participant, meeting.languages)
        tracks[participant.id] = next_track(connection, meeting.id, participant.id)
    for sentence in sentences:
        track = tracks[sentence.track]
        keep_final(connection, meeting.id, replace(sentence, track=track))
        keep_record(
            connection,
            meeting.id,
            RecordText(track, (sentence.utterance,), sentence.language, sentence.words),
        )


def add_key(connection: Connection, key: ApiKey) -> None:
    if not insert_new(connection, tables.api_keys, key_row(key)):
        raise InvalidInput(f"there is a key {key.id} already: give another id")


def keys(connection: Connection) -> list[ApiKey]:
    """Oldest first."""
    table = tables.api_keys
    return [key_of(row) for row in connection.execute(select(table).order_by(table.c.created_at, table.c.id))]


def remove_key(connection: Connection, identity: KeyId) -> None:
    if not connection.execute(tables.api_keys.delete().where(tables.api_keys.c.id == identity)).rowcount:
        raise NotFound(f"there is no key {identity}")


def _no_recording(identity: RecordingId) -> NotFound:
    return NotFound(f"there is no recording {identity}, or it was deleted")

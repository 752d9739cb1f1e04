"""Statements on the voices at shared microphones; each runs inside a transaction of its caller."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select, union

from pipeline.domain import MeetingId, ParticipantId, SegmentId, UtteranceId, VoiceRun
from pipeline.errors import InvalidInput, NotFound
from pipeline.record.division import (
    Division,
    Piece,
    changed_runs,
    changes_by_utterance,
    divided,
    overlaid,
    place_of,
    settled_voice,
)
from pipeline.record.enrolment import recognised
from pipeline.speakers import FIRST_MADE, NOBODY, KnownVoice, SegmentChange, checked_centroid
from pipeline.store import tables
from pipeline.store.database import put
from pipeline.store.meetings import hold, meeting_named, participants
from pipeline.store.rows import centroid_kept, centroid_of, change_of, folded, run_of, run_row, voice_of

Voices = dict[tuple[ParticipantId, int], KnownVoice]


def keep_runs(connection: Connection, meeting: MeetingId, runs: Sequence[VoiceRun], fence: int | None = None) -> None:
    """In place of what was kept of those words."""
    hold(connection, meeting, fence)
    table = tables.runs
    for utterance in dict.fromkeys(run.utterance for run in runs):
        mine = (table.c.meeting == meeting, table.c.utterance == utterance)
        kept = [run_of(row) for row in connection.execute(select(table).where(*mine))]
        for run in runs:
            kept = overlaid(kept, run) if run.utterance == utterance else kept
        connection.execute(table.delete().where(*mine))
        if kept:
            connection.execute(table.insert(), [run_row(meeting, run) for run in kept])


def keep_voice(
    connection: Connection,
    meeting: MeetingId,
    participant: ParticipantId,
    voice: int,
    centroid: NDArray[np.float32],
    fence: int | None = None,
) -> None:
    kept = centroid_kept(checked_centroid(centroid))
    hold(connection, meeting, fence)
    _put(connection, meeting, participant, voice, centroid=kept)


def kept_runs(connection: Connection, meeting: MeetingId) -> list[VoiceRun]:
    """As they were heard, by utterance and first word."""
    table = tables.runs
    wanted = select(table).where(table.c.meeting == meeting).order_by(table.c.utterance, table.c.first)
    return [run_of(row) for row in connection.execute(wanted)]


def runs(connection: Connection, meeting: MeetingId) -> list[VoiceRun]:
    """With what people moved."""
    meeting_named(connection, meeting)
    kept, table = kept_runs(connection, meeting), tables.finals
    changed = changes(connection, meeting)
    if not changed:
        return kept
    spoken = connection.execute(select(table.c.utterance).where(table.c.meeting == meeting)).scalars()
    return changed_runs(kept, changes_by_utterance(changed, {UtteranceId(utterance) for utterance in spoken}))


def division(connection: Connection, meeting: MeetingId) -> Division:
    return Division(changes(connection, meeting), kept_runs(connection, meeting), voices(connection, meeting))


def changes(connection: Connection, meeting: MeetingId) -> dict[SegmentId, SegmentChange]:
    """What people changed, by segment."""
    table = tables.corrections
    found = connection.execute(select(table).where(table.c.meeting == meeting))
    return {SegmentId(row.segment): change_of(row) for row in found}


def voices(connection: Connection, meeting: MeetingId) -> list[KnownVoice]:
    """Every voice that was heard, kept or made, by participant and number."""
    meeting_named(connection, meeting)
    return sorted(_voices(connection, meeting).values(), key=lambda known: (known.participant, known.voice))


def keep_enrolment(
    connection: Connection, meeting: MeetingId, participant: ParticipantId, embedding: NDArray[np.float32]
) -> None:
    kept = centroid_kept(checked_centroid(embedding))
    hold(connection, meeting)
    put(connection, tables.enrolments, {"meeting": meeting, "participant": participant, "embedding": kept})


def remove_enrolment(connection: Connection, meeting: MeetingId, participant: ParticipantId) -> None:
    hold(connection, meeting)
    table = tables.enrolments
    removed = table.delete().where(table.c.meeting == meeting, table.c.participant == participant)
    if not connection.execute(removed).rowcount:
        raise NotFound(f"participant {participant} has no enrolment in this meeting")


def enrolled(connection: Connection, meeting: MeetingId) -> set[ParticipantId]:
    table = tables.enrolments
    found = connection.execute(select(table.c.participant).where(table.c.meeting == meeting))
    return {ParticipantId(participant) for participant in found.scalars()}


def _voices(connection: Connection, meeting: MeetingId) -> Voices:
    """A voice that people gave no name has that of the participant whose enrolment it is known by."""
    known = _kept_voices(connection, meeting)
    table = tables.enrolments
    kept = connection.execute(select(table).where(table.c.meeting == meeting))
    embeddings = {ParticipantId(row.participant): centroid_of(row.embedding) for row in kept}
    enrolments = {person: embedding for person, embedding in embeddings.items() if embedding is not None}
    if not enrolments:
        return known
    names = {person.id: person.name for person in participants(connection, meeting)}
    found = recognised(known.values(), enrolments)
    return known | {place: replace(known[place], name=names.get(person)) for place, person in found.items()}


def _kept_voices(connection: Connection, meeting: MeetingId) -> Voices:
    table, runs, tracks = tables.voices, tables.runs, tables.tracks
    kept = [voice_of(row) for row in connection.execute(select(table).where(table.c.meeting == meeting))]
    known = {(voice.participant, voice.voice): voice for voice in kept}
    heard = union(
        *(
            select(tracks.c.participant, runs.c.voice)
            .join(said, (said.c.meeting == runs.c.meeting) & (said.c.utterance == runs.c.utterance))
            .join(tracks, (tracks.c.meeting == runs.c.meeting) & (tracks.c.id == said.c.track))
            .where(runs.c.meeting == meeting)
            for said in (tables.finals, tables.unfinished)
        )
    )
    for row in connection.execute(heard):
        participant = ParticipantId(row.participant)
        known.setdefault((participant, row.voice), KnownVoice(participant, row.voice))
    return known


def rename_voice(
    connection: Connection, meeting: MeetingId, participant: ParticipantId, voice: int, name: str | None
) -> None:
    """None takes its name back."""
    hold(connection, meeting)
    _must_know(_voices(connection, meeting), participant, voice)
    _put(connection, meeting, participant, voice, name=name, folded=folded(name or ""))


def merge_voices(
    connection: Connection, meeting: MeetingId, participant: ParticipantId, voice: int, into: int | None
) -> None:
    """What ``voice`` said is said by ``into``; None parts them again. Raises ``InvalidInput`` for a circle."""
    hold(connection, meeting)
    known = _voices(connection, meeting)
    _must_know(known, participant, voice)
    if into is not None:
        _must_know(known, participant, into)
        if settled_voice(known, participant, into) == voice:
            raise InvalidInput(f"voice {into} is voice {voice} already: part them first, or merge the other way round")
    _put(connection, meeting, participant, voice, merged_into=into)


def move_segment_to_voice(connection: Connection, meeting: MeetingId, segment: SegmentId, voice: int | None) -> int:
    """The words of ``segment`` were said by ``voice``, ``NOBODY``, or for None a new one; its number."""
    hold(connection, meeting)
    owner, piece, change = _place(connection, meeting, segment)
    known = _voices(connection, meeting)
    if voice is None:
        numbers = [number for participant, number in known if participant == owner]
        voice = max([FIRST_MADE - 1, *numbers]) + 1
        _put(connection, meeting, owner, voice, name=None)
    elif voice != NOBODY:
        _must_know(known, owner, voice)
    _keep_change(connection, meeting, segment, replace(change, voice=voice, count=piece.end - piece.first))
    return voice


def correct(connection: Connection, meeting: MeetingId, segment: SegmentId, text: str | None) -> None:
    """``text`` in place of what was heard; None takes a correction back."""
    hold(connection, meeting)
    _, piece, change = _place(connection, meeting, segment)
    _keep_change(connection, meeting, segment, replace(change, text=text, count=piece.end - piece.first))


def _place(
    connection: Connection, meeting: MeetingId, segment: SegmentId
) -> tuple[ParticipantId, Piece, SegmentChange]:
    """Whose words ``segment`` holds, which, and what was changed of it. Raises ``NotFound``."""
    table, tracks = tables.finals, tables.tracks
    named = [segment, segment.rpartition("/")[0]]
    wanted = select(table).where(table.c.meeting == meeting, table.c.utterance.in_(named))
    found = {UtteranceId(row.utterance): row for row in connection.execute(wanted)}
    place = place_of(segment, found.keys())
    if place is None:
        raise _no_segment(meeting, segment)
    utterance, first = place
    final = found[utterance]
    kept = select(tables.runs).where(tables.runs.c.meeting == meeting, tables.runs.c.utterance == utterance)
    changed = changes_by_utterance(changes(connection, meeting), {utterance}).get(utterance, {})
    pieces = divided(len(final.words), [run_of(row) for row in connection.execute(kept)], changed)
    piece = next((piece for piece in pieces if piece.first == first), None)
    if piece is None:
        raise _no_segment(meeting, segment)
    track = select(tracks.c.participant).where(tracks.c.meeting == meeting, tracks.c.id == final.track)
    owner = connection.execute(track).scalar_one_or_none()
    return ParticipantId(owner or final.track), piece, changed.get(first, SegmentChange())


def _keep_change(connection: Connection, meeting: MeetingId, segment: SegmentId, change: SegmentChange) -> None:
    table = tables.corrections
    if change.text is None and change.voice is None:
        connection.execute(table.delete().where(table.c.meeting == meeting, table.c.segment == segment))
        return
    values = {"text": change.text, "folded": folded(change.text or ""), "count": change.count, "voice": change.voice}
    put(connection, table, {"meeting": meeting, "segment": segment} | values)


def _put(connection: Connection, meeting: MeetingId, participant: ParticipantId, voice: int, **values: object) -> None:
    """What is not in ``values`` stays as it was."""
    put(connection, tables.voices, {"meeting": meeting, "participant": participant, "voice": voice} | values)


def _must_know(known: Voices, participant: ParticipantId, voice: int) -> None:
    if (participant, voice) not in known:
        raise NotFound(f"participant {participant} has no voice {voice} in this meeting")


def _no_segment(meeting: MeetingId, segment: SegmentId) -> NotFound:
    return NotFound(f"there is no segment {segment} in meeting {meeting}")

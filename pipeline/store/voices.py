"""Statements on the voices at shared microphones; each runs inside a transaction of its caller."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select, union

from pipeline.domain import MeetingId, ParticipantId, SegmentId, UtteranceId, VoiceRun
from pipeline.errors import InvalidInput, NotFound, OutOfDate
from pipeline.record.division import (
    Division,
    Piece,
    changed_runs,
    changes_by_utterance,
    divided,
    merged_voices,
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
    """And what the voices that are known by it sound like."""
    hold(connection, meeting)
    table = tables.enrolments
    found = recognised(_kept_voices(connection, meeting).values(), _enrolments(connection, meeting))
    removed = table.delete().where(table.c.meeting == meeting, table.c.participant == participant)
    if not connection.execute(removed).rowcount:
        raise NotFound(f"participant {participant} has no enrolment in this meeting")
    for (owner, voice), person in found.items():
        if person == participant:
            _put(connection, meeting, owner, voice, centroid=None)


def enrolled(connection: Connection, meeting: MeetingId) -> set[ParticipantId]:
    table = tables.enrolments
    found = connection.execute(select(table.c.participant).where(table.c.meeting == meeting))
    return {ParticipantId(participant) for participant in found.scalars()}


def _voices(connection: Connection, meeting: MeetingId) -> Voices:
    """A voice that people gave no name has that of the participant whose enrolment it is known by."""
    known, enrolments = _kept_voices(connection, meeting), _enrolments(connection, meeting)
    if not enrolments:
        return known
    names = {person.id: person.name for person in participants(connection, meeting)}
    found = recognised(known.values(), enrolments)
    return known | {place: replace(known[place], name=names.get(person)) for place, person in found.items()}


def _enrolments(connection: Connection, meeting: MeetingId) -> dict[ParticipantId, NDArray[np.float32]]:
    table = tables.enrolments
    kept = connection.execute(select(table).where(table.c.meeting == meeting))
    embeddings = {ParticipantId(row.participant): centroid_of(row.embedding) for row in kept}
    return {person: embedding for person, embedding in embeddings.items() if embedding is not None}


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
    named = {(ParticipantId(row.participant), int(row.voice)) for row in connection.execute(heard)}
    for place in named | given(connection, meeting):
        known.setdefault(place, KnownVoice(*place))
    return known


def given(connection: Connection, meeting: MeetingId) -> set[tuple[ParticipantId, int]]:
    """The voices to which people moved segments."""
    table, tracks = tables.finals, tables.tracks
    track = (tracks.c.meeting == table.c.meeting) & (tracks.c.id == table.c.track)
    spoken = select(table.c.utterance, func.coalesce(tracks.c.participant, table.c.track).label("participant"))
    found = connection.execute(spoken.outerjoin_from(table, tracks, track).where(table.c.meeting == meeting))
    owners = {UtteranceId(row.utterance): ParticipantId(row.participant) for row in found}
    changed = changes_by_utterance(changes(connection, meeting), owners.keys())
    return {(owners[said], change.voice) for said, each in changed.items() for change in each.values() if change.voice}


def rename_voice(
    connection: Connection, meeting: MeetingId, participant: ParticipantId, voice: int, name: str | None
) -> None:
    """A name is that of the voice that it turned out to be. None takes it back; ``UNNAMED``: no enrolment gives one."""
    hold(connection, meeting)
    known = _voices(connection, meeting)
    _must_know(known, participant, voice)
    whose = settled_voice(known, participant, voice) if name else voice
    _put(connection, meeting, participant, whose, name=name, folded=folded(name or ""))


def merge_voices(
    connection: Connection, meeting: MeetingId, participant: ParticipantId, voice: int, into: int | None
) -> None:
    """What ``voice`` said is said by ``into``; None parts them again. Raises ``InvalidInput`` for a circle.

    Where ``into`` has no name it gets that of ``voice``, and both have it when they are parted.
    """
    hold(connection, meeting)
    known = _voices(connection, meeting)
    _must_know(known, participant, voice)
    if into is not None:
        _must_know(known, participant, into)
        if voice in merged_voices(known, participant, into):
            raise InvalidInput(f"voice {into} is voice {voice} already: part them first, or merge the other way round")
        settled = (participant, settled_voice(known, participant, into))
        if (name := known[participant, voice].name) and settled in known and not known[settled].name:
            _put(connection, meeting, *settled, name=name, folded=folded(name))
    _put(connection, meeting, participant, voice, merged_into=into)


def move_segment_to_voice(
    connection: Connection, meeting: MeetingId, segment: SegmentId, voice: int | None, count: int | None = None
) -> int:
    """The words of ``segment`` were said by ``voice``, ``NOBODY``, or for None a new one; its number.

    ``count`` is how many caption words it was shown with, None where nobody looked. Raises ``OutOfDate``.
    """
    hold(connection, meeting)
    owner, piece, change = _place(connection, meeting, segment, count)
    known = _voices(connection, meeting)
    if voice is None:
        numbers = [number for participant, number in known if participant == owner]
        voice = max([FIRST_MADE - 1, *numbers]) + 1
        _put(connection, meeting, owner, voice, name=None)
    elif voice != NOBODY:
        _must_know(known, owner, voice)
    _keep_change(connection, meeting, segment, replace(change, voice=voice, count=piece.end - piece.first))
    return voice


def correct(
    connection: Connection, meeting: MeetingId, segment: SegmentId, text: str | None, count: int | None = None
) -> None:
    """``text`` in place of what was heard; None takes a correction back. ``count`` as above. Raises ``OutOfDate``."""
    hold(connection, meeting)
    _, piece, change = _place(connection, meeting, segment, count)
    _keep_change(connection, meeting, segment, replace(change, text=text, count=piece.end - piece.first))


def _place(
    connection: Connection, meeting: MeetingId, segment: SegmentId, count: int | None
) -> tuple[ParticipantId, Piece, SegmentChange]:
    """Whose words ``segment`` holds, which, and what was changed of it.

    Raises ``NotFound``, and ``OutOfDate`` where it does not hold the ``count`` words that were shown.
    """
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
    if count is not None and (piece is None or piece.end - piece.first != count):
        raise OutOfDate(f"segment {segment} does not hold the words that were shown: read the transcript again")
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

"""Statements on settling meetings that are over; each runs inside a transaction of its caller."""

from sqlalchemy import Connection, select

from pipeline.domain import MeetingId, Settled, UtteranceId
from pipeline.errors import OutOfDate
from pipeline.record.division import changes_by_utterance
from pipeline.record.settled import LATEST, Settlement, named_or_merged
from pipeline.speakers import FIRST_MADE
from pipeline.store import tables
from pipeline.store.captions import keep_record
from pipeline.store.meetings import hold
from pipeline.store.rows import record_of, run_row
from pipeline.store.voices import changes, given, keep_voice, voices


def unsettled(connection: Connection, before: float) -> list[MeetingId]:
    """Those that ended in the week before ``before``, wall clock, and were not looked at again; oldest first."""
    table = tables.meetings
    ended = table.c.ended_at.between(before - LATEST, before)
    wanted = select(table.c.id).where(ended, table.c.settled.is_(None)).order_by(table.c.ended_at)
    return [MeetingId(name) for name in connection.execute(wanted).scalars()]


def touched(connection: Connection, meeting: MeetingId) -> frozenset[UtteranceId]:
    """The utterances of which people changed a segment."""
    table = tables.finals
    spoken = connection.execute(select(table.c.utterance).where(table.c.meeting == meeting)).scalars()
    return frozenset(changes_by_utterance(changes(connection, meeting), {UtteranceId(name) for name in spoken}))


def settle(connection: Connection, meeting: MeetingId, settlement: Settlement) -> None:
    """Nothing of what people touched until now, and nothing at all where the meeting is settled.

    Raises ``OutOfDate`` where people named or merged voices since ``settlement`` was begun.
    """
    hold(connection, meeting)
    table, records, runs = tables.meetings, tables.records, tables.runs
    mine = table.update().where(table.c.id == meeting, table.c.settled.is_(None), table.c.ended_at.is_not(None))
    if not connection.execute(mine.values(settled=settlement.how.value)).rowcount:
        return
    if settlement.how in {Settled.NOTHING, Settled.FAILED}:
        return
    if named_or_merged(voices(connection, meeting)) != settlement.seen:
        raise OutOfDate(f"voices of meeting {meeting} were named or merged meanwhile: it is to be looked at again")
    kept = connection.execute(select(records).where(records.c.meeting == meeting).order_by(records.c.id))
    left = settlement.leaving(touched(connection, meeting), [record_of(row) for row in kept])
    for utterance in left.utterances:
        connection.execute(runs.delete().where(runs.c.meeting == meeting, runs.c.utterance == utterance))
    if left.runs:
        connection.execute(runs.insert(), [run_row(meeting, run) for run in left.runs])
    for voice in left.voices:
        if voice.centroid is not None:
            keep_voice(connection, meeting, voice.participant, voice.voice, voice.centroid)
    for record in left.records:
        keep_record(connection, meeting, record)
    _forget_unheard(connection, meeting)


def _forget_unheard(connection: Connection, meeting: MeetingId) -> None:
    """Voices that nobody turned out to be, unless people did something with them."""
    table, runs, tracks, finals = tables.voices, tables.runs, tables.tracks, tables.finals
    said = (
        select(tracks.c.participant, runs.c.voice)
        .join(finals, (finals.c.meeting == runs.c.meeting) & (finals.c.utterance == runs.c.utterance))
        .join(tracks, (tracks.c.meeting == runs.c.meeting) & (tracks.c.id == finals.c.track))
        .where(runs.c.meeting == meeting)
    )
    used = {(row.participant, row.voice) for row in connection.execute(said)}
    used |= given(connection, meeting)
    known = connection.execute(select(table).where(table.c.meeting == meeting)).all()
    used |= {(row.participant, row.merged_into) for row in known}
    used |= {(row.participant, row.voice) for row in known if row.name or row.merged_into or row.voice >= FIRST_MADE}
    for row in known:
        if (row.participant, row.voice) not in used:
            gone = (table.c.participant == row.participant) & (table.c.voice == row.voice)
            connection.execute(table.delete().where(table.c.meeting == meeting, gone))

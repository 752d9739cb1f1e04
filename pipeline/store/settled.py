"""Statements on settling meetings that are over; each runs inside a transaction of its caller."""

from sqlalchemy import Connection, select

from pipeline.domain import MeetingId, Settled, UtteranceId
from pipeline.record.division import changes_by_utterance
from pipeline.record.settled import Settlement
from pipeline.speakers import FIRST_MADE
from pipeline.store import tables
from pipeline.store.captions import keep_record
from pipeline.store.meetings import hold
from pipeline.store.rows import record_of, run_row
from pipeline.store.voices import changes, keep_voice


def unsettled(connection: Connection, before: float) -> list[MeetingId]:
    """Those that ended before ``before``, wall clock, and were not looked at again; oldest first."""
    table = tables.meetings
    wanted = select(table.c.id).where(table.c.ended_at <= before, table.c.settled.is_(None)).order_by(table.c.ended_at)
    return [MeetingId(name) for name in connection.execute(wanted).scalars()]


def touched(connection: Connection, meeting: MeetingId) -> frozenset[UtteranceId]:
    """The utterances of which people changed a segment."""
    table = tables.finals
    spoken = connection.execute(select(table.c.utterance).where(table.c.meeting == meeting)).scalars()
    return frozenset(changes_by_utterance(changes(connection, meeting), {UtteranceId(name) for name in spoken}))


def settle(connection: Connection, meeting: MeetingId, settlement: Settlement) -> None:
    """Nothing of what people touched until now, and nothing at all where the meeting is settled."""
    hold(connection, meeting)
    table, records, runs = tables.meetings, tables.records, tables.runs
    mine = table.update().where(table.c.id == meeting, table.c.settled.is_(None), table.c.ended_at.is_not(None))
    if not connection.execute(mine.values(settled=settlement.how.value)).rowcount:
        return
    if settlement.how in {Settled.NOTHING, Settled.FAILED}:
        return
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
    voices, runs, tracks, finals = tables.voices, tables.runs, tables.tracks, tables.finals
    said = (
        select(tracks.c.participant, runs.c.voice)
        .join(finals, (finals.c.meeting == runs.c.meeting) & (finals.c.utterance == runs.c.utterance))
        .join(tracks, (tracks.c.meeting == runs.c.meeting) & (tracks.c.id == finals.c.track))
        .where(runs.c.meeting == meeting)
    )
    used = {(row.participant, row.voice) for row in connection.execute(said)}
    known = connection.execute(select(voices).where(voices.c.meeting == meeting)).all()
    used |= {(row.participant, row.merged_into) for row in known}
    used |= {(row.participant, row.voice) for row in known if row.name or row.merged_into or row.voice >= FIRST_MADE}
    for row in known:
        if (row.participant, row.voice) not in used:
            gone = (voices.c.participant == row.participant) & (voices.c.voice == row.voice)
            connection.execute(voices.delete().where(voices.c.meeting == meeting, gone))

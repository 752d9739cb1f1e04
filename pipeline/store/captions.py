"""Statements on what was said in meetings; each runs inside a transaction of its caller."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, and_, func, select

from pipeline.domain import Caption, Gap, MeetingId, Pause, Presence, RecordText, Transcript
from pipeline.errors import NotFound
from pipeline.record.assemble import assemble
from pipeline.store import tables
from pipeline.store.database import insert_new, put
from pipeline.store.meetings import hold, meeting_named, tracks
from pipeline.store.rows import (
    caption_of,
    final_row,
    gap_of,
    gap_row,
    open_row,
    pause_of,
    presence_of,
    presence_row,
    record_of,
    record_row,
)
from pipeline.store.voices import division

_LONGEST = 60.0
"""No utterance that a record text can be asked for is longer (pipeline/live/record_windows)."""


def keep_final(connection: Connection, meeting: MeetingId, caption: Caption, fence: int | None = None) -> None:
    """Once per utterance: the key of the table is the judge. Nothing of the utterance is unfinished any more."""
    hold(connection, meeting, fence)
    insert_new(connection, tables.finals, final_row(meeting, caption))
    table = tables.unfinished
    of_utterance = and_(table.c.meeting == meeting, table.c.utterance == caption.utterance)
    connection.execute(table.delete().where(of_utterance))


def keep_open(
    connection: Connection, meeting: MeetingId, captions: Sequence[Caption], fence: int | None = None
) -> None:
    """In place of what was kept of each utterance; not where the final is there already."""
    hold(connection, meeting, fence)
    table = tables.finals
    given = [caption.utterance for caption in captions]
    closed = select(table.c.utterance).where(table.c.meeting == meeting, table.c.utterance.in_(given))
    finished = set(connection.execute(closed).scalars())
    for caption in captions:
        if caption.utterance not in finished:
            put(connection, tables.unfinished, open_row(meeting, caption))


def keep_record(connection: Connection, meeting: MeetingId, record: RecordText, fence: int | None = None) -> None:
    hold(connection, meeting, fence)
    connection.execute(tables.records.insert().values(record_row(meeting, record)))


def keep_gap(connection: Connection, meeting: MeetingId, gap: Gap, fence: int | None = None) -> None:
    """A gap of a track that begins where one does that is kept is the same; the longer counts."""
    hold(connection, meeting, fence)
    table = tables.gaps
    same = and_(table.c.meeting == meeting, table.c.track == gap.track, table.c.start == gap.start)
    known = connection.execute(select(func.max(table.c.end)).where(same)).scalar()
    if known is None:
        connection.execute(table.insert().values(gap_row(meeting, gap)))
    elif known < gap.end:
        connection.execute(table.update().where(same).values(end=gap.end))


def keep_pause(connection: Connection, meeting: MeetingId, pause: Pause, fence: int | None = None) -> None:
    hold(connection, meeting, fence)
    put(connection, tables.pauses, {"meeting": meeting, "start": pause.start, "end": pause.end})


def keep_presences(
    connection: Connection, meeting: MeetingId, presences: Sequence[Presence], fence: int | None = None
) -> None:
    hold(connection, meeting, fence)
    for presence in presences:
        put(connection, tables.presences, presence_row(meeting, presence))


def finals(connection: Connection, meeting: MeetingId) -> list[Caption]:
    """By the start of their first word."""
    table = tables.finals
    wanted = select(table).where(table.c.meeting == meeting).order_by(table.c.start, table.c.utterance)
    return [caption_of(row, final=True) for row in connection.execute(wanted)]


def open_captions(connection: Connection, meeting: MeetingId) -> list[Caption]:
    """What was kept of utterances of the meeting that have no final."""
    table = tables.unfinished
    wanted = select(table).where(table.c.meeting == meeting).order_by(table.c.utterance)
    return [caption_of(row, final=False) for row in connection.execute(wanted)]


def unrecorded(connection: Connection, meeting: MeetingId, since: float) -> list[Caption]:
    """The finals without record text whose words end after ``since``, by the start of their first word."""
    table = tables.finals
    recent = select(table).where(table.c.meeting == meeting, table.c.start > since - _LONGEST)
    joined = connection.execute(select(tables.records.c.utterances).where(tables.records.c.meeting == meeting))
    recorded = {utterance for utterances in joined.scalars() for utterance in utterances}
    late = [
        caption_of(row, final=True)
        for row in connection.execute(recent.order_by(table.c.start, table.c.utterance))
        if row.utterance not in recorded
    ]
    return [final for final in late if final.words and final.words[-1].end > since]


def unfinished(connection: Connection) -> dict[MeetingId, list[Caption]]:
    table = tables.unfinished
    found: dict[MeetingId, list[Caption]] = {}
    for row in connection.execute(select(table).order_by(table.c.meeting, table.c.utterance)):
        found.setdefault(MeetingId(row.meeting), []).append(caption_of(row, final=False))
    return found


def close_unfinished(connection: Connection) -> list[MeetingId]:
    """Unfinished utterances become finals of their committed words, and their meetings say that they were cut.

    Whoever was still there left at the last moment that is known of the meeting.
    """
    lasting = select(tables.presences.c.meeting).where(tables.presences.c.left.is_(None))
    concerned = {MeetingId(name) for name in connection.execute(lasting).scalars()} | unfinished(connection).keys()
    return [meeting for meeting in sorted(concerned) if _closed(connection, meeting)]


def _closed(connection: Connection, meeting: MeetingId) -> bool:
    """Whether something was unfinished: another process may have come first, or the meeting be deleted."""
    try:
        hold(connection, meeting)
    except NotFound:
        return False
    table = tables.unfinished
    rows = connection.execute(select(table).where(table.c.meeting == meeting).order_by(table.c.utterance)).all()
    for row in rows:
        caption = caption_of(row, final=False)
        keep_final(connection, meeting, replace(caption, revision=caption.revision + 1, final=True))
    if rows:
        connection.execute(tables.meetings.update().where(tables.meetings.c.id == meeting).values(cut=True))
    _end_presences(connection, meeting)
    return bool(rows)


def _end_presences(connection: Connection, meeting: MeetingId) -> None:
    there = presences(connection, meeting)
    joined = [presence.joined for presence in there if presence.left is None]
    if not joined:
        return
    known = [*joined, *(final.words[-1].end for final in finals(connection, meeting) if final.words)]
    known += [pause.end or pause.start for pause in pauses(connection, meeting)]
    known += [presence.left for presence in there if presence.left is not None]
    table = tables.presences
    ended = table.update().where(table.c.meeting == meeting, table.c.left.is_(None))
    connection.execute(ended.values(left=max(known)))


def pauses(connection: Connection, meeting: MeetingId) -> list[Pause]:
    table = tables.pauses
    wanted = select(table).where(table.c.meeting == meeting).order_by(table.c.start)
    return [pause_of(row) for row in connection.execute(wanted)]


def presences(connection: Connection, meeting: MeetingId) -> list[Presence]:
    """In the order in which they began."""
    meeting_named(connection, meeting)
    table = tables.presences
    wanted = select(table).where(table.c.meeting == meeting).order_by(table.c.joined, table.c.participant)
    return [presence_of(row) for row in connection.execute(wanted)]


def transcript(connection: Connection, meeting: MeetingId) -> Transcript:
    """Everything kept of the meeting, participants under their latest names."""
    kept = meeting_named(connection, meeting)
    whose = tracks(connection, meeting)
    gaps, records = tables.gaps, tables.records
    found = [
        gap_of(row) for row in connection.execute(select(gaps).where(gaps.c.meeting == meeting).order_by(gaps.c.id))
    ]
    assembled = assemble(
        meeting,
        whose,
        finals(connection, meeting),
        [
            record_of(row)
            for row in connection.execute(select(records).where(records.c.meeting == meeting).order_by(records.c.id))
        ],
        [replace(gap, participant=whose.get(gap.track, gap.participant)) for gap in found],
        division(connection, meeting),
        kept.title,
    )
    return replace(assembled, pauses=tuple(pauses(connection, meeting)), cut=kept.cut)

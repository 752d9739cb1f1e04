"""Statements on rooms of SFUs: the meetings in them, their recordings; each runs inside a transaction of its caller."""

from sqlalchemy import Connection, select

from pipeline.domain import Meeting, MeetingId
from pipeline.store import tables
from pipeline.store.database import put
from pipeline.store.meetings import create_meeting, hold, meeting_named
from pipeline.store.rows import meeting_of


def open_meeting_of_room(connection: Connection, provider: str, room: str) -> Meeting | None:
    """The newest that is not over."""
    meetings, links = tables.meetings, tables.room_meetings
    wanted = (
        select(meetings)
        .join(links, links.c.meeting == meetings.c.id)
        .where(links.c.provider == provider, links.c.room == room, meetings.c.ended_at.is_(None))
        .order_by(meetings.c.created_at.desc(), meetings.c.id)
        .limit(1)
    )
    row = connection.execute(wanted).one_or_none()
    return None if row is None else meeting_of(row)


def create_room_meeting(connection: Connection, provider: str, room: str, meeting: Meeting) -> None:
    create_meeting(connection, meeting)
    values = {"meeting": meeting.id, "provider": provider, "room": room}
    connection.execute(tables.room_meetings.insert().values(values))


def rooms_of(connection: Connection, meeting: MeetingId) -> tuple[str, str] | None:
    """Provider and room."""
    table = tables.room_meetings
    row = connection.execute(select(table).where(table.c.meeting == meeting)).one_or_none()
    if row is None:
        meeting_named(connection, meeting)
        return None
    return row.provider, row.room


def link_recording(
    connection: Connection, recording: str, provider: str, room: str, meeting: MeetingId | None, at: float
) -> None:
    """In place of an earlier link of the recording."""
    if meeting is not None:
        hold(connection, meeting)
    values = {"recording": recording, "meeting": meeting, "provider": provider, "room": room, "linked_at": at}
    put(connection, tables.linked_recordings, values)


def linked_recording(connection: Connection, recording: str) -> tuple[str, MeetingId | None] | None:
    """Room and meeting."""
    table = tables.linked_recordings
    row = connection.execute(select(table).where(table.c.recording == recording)).one_or_none()
    return None if row is None else (row.room, None if row.meeting is None else MeetingId(row.meeting))

"""Statements on meetings and the people in them; each runs inside a transaction of its caller."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, literal, or_, select

from pipeline.domain import Meeting, MeetingId, Participant, ParticipantId, TrackId
from pipeline.errors import InvalidInput, NotFound, Superseded
from pipeline.store import tables
from pipeline.store.database import insert_new
from pipeline.store.rows import folded, meeting_of, meeting_row, participant_of

MOST_NAMES = 50
"""Names of one participant that are kept: at every change its row is written anew, with all of them."""
MOST_SEARCHED = 10
"""Words of a search; further ones are not looked at."""


def create_meeting(connection: Connection, meeting: Meeting) -> None:
    if not insert_new(connection, tables.meetings, meeting_row(meeting)):
        raise InvalidInput(f"there is a meeting {meeting.id} already: give another id")


def meeting_named(connection: Connection, meeting: MeetingId) -> Meeting:
    row = connection.execute(select(tables.meetings).where(tables.meetings.c.id == meeting)).one_or_none()
    if row is None:
        raise no_meeting(meeting)
    return meeting_of(row)


def hold(connection: Connection, meeting: MeetingId, fence: int | None = None) -> None:
    """Nobody else writes to the meeting until this transaction ends, whatever the process. Raises ``NotFound``.

    ``fence`` is the claim under which the caller writes, where it has one; raises ``Superseded`` when it is not the
    newest. Whoever claims the meeting waits for this transaction, or this one for the claim: it cannot come between.
    """
    table = tables.meetings
    newest = connection.execute(select(table.c.fence).where(table.c.id == meeting).with_for_update(key_share=True))
    held = newest.scalar_one_or_none()
    if held is None:
        raise no_meeting(meeting)
    if fence is not None and fence != held:
        raise Superseded(f"meeting {meeting} was claimed by another worker")


def claim(connection: Connection, meeting: MeetingId) -> int:
    """The number of a new claim: from now on whatever is written under an older one is refused."""
    hold(connection, meeting)
    table = tables.meetings
    connection.execute(table.update().where(table.c.id == meeting).values(fence=table.c.fence + 1))
    return int(connection.execute(select(table.c.fence).where(table.c.id == meeting)).scalar_one())


def keep_end(connection: Connection, meeting: MeetingId, ended_at: float, fence: int | None = None) -> None:
    hold(connection, meeting, fence)
    connection.execute(tables.meetings.update().where(tables.meetings.c.id == meeting).values(ended_at=ended_at))


def keep_cut(connection: Connection, meeting: MeetingId, fence: int | None = None) -> None:
    hold(connection, meeting, fence)
    connection.execute(tables.meetings.update().where(tables.meetings.c.id == meeting).values(cut=True))


def no_meeting(meeting: MeetingId) -> NotFound:
    return NotFound(f"there is no meeting {meeting}, or it was deleted")


def meetings(connection: Connection, query: str, before: float | None, limit: int) -> list[Meeting]:
    table = tables.meetings
    wanted = select(table).order_by(table.c.created_at.desc(), table.c.id).limit(limit)
    if before is not None:
        wanted = wanted.where(table.c.created_at < before)
    for word in folded(query).split()[:MOST_SEARCHED]:
        wanted = wanted.where(_mentions(word))
    return [meeting_of(row) for row in connection.execute(wanted)]


def open_meetings(connection: Connection) -> list[Meeting]:
    """Oldest first."""
    table = tables.meetings
    wanted = select(table).where(table.c.ended_at.is_(None)).order_by(table.c.created_at)
    return [meeting_of(row) for row in connection.execute(wanted)]


def _mentions(word: str) -> ColumnElement[bool]:
    """Whether the title, a name somebody had or a text ever kept of the meeting contains ``word``."""
    spoken = (tables.participants, tables.finals, tables.records, tables.corrections, tables.voices)
    title = tables.meetings.c.folded.contains(word, autoescape=True)
    return or_(title, *(_in_table(table, word) for table in spoken))


def _in_table(table: Table, word: str) -> ColumnElement[bool]:
    of_meeting = table.c.meeting == tables.meetings.c.id
    return exists().where(and_(of_meeting, table.c.folded.contains(word, autoescape=True)))


def update_meeting(connection: Connection, meeting: Meeting) -> None:
    """A meeting that is over stays over, and one that was cut stays so: whoever asks may have read it before."""
    table = tables.meetings
    ended_at, cut = func.coalesce(table.c.ended_at, meeting.ended_at), or_(table.c.cut, literal(meeting.cut))
    values = meeting_row(meeting) | {"ended_at": ended_at, "cut": cut}
    changed = table.update().where(table.c.id == meeting.id).values(values)
    if not connection.execute(changed).rowcount:
        raise no_meeting(meeting.id)


def delete_meeting(connection: Connection, meeting: MeetingId) -> None:
    """With everything of it, the recording it was made from included."""
    if not connection.execute(tables.meetings.delete().where(tables.meetings.c.id == meeting)).rowcount:
        raise no_meeting(meeting)
    connection.execute(tables.recordings.delete().where(tables.recordings.c.meeting == meeting))


def reserve_sequence(connection: Connection, meeting: MeetingId, count: int, fence: int | None = None) -> int:
    """The first of ``count`` numbers that nobody else gets; 1 at first."""
    table = tables.meetings
    hold(connection, meeting, fence)
    first = connection.execute(select(table.c.sequence).where(table.c.id == meeting)).scalar_one()
    connection.execute(table.update().where(table.c.id == meeting).values(sequence=first + count))
    return int(first)


def add_participant(
    connection: Connection, meeting: MeetingId, participant: Participant, languages: Iterable[str]
) -> None:
    """Again with an id that is there: the new name and languages count, the old name is remembered.

    Who was marked as a shared room, or as none, stays so.
    """
    hold(connection, meeting)
    known = _participant_row(connection, meeting, participant.id)
    values = {"languages": list(languages)} | _names([*known.names] if known else [], participant.name)
    marked = known.shared_room if known else None
    values["shared_room"] = participant.shared_room if marked is None else marked
    table = tables.participants
    if known:
        connection.execute(table.update().where(_is(table, meeting, participant.id)).values(values))
    else:
        place = _next_place(connection, table, meeting)
        connection.execute(table.insert().values(values | {"meeting": meeting, "id": participant.id, "place": place}))


def rename_participant(connection: Connection, meeting: MeetingId, participant: ParticipantId, name: str) -> None:
    hold(connection, meeting)
    known = _known(connection, meeting, participant)
    table = tables.participants
    connection.execute(table.update().where(_is(table, meeting, participant)).values(_names([*known.names], name)))


def mark_shared_room(
    connection: Connection, meeting: MeetingId, participant: ParticipantId, shared: bool | None
) -> None:
    hold(connection, meeting)
    _known(connection, meeting, participant)
    table = tables.participants
    connection.execute(table.update().where(_is(table, meeting, participant)).values(shared_room=shared))


def participants(connection: Connection, meeting: MeetingId) -> list[Participant]:
    """In the order in which they came, under their latest name."""
    table = tables.participants
    wanted = select(table).where(table.c.meeting == meeting).order_by(table.c.place)
    return [participant_of(row) for row in connection.execute(wanted)]


def spoken_by(connection: Connection, meeting: MeetingId) -> dict[ParticipantId, tuple[str, ...]]:
    """The languages each participant declared."""
    table = tables.participants
    wanted = select(table.c.id, table.c.languages).where(table.c.meeting == meeting).order_by(table.c.place)
    return {ParticipantId(row.id): tuple(row.languages) for row in connection.execute(wanted)}


def next_track(connection: Connection, meeting: MeetingId, participant: ParticipantId) -> TrackId:
    hold(connection, meeting)
    _known(connection, meeting, participant)
    table = tables.tracks
    own = and_(table.c.meeting == meeting, table.c.participant == participant)
    number = connection.execute(select(func.count()).select_from(table).where(own)).scalar_one() + 1
    track = TrackId(f"{participant}.{number}")
    place = _next_place(connection, table, meeting)
    values = {"meeting": meeting, "id": track, "participant": participant, "place": place}
    connection.execute(table.insert().values(values))
    return track


def tracks(connection: Connection, meeting: MeetingId) -> dict[TrackId, Participant]:
    """Whose track each is, in the order in which they were opened."""
    people = {participant.id: participant for participant in participants(connection, meeting)}
    table = tables.tracks
    wanted = select(table).where(table.c.meeting == meeting).order_by(table.c.place)
    return {TrackId(row.id): people[ParticipantId(row.participant)] for row in connection.execute(wanted)}


def _known(connection: Connection, meeting: MeetingId, participant: ParticipantId) -> Any:
    row = _participant_row(connection, meeting, participant)
    if row is None:
        raise NotFound(f"there is no participant {participant} in meeting {meeting}")
    return row


def _participant_row(connection: Connection, meeting: MeetingId, participant: ParticipantId) -> Any:
    table = tables.participants
    return connection.execute(select(table).where(_is(table, meeting, participant))).one_or_none()


def _is(table: Table, meeting: MeetingId, identity: str) -> ColumnElement[bool]:
    return and_(table.c.meeting == meeting, table.c.id == identity)


def _names(names: list[str], name: str) -> dict[str, Any]:
    """The first name and the newest ones: whoever changes names all day finds a meeting by a few of them."""
    if not names or names[-1] != name:
        names = [*names[:1], *names[1:][-(MOST_NAMES - 2) :], name]
    return {"names": names, "folded": folded("\n".join(dict.fromkeys(names)))}


def _next_place(connection: Connection, table: Table, meeting: MeetingId) -> int:
    wanted = select(func.coalesce(func.max(table.c.place), 0)).where(table.c.meeting == meeting)
    return int(connection.execute(wanted).scalar_one()) + 1

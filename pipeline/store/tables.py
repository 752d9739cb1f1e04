"""The tables of the SQL store, as they are after the newest migration.

Times are float seconds of meeting time; ``_at`` is wall clock in seconds since 1970. ``folded`` columns hold text
without case and accents (``rows.folded``), for search. Whatever belongs to a meeting goes with it.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    TypeDecorator,
)
from sqlalchemy import Text as SqlText

metadata = MetaData()


class Text(TypeDecorator[str]):
    """Text with any character: PostgreSQL, which keeps no NUL, is given ␀ in its place."""

    impl = SqlText
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or dialect.name == "sqlite":
            return value
        return value.replace("\x00", "\u2400")


_NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""Of a row, given by the database. SQLite numbers only what it calls an integer, which has 64 bits there, too."""


def _of_meeting(primary_key: bool = True) -> Column[str]:
    return Column("meeting", Text, ForeignKey("meetings.id", ondelete="CASCADE"), primary_key=primary_key)


meetings = Table(
    "meetings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("languages", JSON, nullable=False),
    Column("glossary", JSON, nullable=False),
    Column("keep_audio", Boolean, nullable=False),
    Column("ended_at", Double),
    Column("cut", Boolean, nullable=False),
    Column("sequence", Integer, nullable=False, server_default="1"),
    Column("folded", Text, nullable=False),
    Column("fence", BigInteger, nullable=False, server_default="0"),
    Column("settled", Text),
    Index("meetings_by_creation", "created_at"),
)
# Found by whoever settles meetings after their end.
Index(
    "meetings_unsettled",
    meetings.c.ended_at,
    postgresql_where=meetings.c.settled.is_(None),
    sqlite_where=meetings.c.settled.is_(None),
)

participants = Table(
    "participants",
    metadata,
    _of_meeting(),
    Column("id", Text, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("names", JSON, nullable=False),
    Column("languages", JSON, nullable=False),
    Column("folded", Text, nullable=False),
    Column("shared_room", Boolean),  # null: nobody said
)

tracks = Table(
    "tracks",
    metadata,
    Column("meeting", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("participant", Text, nullable=False),
    Column("place", Integer, nullable=False),
    ForeignKeyConstraint(["meeting", "participant"], ["participants.meeting", "participants.id"], ondelete="CASCADE"),
)

finals = Table(
    "finals",
    metadata,
    _of_meeting(),
    Column("utterance", Text, primary_key=True),
    Column("track", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("language", Text, nullable=False),
    Column("start", Double, nullable=False),
    Column("folded", Text, nullable=False),
    Column("words", JSON, nullable=False),
    Column("levels", JSON),
)

unfinished = Table(
    "unfinished",
    metadata,
    _of_meeting(),
    Column("utterance", Text, primary_key=True),
    Column("track", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("language", Text, nullable=False),
    Column("words", JSON, nullable=False),
)

records = Table(
    "records",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    _of_meeting(primary_key=False),
    Column("track", Text, nullable=False),
    Column("utterances", JSON, nullable=False),
    Column("language", Text, nullable=False),
    Column("folded", Text, nullable=False),
    Column("words", JSON, nullable=False),
    Index("records_by_meeting", "meeting"),
)

gaps = Table(
    "gaps",
    metadata,
    Column("id", _NUMBER, primary_key=True),
    _of_meeting(primary_key=False),
    Column("track", Text, nullable=False),
    Column("participant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("start", Double, nullable=False),
    Column("end", Double, nullable=False),
    Column("reason", Text, nullable=False),
    Index("gaps_by_meeting", "meeting"),
)

pauses = Table(
    "pauses",
    metadata,
    _of_meeting(),
    Column("start", Double, primary_key=True),
    Column("end", Double),
)

presences = Table(
    "presences",
    metadata,
    _of_meeting(),
    Column("participant", Text, primary_key=True),
    Column("joined", Double, primary_key=True),
    Column("left", Double),
)

room_meetings = Table(
    "room_meetings",
    metadata,
    _of_meeting(),
    Column("provider", Text, nullable=False),
    Column("room", Text, nullable=False),
    Index("room_meetings_by_room", "provider", "room"),
)

linked_recordings = Table(
    "linked_recordings",
    metadata,
    Column("recording", Text, primary_key=True),
    _of_meeting(primary_key=False),
    Column("provider", Text, nullable=False),
    Column("room", Text, nullable=False),
    Column("linked_at", Double, nullable=False),
    Index("linked_recordings_by_meeting", "meeting"),
)

corrections = Table(
    "corrections",
    metadata,
    _of_meeting(),
    Column("segment", Text, primary_key=True),  # no foreign key: a final may be divided into several segments
    Column("text", Text),
    Column("folded", Text, nullable=False),
    Column("count", Integer),
    Column("voice", Integer),
)

runs = Table(
    "runs",
    metadata,
    _of_meeting(),
    Column("utterance", Text, primary_key=True),  # no foreign key: its final may come later
    Column("first", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("voice", Integer, nullable=False),
)

voices = Table(
    "voices",
    metadata,
    _of_meeting(),
    Column("participant", Text, primary_key=True),
    Column("voice", Integer, primary_key=True),
    Column("name", Text),
    Column("folded", Text, nullable=False, server_default=""),
    Column("merged_into", Integer),
    Column("centroid", LargeBinary),
)

enrolments = Table(
    "enrolments",
    metadata,
    _of_meeting(),
    Column("participant", Text, primary_key=True),
    Column("embedding", LargeBinary, nullable=False),
)

recordings = Table(
    "recordings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("meeting", Text, nullable=False),  # no foreign key: the meeting may be made after the job
    Column("languages", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("heard", Double, nullable=False),
    Column("duration", Double),
    Column("error", Text),
)

recording_speech = Table(
    "recording_speech",
    metadata,
    Column("recording", Text, ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True),
    Column("people", JSON, nullable=False),  # until the recording is transcribed, or cannot be
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("ending", Text, nullable=False),
)

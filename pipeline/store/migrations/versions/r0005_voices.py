"""Voices at shared microphones; corrections of segments that are parts of utterances; how loud words were.

Meetings that are over are not looked at again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":  # before all else, as whoever still writes holds a meeting first
        op.execute("LOCK TABLE meetings IN ACCESS EXCLUSIVE MODE")
    op.add_column("participants", sa.Column("shared_room", sa.Boolean(), nullable=True))
    op.add_column("finals", sa.Column("levels", sa.JSON(), nullable=True))
    op.add_column("meetings", sa.Column("settled", sa.Text(), nullable=True))
    op.execute("UPDATE meetings SET settled = 'nothing' WHERE ended_at IS NOT NULL")
    unsettled = sa.text("settled IS NULL")
    op.create_index("meetings_unsettled", "meetings", ["ended_at"], sqlite_where=unsettled, postgresql_where=unsettled)
    op.create_table(
        "runs",
        sa.Column("meeting", sa.Text(), nullable=False),
        sa.Column("utterance", sa.Text(), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("voice", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["meeting"], ["meetings.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("meeting", "utterance", "first"),
    )
    op.create_table(
        "voices",
        sa.Column("meeting", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("voice", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("folded", sa.Text(), nullable=False, server_default=""),
        sa.Column("merged_into", sa.Integer(), nullable=True),
        sa.Column("centroid", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["meeting"], ["meetings.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("meeting", "participant", "voice"),
    )
    op.create_table(
        "enrolments",
        sa.Column("meeting", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["meeting"], ["meetings.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("meeting", "participant"),
    )
    _corrections()


def _corrections() -> None:
    """Made anew: SQLite can neither drop a foreign key nor let a column be empty."""
    op.create_table(
        "new_corrections",
        sa.Column("meeting", sa.Text(), nullable=False),
        sa.Column("segment", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("voice", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["meeting"], ["meetings.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("meeting", "segment"),
    )
    columns = "meeting, segment, text, folded"
    op.execute(f"INSERT INTO new_corrections ({columns}) SELECT {columns} FROM corrections")  # noqa: S608 - no values
    op.drop_table("corrections")
    op.rename_table("new_corrections", "corrections")

"""Who was there when, which room of an SFU a meeting took place in, and which recordings are of it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "presences",
        sa.Column("meeting", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("joined", sa.Double(), nullable=False),
        sa.Column("left", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["meeting"], ["meetings.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("meeting", "participant", "joined"),
    )
    op.create_table(
        "room_meetings",
        sa.Column("meeting", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("room", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["meeting"], ["meetings.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("meeting"),
    )
    op.create_index("room_meetings_by_room", "room_meetings", ["provider", "room"], unique=False)
    op.create_table(
        "linked_recordings",
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("meeting", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("room", sa.Text(), nullable=False),
        sa.Column("linked_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["meeting"], ["meetings.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("recording"),
    )
    op.create_index("linked_recordings_by_meeting", "linked_recordings", ["meeting"], unique=False)

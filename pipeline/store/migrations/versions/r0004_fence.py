"""How often a meeting was claimed: whoever captions it writes under the number of its own claim."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("meetings", sa.Column("fence", sa.BigInteger(), nullable=False, server_default="0"))

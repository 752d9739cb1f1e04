"""Records and gaps are numbered beyond two thousand million, which many meetings together reach in PostgreSQL."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        return  # its integers have 64 bits
    for table in ("records", "gaps"):
        op.alter_column(table, "id", type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=False)
        op.execute(f"ALTER SEQUENCE {table}_id_seq AS bigint")

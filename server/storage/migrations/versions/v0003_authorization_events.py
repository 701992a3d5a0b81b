"""Events of prior authorizations, from which the public measures and the clocks are computed.

Follows 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: a database goes back by restoring a backup."""
    op.create_table(
        "authorization_event",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("event_type", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("authorization", sa.String(), nullable=False),
        sa.Column("authorization_number", sa.String(), nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.Column("coverage_id", sa.String(), nullable=False),
        sa.Column("unit", sa.BigInteger(), nullable=True),
        sa.Column("priority", sa.String(), nullable=False),
        sa.Column("drug", sa.Boolean(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("reason_system", sa.String(), nullable=False),
        sa.Column("reason_code", sa.String(), nullable=False),
        sa.Column("reason_text", sa.Text(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("corrects", sa.String(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("authorization_event_by_time", "authorization_event", ["at"], unique=False)
    op.create_index(
        "authorization_event_by_authorization", "authorization_event", ["authorization", "at"], unique=False
    )

"""The ledger in monthly partitions on PostgreSQL, its anchors and daily roll-ups, stored reports, and roles of accounts.

Follows 0004.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = (
    "writer, sequence, at, kind, request_id, environment, client_id, client_kind, grant_id, patient, actor, interaction,"
    " resource_type, status, resources, detail, hash"
)


def upgrade() -> None:
    """Forward only: a database goes back by restoring a backup."""
    _rebuild_ledger()
    op.create_table(
        "ledger_period",
        sa.Column("starts", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("writers", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("anchored_at", sa.BigInteger(), nullable=False),
        sa.Column("dropped_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("starts"),
    )
    op.create_table(
        "ledger_anchor",
        sa.Column("starts", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("starts", "writer"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_day",
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("client_kind", sa.String(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("resources", sa.Integer(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_day_built",
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("starts", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("answers", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("built_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_table(
        "stored_report",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("definition_version", sa.String(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.Column("generated_at", sa.BigInteger(), nullable=False),
        sa.Column("generated_by", sa.String(), nullable=False),
        sa.Column("ledger_starts", sa.BigInteger(), nullable=False),
        sa.Column("ledger_ends", sa.BigInteger(), nullable=False),
        sa.Column("ledger_rows", sa.BigInteger(), nullable=False),
        sa.Column("ledger_digest", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("stored_report_by_period", "stored_report", ["kind", "year", "month", "generated_at"], unique=False)
    op.create_table(
        "published_report",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("report", sa.String(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "account_role",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "role"),
    )


def _rebuild_ledger() -> None:
    """The same rows behind the key (writer, sequence, at): partitioned by month on PostgreSQL, one table on SQLite."""
    connection = op.get_bind()
    on_postgresql = connection.dialect.name == "postgresql"
    op.drop_index("ledger_by_time", "ledger")
    op.drop_index("ledger_by_patient", "ledger")
    op.rename_table("ledger", "ledger_whole")
    if on_postgresql:
        op.execute("ALTER TABLE ledger_whole DROP CONSTRAINT ledger_pkey")
    op.create_table(
        "ledger",
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("client_kind", sa.String(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("interaction", sa.String(), nullable=False),
        sa.Column("resource_type", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("resources", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("writer", "sequence", "at"),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (at)",
    )
    if on_postgresql:
        op.execute("CREATE TABLE ledger_rest PARTITION OF ledger DEFAULT")
        for name, low, high in _months(connection):
            op.execute(f"CREATE TABLE {name} PARTITION OF ledger FOR VALUES FROM ({low}) TO ({high})")
    op.execute(f"INSERT INTO ledger ({COLUMNS}) SELECT {COLUMNS} FROM ledger_whole")  # noqa: S608 - a constant
    op.drop_table("ledger_whole")
    op.create_index("ledger_by_time", "ledger", ["at"], unique=False)
    op.create_index("ledger_by_patient", "ledger", ["patient", "at"], unique=False)


def _months(connection: sa.Connection) -> list[tuple[str, int, int]]:
    """The UTC months from the first row to the last: (name of the partition, first microsecond, first of the next month)."""
    first, last = connection.execute(sa.text("SELECT min(at), max(at) FROM ledger_whole")).one()
    months: list[tuple[str, int, int]] = []
    if first is None:
        return months
    start = datetime.fromtimestamp(first // 1_000_000, UTC).replace(day=1, hour=0, minute=0, second=0)
    while (low := int(start.timestamp()) * 1_000_000) <= last:
        following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        months.append((f"ledger_{start:%Y_%m}", low, int(following.timestamp()) * 1_000_000))
        start = following
    return months

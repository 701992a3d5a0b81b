"""Exports of a member's data; and the index of what names a resource, with a condition that SQLite need not compare with values.

Follows 0003. SQLite prepares a statement anew whenever a value is bound that it compared with a partial index's constant
(https://www.sqlite.org/c3ref/prepare.html): a read took three times as long as it does now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward only: a database goes back by restoring a backup."""
    op.drop_index("reference_that_names", "reference_index")
    named = sa.text("substr(parameter, 1, 1) = '_'")
    op.create_index(
        "reference_that_names",
        "reference_index",
        ["target_type", "target_id"],
        unique=False,
        sqlite_where=named,
        postgresql_where=named,
    )
    op.create_table(
        "export_job",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("patient", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("views", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("watermark", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("running_for", sa.String(), nullable=True),
        sa.Column("progress", sa.Text(), nullable=False),
        sa.Column("resources", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("running_for"),
    )
    op.create_index("export_job_by_member", "export_job", ["patient", "client_id"], unique=False)
    op.create_index("export_job_by_end", "export_job", ["expires_at"], unique=False)
    op.create_index("export_job_by_lease", "export_job", ["status", "lease_until"], unique=False)
    op.create_table(
        "export_file",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("own", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("compressed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", "name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "export_chunk",
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("job", "file", "number"),
    )
    op.create_table(
        "export_reference",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job", "type", "id"),
        sqlite_with_rowid=False,
    )

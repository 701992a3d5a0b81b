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

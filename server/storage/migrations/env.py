"""What Alembic runs to migrate: always on the connection that ``server.storage.migrate`` hands over, in its transaction.

https://alembic.sqlalchemy.org/en/latest/cookbook.html#sharing-a-connection-across-one-or-more-programmatic-migration-commands
"""

from typing import Literal

from alembic import context
from sqlmodel.sql.sqltypes import AutoString

from server.storage.schema import METADATA


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """SQLModel's own string type is a plain String in a revision; everything else as Alembic writes it."""
    return "sa.String()" if kind == "type" and isinstance(item, AutoString) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    compare_type=True,
    render_item=render_item,
)
context.run_migrations()

"""The column types that both pages of tables share.

https://docs.sqlalchemy.org/en/21/core/type_basics.html
"""

from sqlalchemy import BigInteger, Column, Integer, Text

KEY = BigInteger().with_variant(Integer, "sqlite")
BYTEWISE = Text().with_variant(Text(collation="C"), "postgresql")
"""Text compared byte by byte on both databases, so that starts-with is a range."""
CLUSTERED = {"sqlite_with_rowid": False}


def key_column() -> Column[int]:
    """A primary key that the database numbers."""
    return Column(KEY, primary_key=True, autoincrement=True)


def time_column(nullable: bool = False) -> Column[int]:
    """Whole microseconds since 1970 UTC."""
    return Column(BigInteger, nullable=nullable)

"""What a store weighs: bytes of each table and index, of a claim as it is stored, and of its index rows.

https://www.sqlite.org/dbstat.html and https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-DBSIZE
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.stores import CLAIM, Store

INDEX_TABLES = ("token_index", "reference_index", "date_index", "string_index")
SAMPLE = 400
"""Claims whose index rows are counted."""

_SQLITE = """
SELECT schema.tbl_name, schema.name, schema.name = schema.tbl_name, sum(dbstat.pageno) * page_size
FROM pragma_page_size, dbstat JOIN sqlite_schema AS schema ON schema.name = dbstat.name WHERE dbstat.aggregate = TRUE GROUP BY 1, 2, 3
"""
"""``pageno`` of an aggregate is its count of pages; its ``pgsize`` is wrong beyond 4 GB, because SQLite adds it up in 32 bits."""
_POSTGRESQL = """
SELECT CASE WHEN t.relispartition THEN 'ledger' ELSE t.relname END, CASE WHEN t.relispartition THEN 'ledger' ELSE t.relname END,
       TRUE, sum(pg_table_size(t.oid)) FROM pg_class t
WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace GROUP BY 1
UNION ALL
SELECT CASE WHEN t.relispartition THEN 'ledger' ELSE t.relname END,
       CASE WHEN t.relispartition THEN 'ledger (indexes)' ELSE i.relname END, FALSE, sum(pg_relation_size(i.oid))
FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A table or index and its bytes; ``rows`` of a table of resources or their index, otherwise 0."""

    table: str
    name: str
    is_table: bool
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Weights:
    """``json``: mean bytes of a claim as it is served; ``stored``: as the database holds it, compressed or not.

    ``table``: its share of the table of resources, pages half full included; ``indexed``: its share of that table's indexes and its own
    rows in the search indexes. ``index_rows``: how many those are.
    """

    claims: int
    resources: int
    json: float
    stored: float
    table: float
    indexed: float
    index_rows: float
    parts: Sequence[Part]

    @property
    def database(self) -> int:
        """Bytes of everything."""
        return sum(part.bytes for part in self.parts)

    def bytes_of(self, table: str) -> int:
        """Of a table with its indexes."""
        return sum(part.bytes for part in self.parts if part.table == table)


def weigh(store: Store) -> Weights:
    """Weigh a store; it reads every page of a SQLite database once."""
    ((resources,),) = store.rows("SELECT count(*) FROM resource")
    counted = {"resource": resources}
    for table in INDEX_TABLES:
        ((counted[table],),) = store.rows(f"SELECT count(*) FROM {table}")
    parts = [
        Part(table, name, bool(is_table), int(size), counted.get(table, 0) if is_table else 0)
        for table, name, is_table, size in store.rows(_SQLITE if store.is_sqlite else _POSTGRESQL)
    ]
    held = "length(body)" if store.is_sqlite else "pg_column_size(body)"
    ((claims, json, stored),) = store.rows(
        f"SELECT count(*), avg(length(body)), avg({held}) FROM resource WHERE type = ?", CLAIM
    )
    ((every_body,),) = store.rows(f"SELECT sum({held}) FROM resource")
    of_table: dict[bool, int] = defaultdict(int)
    for part in parts:
        if part.table == "resource":
            of_table[part.is_table] += part.bytes
    per_claim = _index_rows(store)
    indexed = of_table[False] / resources
    for table, rows in per_claim.items():
        whole = sum(part.bytes for part in parts if part.table == table)
        indexed += rows * whole / max(1, counted[table])
    table_bytes = of_table[True] * float(stored) / float(every_body)
    return Weights(
        claims, resources, float(json), float(stored), table_bytes, indexed, sum(per_claim.values()), tuple(parts)
    )


def ledger_growth(store: Store) -> tuple[int, int]:
    """Rows of the ledger, and its bytes with its indexes."""
    if store.is_sqlite:
        names = [name for (name,) in store.rows("SELECT name FROM sqlite_schema WHERE tbl_name = 'ledger'")]
        marks = ", ".join("?" * len(names))
        sql = (
            f"SELECT sum(pageno) * page_size FROM pragma_page_size, dbstat WHERE aggregate = TRUE AND name IN ({marks})"
        )
        size = store.rows(sql, *names)[0][0]
    else:
        size = sum(part[3] for part in store.rows(_POSTGRESQL) if part[0] == "ledger")
    return int(store.rows("SELECT count(*) FROM ledger")[0][0]), int(size or 0)


def _index_rows(store: Store) -> dict[str, float]:
    """Rows of a claim in each search index, the mean of some."""
    step = max(1, store.rows("SELECT count(*) FROM resource WHERE type = ?", CLAIM)[0][0] // SAMPLE)
    keys = [key for (key,) in store.rows("SELECT key FROM resource WHERE type = ? ORDER BY key", CLAIM)][::step]
    marks = ", ".join("?" * len(keys))
    return {
        table: store.rows(f"SELECT count(*) FROM {table} WHERE resource IN ({marks})", *keys)[0][0] / len(keys)
        for table in INDEX_TABLES
    }

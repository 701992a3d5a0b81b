"""A page of everything costs the same wherever it stands: it goes by the index of the member's resources, and nothing is sorted.

https://www.sqlite.org/eqp.html and https://www.postgresql.org/docs/current/using-explain.html
"""

from typing import Any

from sqlalchemy import insert, text

from server.specification.registry import RESOURCES
from server.storage.compartment_content import _page
from server.storage.database import Database
from server.storage.schema import METADATA

RESOURCE = METADATA.tables["resource"]
TYPES = sorted(RESOURCES)


def row(type: str, number: int) -> dict[str, Any]:
    return {
        "patient": "anna",
        "type": type,
        "id": f"{number}",
        "version": "1",
        "last_updated": 1,
        "loaded_at": 1,
        "deleted": False,
        "hash": b"",
        "body": b"{}",
    }


def plan(database: Database, *, by_load: bool) -> str:
    values = {
        "patient": "anna",
        "since": 2 if by_load else 0,
        "until": 9,
        "limit": 33,
        "after_type": TYPES[3],
        "after_key": 100,
    }
    values |= {f"t{number}": type for number, type in enumerate(TYPES)}
    with database.transaction() as transaction:
        transaction.execute(insert(RESOURCE), [row(type, number) for type in TYPES[2:6] for number in range(500)])
        compiled = _page(len(TYPES), by_load=by_load).compile(transaction.connection)
        sent: Any = compiled.construct_params(values)
        if database.is_sqlite:
            sent = tuple(sent[name] for name in compiled.positiontup or ())  # type: ignore[attr-defined]
            asked = f"EXPLAIN QUERY PLAN {compiled}"
        else:
            transaction.execute(text("ANALYZE resource"))
            asked = f"EXPLAIN {compiled}"
        told = transaction.connection.exec_driver_sql(asked, sent).all()
    return "\n".join(str(line) for line in told)


def test_nothing_is_sorted_for_a_page(database: Database) -> None:
    told = plan(database, by_load=False)
    assert "resource_by_member" in told, told
    assert "TEMP B-TREE" not in told
    assert "Sort" not in told


def test_the_little_that_was_loaded_since_is_found_by_its_load(database: Database) -> None:
    told = plan(database, by_load=True)
    assert "resource_by_load" in told, told

"""The views of the ledger are read over its indexes, by member or by time: 45 CFR 164.528 asks for years of it."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Select, text

from server.storage import access_history, audit_trail, ledger_figures, refusals
from server.storage.database import Database
from tests.storage.ledgers import HOUR, chain, write

PLACE = {"at_place": 1 << 50, "after_writer": "", "after_sequence": 0, "count": 10}
SPAN = {"since": 0, "until": 1 << 50}
VIEWS: dict[str, tuple[Select[Any], dict[str, Any], str]] = {
    "access history": (access_history._DISCLOSURES, {"member": "p1", "before": 1 << 50}, "ledger_by_patient"),
    "audit by member": (audit_trail._PAGE_OF_MEMBER, PLACE | SPAN | {"member": "p1"}, "ledger_by_patient"),
    "audit by time": (audit_trail._PAGE, PLACE | SPAN, "ledger_by_time"),
    "refusals": (refusals._RECORDED, SPAN | {"environment": "production"}, "ledger_by_time"),
    "rows today": (ledger_figures._ROWS, {"since": 1 << 50}, "ledger_by_time"),
}


def plan(database: Database, statement: Select[Any], values: dict[str, Any]) -> Sequence[str]:
    """What SQLite says it will do."""
    sql = str(statement.params(**values).compile(database.engine, compile_kwargs={"literal_binds": True}))
    with database.reading() as transaction:
        return [str(row[3]) for row in transaction.all(text(f"EXPLAIN QUERY PLAN {sql.replace(':', chr(92) + ':')}"))]


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_goes_over_an_index_and_never_scans(database: Database, view: str) -> None:
    statement, values, index = VIEWS[view]
    write(database, chain([number * HOUR for number in range(200)], patient="p1"))
    steps = plan(database, statement, values)
    of_ledger = [step for step in steps if "ledger" in step]
    assert of_ledger
    assert all(index in step and step.startswith("SEARCH") for step in of_ledger), steps

"""When the database fails in the middle of a load: what is lost is said, what is not is stored.

https://www.sqlite.org/lang_transaction.html
"""

from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from server.ingest.load import BATCH_SIZE
from server.storage.database import Database
from tests.factories import coverage, explanation_of_benefit, identifier, organization, patient
from tests.ingest.store import Store, outcomes, reasons

TRIGGERS = {
    "sqlite": (
        "CREATE TRIGGER refuse BEFORE INSERT ON token_index WHEN NEW.code = 'member-refused' BEGIN SELECT RAISE(ABORT, 'no'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.code = 'member-refused' THEN RAISE check_violation; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON token_index FOR EACH ROW EXECUTE FUNCTION refuse()",
    ),
}


def interrupt(database: Database, word: str) -> None:
    """The database loses its connection when it is asked to do something with this word in it, once."""
    left = [1]

    @event.listens_for(database.engine, "before_cursor_execute")
    def fail(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if word in statement and left:
            left.clear()
            raise connection.dialect.dbapi.OperationalError("the connection is gone")  # type: ignore[union-attr]


def test_a_batch_that_the_database_loses_is_named_and_the_others_are_stored(store: Store) -> None:
    records = [patient(f"p{number}") for number in range(BATCH_SIZE * 2 + 10)]
    interrupt(store.database, "INSERT INTO resource ")
    report = store.load(*records)
    assert report.exit_code == 1
    assert outcomes(report) == {"created": BATCH_SIZE + 10}
    (lost,) = report.not_loaded
    assert lost.startswith(f"input.json, line 1 to input.json, line {BATCH_SIZE} ({BATCH_SIZE} records)")
    assert len(store.rows("resource")) == BATCH_SIZE + 10
    assert outcomes(store.load(*records)) == {"created": BATCH_SIZE, "unchanged": BATCH_SIZE + 10}


def test_a_record_that_the_database_refuses_does_not_take_others_with_it(store: Store) -> None:
    with store.database.transaction() as transaction:
        for statement in TRIGGERS[store.database.engine.dialect.name]:
            transaction.connection.exec_driver_sql(statement)
    anna = patient("anna")
    report = store.load(
        anna, patient("refused"), organization("payer"), coverage("v1", anna), explanation_of_benefit("c1", anna)
    )
    assert (outcomes(report), report.exit_code) == ({"created": 4, "rejected": 1}, 1)
    assert reasons(report)[0].startswith("input.json, line 2: Patient/refused: cannot be stored")
    assert store.rows("resource", id="refused") == []
    assert store.row("ExplanationOfBenefit/c1").patient == "anna"


@pytest.mark.parametrize(
    "word", ["UPDATE load_clock", "INSERT INTO resource_version", "INSERT INTO person_link", "INSERT INTO enrolment"]
)
def test_a_batch_is_stored_whole_or_not_at_all(store: Store, tmp_path: Path, word: str) -> None:
    units = tmp_path / "units.toml"
    units.write_text('[[unit]]\npayor = "s|11111"\nline_of_business = "qhp"\n')
    store = store.set(reporting_units_file=units)
    anna = patient("anna")
    store.load(organization("payer"))
    before = store.snapshot()
    records = (anna, organization("payer", identifier=[identifier("11111", "s")]), coverage("v1", anna))
    interrupt(store.database, word)
    report = store.load(*records)
    assert (outcomes(report), len(report.not_loaded)) == ({}, 1)
    assert store.snapshot() == before
    assert outcomes(store.load(*records)) == {"created": 2, "updated": 1}
    assert len(store.rows("enrolment")) == 1

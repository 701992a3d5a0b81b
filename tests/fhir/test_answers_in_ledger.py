"""Every answer to an authenticated request is one ledger row, committed before its first byte leaves; without it, no answer.

https://hl7.org/fhir/R4/security.html#audit
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from server.settings import Settings
from server.storage import sqlite_writing
from server.storage.database import Database
from server.storage.ledger_anchors import rows_in_chain_order
from server.storage.ledger_verification import verify
from server.storage.sqlite_snapshot import Snapshot
from tests import factories
from tests.asgi import served
from tests.factories import explanation_of_benefit, ledger_rows, organization, patient, store
from tests.lasting import World

EVERY_STATUS = {
    "a read": ("GET", "Patient/anna", 200, "read", "Patient", 1),
    "a read of the directory": ("GET", "Organization/payer", 200, "read", "Organization", 0),
    "a version": ("GET", "ExplanationOfBenefit/january/_history/1", 200, "vread", "ExplanationOfBenefit", 1),
    "a search": ("GET", "ExplanationOfBenefit", 200, "search-type", "ExplanationOfBenefit", 4),
    "a search with includes": (
        "GET",
        "ExplanationOfBenefit?_id=april&_include=ExplanationOfBenefit:*",
        200,
        "search-type",
        "ExplanationOfBenefit",
        5,
    ),
    "a search by POST": ("POST", "Coverage/_search", 200, "search-type", "Coverage", 2),
    "documents": ("GET", "DocumentReference/$docref?patient=anna", 200, "$docref", "DocumentReference", 0),
    "a total": ("GET", "ExplanationOfBenefit?_count=0", 200, "search-type", "ExplanationOfBenefit", 0),
    "a head": ("HEAD", "Patient/anna", 200, "read", "Patient", 0),
    "a search that finds nothing": ("GET", "Patient?patient=ben&_id=x", 200, "search-type", "Patient", 0),
    "a known version": ("GET", "Patient/anna", 304, "read", "Patient", 0),
    "a bad value": ("GET", "ExplanationOfBenefit?service-date=x", 400, "search-type", "ExplanationOfBenefit", 0),
    "a type without a row": ("GET", "Nothing/1", 404, "", "", 0),
    "an unknown id": ("GET", "Patient/x", 404, "read", "Patient", 0),
    "another member's id": ("GET", "Patient/ben", 404, "read", "Patient", 0),
    "a wrong method": ("DELETE", "Patient/anna", 405, "", "", 0),
    "a format": ("GET", "Patient", 406, "search-type", "Patient", 0),
    "a retracted resource": ("GET", "ExplanationOfBenefit/mistake", 410, "read", "ExplanationOfBenefit", 0),
}


@pytest.mark.parametrize(
    ("method", "target", "status", "interaction", "type", "resources"), EVERY_STATUS.values(), ids=EVERY_STATUS
)
def test_an_answer_of_any_status_is_one_row(
    world: World, method: str, target: str, status: int, interaction: str, type: str, resources: int
) -> None:
    headers = {304: {"if_none_match": 'W/"1"'}, 406: {"accept": "text/html"}}.get(status, {})
    reply = world.served.send(method, target, world.token("anna"), b"", **headers)
    assert reply.status == status
    (row,) = ledger_rows(world.database, request_id=reply.request_id)
    assert (row.kind, row.status, row.patient, row.client_id) == ("answer", status, "anna", "app")
    assert (row.interaction, row.resource_type, row.resources) == (interaction, type, resources)
    assert (row.actor, row.client_kind, row.environment) == ("self", "third-party", "production")


def test_a_missing_scope_is_a_row_too(world: World) -> None:
    reply = world.served.get("Coverage", world.token("anna", "patient/Patient.rs"))
    (row,) = ledger_rows(world.database, request_id=reply.request_id)
    assert (row.status, row.interaction, row.resource_type) == (403, "search-type", "Coverage")


def test_who_is_not_known_leaves_no_row(world: World) -> None:
    before = len(ledger_rows(world.database))
    for reply in (
        world.served.get("Patient"),
        world.served.get("Patient", "nonsense"),
        world.served.get("metadata"),
        world.served.send("OPTIONS", "Patient"),
    ):
        assert ledger_rows(world.database, request_id=reply.request_id) == []
    assert len(ledger_rows(world.database)) == before


def test_a_row_is_of_production_only_if_app_member_and_deployment_are(world: World) -> None:
    factories.client(world.database, "sandbox-app", environment="test")
    token = factories.token(world.database, "anna", client_id="sandbox-app").text
    (row,) = ledger_rows(world.database, request_id=world.served.get("Patient", token).request_id)
    assert row.environment == "test"


def test_requests_at_the_same_time_have_a_row_each(world: World) -> None:
    replies = world.served.together(["Patient/anna", "ExplanationOfBenefit", "Coverage/x"] * 30, world.token("anna"))
    ids = [reply.request_id for reply in replies]
    assert len(set(ids)) == 90
    assert all(len(ledger_rows(world.database, request_id=id)) == 1 for id in ids)


def test_the_rows_verify(world: World) -> None:
    with world.database.reading() as transaction:
        rows = transaction.all(rows_in_chain_order())
    assert len(rows) > 1
    assert verify(rows) == []


# -- when the ledger cannot be written -------------------------------------------------------------------------------


@contextmanager
def full_disk(settings: Settings, sqlite: sqlite3.Connection | None) -> Iterator[None]:
    """A database that can be read and takes nothing more."""
    if sqlite is not None:
        pages = sqlite.execute("PRAGMA page_count").fetchone()[0]
        sqlite.execute(f"PRAGMA max_page_count={pages}")
        yield
        sqlite.execute("PRAGMA max_page_count=4294967294")
        return
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute("CREATE TRIGGER full_disk BEFORE INSERT ON ledger EXECUTE FUNCTION full_disk()")
        yield
        connection.execute("DROP TRIGGER full_disk ON ledger")


def nothing_is_told(status: int, body: bytes) -> None:
    """503 without a word of the member."""
    assert status == 503
    assert b"anna" not in body
    assert b"OperationOutcome" in body


def test_no_answer_leaves_without_its_row(settings: Settings, database: Database) -> None:
    store(database, settings, [organization("payer"), patient("anna"), explanation_of_benefit("one", patient("anna"))])
    token = factories.token(database, "anna").text
    with served(settings) as application:
        assert application.get("Patient/anna", token).status == 200
        with full_disk(settings, application.application.database._sqlite):
            refused = []
            for _ in range(200):
                reply = application.get("ExplanationOfBenefit", token)
                if reply.status == 200:  # SQLite had room left in its last page
                    assert len(ledger_rows(database, request_id=reply.request_id)) == 1
                    continue
                refused.append(reply)
                nothing_is_told(reply.status, reply.body)
                assert reply.header("retry-after")
            assert len(refused) > 100
            together = application.together(["Patient/anna"] * 20, token)
            assert {reply.status for reply in together} == {503}
        again = application.get("Patient/anna", token)
        assert again.status == 200
    for reply in [*refused, *together]:
        assert ledger_rows(database, request_id=reply.request_id) == []
    assert len(ledger_rows(database, request_id=again.request_id)) == 1
    with database.reading() as transaction:
        assert verify(transaction.all(rows_in_chain_order())) == []


def test_a_locked_database_is_waited_for_and_then_told(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not database.is_sqlite:
        return  # PostgreSQL's writers of the ledger do not wait for each other
    monkeypatch.setattr(sqlite_writing, "BUSY_SECONDS", 0.2)
    store(database, settings, [patient("anna")])
    token = factories.token(database, "anna").text
    with served(settings) as application:
        with database.transaction():
            reply = application.get("Patient/anna", token)
            nothing_is_told(reply.status, reply.body)
        assert application.get("Patient/anna", token).status == 200


def test_a_database_that_went_away_is_told_and_found_again(settings: Settings, database: Database) -> None:
    store(database, settings, [patient("anna")])
    token = factories.token(database, "anna").text
    with served(settings) as application:
        assert application.get("Patient/anna", token).status == 200
        if database.is_sqlite:
            application.runner.run(application.application.database.close())
            application.application.database._sqlite = closed = sqlite3.connect(":memory:")
            application.application.database._snapshot = Snapshot(closed)
            closed.close()
            with pytest.raises(sqlite3.ProgrammingError):
                closed.execute("SELECT 1")
            reply = application.get("Patient/anna", token)
            assert reply.status in (500, 503)
            assert b"anna" not in reply.body
            application.runner.run(application.application.database.open())
        else:
            with psycopg.connect(settings.database_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            statuses = [application.get("Patient/anna", token).status for _ in range(20)]
            assert set(statuses) <= {200, 503}
        assert application.get("Patient/anna", token).status == 200

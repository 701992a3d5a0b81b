"""A database that an earlier version made and filled, upgraded: the same rows, answers, tokens and report as one that was always new.

https://alembic.sqlalchemy.org/en/latest/api/commands.html#alembic.command.upgrade - the earlier databases are made by their own revisions and
hold, in the columns of their time, what the code of today wrote into a new one; what their time did not have yet is left out.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import MetaData, delete, insert, select, text

from seed_data.generate import resources as everything
from seed_data.generate import write_authorization_events
from server import clock
from server.authorization.accounts import add_account
from server.authorization.keys import SigningKeys
from server.ingest.load import load, retract
from server.metrics.usage_report import usage_report
from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database
from server.storage.ledger_anchors import rows_in_chain_order
from server.storage.ledger_verification import verify
from server.storage.schema import METADATA
from tests import factories
from tests.asgi import FORM, Reply, Served, served
from tests.factories import DAY, EVERYTHING, Record, explanation_of_benefit, record, store
from tests.journeys.steady_load import resources
from tests.lasting import lasting_database, settings_of
from tests.storage.ledgers import HOUR, chain, write

EARLIER = [script.revision for script in migrate._scripts().walk_revisions()][:0:-1]
"""Every revision but the newest."""
LABELLED = "0005"
PATIENTS = ("member-castellanos-mateo", "member-holloway", "member-szabo")
DIRECTORY = ("Organization", "Practitioner", "PractitionerRole", "Location", "Endpoint")
RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
TARGETS = (
    "Patient",
    "Patient/{}/$everything?_count=500",
    "Coverage?_include=Coverage:payor",
    "ExplanationOfBenefit?_include=ExplanationOfBenefit:provider&_revinclude=Provenance:target",
    "ExplanationOfBenefit?service-date=ge2024-01-01&_sort=-service-date",
    "ExplanationOfBenefit?type=pharmacy",
    "ExplanationOfBenefit?_security=R",
    "ExplanationOfBenefit?_security:not=R",
    "ExplanationOfBenefit?_lastUpdated=gt2020-01-01",
    "ExplanationOfBenefit/twice",
    "ExplanationOfBenefit/twice/_history",
    "ExplanationOfBenefit/withdrawn",
    "Observation?date=ge2000-01-01&_count=100",
    "Condition?clinical-status=active",
    "Practitioner?name=a&_count=200",
    "Patient?name=m",
    "Patient/member-vantongeren",
    "_history?_count=500",
)
YEAR = 2026
MOMENT = clock.to_microseconds(datetime(YEAR, 11, 1, 12, tzinfo=UTC))
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Filled:
    """What a database of the newest revision holds and answers. ``tokens``: by their name; ``refreshing``: client id and refresh token."""

    kind: str
    rows: Rows
    tokens: dict[str, str]
    refreshing: tuple[str, str]
    answers: dict[str, Any]
    report: dict[str, Any]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A database that the code of today filled."""
    with lasting_database(request.param, request) as url:
        settings = settings_of(url)
        database = Database(settings)
        fill(database, settings, tmp_path_factory.mktemp("events"))
        tokens, refreshing = allowed(database)
        rows = contents(database)
        report = usage_report(database, settings, year=YEAR).content()
        with served(settings) as application:
            answers = asked(application, tokens)
        database.engine.dispose()
        yield Filled(request.param, rows, tokens, refreshing, answers, report)


def fill(database: Database, settings: Settings, folder: Path) -> None:
    """Records, some changed, labelled and withdrawn; events of prior authorizations; accounts; answers of a year; a signing key."""
    own = [one for one in everything() if one["resourceType"] in DIRECTORY or any(id in str(one) for id in PATIENTS)]
    claims = [claim("twice"), claim("withdrawn"), claim("labelled") | {"meta": {"security": [RESTRICTED]}}]
    store(database, settings, [*own, *claims])
    store(database, settings, [claim("twice", disposition="Paid after all.")])
    assert retract(database, settings, ["ExplanationOfBenefit/withdrawn"]).exit_code == 0
    assert load(database, settings, [write_authorization_events(folder)]).exit_code == 0
    add_account(database, "self", "a password of the tests", "Sela Holloway", [("member-holloway",)])
    add_account(
        database, "parent", "a password of the tests", "Pat Castellanos", [("member-szabo",), (PATIENTS[0], "parent")]
    )
    add_account(database, "spouse", "a password of the tests", "Sol Szabo", [("member-szabo", "spouse")])
    answers = [MOMENT - day * DAY for day in range(300, 0, -9)]
    write(database, chain(answers, patient=PATIENTS[0]), chain([at + HOUR for at in answers], patient=PATIENTS[1]))
    write(database, chain(answers[:4], patient=PATIENTS[2], client_id="other"), chain(answers[:2], environment="test"))
    with database.transaction() as transaction:
        SigningKeys(settings).current(transaction)


def claim(id: str, **elements: Any) -> Record:
    """A claim of the first member."""
    return explanation_of_benefit(id, record("Patient", PATIENTS[0]), **elements)


def allowed(database: Database) -> tuple[dict[str, str], tuple[str, str]]:
    """Access tokens in force and not, and a refresh token in force."""
    now = clock.now_microseconds()
    tokens = {id: factories.token(database, id).text for id in PATIENTS}
    factories.client(database, "suspended", status="suspended", suspended_at=now, suspended_reason="fraud")
    tokens |= {
        "expired": factories.token(database, PATIENTS[0], token_expires_at=now - 1).text,
        "revoked": factories.token(database, PATIENTS[0], token_revoked_at=now).text,
        "ended": factories.token(database, PATIENTS[0], grant_ended_at=now, grant_ended_reason="enough").text,
        "suspended": factories.token(database, PATIENTS[0], client_id="suspended").text,
        "narrow": factories.token(database, PATIENTS[0], "patient/Coverage.rs").text,
        "unknown": "never issued",
    }
    with database.reading() as transaction:
        account = transaction.scalar(text("SELECT id FROM account WHERE username = 'self'"))
    made, refresh = factories.token(database, PATIENTS[1], grant_account=account), secrets.token_urlsafe(32)
    row = {"hash": sha256(refresh.encode()).digest(), "grant_id": made.grant_id, "client_id": made.client_id}
    row |= {"scope": EVERYTHING, "issued_at": now, "expires_at": now + 400 * DAY, "rotated_at": None}
    with database.transaction() as transaction:
        transaction.execute(insert(METADATA.tables["refresh_token"]), row)
    return tokens, (made.client_id, refresh)


def contents(database: Database) -> Rows:
    """Every row of every table, in an order of their own."""
    with database.reading() as transaction:
        return {
            name: sorted((dict(row._mapping) for row in transaction.all(select(table))), key=repr)
            for name, table in METADATA.tables.items()
        }


def asked(application: Served, tokens: dict[str, str]) -> dict[str, Any]:
    """What every address answers to every token: the status, and the resources that came."""
    found: dict[str, Any] = {}
    for id in PATIENTS:
        for target in TARGETS:
            found[f"{id} {target}"] = answer_of(application.get(target.format(id), tokens[id]))
    for name in tokens.keys() - set(PATIENTS):
        found[name] = [application.get(target, tokens[name]).status for target in ("Patient", "Coverage")]
    return found


def answer_of(reply: Reply) -> Any:
    if reply.status != 200:
        return reply.status
    return reply.json.get("total"), sorted(resources(with_requests(reply.json)).items())


def with_requests(answer: dict[str, Any]) -> dict[str, Any]:
    """A history whose deletions, which have no resource, stand as one that says so."""
    entries = [
        entry
        if "resource" in entry
        else entry | {"resource": {"resourceType": "deletion", "id": entry["request"]["url"]}}
        for entry in answer.get("entry", ())
    ]
    return answer | {"entry": entries} if entries else answer


# -- earlier databases -----------------------------------------------------------------------------------------------


@contextmanager
def empty_database(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The URL of a database without a schema, gone after the block."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'earlier.db'}"
        return
    server, name = request.getfixturevalue("postgresql"), f"earlier_{secrets.token_hex(6)}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.named(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def filled_at(revision: str, filled: Filled, url: str) -> Database:
    """A database of an earlier revision with that content, as its time knew it."""
    database = Database(settings_of(url))
    with database.transaction() as transaction:
        configuration = migrate._configuration()
        configuration.attributes["connection"] = transaction.connection
        command.upgrade(configuration, revision)
    known = MetaData()
    known.reflect(database.engine)
    with database.transaction() as transaction:
        for name, table in known.tables.items():
            rows = of_the_time(name, filled.rows.get(name, []), revision)
            if name in METADATA.tables:
                transaction.execute(delete(table))
            if rows:
                columns = [column.name for column in table.columns]
                transaction.execute(insert(table), [{c: row[c] for c in columns if c in row} for row in rows])
            if rows and not database.is_sqlite and "key" in table.columns:
                transaction.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{name}', 'key'), (SELECT max(key) FROM {name}))")
                )
    return database


def of_the_time(name: str, rows: list[dict[str, Any]], revision: str) -> list[dict[str, Any]]:
    """The rows of a table that a revision's code wrote: labels were not indexed in the beginning."""
    if name == "token_index" and revision < LABELLED:
        return [row for row in rows if not row["parameter"].startswith("_security")]
    return rows


@pytest.mark.parametrize("revision", EARLIER)
def test_a_filled_database_is_upgraded_to_the_same_rows_answers_and_report(
    new: Filled, revision: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with empty_database(new.kind, request, tmp_path) as url:
        database = filled_at(revision, new, url)
        tables = MetaData()
        tables.reflect(database.engine)
        assert migrate.upgrade(database)[-1] == migrate.head()
        for name, rows in contents(database).items():
            assert rows == (new.rows[name] if name in tables.tables else []), name
        settings = database.settings
        assert usage_report(database, settings, year=YEAR).content() == new.report
        with served(settings) as application:
            assert asked(application, new.tokens) == new.answers
            assert refreshed(application, *new.refreshing) == 200
            store(database, settings, [claim("after")])
            assert application.get("ExplanationOfBenefit/after", new.tokens[PATIENTS[0]]).status == 200
        with database.reading() as transaction:
            assert verify(transaction.all(rows_in_chain_order())) == []
        database.engine.dispose()


def refreshed(application: Served, client_id: str, refresh_token: str) -> int:
    """The status of a refresh."""
    body = f"grant_type=refresh_token&client_id={client_id}&refresh_token={refresh_token}".encode()
    asking = application.ask("POST", "/token", headers={"Content-Type": FORM}, body=body)
    return application.runner.run(asking).status


def test_the_content_has_what_is_compared(new: Filled) -> None:
    """That nothing is the same only because nothing is there."""
    filled = {name for name, rows in new.rows.items() if rows}
    assert filled >= {
        *("resource", "resource_version", "token_index", "reference_index", "date_index", "string_index", "enrolment"),
        *("member", "person_link", "reporting_unit", "account", "account_member", "client", "grant", "access_token"),
        *("refresh_token", "ledger", "signing_key", "load_clock", "authorization_event"),
    }
    assert new.report["organisation"]["measures"]["unique-patients"] == 3
    assert new.report["reporting_units"]
    assert all(row["enrolled"] for row in new.rows["member"] if row["patient"] in PATIENTS)
    empty = [name for name, answer in new.answers.items() if name.startswith(PATIENTS[0]) and answer in ((0, []), 404)]
    assert empty == [f"{PATIENTS[0]} Patient/member-vantongeren"]
    assert new.answers[f"{PATIENTS[0]} ExplanationOfBenefit/withdrawn"] == 410
    assert new.answers[f"{PATIENTS[0]} ExplanationOfBenefit?_security=R"][0] == 1
    assert [new.answers[name][0] for name in ("expired", "revoked", "ended", "suspended", "unknown")] == [401] * 5
    assert new.answers["narrow"] == [403, 200]

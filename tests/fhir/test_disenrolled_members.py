"""A member who is not enrolled any more: apps lose access at the next request, and it begins again with coverage.

42 CFR 422.119(a) and its parallels: the API is for current enrollees; who was never recorded as enrolled is not disenrolled.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, insert

from server import clock
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.asgi import Served, served
from tests.factories import coverage, ledger_rows, organization, patient, store, token

ANNA = patient("anna")
NOON = datetime(2026, 11, 22, 17, tzinfo=UTC)
MEMBER = METADATA.tables["member"]


@pytest.fixture
def api(database: Database, settings: Settings) -> Iterator[Served]:
    settings = settings.model_copy(update={"former_members": "refuse", "served_lines_of_business": ("qhp",)})
    store(database, settings, [organization("payer"), ANNA, coverage("gold", ANNA)])
    with served(settings) as application:
        yield application


def enrol(database: Database, words: str) -> None:
    with database.transaction() as transaction:
        transaction.execute(delete(MEMBER))
        transaction.execute(insert(MEMBER), {"patient": "anna", "environment": "production", "enrolled": words})


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", ""),
        ("qhp|", ""),
        ("qhp|2026-11-22", ""),
        ("qhp|2026-11-21 qhp|", ""),
        ("qhp|2026-11-21", "member-disenrolled"),
        ("withdrawn|0000", "member-disenrolled"),
        ("medicaid-ffs|", "line-of-business-not-served"),
        ("medicaid-ffs| qhp|", ""),
    ],
)
def test_entitlement_decides_at_every_request(api: Served, database: Database, words: str, code: str) -> None:
    enrol(database, words)
    text = token(database, "anna").text
    with clock.set_to(NOON):
        reply = api.get("Coverage/gold", text)
    if not code:
        assert reply.status == 200
        return
    assert reply.status == 401
    assert 'error="invalid_token"' in reply.header("www-authenticate")
    (issue,) = reply.json["issue"]
    assert issue["details"]["coding"][0]["code"] == code
    (row,) = ledger_rows(database, request_id=reply.request_id)
    assert (row.kind, row.interaction, row.status, row.patient, row.resources) == ("refusal", "access", 401, "anna", 0)
    assert row.client_id == "app"


def test_access_ends_and_begins_again_with_coverage(api: Served, database: Database) -> None:
    text = token(database, "anna").text
    with clock.set_to(NOON):
        for words, status in (("qhp|", 200), ("qhp|2026-10-31", 401), ("qhp|2026-10-31 qhp|", 200)):
            enrol(database, words)
            assert api.get("Coverage/gold", text).status == status


def test_a_clients_own_token_still_sees_former_members(api: Served, database: Database) -> None:
    enrol(database, "qhp|2020-01-01")
    own = token(database, "", "system/*.rs", grant_actor="system", grant_fhir_user="").text
    reply = api.get("Coverage?patient=anna", own)
    assert (reply.status, reply.json["total"]) == (200, 1)
    assert [row.patient for row in ledger_rows(database, request_id=reply.request_id)] == ["anna"]

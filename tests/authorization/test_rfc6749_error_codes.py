"""RFC 6749 section 5.2: every invalid_grant says by a stable ``error_code`` what happened."""

from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import Response
from sqlalchemy import insert, update

from server import clock
from server.authorization.grant_errors import GRANT_ERRORS
from server.pages.authorization_errors import GRANT_ERROR_CODES
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.authorization.smart_app import SmartApp, hidden_fields, new_app

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def code_of(response: Response) -> str:
    """The error_code of an invalid_grant; it has a description too."""
    answer = response.json()
    assert (response.status_code, answer["error"]) == (400, "invalid_grant")
    assert answer["error_description"] == GRANT_ERRORS[answer["error_code"]]
    return str(answer["error_code"])


def test_a_code_that_never_was(app: SmartApp) -> None:
    assert code_of(app.exchange("bad")) == "code_unknown"


def test_a_code_not_exchanged_in_time(app: SmartApp, settings: Settings) -> None:
    with clock.set_to(NOW):
        code = app.code()
    with clock.set_to(NOW + timedelta(seconds=settings.authorization_code_seconds)):
        assert code_of(app.exchange(code)) == "code_expired"


def test_a_code_used_twice_and_its_tokens(app: SmartApp) -> None:
    code = app.code()
    token = app.exchange(code).json()
    assert code_of(app.exchange(code)) == "code_used"
    assert code_of(app.refresh(token["refresh_token"])) == "code_used"


def test_a_wrong_redirect_uri(app: SmartApp) -> None:
    assert code_of(app.exchange(app.code(), redirect_uri="https://evil.example/")) == "redirect_uri_wrong"


def test_a_wrong_verifier(app: SmartApp) -> None:
    assert code_of(app.exchange(app.code(), code_verifier="x" * 43)) == "code_verifier_wrong"


def test_a_refresh_token_that_never_was(app: SmartApp) -> None:
    assert code_of(app.refresh("bad")) == "refresh_token_unknown"


def test_a_refresh_token_used_again_and_those_after_it(app: SmartApp, settings: Settings) -> None:
    with clock.set_to(NOW):
        first = app.connect()
        second = app.refresh(first["refresh_token"]).json()
    with clock.set_to(NOW + timedelta(seconds=settings.refresh_grace_seconds)):
        assert code_of(app.refresh(first["refresh_token"])) == "refresh_token_reused"
        assert code_of(app.refresh(first["refresh_token"])) == "refresh_token_reused"
        assert code_of(app.refresh(second["refresh_token"])) == "refresh_token_reused"


def test_access_the_app_revoked(app: SmartApp) -> None:
    token = app.connect()
    app.post("/revoke", {"token": token["refresh_token"]})
    assert code_of(app.refresh(token["refresh_token"])) == "grant_revoked_by_app"


def test_access_the_member_stopped(app: SmartApp) -> None:
    token = app.connect()
    form = {**hidden_fields(app.web.get("/account")), "patient": "p1", "client": app.client_id}
    assert app.web.post("/account/stop", data=form).status_code == 303
    assert code_of(app.refresh(token["refresh_token"])) == "grant_revoked_by_member"


def test_access_whose_time_is_over(app: SmartApp, settings: Settings) -> None:
    with clock.set_to(NOW):
        token = app.connect()
    with clock.set_to(NOW + timedelta(days=settings.refresh_token_days)):
        assert code_of(app.refresh(token["refresh_token"])) == "grant_expired"


def acts_until(database: Database, day: str) -> None:
    table = METADATA.tables["account_member"]
    with database.transaction() as transaction:
        transaction.execute(update(table).where(table.c.patient == "p3").values(until=day))


@pytest.mark.parametrize("exchanged", [False, True])
def test_authority_that_has_ended_ends_the_access(app: SmartApp, database: Database, exchanged: bool) -> None:
    with clock.set_to(NOW):
        acts_until(database, "2026-11-01")
        code = app.code("grace", "p3")
        token = app.exchange(code).json() if exchanged else {}
        acts_until(database, "2026-10-31")
        refused = app.refresh(token["refresh_token"]) if exchanged else app.exchange(code)
        assert code_of(refused) == "authority_ended"
        acts_until(database, "")  # it is over for good, whatever is said later
        if exchanged:
            assert code_of(app.refresh(token["refresh_token"])) == "authority_ended"
            assert app.read(token["access_token"]) == 401


def enrolled(database: Database, words: str) -> None:
    table = METADATA.tables["member"]
    with database.transaction() as transaction:
        if not transaction.execute(update(table).where(table.c.patient == "p1").values(enrolled=words)):
            transaction.execute(insert(table).values(patient="p1", environment="production", enrolled=words))


def test_a_member_who_left_and_comes_back(app: SmartApp, database: Database) -> None:
    enrolled(database, "medicare-advantage|")
    token = app.connect()
    enrolled(database, "medicare-advantage|2020-12-31")
    assert code_of(app.refresh(token["refresh_token"])) == "member_disenrolled"
    assert app.introspect(token["access_token"]) == {"active": False}
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert app.web.get("/userinfo", headers=bearer).status_code == 401
    enrolled(database, "medicare-advantage|2020-12-31 medicare-advantage|")
    assert app.refresh(token["refresh_token"]).status_code == 200


def test_a_code_of_a_member_who_left_meanwhile(app: SmartApp, database: Database) -> None:
    enrolled(database, "medicare-advantage|")
    code = app.code()
    enrolled(database, "medicare-advantage|2020-12-31")
    assert code_of(app.exchange(code)) == "member_disenrolled"


def test_a_token_of_another_app(app: SmartApp, database: Database, settings: Settings) -> None:
    other = new_app(app.web, database, settings, name="Other")
    token = app.connect()
    assert code_of(other.post("/revoke", {"token": token["refresh_token"]})) == "token_of_another_app"
    assert app.refresh(token["refresh_token"]).status_code == 200


def test_the_documentation_lists_every_code(app: SmartApp) -> None:
    page = app.web.get("/docs/errors").text
    assert dict(GRANT_ERROR_CODES) == GRANT_ERRORS
    for code in GRANT_ERRORS:
        assert f"<code>{code}</code>" in page

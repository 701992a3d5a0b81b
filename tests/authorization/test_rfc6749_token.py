"""RFC 6749 sections 4.1.3, 5.1 and 5.2, SMART App Launch 2.2 "Obtain access token": a code becomes tokens."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from server import clock
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SCOPE, SmartApp, events, new_app

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_the_token_response_says_what_was_given(app: SmartApp) -> None:
    response = app.exchange(app.code())
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert response.headers["content-type"] == "application/json"
    token = response.json()
    assert set(token) == {
        *("access_token", "token_type", "expires_in", "scope", "patient", "refresh_token", "id_token"),
        "access_grant_expiration",
    }
    assert (token["token_type"], token["expires_in"], token["scope"], token["patient"]) == (
        *("Bearer", 3600, SCOPE, "p1"),
    )
    assert app.read(token["access_token"]) == 200


def test_without_offline_access_there_is_no_refresh_token(app: SmartApp) -> None:
    token = app.connect(scope="launch/patient patient/Patient.rs")
    assert set(token) == {
        *("access_token", "token_type", "expires_in", "scope", "patient", "access_grant_expiration"),
    }


def test_tokens_codes_and_secrets_are_not_stored_as_they_are(app: SmartApp, database: Database) -> None:
    code = app.code()
    token = app.exchange(code).json()
    from sqlalchemy import select

    from server.storage.schema import METADATA

    with database.reading() as transaction:
        stored = " ".join(str(tuple(row)) for table in METADATA.sorted_tables for row in transaction.all(select(table)))
    assert token["patient"] in stored
    for secret in (code, token["access_token"], token["refresh_token"]):
        assert secret not in stored


def test_a_replayed_code_ends_its_grant(app: SmartApp, database: Database) -> None:
    code = app.code()
    token = app.exchange(code).json()
    assert app.read(token["access_token"]) == 200
    replay = app.exchange(code)
    assert (replay.status_code, replay.json()["error"]) == (400, "invalid_grant")
    assert app.read(token["access_token"]) == 401
    assert app.refresh(token["refresh_token"]).json()["error"] == "invalid_grant"
    (revocation,) = events(database, "revocation")
    assert (revocation.patient, revocation.detail) == ("p1", "authorization code used twice")


def test_of_parallel_exchanges_of_one_code_one_gets_tokens(app: SmartApp) -> None:
    code = app.code()
    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(lambda _: app.exchange(code).status_code, range(4)))
    assert statuses == [200, 400, 400, 400]


def test_a_code_expires(app: SmartApp, settings: Settings) -> None:
    with clock.set_to(NOW):
        code = app.code()
    with clock.set_to(NOW + timedelta(seconds=settings.authorization_code_seconds)):
        response = app.exchange(code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


def test_an_access_token_expires(app: SmartApp, settings: Settings) -> None:
    with clock.set_to(NOW):
        token = app.connect()
    with clock.set_to(NOW + timedelta(seconds=settings.access_token_seconds - 1)):
        assert app.read(token["access_token"]) == 200
    with clock.set_to(NOW + timedelta(seconds=settings.access_token_seconds)):
        assert app.read(token["access_token"]) == 401


def test_the_code_of_another_app_is_refused_and_not_used_up(
    app: SmartApp, database: Database, settings: Settings
) -> None:
    other = new_app(app.web, database, settings, name="Other")
    code = app.code()
    assert other.exchange(code, code_verifier=app.verifier).json()["error"] == "invalid_grant"
    assert app.exchange(code).status_code == 200


def test_a_bad_token_request_is_answered_with_its_error(app: SmartApp, subtests: pytest.Subtests) -> None:
    for changes, status, error in [
        ({"code": "bad"}, 400, "invalid_grant"),
        ({"code": None}, 400, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, 400, "invalid_grant"),
        ({"redirect_uri": None}, 400, "invalid_grant"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, 400, "unauthorized_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
    ]:
        with subtests.test(changes=changes, status=status, error=error):
            response = app.exchange(app.code(), **changes)
            assert (response.status_code, response.json()["error"]) == (status, error)
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["content-type"] == "application/json"
            assert (status == 401) == ("www-authenticate" in response.headers)


def test_every_layer_answers_in_json(app: SmartApp, subtests: pytest.Subtests) -> None:
    for send, status in [
        (lambda web: web.post("/token", json={"grant_type": "authorization_code"}), 400),
        (lambda web: web.post("/token", files={"grant_type": "authorization_code"}), 400),
        (lambda web: web.post("/token"), 400),
        (lambda web: web.post("/token", content=b"\xff\xfe", headers={"Content-Type": FORM}), 400),
        (lambda web: web.post("/token", content="a=%ff", headers={"Content-Type": FORM}), 400),
        (lambda web: web.post("/token", content="grant_type=%00", headers={"Content-Type": FORM}), 400),
        (lambda web: web.post("/token", content="a=" + "b" * 100_000, headers={"Content-Type": FORM}), 413),
        (
            lambda web: web.post(
                "/token", content="code=1&code=2&grant_type=authorization_code", headers={"Content-Type": FORM}
            ),
            400,
        ),
        (lambda web: web.get("/token"), 405),
        (lambda web: web.put("/token"), 405),
        (lambda web: web.get("/revoke"), 405),
        (lambda web: web.delete("/introspect"), 405),
    ]:
        with subtests.test(send=send, status=status):
            response = send(app.web)
            assert response.status_code == status
            assert response.json()["error"] == "invalid_request"
            assert response.json()["error_description"]
            if status == 405:
                assert "POST" in response.headers["allow"]


FORM = "application/x-www-form-urlencoded"


def test_a_grant_is_one_ledger_row(app: SmartApp, database: Database) -> None:
    app.connect()
    (grant,) = events(database, "grant")
    assert (grant.client_id, grant.client_kind, grant.patient, grant.actor, grant.environment, grant.detail) == (
        *(app.client_id, "third-party", "p1", "self", "production", SCOPE),
    )
    assert grant.grant_id


def test_a_database_that_does_not_answer_is_503_in_json(app: SmartApp, settings: Settings) -> None:
    from starlette.testclient import TestClient

    from server.app import create_app

    nowhere = settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:9/nothing"})
    broken = TestClient(create_app(nowhere), base_url=settings.base_url)
    response = broken.post("/token", data={"grant_type": "refresh_token", "refresh_token": "x"})
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    page = broken.get("/account", headers={"Cookie": "session=x"})
    assert (page.status_code, "Not available" in page.text) == (503, True)
    assert int(response.headers["retry-after"]) > 0
    assert int(page.headers["retry-after"]) > 0

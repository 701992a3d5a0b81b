"""RFC 9700 section 2 and RFC 6749 section 10.10: wrong guesses are counted per account and per address, and then wait."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Table, select
from starlette.requests import Request
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.attempts import ADDRESS, CLIENT, Attempts, address_of
from server.authorization.suspension import Decision, suspend
from server.settings import Settings
from server.storage.authorization_schema import Attempts as AttemptsTable
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.authorization.registering import bearer, place, registered, registration
from tests.authorization.smart_app import SmartApp, add_people, hidden_fields, new_app

MINUTE = 60_000_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Few guesses."""
    limits = {"guesses_per_account": 3, "guesses_per_address": 6, "registrations_per_address": 3}
    return settings.model_copy(update=limits)


@pytest.fixture
def web(database: Database, settings: Settings) -> Iterator[TestClient]:
    add_people(database)
    with TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as client:
        yield client


def server_app(web: TestClient, database: Database, settings: Settings) -> SmartApp:
    """An app with a secret."""
    return new_app(web, database, settings, authentication="client_secret_basic")


def later(minutes: float) -> "clock.datetime":
    """A moment from now."""
    return clock.from_microseconds(clock.now_microseconds() + round(minutes * MINUTE))


def test_wrong_client_secrets_are_limited_and_then_the_right_one_waits_too(
    web: TestClient, database: Database, settings: Settings
) -> None:
    app = server_app(web, database, settings)
    secret, app.secret = app.secret, "wrong"
    assert [app.refresh("x").status_code for _ in range(4)] == [401, 401, 401, 429]
    app.secret = secret
    refused = app.refresh("x")
    assert (refused.status_code, refused.json()["error_code"]) == (429, "too_many_attempts")
    assert 590 < int(refused.headers["retry-after"]) <= 600
    assert app.post("/introspect", {"token": "x"}).status_code == 429
    assert app.post("/revoke", {"token": "x"}).status_code == 429
    with clock.set_to(later(11)):
        assert app.refresh("x").status_code == 400


def test_guessing_one_apps_secret_from_one_address_does_not_lock_out_another_app(
    web: TestClient, database: Database, settings: Settings
) -> None:
    first, second = server_app(web, database, settings), server_app(web, database, settings)
    first.secret = "wrong"
    assert [first.refresh("x").status_code for _ in range(4)][-1] == 429
    assert second.refresh("x").status_code == 400


def test_an_address_that_guesses_at_many_apps_is_limited_as_well(
    web: TestClient, database: Database, settings: Settings
) -> None:
    for number in range(6):
        form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": f"nobody-{number}"}
        assert web.post("/token", data=form).status_code == 401
    form["client_id"] = "nobody-7"
    assert web.post("/token", data=form).status_code == 429
    assert server_app(web, database, settings).refresh("x").status_code == 429


def test_made_up_codes_and_refresh_tokens_are_guesses_of_an_app_without_a_secret(
    web: TestClient, database: Database, settings: Settings
) -> None:
    app = new_app(web, database, settings)
    assert [app.exchange("made-up").status_code, app.refresh("made-up").status_code] == [400, 400]
    assert [app.exchange("made-up").status_code, app.exchange("made-up").status_code] == [400, 429]


def test_tokens_that_were_good_once_are_no_guesses(web: TestClient, database: Database, settings: Settings) -> None:
    app = new_app(web, database, settings)
    token = app.connect()
    app.post("/revoke", {"token": token["refresh_token"]})
    assert {app.refresh(token["refresh_token"]).status_code for _ in range(10)} == {400}
    assert web.get("/fhir/Patient", headers={"Authorization": "Bearer x"}).status_code == 401


def test_an_app_that_has_proven_itself_does_not_guess(web: TestClient, database: Database, settings: Settings) -> None:
    app = server_app(web, database, settings)
    assert {app.refresh(f"unknown-{number}").status_code for number in range(10)} == {400}


def test_a_suspension_is_no_guess(web: TestClient, database: Database, settings: Settings) -> None:
    app = new_app(web, database, settings)
    token = app.connect()
    suspend(EventLedger(database), settings, app.client_id, Decision("impersonation", "the logo", "Sam"))
    assert {app.refresh(token["refresh_token"]).json()["error_code"] for _ in range(10)} == {"app-suspended"}


def test_wrong_registration_access_tokens_are_limited(web: TestClient) -> None:
    information = registered(web)
    headers = {"Authorization": "Bearer wrong"}
    assert [web.get(place(information), headers=headers).status_code for _ in range(4)] == [401, 401, 401, 429]
    assert web.get(place(information), headers=bearer(information)).status_code == 429
    with clock.set_to(later(11)):
        assert web.get(place(information), headers=bearer(information)).status_code == 200


def test_apps_registered_from_one_address_are_limited_with_the_form_too(web: TestClient) -> None:
    page = web.get("/register/app")
    assert [registration(web).status_code for _ in range(3)] == [201] * 3
    refused = registration(web)
    assert (refused.status_code, refused.json()["error_code"]) == (429, "too_many_attempts")
    assert int(refused.headers["retry-after"]) > 0
    answers = {"client_name": "App", "redirect_uris": "https://app.example/cb", "kind": "none"}
    form = web.post("/register/app", data={**hidden_fields(page), **answers})
    assert (form.status_code, int(form.headers["retry-after"]) > 0) == (429, True)
    with clock.set_to(later(11)):
        assert registration(web).status_code == 201


def test_wrong_passwords_from_one_address_are_limited_whoever_they_are_for(web: TestClient) -> None:
    page = web.get("/sign-in")
    for number in range(6):
        answers = {"username": ("ada", "nobody")[number % 2] + str(number // 2), "password": "wrong password"}
        assert web.post("/sign-in", data={**hidden_fields(page), **answers}).status_code == 400
    answers = {"username": "ada", "password": "correct horse battery"}
    refused = web.post("/sign-in", data={**hidden_fields(page), **answers})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "Too many wrong tries" in refused.text
    with clock.set_to(later(11)):
        assert web.post("/sign-in", data={**hidden_fields(page), **answers}).status_code == 303


def test_nothing_that_names_anybody_is_stored(web: TestClient, database: Database, settings: Settings) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "nobody-1"}
    web.post("/token", data=form)
    table: Table = AttemptsTable.__table__  # type: ignore[attr-defined]
    with database.reading() as transaction:
        rows = transaction.all(select(table))
    assert sorted(row.kind for row in rows) == [ADDRESS, CLIENT]
    assert all(len(row.key) == 32 for row in rows)
    other = settings.model_copy(
        update={"secret_key": None, "secret_key_file": settings.secret_key_file, "environment": "test"}
    )
    with database.reading() as transaction:
        here, elsewhere = (Attempts(transaction, one)._hash(ADDRESS, "testclient") for one in (settings, other))
    assert here in {row.key for row in rows}
    assert elsewhere not in {row.key for row in rows}


def test_a_window_begins_anew_when_it_is_over(database: Database, settings: Settings) -> None:
    with database.transaction() as transaction:
        attempts = Attempts(transaction, settings)
        assert [attempts.failed(CLIENT, "a") for _ in range(3)] == [1, 2, 3]
        assert attempts.check(CLIENT, "a") > 0
        assert attempts.check(CLIENT, "b") == 0
        with clock.set_to(later(11)):
            assert attempts.check(CLIENT, "a") == 0
            assert attempts.failed(CLIENT, "a") == 1
        attempts.forget(CLIENT, "a")
        assert attempts.check(CLIENT, "a") == 0


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(host: str, address: str) -> None:
    assert address_of(Request({"type": "http", "client": (host, 1), "headers": []})) == address


def test_a_forwarded_address_is_not_believed_by_itself(web: TestClient) -> None:
    headers = [{"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}"} for number in range(7)]
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "nobody"}
    assert [web.post("/token", data=form, headers=one).status_code for one in headers][3] == 429

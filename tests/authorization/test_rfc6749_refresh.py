"""RFC 6749 section 6 and RFC 9700 section 4.14: refresh with rotation, and what the reuse of a refresh token means."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from server import clock
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SCOPE, SmartApp, events, new_app

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@contextmanager
def after(seconds: float) -> Iterator[None]:
    with clock.set_to(NOW + timedelta(seconds=seconds)):
        yield


def test_a_refresh_gives_new_tokens_and_keeps_the_old_access_token_alive(app: SmartApp) -> None:
    first = app.connect()
    response = app.refresh(first["refresh_token"])
    assert response.status_code == 200
    assert (response.headers["cache-control"], response.headers["pragma"]) == ("no-store", "no-cache")
    second = response.json()
    assert set(second) == {
        *("access_token", "token_type", "expires_in", "scope", "patient", "refresh_token", "access_grant_expiration"),
    }
    assert (second["scope"], second["patient"], second["expires_in"]) == (SCOPE, "p1", 3600)
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert [app.read(token["access_token"]) for token in (first, second)] == [200, 200]


def test_a_public_client_may_refresh_without_client_id(app: SmartApp) -> None:
    token = app.connect()
    assert app.refresh(token["refresh_token"], client_id=None).status_code == 200


def test_a_confidential_client_may_not(app: SmartApp, database: Database, settings: Settings) -> None:
    other = new_app(app.web, database, settings, authentication="client_secret_basic")
    token = other.connect()
    bare = app.web.post("/token", data={"grant_type": "refresh_token", "refresh_token": token["refresh_token"]})
    assert (bare.status_code, bare.json()["error"]) == (401, "invalid_client")
    assert other.refresh(token["refresh_token"]).status_code == 200


def test_the_refresh_token_of_another_app_is_refused_and_still_works(
    app: SmartApp, database: Database, settings: Settings
) -> None:
    other = new_app(app.web, database, settings, name="Other")
    token = app.connect()
    assert other.refresh(token["refresh_token"]).json()["error"] == "invalid_grant"
    assert app.refresh(token["refresh_token"]).status_code == 200


def test_a_rotated_token_used_after_the_grace_ends_the_grant(
    app: SmartApp, database: Database, settings: Settings
) -> None:
    with after(0):
        first = app.connect()
        second = app.refresh(first["refresh_token"]).json()
    with after(settings.refresh_grace_seconds):
        response = app.refresh(first["refresh_token"])
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
        assert app.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
        assert app.read(second["access_token"]) == 401
    (revocation,) = events(database, "revocation")
    assert revocation.detail == "refresh token used after its rotation"


def test_within_the_grace_a_parallel_refresh_gets_tokens_of_its_own(app: SmartApp, settings: Settings) -> None:
    with after(0):
        first = app.connect()
        second = app.refresh(first["refresh_token"]).json()
    with after(settings.refresh_grace_seconds - 1):
        third = app.refresh(first["refresh_token"]).json()
        assert app.refresh(second["refresh_token"]).status_code == 200
        assert app.refresh(third["refresh_token"]).status_code == 200
    with after(settings.refresh_grace_seconds):
        assert app.refresh(first["refresh_token"]).status_code == 400


def test_the_grace_is_not_prolonged_by_using_it(app: SmartApp, settings: Settings) -> None:
    with after(0):
        first = app.connect()
        app.refresh(first["refresh_token"])
    with after(settings.refresh_grace_seconds - 1):
        assert app.refresh(first["refresh_token"]).status_code == 200
    with after(settings.refresh_grace_seconds + 1):
        assert app.refresh(first["refresh_token"]).status_code == 400


def test_a_clock_set_back_gives_a_rotated_token_no_new_grace(app: SmartApp, settings: Settings) -> None:
    with after(3 * 3600):
        first = app.connect()
        second = app.refresh(first["refresh_token"]).json()
    with after(3 * 3600 - settings.refresh_grace_seconds + 1):  # the clocks of two machines differ a little
        assert app.refresh(first["refresh_token"]).status_code == 200
    with after(0):
        assert app.read(second["access_token"]) == 200
        assert app.refresh(second["refresh_token"]).status_code == 200
        assert app.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"


def test_parallel_refreshes_all_succeed(app: SmartApp) -> None:
    token = app.connect()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: app.refresh(token["refresh_token"]).json(), range(4)))
    assert len({answer["refresh_token"] for answer in answers}) == 4
    assert {app.read(answer["access_token"]) for answer in answers} == {200}


def test_parallel_uses_of_several_rotated_tokens_of_one_grant_end_it_once(
    app: SmartApp, database: Database, settings: Settings
) -> None:
    with after(0):
        tokens = [app.connect()]
        for _ in range(3):
            tokens.append(app.refresh(tokens[-1]["refresh_token"]).json())
    with after(settings.refresh_grace_seconds), ThreadPoolExecutor(4) as pool:
        rotated = [token["refresh_token"] for token in tokens[:3]]
        answers = list(pool.map(app.refresh, rotated * 4))
        answers += pool.map(lambda token: app.post("/revoke", {"token": token}), rotated)
    assert [answer.status_code for answer in answers] == [*[400] * 12, *[200] * 3]
    assert {answer.json()["error_code"] for answer in answers[:12]} == {"refresh_token_reused"}
    assert [row.detail for row in events(database, "revocation")] == ["refresh token used after its rotation"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("patient/*.rs", "patient/*.rs"),
        ("patient/Patient.rs launch/patient", "patient/Patient.rs launch/patient"),
        ("patient/Patient.read", "patient/Patient.read"),
        ("patient/Patient.rs patient/Nothing.rs online_access", "patient/Patient.rs"),
    ],
)
def test_a_scope_takes_a_part_of_what_was_granted(app: SmartApp, asked: str, given: str) -> None:
    token = app.connect()
    assert app.refresh(token["refresh_token"], scope=asked).json()["scope"] == given


def test_no_scope_beyond_the_grant_is_given(app: SmartApp) -> None:
    token = app.connect(scope="offline_access patient/Patient.rs")
    response = app.refresh(token["refresh_token"], scope="patient/Coverage.rs")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")
    narrowed = app.refresh(token["refresh_token"], scope="patient/*.rs").json()
    assert narrowed["scope"] == "patient/Patient.rs"
    assert app.read(narrowed["access_token"], "Coverage") == 403


def test_a_narrowed_refresh_does_not_narrow_the_next_one(app: SmartApp) -> None:
    token = app.connect()
    second = app.refresh(token["refresh_token"], scope="patient/Patient.rs").json()
    assert app.refresh(second["refresh_token"]).json()["scope"] == SCOPE


def test_a_grant_and_its_refresh_tokens_end_together(app: SmartApp, settings: Settings) -> None:
    with after(0):
        token = app.connect()
    lifetime = settings.refresh_token_days * 86_400
    with after(lifetime - 60):
        second = app.refresh(token["refresh_token"]).json()
        assert second["expires_in"] == 60
    with after(lifetime):
        response = app.refresh(second["refresh_token"])
        assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
        assert app.read(second["access_token"]) == 401


@pytest.mark.parametrize("refresh_token", ["unknown", None])
def test_a_bad_refresh_token_is_refused(app: SmartApp, refresh_token: str | None) -> None:
    response = app.post("/token", {"grant_type": "refresh_token", "refresh_token": refresh_token})
    assert response.status_code == 400
    assert response.json()["error"] == ("invalid_request" if refresh_token is None else "invalid_grant")

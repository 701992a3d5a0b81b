"""RFC 7009: revocation of access tokens and refresh tokens."""

import pytest

from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp, events, new_app


def test_a_revoked_access_token_dies_alone_and_at_once(app: SmartApp, database: Database) -> None:
    token = app.connect()
    assert app.read(token["access_token"]) == 200
    response = app.post("/revoke", {"token": token["access_token"], "token_type_hint": "access_token"})
    assert response.status_code == 200
    assert app.read(token["access_token"]) == 401
    assert app.refresh(token["refresh_token"]).status_code == 200
    assert [(row.patient, row.client_id) for row in events(database, "revocation")] == [("p1", app.client_id)]


def test_a_revoked_refresh_token_ends_the_grant(app: SmartApp, database: Database) -> None:
    token = app.connect()
    newer = app.refresh(token["refresh_token"]).json()
    assert app.post("/revoke", {"token": newer["refresh_token"]}).status_code == 200
    assert [app.read(each["access_token"]) for each in (token, newer)] == [401, 401]
    assert app.refresh(newer["refresh_token"]).json()["error"] == "invalid_grant"
    assert [row.detail for row in events(database, "revocation")] == ["revoked by the app"]


def test_other_grants_of_the_same_app_and_member_live_on(app: SmartApp) -> None:
    phone, tablet = app.connect(), app.connect()
    app.post("/revoke", {"token": phone["refresh_token"]})
    assert [app.read(token["access_token"]) for token in (phone, tablet)] == [401, 200]


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "no such hint", None])
def test_a_hint_is_only_a_hint(app: SmartApp, hint: str | None) -> None:
    token = app.connect()
    assert app.post("/revoke", {"token": token["refresh_token"], "token_type_hint": hint}).status_code == 200
    assert app.read(token["access_token"]) == 401


def test_revoking_again_or_something_unknown_is_200(app: SmartApp, database: Database) -> None:
    token = app.connect()
    for revoked in (token["access_token"], token["access_token"], "unknown"):
        assert app.post("/revoke", {"token": revoked}).status_code == 200
    assert len(events(database, "revocation")) == 1


def test_a_public_client_may_revoke_without_client_id(app: SmartApp) -> None:
    token = app.connect()
    assert app.web.post("/revoke", data={"token": token["refresh_token"]}).status_code == 200
    assert app.read(token["access_token"]) == 401


def test_the_token_of_another_app_is_not_revoked(app: SmartApp, database: Database, settings: Settings) -> None:
    other = new_app(app.web, database, settings, name="Other")
    token = app.connect()
    response = other.post("/revoke", {"token": token["refresh_token"]})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert app.read(token["access_token"]) == 200


@pytest.mark.parametrize(
    ("parameters", "status", "error"),
    [({}, 400, "invalid_request"), ({"token": "x", "client_id": "nobody"}, 401, "invalid_client")],
)
def test_a_bad_revocation_is_refused(app: SmartApp, parameters: dict[str, str], status: int, error: str) -> None:
    response = app.post("/revoke", parameters)
    assert (response.status_code, response.json()["error"]) == (status, error)

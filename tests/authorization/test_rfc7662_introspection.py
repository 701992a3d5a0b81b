"""RFC 7662 and SMART App Launch 2.2 "Token introspection"."""

from datetime import UTC, datetime, timedelta

from server import clock
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SCOPE, SmartApp, new_app

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_an_access_token_in_force(app: SmartApp, settings: Settings) -> None:
    with clock.set_to(NOW):
        token = app.connect()
        answer = app.introspect(token["access_token"])
    issued = int(NOW.timestamp())
    assert answer.pop("sub")
    assert answer == {
        "active": True,
        "scope": SCOPE,
        "client_id": app.client_id,
        "token_type": "Bearer",
        "exp": issued + 3600,
        "iat": issued,
        "iss": settings.fhir_base,
        "aud": settings.fhir_base,
        "patient": "p1",
        "access_grant_expiration": "2027-12-02T12:00:00Z",
        "fhirUser": f"{settings.fhir_base}/Patient/p1",
    }


def test_a_refresh_token_in_force_names_its_end(app: SmartApp, settings: Settings) -> None:
    with clock.set_to(NOW):
        answer = app.introspect(app.connect()["refresh_token"])
    assert answer["active"] is True
    assert answer["exp"] == int(NOW.timestamp()) + settings.refresh_token_days * 86_400


def test_a_token_not_in_force_is_inactive_and_nothing_else(app: SmartApp) -> None:
    with clock.set_to(NOW):
        token = app.connect()
        rotated, newer = token["refresh_token"], app.refresh(token["refresh_token"]).json()
        app.post("/revoke", {"token": token["access_token"]})
        inactive = [app.introspect(each) for each in ("unknown", token["access_token"], rotated)]
        assert app.introspect(newer["access_token"])["active"] is True
    with clock.set_to(NOW + timedelta(hours=1)):
        inactive.append(app.introspect(newer["access_token"]))
        app.post("/revoke", {"token": newer["refresh_token"]})
        inactive.append(app.introspect(newer["refresh_token"]))
    assert inactive == [{"active": False}] * 5


def test_a_client_learns_nothing_of_the_tokens_of_others(app: SmartApp, database: Database, settings: Settings) -> None:
    other = new_app(app.web, database, settings, authentication="client_secret_basic")
    assert other.introspect(app.connect()["access_token"]) == {"active": False}


def test_the_payers_own_client_may_ask_about_any_token(app: SmartApp, database: Database, settings: Settings) -> None:
    payer = new_app(app.web, database, settings, authentication="client_secret_basic", kind="payer")
    assert payer.introspect(app.connect()["access_token"])["active"] is True


def test_an_access_token_of_the_client_authenticates_it(app: SmartApp) -> None:
    token = app.connect()
    data = {"token": token["refresh_token"]}
    answer = app.web.post("/introspect", data=data, headers={"Authorization": f"Bearer {token['access_token']}"})
    assert answer.json()["active"] is True


def test_without_any_authentication_it_is_401(app: SmartApp) -> None:
    response = app.web.post("/introspect", data={"token": app.connect()["access_token"]})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_a_token_must_be_named(app: SmartApp) -> None:
    response = app.post("/introspect", {})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")

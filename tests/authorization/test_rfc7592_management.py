"""RFC 7592 section 2: an app reads, replaces and deletes its own registration, with its own token and no other."""

import pytest
from starlette.testclient import TestClient

from server.authorization.suspension import Decision, suspend
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.authorization.registering import EC, REDIRECT_URI, bearer, place, public, registered
from tests.authorization.smart_app import SmartApp, events


def test_an_app_reads_what_it_registered(web: TestClient) -> None:
    information = registered(web, **{"client_name#es": "Notas"})
    response = web.get(place(information), headers=bearer(information))
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {name: value for name, value in information.items() if name != "client_secret"}


def test_an_app_replaces_its_registration_and_what_is_left_out_is_gone(
    web: TestClient, settings: Settings, database: Database
) -> None:
    information = registered(web, policy_uri="https://app.example/privacy", scope="patient/Patient.rs")
    sent = {
        "client_id": information["client_id"],
        "client_secret": information["client_secret"],
        "client_name": "Health Notes 2",
        "redirect_uris": ["https://moved.example/cb"],
        "token_endpoint_auth_method": "client_secret_basic",
    }
    response = web.put(place(information), json=sent, headers=bearer(information))
    assert response.status_code == 200, response.text
    changed = response.json()
    assert (changed["client_name"], changed["redirect_uris"]) == ("Health Notes 2", ["https://moved.example/cb"])
    assert "policy_uri" not in changed
    assert "client_secret" not in changed
    assert changed["registration_access_token"] == information["registration_access_token"]
    assert web.get(place(information), headers=bearer(information)).json() == changed
    app = SmartApp(web, settings, information["client_id"], information["client_secret"])
    app.redirect_uri, app.authentication = "https://moved.example/cb", "client_secret_basic"
    assert app.connect()["patient"] == "p1"
    assert [row.interaction for row in events(database, "app")] == ["register", "update"]


def test_an_app_that_gives_up_its_secret_for_a_key_and_takes_one_again_gets_a_new_one(web: TestClient) -> None:
    information = registered(web)
    sent = {"client_id": information["client_id"], "redirect_uris": [REDIRECT_URI]}
    keyed = {**sent, "token_endpoint_auth_method": "private_key_jwt", "jwks": public(EC)}
    changed = web.put(place(information), json=keyed, headers=bearer(information)).json()
    assert (changed["jwks"], "client_secret" in changed) == (public(EC), False)
    again = web.put(place(information), json=sent, headers=bearer(information)).json()
    assert again["client_secret"] != information["client_secret"]
    assert "jwks" not in again


def test_a_deleted_app_is_gone_at_once_with_every_grant(
    web: TestClient, settings: Settings, database: Database
) -> None:
    information = registered(web, token_endpoint_auth_method="none")
    app = SmartApp(web, settings, information["client_id"])
    token = app.connect()
    assert app.read(token["access_token"]) == 200
    deleted = web.delete(place(information), headers=bearer(information))
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert app.read(token["access_token"]) == 401
    assert app.refresh(token["refresh_token"]).status_code == 401
    assert app.authorize().status_code == 400
    assert "location" not in app.authorize().headers
    assert web.get(place(information), headers=bearer(information)).status_code == 401
    assert web.delete(place(information), headers=bearer(information)).status_code == 401
    assert events(database, "revocation")[-1].interaction == "registration"
    assert events(database, "app")[-1].interaction == "delete"


def test_only_its_own_token_opens_a_registration(web: TestClient, subtests: pytest.Subtests) -> None:
    information, other = registered(web), registered(web)
    for headers in (
        {},
        bearer(other),
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {information['registration_access_token']}"},
        {"Authorization": f"Bearer {information['client_secret']}"},
    ):
        for method in ("GET", "PUT", "DELETE"):
            with subtests.test(headers=headers, method=method):
                body = {"client_id": information["client_id"], "redirect_uris": [REDIRECT_URI]}
                sent = {"json": body} if method == "PUT" else {}
                response = web.request(method, place(information), headers=headers, **sent)  # type: ignore[arg-type]
                if response.status_code == 429:
                    continue
                assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
                assert response.headers["www-authenticate"].startswith("Bearer")
    unknown = web.get("/register/nobody", headers=bearer(information))
    assert unknown.status_code in (401, 429)


def test_an_app_that_an_operator_registered_has_no_token_to_manage_it_with(app: SmartApp) -> None:
    response = app.web.get(f"/register/{app.client_id}", headers={"Authorization": "Bearer "})
    assert response.status_code == 401


def test_an_update_must_name_the_app_and_not_what_the_server_decides(
    web: TestClient, subtests: pytest.Subtests
) -> None:
    information = registered(web)
    good = {"client_id": information["client_id"], "redirect_uris": [REDIRECT_URI]}
    for changes, words in [
        ({"client_id": None}, "client_id"),
        ({"client_id": "another"}, "client_id"),
        ({"registration_access_token": "x"}, "registration_access_token"),
        ({"registration_client_uri": "x"}, "registration_client_uri"),
        ({"client_secret_expires_at": 0}, "client_secret_expires_at"),
        ({"client_id_issued_at": 0}, "client_id_issued_at"),
        ({"client_secret": "mine"}, "client_secret"),
        ({"client_secret": 5}, "client_secret"),
        ({"scope": "fly"}, "scope"),
    ]:
        with subtests.test(changes=changes):
            sent = {name: value for name, value in {**good, **changes}.items() if value is not None}
            response = web.put(place(information), json=sent, headers=bearer(information))
            assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")
            assert words in response.json()["error_description"]
    bad = web.put(place(information), json={**good, "redirect_uris": ["x:"]}, headers=bearer(information))
    assert bad.json()["error"] == "invalid_redirect_uri"
    unchanged = web.get(place(information), headers=bearer(information)).json()
    assert unchanged["redirect_uris"] == [REDIRECT_URI]


def test_a_suspended_app_reads_at_its_registration_why(web: TestClient, settings: Settings, database: Database) -> None:
    information = registered(web)
    decision = Decision("credentials-exposed", "found in a repository", "Sam", notice="Replace your secret.")
    suspend(EventLedger(database), settings, information["client_id"], decision)
    told = web.get(place(information), headers=bearer(information)).json()
    assert told["error_code"] == "app-suspended"
    assert "Replace your secret." in told["suspended_reason"]
    assert "found in a repository" not in told["suspended_reason"]

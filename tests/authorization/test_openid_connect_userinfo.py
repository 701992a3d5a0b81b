"""OpenID Connect Core 1.0 section 5.3 and RFC 6750 section 3: what an access token tells of the person who signed in."""

import pytest
from httpx2 import Response

from server.authorization.clients import CLIENT_CREDENTIALS
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SCOPE, SmartApp, new_app
from tests.authorization.test_openid_connect_id_token import claims_of


def ask(app: SmartApp, token: str, method: str = "GET") -> Response:
    return app.web.request(method, "/userinfo", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_subject_is_that_of_the_id_token(app: SmartApp, settings: Settings, method: str) -> None:
    token = app.connect()
    response = ask(app, token["access_token"], method)
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "sub": claims_of(app, token)["sub"],
        "fhirUser": f"{settings.fhir_base}/Patient/p1",
    }


def test_profile_gives_the_name(app: SmartApp) -> None:
    token = app.connect(scope=f"{SCOPE} profile")
    assert ask(app, token["access_token"]).json()["name"] == "Ada Lovelace"


def test_without_their_scopes_there_is_no_claim(app: SmartApp) -> None:
    token = app.connect(scope="openid patient/Patient.rs")
    assert set(ask(app, token["access_token"]).json()) == {"sub"}


def test_a_representative_is_their_own_record(app: SmartApp, settings: Settings) -> None:
    token = app.connect("grace", "p3")
    assert ask(app, token["access_token"]).json()["fhirUser"] == f"{settings.fhir_base}/RelatedPerson/r3"


def test_a_token_without_openid_is_403(app: SmartApp) -> None:
    token = app.connect(scope="patient/Patient.rs")
    response = ask(app, token["access_token"])
    assert (response.status_code, response.json()["error"]) == (403, "insufficient_scope")


def test_a_token_not_in_force_is_401_with_its_challenge(app: SmartApp) -> None:
    token = app.connect()
    app.post("/revoke", {"token": token["access_token"]})
    for text in (token["access_token"], "unknown", token["refresh_token"]):
        response = ask(app, text)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
        assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


def test_no_token_is_401_with_a_bare_challenge(app: SmartApp) -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}):
        response = app.web.get("/userinfo", headers=headers)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


def test_a_web_app_may_ask_from_the_origin_of_its_redirect_uri(app: SmartApp) -> None:
    token = app.connect()
    headers = {"Authorization": f"Bearer {token['access_token']}", "Origin": "https://app.example"}
    assert app.web.get("/userinfo", headers=headers).headers["access-control-allow-origin"] == "https://app.example"
    preflight = app.web.options("/userinfo", headers={"Origin": "https://app.example"})
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


def test_discovery_names_it(app: SmartApp, settings: Settings) -> None:
    document = app.web.get("/fhir/.well-known/openid-configuration").json()
    assert document["userinfo_endpoint"] == f"{settings.base_url}/userinfo"


def test_a_job_is_nobody(app: SmartApp, database: Database, settings: Settings) -> None:
    job = new_app(app.web, database, settings, kind="payer", scope="system/*.rs", authentication="client_secret_basic")
    token = job.post("/token", {"grant_type": CLIENT_CREDENTIALS}).json()
    assert ask(app, token["access_token"]).status_code == 403

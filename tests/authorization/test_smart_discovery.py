"""SMART App Launch 2.2 "Conformance", OpenID Connect Discovery 1.0, RFC 8414, and CORS for web apps."""

from typing import Any

import pytest

from server.authorization import discovery
from server.authorization.scopes import SYSTEM_CONTEXTS, narrow
from server.settings import Settings
from server.specification.standards import SMART_CAPABILITIES
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp, new_app

DOCUMENTS = [
    "/fhir/.well-known/smart-configuration",
    "/fhir/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server/fhir",
]
PROTOCOL = ["/token", "/revoke", "/introspect", "/par"]
ORIGIN = "https://app.example"


def test_a_document_is_json_whatever_is_accepted_and_readable_from_any_origin(
    app: SmartApp, subtests: pytest.Subtests
) -> None:
    for path in DOCUMENTS:
        with subtests.test(path=path):
            for accept in ("text/html", "application/json", "*/*"):
                response = app.web.get(path, headers={"Accept": accept, "Origin": "https://anything.example"})
                assert response.status_code == 200
                assert response.headers["content-type"] == "application/json"
                assert response.headers["access-control-allow-origin"] == "*"
            assert app.web.head(path).status_code == 200
            assert app.web.options(path).status_code == 204
            assert app.web.post(path).status_code == 405


def test_smart_configuration(app: SmartApp, settings: Settings) -> None:
    document: dict[str, Any] = app.web.get(DOCUMENTS[0]).json()
    assert document["capabilities"] == list(SMART_CAPABILITIES)
    assert document["issuer"] == settings.fhir_base
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials"]
    assert document["token_endpoint_auth_methods_supported"] == [
        *("none", "client_secret_basic", "client_secret_post", "private_key_jwt"),
    ]
    assert document["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert document["require_pushed_authorization_requests"] is False
    assert {"client-confidential-asymmetric", "permission-online", "permission-offline"} <= set(
        document["capabilities"]
    )
    urls = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert set(urls) == {
        *("authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint"),
        *("management_endpoint", "jwks_uri", "pushed_authorization_request_endpoint", "registration_endpoint"),
    }
    for url in urls.values():
        assert url.startswith(settings.base_url + "/")
        assert app.web.get(url.removeprefix(settings.base_url)).status_code != 404


def test_openid_configuration(app: SmartApp, settings: Settings) -> None:
    document = app.web.get(DOCUMENTS[1]).json()
    assert document["issuer"] == settings.fhir_base
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]
    assert document["subject_types_supported"] == ["public"]
    assert document["response_types_supported"] == ["code"]
    assert document["authorization_response_iss_parameter_supported"] is True


def test_every_supported_scope_can_be_granted_as_it_is_spelled(app: SmartApp) -> None:
    scopes = app.web.get(DOCUMENTS[0]).json()["scopes_supported"]
    for_jobs = [scope for scope in scopes if scope.startswith("system/")]
    for_members = [scope for scope in scopes if scope not in for_jobs]
    assert narrow(" ".join(for_members), "").scope.split() == for_members
    assert narrow(" ".join(for_jobs), " ".join(for_jobs), SYSTEM_CONTEXTS).scope.split() == for_jobs
    assert {"openid", "launch/patient", "patient/*.rs", "patient/*.read", "user/Coverage.rs"} <= set(scopes)


def test_the_capability_statement_names_the_same_endpoints(app: SmartApp, settings: Settings) -> None:
    security = app.web.get("/fhir/metadata").json()["rest"][0]["security"]
    uris = {each["url"]: each["valueUri"] for each in security["extension"][0]["extension"]}
    document = app.web.get(DOCUMENTS[0]).json()
    assert uris == discovery.oauth_uris(settings)
    assert (uris["authorize"], uris["token"]) == (document["authorization_endpoint"], document["token_endpoint"])


def test_a_web_app_may_call_from_the_origin_of_its_redirect_uri(app: SmartApp, subtests: pytest.Subtests) -> None:
    for path in PROTOCOL:
        with subtests.test(path=path):
            asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
            preflight = app.web.options(path, headers=asked)
            assert preflight.status_code == 204
            assert preflight.headers["access-control-allow-origin"] == ORIGIN
            assert preflight.headers["access-control-allow-methods"] == "POST"
            assert "Content-Type" in preflight.headers["access-control-allow-headers"]
            for parameters in ({}, {"grant_type": "refresh_token", "token": "x"}):
                answer = app.post(path, parameters, headers={"Origin": ORIGIN})
                assert answer.headers["access-control-allow-origin"] == ORIGIN
                assert answer.headers["vary"] == "Origin"


def test_no_other_origin_may(app: SmartApp, subtests: pytest.Subtests) -> None:
    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "http://app.example",
        "https://%",
        "null",
        "https://app",
    ]:
        for path in PROTOCOL:
            with subtests.test(origin=origin, path=path):
                for response in (
                    app.web.options(path, headers={"Origin": origin}),
                    app.post(path, {}, headers={"Origin": origin}),
                ):
                    assert "access-control-allow-origin" not in response.headers


def test_a_port_is_part_of_the_origin(app: SmartApp, database: Database, settings: Settings) -> None:
    new_app(app.web, database, settings, redirect_uris=["http://localhost:4567/cb"])
    for port, allowed in (("4567", True), ("456", False), ("45678", False)):
        response = app.web.options("/token", headers={"Origin": f"http://localhost:{port}"})
        assert ("access-control-allow-origin" in response.headers) is allowed

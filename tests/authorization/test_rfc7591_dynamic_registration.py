"""RFC 7591 section 3: apps register themselves over HTTP, and by the form; what is refused says how to mend it."""

import json
import re
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey
from starlette.testclient import TestClient

from server.authorization.app_criteria import CRITERIA
from server.authorization.clients import find_client
from server.pages.register_app import PRACTICES
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.registering import EC, REDIRECT_URI, RSA, public, registered, registration
from tests.authorization.smart_app import SmartApp, events, hidden_fields


def dance(web: TestClient, settings: Settings, information: dict[str, Any]) -> SmartApp:
    """The app that registered itself, ready to ask a member."""
    authentication = information["token_endpoint_auth_method"]
    secret = information.get("client_secret")
    return SmartApp(web, settings, information["client_id"], secret, authentication=authentication)


@pytest.mark.parametrize("authentication", ["none", "client_secret_basic", "client_secret_post"])
def test_an_app_registers_itself_and_a_member_can_use_it_at_once(
    web: TestClient, settings: Settings, authentication: str
) -> None:
    information = registered(web, token_endpoint_auth_method=authentication)
    assert ("client_secret" in information) == (authentication != "none")
    app = dance(web, settings, information)
    token = app.connect()
    assert app.read(token["access_token"]) == 200
    assert app.refresh(token["refresh_token"]).status_code == 200


def test_the_answer_says_everything_that_is_registered(web: TestClient, settings: Settings) -> None:
    sent = {
        "client_name": "Health Notes",
        "client_name#es": "Notas de salud",
        "redirect_uris": [REDIRECT_URI, "http://127.0.0.1:4000/cb", "com.example.app:/cb"],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "launch/patient openid patient/Patient.rs",
        "client_uri": "https://app.example/",
        "policy_uri": "https://app.example/privacy",
        "policy_uri#es": "https://app.example/privacidad",
        "tos_uri": "https://app.example/terms",
        "logo_uri": "https://app.example/logo.png",
        "contacts": ["security@app.example"],
        "software_id": "4NRB1-0XZABZI9E6-5SM3R",
        "software_version": "2.1",
        "privacy_attestation": True,
    }
    response = web.post("/register", json={**sent, "favourite_colour": "blue", "client_id": "mine", "jwks_uri": None})
    information = response.json()
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    assert {name: information[name] for name in sent} == sent
    assert "favourite_colour" not in information
    assert information["client_id"] != "mine"
    assert information["client_secret_expires_at"] == 0
    assert information["registration_client_uri"] == f"{settings.base_url}/register/{information['client_id']}"
    assert len(information["registration_access_token"]) >= 43


def test_secrets_are_stored_as_hashes_only(web: TestClient, database: Database) -> None:
    information = registered(web)
    with database.reading() as transaction:
        client = find_client(transaction, information["client_id"])
    assert client is not None
    stored = repr(client)
    assert information["client_secret"] not in stored
    assert information["registration_access_token"] not in stored


def test_an_app_that_registers_itself_is_a_third_party_of_this_deployment(web: TestClient, database: Database) -> None:
    information = registered(web, kind="payer", environment="test")
    with database.reading() as transaction:
        client = find_client(transaction, information["client_id"])
    assert client is not None
    assert (client.kind, client.environment, client.registered_by) == ("third-party", "production", "self")
    row = events(database, "app")[-1]
    assert (row.interaction, row.client_id, row.environment) == ("register", client.client_id, "production")


def test_system_scopes_are_dropped_and_client_credentials_are_refused(web: TestClient) -> None:
    assert registered(web, scope="system/*.rs patient/Patient.rs")["scope"] == "patient/Patient.rs"
    assert registration(web, scope="system/*.rs").json()["error"] == "invalid_client_metadata"
    assert not [word for word in registered(web)["scope"].split() if word.startswith("system/")]
    refused = registration(web, grant_types=["client_credentials"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    information = registered(web)
    form = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}
    answer = web.post("/token", data=form, auth=(information["client_id"], information["client_secret"]))
    assert answer.status_code == 400
    assert answer.json()["error"] in ("unauthorized_client", "unsupported_grant_type", "invalid_scope")


def test_what_is_left_out_has_the_default_of_the_specification(web: TestClient) -> None:
    information = registered(web, client_name=None)
    assert information["token_endpoint_auth_method"] == "client_secret_basic"
    assert information["response_types"] == ["code"]
    assert information["client_name"] == "app.example"


def test_keys_are_registered_by_value_and_by_address(web: TestClient) -> None:
    by_value = registered(web, token_endpoint_auth_method="private_key_jwt", jwks=public(RSA, EC))
    assert by_value["jwks"] == public(RSA, EC)
    assert "client_secret" not in by_value
    by_address = registered(web, token_endpoint_auth_method="private_key_jwt", jwks_uri="https://app.example/jwks")
    assert by_address["jwks_uri"] == "https://app.example/jwks"


KEY = {"token_endpoint_auth_method": "private_key_jwt"}
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"redirect_uris": None}, "invalid_redirect_uri", "redirect URI"),
    ({"redirect_uris": []}, "invalid_redirect_uri", "redirect URI"),
    ({"redirect_uris": "https://app.example/cb"}, "invalid_redirect_uri", "array"),
    ({"redirect_uris": [7]}, "invalid_redirect_uri", "array"),
    ({"redirect_uris": ["http://app.example/cb"]}, "invalid_redirect_uri", "https"),
    ({"redirect_uris": ["https://app.example/cb#x"]}, "invalid_redirect_uri", "fragment"),
    ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri", "RFC 8252"),
    ({"redirect_uris": ["https://app.example/“cb”"]}, "invalid_redirect_uri", "ASCII"),
    ({"redirect_uris": [f"https://app.example/{n}" for n in range(21)]}, "invalid_redirect_uri", "20"),
    ({"redirect_uris": ["https://app.example/" + "x" * 2000]}, "invalid_redirect_uri", "2000"),
    ({"redirect_uris": ["https://app.example:x/cb"]}, "invalid_redirect_uri", "URL"),
    ({"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata", "client_secret_basic"),
    ({"token_endpoint_auth_method": 1}, "invalid_client_metadata", "text"),
    ({"grant_types": ["implicit"]}, "invalid_client_metadata", "authorization_code"),
    ({"response_types": ["token"]}, "invalid_client_metadata", "code"),
    ({"client_name": "x" * 101}, "invalid_client_metadata", "100"),
    ({"client_name": "a\nb"}, "invalid_client_metadata", "client_name"),
    ({"client_name": "good\u202eevil"}, "invalid_client_metadata", "client_name"),
    ({"client_name#es": ""}, "invalid_client_metadata", "name"),
    ({"client_uri": "javascript:alert(1)"}, "invalid_client_metadata", "client_uri"),
    ({"policy_uri": "http://app.example/privacy"}, "invalid_client_metadata", "policy_uri"),
    ({"policy_uri#es": "//app.example"}, "invalid_client_metadata", "policy_uri#es"),
    ({"logo_uri": "data:image/png;base64,AAAA"}, "invalid_client_metadata", "logo_uri"),
    ({"tos_uri": "https://user@app.example/"}, "invalid_client_metadata", "tos_uri"),
    ({"contacts": "me"}, "invalid_client_metadata", "contacts"),
    ({"contacts": ["x"] * 11}, "invalid_client_metadata", "contacts"),
    ({"software_id": "x" * 201}, "invalid_client_metadata", "software_id"),
    ({"privacy_attestation": "yes"}, "invalid_client_metadata", "true or false"),
    ({"scope": "fly"}, "invalid_client_metadata", "scope"),
    ({"scope": ["openid"]}, "invalid_client_metadata", "scope"),
    (KEY, "invalid_client_metadata", "jwks"),
    ({**KEY, "jwks": public(RSA), "jwks_uri": "https://app.example/jwks"}, "invalid_client_metadata", "both"),
    ({**KEY, "jwks_uri": "http://app.example/jwks"}, "invalid_client_metadata", "jwks_uri"),
    ({**KEY, "jwks_uri": "http://127.0.0.1/jwks"}, "invalid_client_metadata", "jwks_uri"),
    ({**KEY, "jwks": "{}"}, "invalid_client_metadata", "JSON object"),
    ({**KEY, "jwks": {}}, "invalid_client_metadata", "jwks"),
    ({**KEY, "jwks": {"keys": []}}, "invalid_client_metadata", "keys"),
    ({**KEY, "jwks": {"keys": [RSA.as_dict(private=True)]}}, "invalid_client_metadata", "private"),
    ({**KEY, "jwks": {"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}}, "invalid_client_metadata", "shared"),
    ({**KEY, "jwks": public(ECKey.generate_key("P-256", {"kid": "a"}))}, "invalid_client_metadata", "P-384"),
    ({**KEY, "jwks": {"keys": [{"kty": "RSA", "kid": "a"}]}}, "invalid_client_metadata", "jwks"),
    ({**KEY, "jwks": public(EC, EC)}, "invalid_client_metadata", "kid"),
    ({"software_statement": 7}, "invalid_software_statement", "JWT"),
    ({"software_statement": "not.a.jwt"}, "invalid_software_statement", "JWT"),
]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_cannot_be_registered_is_refused_and_says_how_to_mend_it(
    web: TestClient, subtests: pytest.Subtests
) -> None:
    for changes, error, words in BAD:
        with subtests.test(changes=changes):
            response = registration(web, **changes)
            assert (response.status_code, response.json()["error"]) == (400, error), response.text
            assert words in response.json()["error_description"]
            assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", response.json()["error_description"])
            assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_small_rsa_key_is_refused(web: TestClient) -> None:
    small = RSAKey.generate_key(1024, {"kid": "small"}, private=True)
    response = registration(web, **KEY, jwks=public(small))
    assert (response.status_code, "2048" in response.json()["error_description"]) == (400, True)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[]", "application/json"),
        (b"{", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 60_000, "application/json"),
        (b"a=b", "application/x-www-form-urlencoded"),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_body_that_is_no_json_object_is_refused(web: TestClient, body: bytes, content_type: str) -> None:
    response = web.post("/register", content=body, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_body_that_is_too_long_is_refused(web: TestClient) -> None:
    body = json.dumps({"redirect_uris": [REDIRECT_URI], "x": "x" * 70_000})
    assert web.post("/register", content=body, headers={"Content-Type": "application/json"}).status_code == 413


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_any_web_page_may_register_its_app(web: TestClient) -> None:
    response = registration(web)
    assert response.headers["access-control-allow-origin"] == "*"
    assert web.options("/register").headers["access-control-allow-methods"] == "POST"
    assert web.get("/register").status_code == 405


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_every_discovery_document_names_the_registration_endpoint(web: TestClient, settings: Settings) -> None:
    for path in (
        "/fhir/.well-known/smart-configuration",
        "/fhir/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/fhir",
    ):
        document = web.get(path).json()
        assert document["registration_endpoint"] == f"{settings.base_url}/register"
        assert "private_key_jwt" in document["token_endpoint_auth_methods_supported"]


def test_the_form_registers_an_app_and_shows_its_secrets_once(
    web: TestClient, settings: Settings, database: Database
) -> None:
    page = web.get("/register/app")
    answers = {
        "client_name": "Health Notes",
        "redirect_uris": f"{REDIRECT_URI}\r\nhttp://127.0.0.1:4000/cb",
        "kind": "client_secret_basic",
        "policy_uri": "https://app.example/privacy",
        **{practice.field: "yes" for practice in PRACTICES},
    }
    made = web.post("/register/app", data={**hidden_fields(page), **answers})
    assert made.status_code == 200, made.text
    assert made.headers["cache-control"] == "no-store"
    shown = {
        name: re.search(f'id="{name}">([^<]+)<', made.text)
        for name in ("client-id", "client-secret", "registration-token")
    }
    assert all(shown.values())
    id, secret, token = (match[1] for match in shown.values() if match is not None)
    assert token not in web.get("/register/app").text
    app = SmartApp(web, settings, id, secret, authentication="client_secret_basic")
    assert app.connect()["patient"] == "p1"
    with database.reading() as transaction:
        client = find_client(transaction, id)
    assert client is not None
    assert (client.has_privacy_attestation, client.policy_uri) == (True, "https://app.example/privacy")
    assert client.redirect_uris == (REDIRECT_URI, "http://127.0.0.1:4000/cb")


def test_an_app_whose_makers_do_not_state_every_practice_is_registered_all_the_same(
    web: TestClient, database: Database
) -> None:
    answers = {"client_name": "Plain", "redirect_uris": REDIRECT_URI, "kind": "none", PRACTICES[0].field: "yes"}
    made = web.post("/register/app", data={**hidden_fields(web.get("/register/app")), **answers})
    match = re.search('id="client-id">([^<]+)<', made.text)
    assert match is not None
    with database.reading() as transaction:
        client = find_client(transaction, match[1])
    assert client is not None
    assert client.has_privacy_attestation is False
    assert client.is_active


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(web: TestClient) -> None:
    answers = {"client_name": "<b>Bank</b>", "redirect_uris": "http://app.example/", "kind": "none"}
    page = web.post("/register/app", data={**hidden_fields(web.get("/register/app")), **answers})
    assert page.status_code == 400
    assert "a redirect URI uses https" in page.text
    assert "&lt;b&gt;Bank" in page.text
    assert "<b>Bank" not in page.text


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_form_of_another_site_registers_nothing(web: TestClient, database: Database) -> None:
    answers = {"client_name": "Plain", "redirect_uris": REDIRECT_URI, "kind": "none", "csrf": "x"}
    assert web.post("/register/app", data=answers).status_code == 403
    assert events(database, "app") == []


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_form_is_linked_from_the_front_door_and_the_documentation(web: TestClient) -> None:
    for path in ("/", "/docs/registration"):
        assert 'href="/register/app"' in web.get(path).text


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_criteria_are_published_for_people_and_for_programs(web: TestClient) -> None:
    page = web.get("/docs/app-criteria").text
    document = web.get("/docs/app-criteria.json").json()
    assert [row["id"] for row in document["criteria"]] == list(CRITERIA)
    for row in document["criteria"]:
        assert f'id="{row["id"]}"' in page
        assert all(row.values())

"""RFC 7523 section 3 and SMART App Launch 2.2 "Client authentication: asymmetric": a client that signs."""

import ipaddress
import json
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.client_keys import KeySetError, fetch, is_public, usable_keys
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.signing_app import (
    ASSERTION_TYPE,
    EC_KEY,
    OTHER_KEY,
    RSA_KEY,
    Key,
    Signer,
    key_set,
    publishing,
)
from tests.authorization.smart_app import SmartApp, add_people, new_app

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PRIVATE = {"authentication": "private_key_jwt", "jwks": key_set(RSA_KEY, EC_KEY)}


def signing_app(app: SmartApp, database: Database, settings: Settings, key: Key = RSA_KEY) -> tuple[SmartApp, Signer]:
    made = new_app(app.web, database, settings, name="Signing app", **PRIVATE)
    return made, Signer(made.client_id, f"{settings.base_url}/token", key)


@pytest.fixture
def signing(app: SmartApp, database: Database, settings: Settings) -> tuple[SmartApp, Signer]:
    return signing_app(app, database, settings)


def exchange(app: SmartApp, proof: dict[str, str | None], code: str | None = None) -> tuple[int, dict[str, str]]:
    response = app.exchange(code or app.code(), client_id=None, **proof)
    return response.status_code, response.json()


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["RS384", "ES384"])
def test_an_assertion_signed_by_a_registered_key_authenticates(
    app: SmartApp, database: Database, settings: Settings, key: Key
) -> None:
    client, signer = signing_app(app, database, settings, key)
    status, token = exchange(client, {**signer.proof()})
    assert status == 200
    refreshed = client.post(
        "/token",
        {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": None, **signer.proof()},
    )
    assert refreshed.status_code == 200


def test_it_works_at_every_endpoint_that_asks_who_the_client_is(
    signing: tuple[SmartApp, Signer], subtests: pytest.Subtests
) -> None:
    client, signer = signing
    _, token = exchange(client, {**signer.proof()})
    for path, form, status in [
        ("/introspect", {"token": token["access_token"]}, 200),
        ("/par", client.authorization_request(), 201),
        ("/revoke", {"token": token["access_token"]}, 200),
    ]:
        with subtests.test(path=path):
            assert client.web.post(path, data={**form, **signer.proof()}).status_code == status
            assert client.web.post(path, data={**form, "client_id": client.client_id}).status_code == 401
    assert client.read(token["access_token"]) == 401


def test_the_issuer_is_an_audience_too(signing: tuple[SmartApp, Signer], settings: Settings) -> None:
    client, signer = signing
    assert exchange(client, {**signer.proof(signer.assertion(aud=settings.fhir_base))})[0] == 200
    assert exchange(client, {**signer.proof(signer.assertion(aud=["https://x.example", signer.audience]))})[0] == 200


def test_a_claim_that_is_not_what_it_must_be_is_refused(
    signing: tuple[SmartApp, Signer], subtests: pytest.Subtests
) -> None:
    client, signer = signing
    with clock.set_to(NOW):
        now = int(NOW.timestamp())
        for changes in [
            {"iss": None},
            {"iss": "somebody-else"},
            {"sub": None},
            {"sub": 7, "iss": 7},
            {"sub": "nobody", "iss": "nobody"},
            {"aud": None},
            {"aud": "https://elsewhere.example/token"},
            {"aud": 7},
            {"exp": None},
            {"exp": "soon"},
            {"exp": now - 31},
            {"exp": now + 331},
            {"exp": 10**30},
            {"nbf": now + 60},
            {"iat": now + 60},
            {"jti": None},
            {"jti": ""},
            {"jti": 7},
            {"jti": "x" * 256},
        ]:
            with subtests.test(changes=changes):
                status, answer = exchange(client, {**signer.proof(signer.assertion(**changes))})
                assert (status, answer["error"]) == (401, "invalid_client")
                assert answer["error_description"]


def test_a_header_that_is_not_what_it_must_be_is_refused(
    signing: tuple[SmartApp, Signer], subtests: pytest.Subtests
) -> None:
    client, signer = signing
    for header in [
        {"kid": None},
        {"kid": "unknown"},
        {"kid": "ec-1"},
        {"alg": "RS256"},
        {"alg": "PS384"},
        {"jku": "https://evil.example/jwks"},
    ]:
        with subtests.test(header=header):
            assertion = signer.assertion(header)
            status, answer = exchange(client, {**signer.proof(assertion)})
            assert (status, answer["error"]) == (401, "invalid_client")


def test_what_is_no_signed_assertion_is_refused(signing: tuple[SmartApp, Signer], subtests: pytest.Subtests) -> None:
    client, signer = signing
    good = signer.assertion()
    header, claims, signature = good.split(".")
    none = urlsafe_b64encode(json.dumps({"alg": "none", "kid": "rsa-1"}).encode()).decode().rstrip("=")
    for proof in [
        {"client_assertion_type": ASSERTION_TYPE},
        {"client_assertion": good},
        {"client_assertion": good, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        *(
            signer.proof(text)
            for text in [
                "x",
                "a.b.c",
                f"{none}.{claims}.",
                f"{header}.{claims}.",
                f"{header}.{claims}.{signature[:-8]}AAAAAAAA",
                Signer(client.client_id, signer.audience, OTHER_KEY).assertion({"kid": "rsa-1"}),
                good + "x" * 9000,
            ]
        ),
    ]:
        with subtests.test(proof=proof):
            status, answer = exchange(client, {**proof})
            assert (status, answer["error"]) == (401, "invalid_client")


def test_a_replayed_jti_is_refused_until_its_assertion_is_over(signing: tuple[SmartApp, Signer]) -> None:
    client, signer = signing
    with clock.set_to(NOW):
        first = signer.assertion(jti="the same")
        assert exchange(client, {**signer.proof(first)})[0] == 200
        status, answer = exchange(client, {**signer.proof(first)})
        assert (status, answer["error"]) == (401, "invalid_client")
        assert "jti" in answer["error_description"]
        assert exchange(client, {**signer.proof(signer.assertion(jti="the same", iat=None))})[0] == 401


def test_another_client_may_use_the_same_jti(app: SmartApp, database: Database, settings: Settings) -> None:
    for client, signer in (signing_app(app, database, settings), signing_app(app, database, settings)):
        assert exchange(client, {**signer.proof(signer.assertion(jti="1"))})[0] == 200


def test_of_parallel_uses_of_one_assertion_on_two_workers_one_succeeds(
    signing: tuple[SmartApp, Signer], settings: Settings
) -> None:
    client, signer = signing
    proof, token = signer.proof(), {"token": "unknown"}
    with TestClient(create_app(settings), base_url=settings.base_url) as second, ThreadPoolExecutor(4) as pool:
        workers = [client.web, second, client.web, second]
        answers = pool.map(lambda web: web.post("/introspect", data={**token, **proof}).status_code, workers)
        assert sorted(answers) == [200, 401, 401, 401]


def test_a_refused_request_has_used_its_assertion(signing: tuple[SmartApp, Signer]) -> None:
    client, signer = signing
    proof = signer.proof()
    assert exchange(client, {**proof}, code="bad") == (
        400,
        {
            "error": "invalid_grant",
            "error_code": "code_unknown",
            "error_description": "The authorization code is not known, or was issued to another client.",
        },
    )
    assert exchange(client, {**proof})[0] == 401


def test_a_client_authenticates_in_its_own_way_only(
    app: SmartApp, signing: tuple[SmartApp, Signer], database: Database, settings: Settings
) -> None:
    client, signer = signing
    basic = new_app(app.web, database, settings, authentication="client_secret_basic")
    # with a key, not with nothing or a secret
    assert client.exchange(client.code()).status_code == 401
    assert client.exchange(client.code(), client_secret="guessed").status_code == 401
    assert client.post("/introspect", {"token": "x"}, auth=(client.client_id, "guessed")).status_code == 401
    # with a secret or none at all, not with a key
    for other in (basic, app):
        forged = Signer(other.client_id, signer.audience).proof()
        assert app.web.post("/introspect", data={"token": "x", **forged}).status_code == 401


def test_two_ways_at_once_are_refused(signing: tuple[SmartApp, Signer]) -> None:
    client, signer = signing
    for options in (
        {"auth": (client.client_id, "secret"), "data": {"token": "x", **signer.proof()}},
        {"data": {"token": "x", "client_secret": "secret", **signer.proof()}},
    ):
        response = client.web.post("/introspect", **options)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_the_assertion_and_client_id_name_one_client(signing: tuple[SmartApp, Signer], app: SmartApp) -> None:
    client, signer = signing
    for client_id, status in ((client.client_id, 200), (app.client_id, 401)):
        data = {"token": "x", "client_id": client_id, **signer.proof()}
        assert client.web.post("/introspect", data=data).status_code == status


# -- key sets by address ---------------------------------------------------------------------------------------------


@pytest.fixture
def test_settings(settings: Settings) -> Settings:
    """A test deployment: key sets may lie on this machine."""
    return settings.model_copy(update={"environment": "test"})


def test_a_key_set_is_fetched_from_its_address_and_again_for_an_unknown_kid_once_a_minute(
    database: Database, test_settings: Settings
) -> None:
    add_people(database)
    with (
        publishing(RSA_KEY) as page,
        TestClient(create_app(test_settings), base_url=test_settings.base_url, follow_redirects=False) as web,
    ):
        client = new_app(web, database, test_settings, authentication="private_key_jwt", jwks_uri=page.url)
        old, new = (Signer(client.client_id, f"{test_settings.base_url}/token", key) for key in (RSA_KEY, OTHER_KEY))

        def status(signer: Signer) -> int:
            return web.post("/introspect", data={"token": "x", **signer.proof()}).status_code

        with clock.set_to(NOW):
            assert [status(old), status(old)] == [200, 200]
            assert page.asked == 1
            page.publish(RSA_KEY, OTHER_KEY)
            assert status(new) == 401
            assert page.asked == 1
        with clock.set_to(NOW + timedelta(seconds=60)):
            assert [status(new), status(old)] == [200, 200]
            assert page.asked == 2
        page.publish(OTHER_KEY)
        with clock.set_to(NOW + timedelta(seconds=60, hours=1)):
            assert [status(old), status(new)] == [401, 200]
            assert page.asked == 3
        page.publish(RSA_KEY)
        with clock.set_to(NOW - timedelta(hours=3)):  # the clock was set back: what was fetched is not new for hours
            assert [status(new), status(old)] == [401, 200]
            assert page.asked == 4


def test_nobody_waits_for_a_key_set_that_is_being_fetched(database: Database, test_settings: Settings) -> None:
    """While one client's key set is on its way, others are answered, and the database takes what they write."""
    add_people(database)
    with (
        publishing(RSA_KEY) as page,
        TestClient(create_app(test_settings), base_url=test_settings.base_url, follow_redirects=False) as web,
    ):
        slow = new_app(web, database, test_settings, authentication="private_key_jwt", jwks_uri=page.url)
        other = new_app(web, database, test_settings)
        token = other.connect()
        body = key_set(RSA_KEY).encode()
        refreshed: list[int] = []

        def answer_late() -> tuple[int, dict[str, str], bytes]:
            refreshed.append(other.refresh(token["refresh_token"]).status_code)
            return 200, {}, body

        page.answer = answer_late
        proof = Signer(slow.client_id, f"{test_settings.base_url}/token").proof()
        assert web.post("/introspect", data={"token": "x", **proof}).status_code == 200
    assert refreshed == [200]


def test_a_key_set_that_cannot_be_had_is_said_to_be(database: Database, test_settings: Settings) -> None:
    with (
        publishing() as page,
        TestClient(create_app(test_settings), base_url=test_settings.base_url) as web,
    ):
        client = new_app(web, database, test_settings, authentication="private_key_jwt", jwks_uri=page.url)
        signer = Signer(client.client_id, f"{test_settings.base_url}/token")
        page.answer = lambda: (500, {}, b"")
        response = web.post("/introspect", data={"token": "x", **signer.proof()})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert "status 500" in response.json()["error_description"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), "status 302"),
        ((200, {}, b"x" * 70_000), "larger"),
        ((200, {}, b"\xff\xff"), "cannot be read"),
    ],
)
def test_a_fetch_follows_no_redirect_and_is_bounded(answer: tuple[int, dict[str, str], bytes], told: str) -> None:
    with publishing() as page:
        page.answer = lambda: answer
        with pytest.raises(KeySetError, match=told):
            fetch(Settings(environment="test"), page.url)


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/jwks",
        "https://127.0.0.1/jwks",
        "https://localhost/jwks",
        "https://[::1]/jwks",
        "https://[::ffff:127.0.0.1]/jwks",
        "https://10.1.2.3/jwks",
        "https://192.168.0.1/jwks",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/jwks",
        "https://0.0.0.0/jwks",
        "ftp://app.example/jwks",
        "file:///etc/passwd",
        "https:///jwks",
        "nothing",
    ],
)
def test_production_asks_public_addresses_over_https_only(uri: str) -> None:
    with pytest.raises(KeySetError, match="address"):
        fetch(Settings(environment="production"), uri)


def test_which_addresses_are_public() -> None:
    addresses = ["8.8.8.8", "2606:4700::1111", "100.64.0.1", "224.0.0.1", "2002:7f00:1::", "::ffff:10.0.0.1", "fc00::1"]
    assert [is_public(ipaddress.ip_address(each)) for each in addresses] == [True, True, *[False] * 5]
    addresses = [
        "64:ff9b::808:808",
        "64:ff9b::7f00:1",
        "64:ff9b::a01:203",
        "64:ff9b:1::808:808",
        "::127.0.0.1",
        "fec0::1",
    ]
    assert [is_public(ipaddress.ip_address(each)) for each in addresses] == [True, *[False] * 5]


def test_keys_that_cannot_verify_are_passed_over() -> None:
    weak = {**EC_KEY.as_dict(private=False), "crv": "P-256", "kid": "weak"}
    encryption = {**RSA_KEY.as_dict(private=False), "use": "enc", "kid": "enc"}
    document = json.dumps({"keys": [weak, encryption, 7, {"kty": "OKP"}, json.loads(key_set(EC_KEY))["keys"][0]]})
    assert set(usable_keys(document)) == {"ec-1"}
    for text in ("", "[]", "{}", '{"keys": 1}', "[" * 100_000):
        with pytest.raises(KeySetError):
            usable_keys(text)

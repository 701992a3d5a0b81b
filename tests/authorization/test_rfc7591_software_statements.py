"""RFC 7591 section 2.3: what a trusted issuer signs about an app goes before what the app says; others are refused."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.clients import find_client
from server.authorization.software_statements import read_issuers
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.registering import EC, RSA, bearer, place, public, registered, registration, statement

ISSUER = "https://library.example"
P256 = ECKey.generate_key("P-256", {"kid": "p256"})
SECOND = 1_000_000
Sign = Callable[..., str]


def now() -> int:
    return clock.now_microseconds() // SECOND


def signed(key: RSAKey | ECKey = EC, algorithm: str = "ES384", **changes: Any) -> str:
    """A good statement, with changes (None: left out)."""
    claims = {"iss": ISSUER, "iat": now() - 5, "exp": now() + 600, "software_id": "app-9", "client_name": "Signed name"}
    return statement(key, algorithm, **{name: value for name, value in (claims | changes).items() if value is not None})


def issuers_file(path: Path, **row: Any) -> Path:
    """A file with one issuer."""
    row = {"issuer": ISSUER, "name": "App Library", **row}
    path.write_text("[[issuer]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in row.items()), "utf-8")
    return path


@contextmanager
def serving(database_settings: Settings, issuers: Path) -> Iterator[TestClient]:
    """The server with these issuers."""
    settings = database_settings.model_copy(update={"software_statement_issuers_file": issuers})
    with TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as client:
        yield client


@pytest.fixture
def library(settings: Settings, tmp_path: Path) -> Iterator[TestClient]:
    """The server, which trusts one issuer with three keys."""
    with serving(settings, issuers_file(tmp_path / "issuers.toml", jwks=json.dumps(public(RSA, EC, P256)))) as client:
        yield client


def test_what_a_statement_says_goes_before_what_the_app_says(library: TestClient, database: Database) -> None:
    sent = signed(privacy_attestation=True, redirect_uris=["https://signed.example/cb"])
    information = registered(
        library, software_statement=sent, client_name="Plain", software_id="other", policy_uri="https://app.example/p"
    )
    assert information["client_name"] == "Signed name"
    assert information["redirect_uris"] == ["https://signed.example/cb"]
    assert information["software_id"] == "app-9"
    assert information["policy_uri"] == "https://app.example/p"
    assert information["software_statement"] == sent
    assert "iss" not in information
    with database.reading() as transaction:
        client = find_client(transaction, information["client_id"])
    assert client is not None
    assert (client.registered_by, client.has_privacy_attestation) == (ISSUER, True)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "RS384"), (P256, "ES256"), (EC, "ES384")])
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_four_algorithms_are_understood(library: TestClient, key: RSAKey | ECKey, algorithm: str) -> None:
    assert registered(library, software_statement=signed(key, algorithm))["client_name"] == "Signed name"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_issuer_that_is_not_configured_is_not_approved(library: TestClient, web: TestClient) -> None:
    response = registration(library, software_statement=signed(iss="https://other.example"))
    assert (response.status_code, response.json()["error"]) == (400, "unapproved_software_statement")
    assert "App Library" in response.json()["error_description"]
    assert registration(web, software_statement=signed()).json()["error"] == "unapproved_software_statement"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_statement_that_is_not_in_force_or_not_signed_by_its_issuer_is_refused(
    library: TestClient, subtests: pytest.Subtests
) -> None:
    stranger = ECKey.generate_key("P-384", {"kid": "ec"})
    header, payload, signature = signed().split(".")
    for name, sent in {
        "expired": signed(exp=now() - 120),
        "no exp": signed(exp=None),
        "no iat": signed(iat=None),
        "issued tomorrow": signed(iat=now() + 86_400),
        "another's key": signed(stranger),
        "unknown kid": signed(ECKey.generate_key("P-384", {"kid": "new"})),
        "changed": f"{header}.{payload[:-4]}AAAA.{signature}",
        "unsigned": f"eyJhbGciOiJub25lIn0.{payload}.",
        "cut off": f"{header}.{payload}",
        "too long": signed(note="x" * 21_000),
    }.items():
        with subtests.test(name):
            response = registration(library, software_statement=sent)
            assert (response.status_code, response.json()["error"]) == (400, "invalid_software_statement"), (
                response.text
            )


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_statement_cannot_lift_an_app_above_what_apps_of_members_may_have(library: TestClient) -> None:
    assert registered(library, software_statement=signed(scope="system/*.rs patient/*.rs"))["scope"] == "patient/*.rs"
    refused = registration(library, software_statement=signed(redirect_uris=["http://app.example/"]))
    assert refused.json()["error"] == "invalid_redirect_uri"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_update_without_the_statement_no_longer_speaks_in_the_issuers_name(
    library: TestClient, database: Database
) -> None:
    information = registered(library, software_statement=signed(privacy_attestation=True))
    sent = {"client_id": information["client_id"], "redirect_uris": information["redirect_uris"]}
    assert library.put(place(information), json=sent, headers=bearer(information)).status_code == 200
    with database.reading() as transaction:
        client = find_client(transaction, information["client_id"])
    assert client is not None
    assert (client.registered_by, client.has_privacy_attestation) == ("self", False)


class _Keys(BaseHTTPRequestHandler):
    documents: list[dict[str, Any]] = []
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = json.dumps(self.documents[-1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def key_server() -> Iterator[str]:
    """An issuer's key set on this machine."""
    _Keys.documents, _Keys.asked = [public(EC)], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Keys)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/jwks"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_issuers_keys_are_fetched_once_and_again_when_it_has_a_new_one(
    settings: Settings, tmp_path: Path, key_server: str
) -> None:
    test = settings.model_copy(update={"environment": "test"})
    with serving(test, issuers_file(tmp_path / "issuers.toml", jwks_uri=key_server)) as web:
        registered(web, software_statement=signed())
        registered(web, software_statement=signed())
        assert _Keys.asked == 1
        _Keys.documents.append(public(EC, P256))
        assert registration(web, software_statement=signed(P256, "ES256")).status_code == 400
        with clock.set_to(clock.from_microseconds(clock.now_microseconds() + 61 * SECOND)):
            registered(web, software_statement=signed(P256, "ES256"))
        assert _Keys.asked == 2


def test_a_file_that_cannot_be_used_says_which_row_and_why(tmp_path: Path, subtests: pytest.Subtests) -> None:
    path = tmp_path / "issuers.toml"
    for row, words in [
        ({"issuer": ""}, "issuer 1"),
        ({}, "either jwks or jwks_uri"),
        ({"jwks": "{}"}, "issuer 1"),
        ({"jwks": json.dumps(public(EC)), "jwks_uri": "https://library.example/jwks"}, "either"),
        ({"jwks_uri": "http://library.example/jwks"}, "https"),
        ({"jwks": json.dumps({"keys": [EC.as_dict(private=True)]})}, "public"),
        ({"jwks_uri": "https://library.example/jwks", "color": "red"}, "color"),
    ]:
        with subtests.test(row=row), pytest.raises(ValueError, match=words):
            read_issuers(issuers_file(path, **row))
    for text, words in [("", "no"), ("[[", "not TOML"), ("issuer = 1", "rows")]:
        with subtests.test(text=text), pytest.raises(ValueError, match=words):
            path.write_text(text)
            read_issuers(path)
    again = issuers_file(path, jwks_uri="https://library.example/jwks").read_text()
    path.write_text(again + again)
    with pytest.raises(ValueError, match="twice"):
        read_issuers(path)

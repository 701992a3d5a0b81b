"""RFC 7591 section 2 and RFC 8252: what an app may be registered with; accounts and members."""

import pytest

from server.authorization.accounts import add_account, mark_test_member
from server.authorization.authority import members
from server.authorization.clients import register
from server.authorization.identity import sign_in
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.authorization.smart_app import events

HTTPS = ["https://app.example/cb"]


@pytest.fixture
def ledger(database: Database) -> EventLedger:
    return EventLedger(database)


def test_a_public_client_has_no_secret_and_a_confidential_one_sees_it_once(
    ledger: EventLedger, settings: Settings, database: Database
) -> None:
    public, none = register(ledger, settings, "Public", HTTPS)
    confidential, secret = register(ledger, settings, "Server", HTTPS, authentication="client_secret_basic")
    assert public != confidential
    assert none is None
    assert secret is not None
    assert len(secret) >= 43
    again = register(ledger, settings, "Server", HTTPS, authentication="client_secret_basic", client_id=confidential)
    assert again == (confidential, None)
    assert [(row.client_id, row.interaction, row.environment) for row in events(database, "app")] == [
        (public, "register", "production"),
        (confidential, "register", "production"),
    ]


def test_registering_again_updates(ledger: EventLedger, settings: Settings, database: Database) -> None:
    register(ledger, settings, "One", HTTPS, client_id="app-1")
    register(ledger, settings, "Two", [*HTTPS, "http://localhost:3000/"], client_id="app-1", environment="test")
    assert [(row.interaction, row.detail, row.environment) for row in events(database, "app")] == [
        ("register", "One", "production"),
        ("update", "Two", "test"),
    ]


def test_good_redirect_uris(ledger: EventLedger, settings: Settings, subtests: pytest.Subtests) -> None:
    for uri in [
        "https://app.example/cb?x=1",
        "http://localhost:3000/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:8080/cb",
        "http://inferno.localhost/cb",
        "com.example.app:/cb",
        "com.example.app://cb",
    ]:
        with subtests.test(uri=uri):
            assert register(ledger, settings, "App", [uri])


def test_bad_redirect_uris(ledger: EventLedger, settings: Settings, subtests: pytest.Subtests) -> None:
    for uri in [
        "http://app.example/cb",
        "https://app.example/cb#fragment",
        "https://app.example/c b",
        "https:///cb",
        "https://user@app.example/cb",
        "https://app.example/é",
        "https://app.example/cb\nhttps://evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "myapp:/cb",
        "/cb",
        "",
        "https://[::1/cb",
    ]:
        with subtests.test(uri=uri), pytest.raises(ValueError, match=r"URL|URI|scheme"):
            register(ledger, settings, "App", [uri])


def test_a_test_app_may_use_http_anywhere(ledger: EventLedger, settings: Settings) -> None:
    assert register(ledger, settings, "App", ["http://inferno:4567/cb"], environment="test")


def test_bad_registrations_say_what_is_wrong_in_one_line(
    ledger: EventLedger, settings: Settings, subtests: pytest.Subtests
) -> None:
    for changes, words in [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"redirect_uris": []}, "redirect URI"),
        ({"authentication": "tls_client_auth"}, "client_secret_basic"),
        ({"authentication": "private_key_jwt"}, "jwks"),
        ({"kind": "friend"}, "third-party"),
        ({"environment": "staging"}, "production"),
        ({"client_id": "no spaces"}, "client id"),
        ({"scope": "patient/Nothing.rs"}, "patient/Nothing.rs"),
    ]:
        with subtests.test(changes=changes, words=words):
            arguments: dict[str, object] = {"name": "App", "redirect_uris": HTTPS, **changes}
            with pytest.raises(ValueError, match=words) as error:
                register(ledger, settings, **arguments)  # type: ignore[arg-type]
            assert "\n" not in str(error.value)


def test_an_account_is_made_once_and_then_updated(database: Database, ledger: EventLedger, settings: Settings) -> None:
    first = add_account(database, "Ada", "password one", "Ada", [("Patient/1", "self", ""), ("2", "Parent", "r2")])
    again = add_account(database, "ada ", "password two", "Ada L.", [("3", "guardian", "RelatedPerson/r3", "adult")])
    assert first.id == again.id
    assert sign_in(database, ledger, settings, "ada", "password one") is None
    assert sign_in(database, ledger, settings, "ada", "password two") == first.id
    with database.reading() as transaction:
        (member,) = members(transaction, settings, first.id)
    assert (member.patient, member.relationship, member.actor, member.fhir_user, member.name) == (
        *("3", "guardian", "representative", "RelatedPerson/r3", "Member 3"),
    )


def test_bad_accounts_say_what_is_wrong(database: Database, subtests: pytest.Subtests) -> None:
    for username, password, name, acts_for, words in [
        (" ", "password", "Ada", [], "username"),
        ("ada", "short", "Ada", [], "password"),
        ("ada", "x" * 257, "Ada", [], "password"),
        ("ada", "password", "", [], "name"),
        ("ada", "password", "Ada", [("1", "self", ""), ("1", "self", "")], "twice"),
        ("ada", "password", "Ada\x1b[2J", [], "printable"),
        ("ada", "password", "Ada", [("a b", "self", "")], "FHIR R4 id"),
        ("ada", "password", "Ada", [("1", "parent", "r/1")], "FHIR R4 id"),
        ("ada", "password", "Ada", [("", "self", "")], "Patient id"),
        ("ada", "password", "Ada", [("1", "", "")], "relationship"),
        ("ada", "password", "Ada", [("1", "self", "r1")], "RelatedPerson"),
    ]:
        with subtests.test(words=words, acts_for=acts_for), pytest.raises(ValueError, match=words):
            add_account(database, username, password, name, acts_for)


def test_bad_marks_say_what_is_wrong(database: Database, subtests: pytest.Subtests) -> None:
    for patient, environment in [("", "test"), ("1", "staging")]:
        with subtests.test(patient=patient, environment=environment), pytest.raises(ValueError, match="member"):
            mark_test_member(database, patient, environment)

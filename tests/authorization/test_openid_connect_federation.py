"""OpenID Connect Core 1.0 section 3.1 and RP-Initiated Logout 1.0: members sign in at the payer's own provider (IDENTITY=oidc)."""

import logging
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx2 import Response
from pydantic import SecretStr, ValidationError
from sqlalchemy import select
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.provider_network import LARGEST_ANSWER
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.authorization.openid_provider import (
    ACCESS_TOKEN,
    CLIENT_ID,
    CURVE_KEY,
    KEY,
    OTHER_KEY,
    SECRET,
    OpenIDProvider,
    basic_credentials,
    running_provider,
)
from tests.authorization.smart_app import SmartApp, add_people, events, hidden_fields, new_app
from tests.factories import IDENTIFIERS, patient, store

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
REFUSED = "We could not accept the answer of the sign-in service"


@pytest.fixture
def provider() -> Iterator[OpenIDProvider]:
    """The payer's provider."""
    with running_provider() as provider:
        yield provider


@pytest.fixture
def settings(settings: Settings, provider: OpenIDProvider) -> Settings:
    """Settings that name it."""
    return settings.model_copy(
        update={
            "identity": "oidc",
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(SECRET),
            "oidc_represents_claim": "represents",
        }
    )


def query(response: Response) -> dict[str, str]:
    """The query of where a redirect leads."""
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


def path(address: str) -> str:
    """An address of ours as the browser asks for it."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def start(app: SmartApp, **asked: str | None) -> Response:
    """An app's request, our sign-in page, and the redirect that its link leads to."""
    page = app.web.get(app.authorize(**asked).headers["location"])
    href = page.text.split('class="button" href="')[1].split('"')[0]
    return app.web.get(href.replace("&amp;", "&"))


def sign_in(app: SmartApp, provider: OpenIDProvider, **asked: str | None) -> Response:
    """The answer to the member who comes back from the provider."""
    return app.web.get(path(provider.sign_in(start(app, **asked).headers["location"])))


def consent_page(app: SmartApp, provider: OpenIDProvider, **asked: str | None) -> Response:
    """Sign in at the provider, as far as the consent page."""
    back = sign_in(app, provider, **asked)
    assert (back.status_code, back.headers["location"].partition("?")[0]) == (303, "/consent"), back.text
    return app.web.get(back.headers["location"])


def connect(app: SmartApp, provider: OpenIDProvider, patient: str | None = None, **asked: str | None) -> dict[str, Any]:
    """The whole dance; the token response."""
    answer = app.decide(consent_page(app, provider, **asked), patient=patient)
    response = app.exchange(query(answer)["code"])
    assert response.status_code == 200, response.text
    return dict(response.json())


def represented(database: Database) -> list[tuple[str, ...]]:
    """(patient, relationship, authority, until) of every account of a provider."""
    accounts, members = METADATA.tables["account"], METADATA.tables["account_member"]
    columns = [members.c[name] for name in ("patient", "relationship", "authority", "until")]
    statement = select(*columns).join(accounts, accounts.c.id == members.c.account).where(accounts.c.issuer != "")
    with database.reading() as reading:
        return [tuple(row) for row in reading.all(statement.order_by(members.c.patient))]


# -- there and back --------------------------------------------------------------------------------------------------


def test_the_provider_is_asked_with_pkce_a_state_and_a_nonce(app: SmartApp, provider: OpenIDProvider) -> None:
    first, second = start(app), start(app)
    assert first.headers["location"].startswith(f"{provider.issuer}/auth?")
    asked, again = query(first), query(second)
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT_ID, "openid profile")
    assert asked["redirect_uri"] == f"{app.settings.base_url}/sign-in/callback"
    assert asked["code_challenge_method"] == "S256"
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 43
        assert asked[name] != again[name]
    assert "prompt" not in asked


def test_who_signed_in_there_consents_here_and_the_app_reads(
    app: SmartApp, provider: OpenIDProvider, database: Database
) -> None:
    tokens = connect(app, provider)
    assert tokens["patient"] == "p1"
    assert app.read(tokens["access_token"]) == 200
    assert represented(database) == [("p1", "self", "self", "")]
    assert "Signed in as" in app.web.get("/account").text
    assert "Ada Lovelace" in app.web.get("/account").text


def test_what_an_app_asks_of_the_sign_in_is_passed_on(app: SmartApp, provider: OpenIDProvider) -> None:
    asked = query(start(app, prompt="login", max_age="600", login_hint="ada@example.org", ui_locales="es"))
    assert asked["prompt"] == "login"
    assert asked["max_age"] == "600"
    assert asked["login_hint"] == "ada@example.org"
    assert asked["ui_locales"] == "es"


def test_without_an_app_the_sign_in_leads_to_the_account(app: SmartApp, provider: OpenIDProvider) -> None:
    back = app.web.get(path(provider.sign_in(app.web.get("/sign-in/start").headers["location"])))
    assert back.headers["location"] == "/account"
    assert app.web.get("/account").status_code == 200


def test_a_local_password_is_not_asked_for(app: SmartApp) -> None:
    page = app.web.get("/sign-in")
    assert "password" not in page.text.replace("never asks for your password", "")
    assert app.web.post("/sign-in", data={**hidden_fields(page), "username": "ada"}).status_code == 405
    assert app.web.get("/account/codes").status_code == 404


@pytest.mark.parametrize(
    ("secret", "methods"),
    [
        (SECRET, None),
        (SECRET, ["client_secret_post"]),
        (None, None),
    ],
)
def test_the_code_is_exchanged_as_the_provider_wants_it(
    database: Database, settings: Settings, provider: OpenIDProvider, secret: str | None, methods: list[str] | None
) -> None:
    if methods is not None:
        provider.metadata["token_endpoint_auth_methods_supported"] = methods
    own = settings.model_copy(update={"oidc_client_secret": None if secret is None else SecretStr(secret)})
    add_people(database)
    with TestClient(create_app(own), base_url=own.base_url, follow_redirects=False) as web:
        connect(new_app(web, database, own), provider)
    (_, sent, headers) = next(asked for asked in provider.asked if asked[0] == "/token")
    if secret is None:
        assert (sent["client_id"], "client_secret" in sent, "authorization" in headers) == (CLIENT_ID, False, False)
    elif methods is None:
        assert basic_credentials(headers) == (CLIENT_ID, SECRET)
        assert "client_secret" not in sent
    else:
        assert (sent["client_id"], sent["client_secret"]) == (CLIENT_ID, SECRET)


# -- the id_token (Core 3.1.3.7) -------------------------------------------------------------------------------------


NOT_FOR_US: list[dict[str, Any]] = [
    {"iss": "https://another.example"},
    {"iss": None},
    {"aud": "another client"},
    {"aud": None},
    {"aud": [CLIENT_ID, "another"]},
    {"aud": [CLIENT_ID, "another"], "azp": "another"},
    {"azp": "another"},
    {"nonce": "another"},
    {"nonce": None},
    {"sub": ""},
    {"sub": 7},
    {"sub": "x" * 256},
    {"exp": None},
    {"exp": "tomorrow"},
    {"iat": None},
    {"nbf": 99_999_999_999},
]


def test_an_id_token_that_is_not_for_us_lets_nobody_in(
    app: SmartApp, provider: OpenIDProvider, subtests: pytest.Subtests
) -> None:
    for claims in NOT_FOR_US:
        with subtests.test(claims=claims):
            provider.claims = claims
            back = sign_in(app, provider)
            assert (back.status_code, REFUSED in back.text) == (400, True)
            assert app.web.get("/account").status_code == 303


def test_an_unsafe_or_unannounced_algorithm_lets_nobody_in(
    app: SmartApp, provider: OpenIDProvider, subtests: pytest.Subtests
) -> None:
    for algorithm in ("none", "HS256", "RS512"):
        with subtests.test(algorithm=algorithm):
            provider.algorithm = algorithm
            back = sign_in(app, provider)
            assert (back.status_code, REFUSED in back.text) == (400, True)


def test_elliptic_curve_signatures_are_taken(app: SmartApp, provider: OpenIDProvider) -> None:
    provider.key, provider.algorithm, provider.published = CURVE_KEY, "ES256", [KEY, CURVE_KEY]
    assert consent_page(app, provider).status_code == 200


def test_a_wrong_signature_lets_nobody_in(app: SmartApp, provider: OpenIDProvider) -> None:
    provider.key = OTHER_KEY.import_key(OTHER_KEY.as_dict(private=True) | {"kid": "one"})
    assert sign_in(app, provider).status_code == 400


def test_a_key_that_is_not_published_lets_nobody_in(app: SmartApp, provider: OpenIDProvider) -> None:
    provider.key = OTHER_KEY
    assert sign_in(app, provider).status_code == 400


def test_new_keys_are_found_when_a_token_names_one(app: SmartApp, provider: OpenIDProvider) -> None:
    with clock.set_to(NOW):
        consent_page(app, provider)
    app.web.cookies.clear()
    provider.key, provider.published = OTHER_KEY, [OTHER_KEY]
    with clock.set_to(NOW + timedelta(seconds=11)):
        assert consent_page(app, provider).status_code == 200
    assert provider.paths().count("/jwks") == 2


def test_unknown_keys_do_not_make_us_ask_again_and_again(app: SmartApp, provider: OpenIDProvider) -> None:
    provider.key = OTHER_KEY
    with clock.set_to(NOW):
        for _ in range(3):
            assert sign_in(app, provider).status_code == 400
    assert provider.paths().count("/jwks") == 1


AT_NOW = clock.to_microseconds(NOW) // 1_000_000
CLOCKS = [
    ({"exp": AT_NOW - 59}, 303),
    ({"exp": AT_NOW - 60}, 400),
    ({"iat": AT_NOW + 60}, 303),
    ({"iat": AT_NOW + 61}, 400),
    ({"auth_time": AT_NOW + 60}, 303),
    ({"auth_time": AT_NOW + 61}, 400),
]


def test_clocks_may_differ_by_a_minute_and_no_more(
    app: SmartApp, provider: OpenIDProvider, subtests: pytest.Subtests
) -> None:
    for claims, status in CLOCKS:
        with subtests.test(claims=claims), clock.set_to(NOW):
            app.web.cookies.clear()
            provider.claims = claims
            assert sign_in(app, provider).status_code == status


# -- state, and the browser ------------------------------------------------------------------------------------------


def test_an_answer_with_another_state_is_refused(app: SmartApp, provider: OpenIDProvider) -> None:
    location = start(app).headers["location"]
    for state in ("another", query(start(app))["state"][:-1], ""):
        back = app.web.get(path(provider.sign_in(location, state=state)))
        assert (back.status_code, "This sign-in is over" in back.text) == (400, True)
    assert "/token" not in provider.paths()


def test_an_answer_in_another_browser_is_refused(app: SmartApp, provider: OpenIDProvider) -> None:
    address = provider.sign_in(start(app).headers["location"])
    app.web.cookies.clear()
    assert app.web.get(path(address)).status_code == 400
    assert "/token" not in provider.paths()


def test_an_answer_is_taken_once(app: SmartApp, provider: OpenIDProvider) -> None:
    address = provider.sign_in(start(app).headers["location"])
    assert app.web.get(path(address)).status_code == 303
    assert app.web.get(path(address)).status_code == 400
    assert provider.paths().count("/token") == 1


def test_an_answer_that_comes_too_late_is_refused(app: SmartApp, provider: OpenIDProvider) -> None:
    with clock.set_to(NOW):
        address = provider.sign_in(start(app).headers["location"])
    with clock.set_to(NOW + timedelta(minutes=app.settings.sign_in_minutes)):
        assert app.web.get(path(address)).status_code == 400


def test_two_tabs_do_not_disturb_each_other(app: SmartApp, provider: OpenIDProvider) -> None:
    first, second = (provider.sign_in(start(app).headers["location"]) for _ in range(2))
    assert app.web.get(path(first)).status_code == 303
    assert app.web.get(path(second)).status_code == 303


def test_an_answer_of_another_issuer_is_refused(app: SmartApp, provider: OpenIDProvider) -> None:
    back = app.web.get(path(provider.sign_in(start(app).headers["location"], iss="https://another.example")))
    assert (back.status_code, "/token" in provider.paths()) == (400, False)


def test_an_answer_must_name_its_issuer_when_the_provider_always_does(app: SmartApp, provider: OpenIDProvider) -> None:
    provider.metadata["authorization_response_iss_parameter_supported"] = True
    address = provider.sign_in(start(app).headers["location"]).partition("&iss=")[0]
    assert app.web.get(path(address)).status_code == 400


def test_who_breaks_the_sign_in_off_may_try_again(app: SmartApp, provider: OpenIDProvider) -> None:
    back = app.web.get(path(provider.sign_in(start(app).headers["location"], error="access_denied")))
    assert (back.status_code, "broken off" in back.text) == (400, True)
    again = back.text.split('href="/sign-in?request=')[1].split('"')[0]
    assert app.web.get(f"/sign-in?request={again}").status_code == 200


# -- auth_time -------------------------------------------------------------------------------------------------------


def test_auth_time_is_when_the_member_signed_in(app: SmartApp, provider: OpenIDProvider) -> None:
    at = clock.to_microseconds(NOW) // 1_000_000
    provider.claims = {"auth_time": at - 300}
    with clock.set_to(NOW):
        back = sign_in(app, provider, max_age="600")
        page = app.web.get(back.headers["location"])
        tokens = app.exchange(query(app.decide(page))["code"]).json()
    claims = tokens["id_token"].split(".")[1]
    assert f'"auth_time":{at - 300}'.encode() in urlsafe_b64decode(claims + "==").replace(b" ", b"")


@pytest.mark.parametrize(
    ("asked", "age"),
    [({"prompt": "login"}, 120), ({"max_age": "600"}, 720), ({"max_age": "600"}, None)],
    ids=str,
)
def test_a_sign_in_that_is_not_as_new_as_asked_is_refused(
    app: SmartApp, provider: OpenIDProvider, asked: dict[str, str], age: int | None
) -> None:
    provider.claims = {"auth_time": None if age is None else clock.to_microseconds(NOW) // 1_000_000 - age}
    with clock.set_to(NOW):
        assert sign_in(app, provider, **asked).status_code == 400


def test_a_new_sign_in_is_enough_although_the_providers_clock_is_behind(
    app: SmartApp, provider: OpenIDProvider
) -> None:
    provider.claims = {"auth_time": clock.to_microseconds(NOW) // 1_000_000 - 30}
    with clock.set_to(NOW):
        assert consent_page(app, provider, prompt="login").status_code == 200


# -- claims and members ----------------------------------------------------------------------------------------------


def test_claims_may_be_in_userinfo(app: SmartApp, provider: OpenIDProvider) -> None:
    provider.claims = {"member": None}
    provider.userinfo = {"member": "p2", "represents": ["p3"]}
    page = consent_page(app, provider)
    assert "Grace Hopper" in page.text
    assert "Kid Hopper" in page.text


def test_userinfo_of_somebody_else_is_refused(app: SmartApp, provider: OpenIDProvider) -> None:
    provider.claims = {"member": None}
    provider.userinfo = {"sub": "subject-2", "member": "p2"}
    assert sign_in(app, provider).status_code == 400


def test_a_representative_acts_for_those_the_provider_names(
    app: SmartApp, provider: OpenIDProvider, database: Database
) -> None:
    provider.claims = {
        "member": "p2",
        "represents": [
            {"member": "p3", "relationship": "parent", "until": "2030-01-31"},
            {"member": "p4", "relationship": "guardian", "authority": "adult"},
            "p1",
            "nobody here",
        ],
    }
    tokens = connect(app, provider, patient="p3")
    assert tokens["patient"] == "p3"
    assert represented(database) == [
        ("p1", "representative", "consent", ""),
        ("p2", "self", "self", ""),
        ("p3", "parent", "minor", "2030-01-31"),
        ("p4", "guardian", "adult", ""),
    ]


def test_what_the_provider_names_no_longer_ends_what_it_allowed(
    app: SmartApp, provider: OpenIDProvider, database: Database
) -> None:
    provider.claims = {"member": "p2", "represents": [{"member": "p3", "relationship": "parent"}]}
    child, own = connect(app, provider, patient="p3"), connect_again(app, provider, "p2")
    provider.claims = {"member": "p2"}
    app.web.cookies.clear()
    consent_page(app, provider)
    assert (app.read(child["access_token"]), app.read(own["access_token"])) == (401, 200)
    assert represented(database) == [("p2", "self", "self", "")]
    (ended,) = events(database, "revocation")
    assert "may act for the member no longer" in ended.detail


def connect_again(app: SmartApp, provider: OpenIDProvider, patient: str) -> dict[str, Any]:
    """The dance of somebody who is signed in already."""
    page = app.web.get(app.authorize().headers["location"])
    return dict(app.exchange(query(app.decide(page, patient=patient))["code"]).json())


def test_two_first_sign_ins_at_the_same_moment_are_one_account(
    app: SmartApp, provider: OpenIDProvider, database: Database
) -> None:
    with TestClient(create_app(app.settings), base_url=app.settings.base_url, follow_redirects=False) as other:
        addresses = [
            (web, path(provider.sign_in(web.get("/sign-in/start").headers["location"]))) for web in (app.web, other)
        ]
        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda pair: pair[0].get(pair[1]), addresses))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert represented(database) == [("p1", "self", "self", "")]


@pytest.mark.parametrize("claims", [{"member": "nobody here"}, {"member": None}, {"member": {}}], ids=str)
def test_who_is_no_member_gets_a_clear_page(app: SmartApp, provider: OpenIDProvider, claims: dict[str, Any]) -> None:
    provider.claims = claims
    back = sign_in(app, provider)
    assert (back.status_code, "We do not find your membership" in back.text) == (403, True)
    assert app.web.get("/account").status_code == 303


IMPOSSIBLE: list[dict[str, Any]] = [
    {"member": ["p1", "p2"]},
    {"represents": [{"relationship": "parent"}]},
    {"represents": [{"member": "p2", "relationship": "self"}]},
    {"represents": [{"member": "p2", "relationship": "parent", "until": "soon"}]},
    {"represents": [{"member": "p2", "authority": "royal"}]},
    {"represents": [["p2"]]},
    {"represents": [f"p{number}" for number in range(100)]},
]


def test_claims_that_cannot_be_are_refused(app: SmartApp, provider: OpenIDProvider, subtests: pytest.Subtests) -> None:
    for claims in IMPOSSIBLE:
        with subtests.test(claims=str(claims)[:60]):
            provider.claims = claims
            back = sign_in(app, provider)
            assert (back.status_code, REFUSED in back.text) == (400, True)


def test_claims_may_be_identifiers_of_members(database: Database, settings: Settings, provider: OpenIDProvider) -> None:
    store(
        database,
        settings,
        [patient("anna"), patient("bert"), patient("twin", identifier=patient("bert")["identifier"])],
    )
    own = settings.model_copy(update={"oidc_member_identifier_system": IDENTIFIERS})
    with TestClient(create_app(own), base_url=own.base_url, follow_redirects=False) as web:
        app = new_app(web, database, own)
        provider.claims = {"member": "member-anna"}
        for _ in range(2):
            assert connect(app, provider)["patient"] == "anna"
            web.cookies.clear()
        provider.claims = {"member": "anna"}
        assert sign_in(app, provider).status_code == 403
        provider.claims = {"member": "member-bert", "sub": "subject-2"}
        assert sign_in(app, provider).status_code == 400


# -- outages, secrets, logout ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "answer"),
    [
        ("/.well-known/openid-configuration", (500, b"")),
        ("/.well-known/openid-configuration", (404, b"{}")),
        ("/.well-known/openid-configuration", (200, b'{"issuer": "https://another.example"}')),
        ("/.well-known/openid-configuration", (200, b"[" * 100_000)),
        ("/.well-known/openid-configuration", (200, b" " * (LARGEST_ANSWER + 1))),
        ("/.well-known/openid-configuration", (302, b"")),
        ("/token", (503, b"")),
        ("/token", (200, b"<html>")),
        ("/jwks", (500, b"")),
        ("/jwks", (200, b"{}")),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_provider_that_does_not_work_is_a_clear_page(
    app: SmartApp, provider: OpenIDProvider, where: str, answer: tuple[int, bytes]
) -> None:
    if where == "/.well-known/openid-configuration":
        provider.answers[where] = answer
        back = start(app)
    else:
        location = start(app).headers["location"]
        provider.answers[where] = answer
        back = app.web.get(path(provider.sign_in(location)))
    assert (back.status_code, "Sign-in is not available" in back.text) == (503, True)
    assert "Try again" in back.text


def test_a_provider_that_is_not_there_is_a_clear_page(app: SmartApp, settings: Settings, database: Database) -> None:
    gone = settings.model_copy(update={"oidc_issuer": "http://127.0.0.1:9"})
    with TestClient(create_app(gone), base_url=gone.base_url, follow_redirects=False) as web:
        answer = web.get("/sign-in/start")
        assert (answer.status_code, "Sign-in is not available" in answer.text) == (503, True)
        assert web.get("/sign-in").status_code == 200


def test_a_code_that_the_provider_refuses_is_a_clear_page(app: SmartApp, provider: OpenIDProvider) -> None:
    back = app.web.get(path(provider.sign_in(start(app).headers["location"], code="guessed")))
    assert (back.status_code, REFUSED in back.text) == (400, True)


def test_signing_out_leads_to_the_providers_sign_out(app: SmartApp, provider: OpenIDProvider) -> None:
    page = consent_page(app, provider)
    fields = hidden_fields(page)
    left = app.web.post("/sign-out", data={"csrf": fields["csrf"], "request": fields["request"]})
    assert left.status_code == 200
    address = left.text.split('content="0; url=')[1].split('"')[0].replace("&amp;", "&")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert address.startswith(f"{provider.issuer}/session/end?")
    assert asked["post_logout_redirect_uri"] == f"{app.settings.base_url}/signed-out"
    assert asked["client_id"] == CLIENT_ID
    assert asked["id_token_hint"].count(".") == 2
    assert app.web.get("/account").status_code == 303
    back = app.web.get(f"/signed-out?state={asked['state']}")
    assert back.headers["location"] == f"/sign-in?request={fields['request']}"
    assert app.web.get("/signed-out").headers["location"] == "/sign-in"


def test_without_a_sign_out_of_the_provider_only_ours_ends(app: SmartApp, provider: OpenIDProvider) -> None:
    provider.metadata["end_session_endpoint"] = "javascript:alert(1)"
    page = consent_page(app, provider)
    left = app.web.post("/sign-out", data={"csrf": hidden_fields(page)["csrf"]})
    assert (left.status_code, left.headers["location"]) == (303, "/sign-in")


def test_no_secret_is_logged_or_stored_in_the_clear(
    app: SmartApp, provider: OpenIDProvider, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    consent_page(app, provider)
    with database.reading() as reading:
        (row,) = reading.all(select(METADATA.tables["sign_in_session"]))
        (account,) = reading.all(
            select(METADATA.tables["account"]).where(METADATA.tables["account"].c.issuer == provider.issuer)
        )
    assert row.provider_token
    assert b"eyJ" not in row.provider_token
    assert (account.password_hash, account.subject) == ("", "subject-1")
    provider.claims = {"nonce": "wrong"}
    app.web.cookies.clear()
    sign_in(app, provider)
    for secret in (SECRET, ACCESS_TOKEN, "eyJ", "subject-1", "code-0", "Lovelace"):
        # The test's own browser logs the addresses it opens; the server's log must hold none of it.
        assert not [record for record in caplog.records if record.name != "httpx2" and secret in record.getMessage()]


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_issuer": None},
        {"oidc_client_id": None},
        {"oidc_issuer": "http://login.payer.example"},
        {"oidc_issuer": "https://login.payer.example/?tenant=1"},
        {"oidc_scopes": "profile"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"identity": "oidc", "oidc_issuer": "https://login.payer.example", "oidc_client_id": "us"}
    Settings(**good)
    with pytest.raises(ValidationError):
        Settings(**good | wrong)

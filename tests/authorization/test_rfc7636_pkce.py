"""RFC 7636 and RFC 9700 section 2.1.1: proof key for code exchange, S256 only, for every client."""

import pytest

from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp, challenge_of, events, new_app

CONFIDENTIAL = ["client_secret_basic", "client_secret_post"]


def refused(app: SmartApp, verifier: str | None) -> str:
    """The error of an exchange with this verifier; none of them gives a token."""
    response = app.web.post(
        "/token",
        data={
            "grant_type": "authorization_code",
            "client_id": app.client_id,
            "redirect_uri": app.redirect_uri,
            "code": app.code(),
            **({} if verifier is None else {"code_verifier": verifier}),
        },
    )
    assert response.status_code == 400
    assert "access_token" not in response.text
    return str(response.json()["error"])


def test_a_missing_verifier_gives_no_token(app: SmartApp) -> None:
    assert refused(app, None) == "invalid_request"


def test_a_blank_verifier_gives_no_token(app: SmartApp) -> None:
    assert refused(app, "") == "invalid_request"


def test_a_wrong_verifier_gives_no_token(app: SmartApp) -> None:
    assert refused(app, "x" * 43) == "invalid_grant"


def test_a_plain_verifier_gives_no_token(app: SmartApp) -> None:
    """The challenge itself, as the method ``plain`` would have it."""
    assert refused(app, challenge_of(app.verifier)) == "invalid_grant"


@pytest.mark.parametrize("verifier", ["short", "é" * 50, "y" * 129])
def test_a_malformed_verifier_gives_no_token(app: SmartApp, verifier: str) -> None:
    assert refused(app, verifier) == "invalid_request"


@pytest.mark.parametrize("authentication", CONFIDENTIAL)
def test_a_confidential_client_needs_its_verifier_too(
    app: SmartApp, database: Database, settings: Settings, authentication: str
) -> None:
    other = new_app(app.web, database, settings, authentication=authentication)
    assert "code_challenge" in other.authorize(code_challenge=None).headers["location"]
    assert other.exchange(other.code(), code_verifier=None).status_code == 400
    assert other.exchange(other.code()).status_code == 200


def test_a_code_is_good_for_one_try_only(app: SmartApp, database: Database) -> None:
    code = app.code()
    assert app.exchange(code, code_verifier="x" * 43).status_code == 400
    response = app.exchange(code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert [row.kind for row in events(database, "revocation")] == ["revocation"]

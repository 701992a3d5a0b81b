"""RFC 7636 and RFC 9700 section 2.1.1: proof key for code exchange, S256 only, for every client."""

import pytest

from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp, challenge_of, events, new_app

CONFIDENTIAL = ["client_secret_basic", "client_secret_post"]


def test_a_missing_blank_or_wrong_verifier_gives_no_token(app: SmartApp, subtests: pytest.Subtests) -> None:
    for verifier in [None, "", "x" * 43, "short", "é" * 50, "y" * 129]:
        with subtests.test(verifier=verifier):
            response = app.exchange(app.code(), code_verifier=verifier)
            assert response.status_code == 400
            assert response.json()["error"] in ("invalid_request", "invalid_grant")


def test_the_challenge_itself_is_no_verifier(app: SmartApp) -> None:
    response = app.exchange(app.code(), code_verifier=challenge_of(app.verifier))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


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

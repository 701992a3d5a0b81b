"""RFC 6749 sections 2.3 and 3.2.1: public clients, client_secret_basic, client_secret_post; suspended clients."""

from base64 import b64encode

import pytest

from server.authorization.suspension import Decision, resume, suspend
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.authorization.smart_app import SmartApp, events, new_app

CONFIDENTIAL = ["client_secret_basic", "client_secret_post"]

DECISION = Decision("credentials-exposed", "the secret stands in a public repository", "Sam")


@pytest.fixture(params=CONFIDENTIAL)
def confidential(app: SmartApp, database: Database, settings: Settings, request: pytest.FixtureRequest) -> SmartApp:
    return new_app(app.web, database, settings, authentication=request.param)


def test_a_confidential_client_does_the_whole_dance(confidential: SmartApp) -> None:
    token = confidential.connect()
    token = confidential.refresh(token["refresh_token"]).json()
    assert confidential.read(token["access_token"]) == 200
    assert confidential.post("/revoke", {"token": token["refresh_token"]}).status_code == 200
    assert confidential.read(token["access_token"]) == 401


def test_the_secret_may_be_sent_either_way(confidential: SmartApp) -> None:
    confidential.authentication = next(way for way in CONFIDENTIAL if way != confidential.authentication)
    assert confidential.exchange(confidential.code()).status_code == 200


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_a_wrong_secret_is_401_invalid_client(confidential: SmartApp, secret: str) -> None:
    code = confidential.code()
    confidential.secret = secret
    response = confidential.exchange(code)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert response.headers["www-authenticate"].startswith("Basic realm=")


def test_a_confidential_client_cannot_pass_as_public(confidential: SmartApp) -> None:
    code = confidential.code()
    confidential.authentication = "none"
    assert confidential.exchange(code).json()["error"] == "invalid_client"


def test_a_public_client_has_no_secret_to_send(app: SmartApp) -> None:
    code = app.code()
    app.authentication, app.secret = "client_secret_post", "made up"
    assert app.exchange(code).status_code == 401


def test_a_malformed_authorization_header_is_401(app: SmartApp, subtests: pytest.Subtests) -> None:
    for header in ["Basic", "Basic !!!", "Basic /////w==", "Bearer x", b64encode(b"\xff:\xff").decode()]:
        with subtests.test(header=header):
            data = {"grant_type": "authorization_code", "code": "x"}
            response = app.web.post("/token", data=data, headers={"Authorization": header})
            assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_percent_encoded_credentials_are_decoded(app: SmartApp, database: Database, settings: Settings) -> None:
    other = new_app(app.web, database, settings, authentication="client_secret_basic", client_id="an.app~1")
    encoded = b64encode(f"an%2Eapp%7E1:{other.secret}".encode()).decode()
    response = other.exchange(other.code())
    assert response.status_code == 200
    data = {"grant_type": "refresh_token", "refresh_token": response.json()["refresh_token"]}
    assert app.web.post("/token", data=data, headers={"Authorization": f"Basic {encoded}"}).status_code == 200


def test_a_suspended_app_loses_access_on_the_next_request(
    app: SmartApp, database: Database, settings: Settings
) -> None:
    token = app.connect()
    suspend(EventLedger(database), settings, app.client_id, DECISION)
    assert app.read(token["access_token"]) == 401
    response = app.refresh(token["refresh_token"])
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")
    assert "credentials-exposed" in response.json()["error_description"]
    assert "credentials-exposed" in events(database, "refusal")[-1].detail
    assert events(database, "app")[-1].interaction == "suspend"


def test_only_an_authenticated_client_is_named_in_a_refusal(confidential: SmartApp, database: Database) -> None:
    confidential.refresh("unknown")
    secret, confidential.secret = confidential.secret, "wrong"
    confidential.refresh("unknown")
    (refusal,) = events(database, "refusal")
    assert (refusal.client_id, refusal.interaction) == (confidential.client_id, "token")
    assert refusal.detail.startswith("invalid_grant")
    assert secret is not None
    assert secret not in refusal.detail


def test_header_and_form_that_name_different_clients_are_refused(
    app: SmartApp, database: Database, settings: Settings
) -> None:
    other = new_app(app.web, database, settings, authentication="client_secret_basic")
    response = other.exchange(other.code(), client_id=app.client_id)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert other.exchange(other.code(), client_id=other.client_id).status_code == 200


def test_a_suspension_is_lifted(app: SmartApp, database: Database, settings: Settings) -> None:
    token = app.connect()
    with pytest.raises(ValueError, match="not suspended"):
        resume(EventLedger(database), settings, app.client_id, "Sam")
    suspend(EventLedger(database), settings, app.client_id, DECISION)
    resume(EventLedger(database), settings, app.client_id, "Sam")
    assert app.read(token["access_token"]) == 200
    row = events(database, "app")[-1]
    assert (row.interaction, row.detail) == ("resume", "decided by Sam")

"""RFC 9126: an authorization request is pushed first, and the member's browser carries only its name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server import clock
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp, events, new_app, redirect_parameters

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PREFIX = "urn:ietf:params:oauth:request_uri:"


def pushed(app: SmartApp, **changes: str | None) -> dict[str, Any]:
    response = app.post("/par", app.authorization_request(**changes))
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_the_answer_names_the_request_for_a_moment(app: SmartApp) -> None:
    response = app.post("/par", app.authorization_request())
    assert (response.status_code, response.headers["cache-control"]) == (201, "no-store")
    answer = response.json()
    assert set(answer) == {"request_uri", "expires_in"}
    assert answer["request_uri"].startswith(PREFIX)
    assert len(answer["request_uri"]) > len(PREFIX) + 40
    assert 60 <= answer["expires_in"] <= 90


def test_a_pushed_request_leads_to_tokens(app: SmartApp) -> None:
    sent = {"client_id": app.client_id, "request_uri": pushed(app, state="pushed")["request_uri"]}
    response = app.sign_in(app.web.get("/authorize", params=sent).headers["location"])
    answer = redirect_parameters(app.decide(app.web.get(response.headers["location"])))
    assert answer["state"] == "pushed"
    assert app.exchange(answer["code"]).status_code == 200


def test_other_parameters_are_ignored_then(app: SmartApp) -> None:
    uri = pushed(app, scope="patient/Patient.rs")["request_uri"]
    changed = app.authorization_request(scope="patient/*.rs", redirect_uri="https://evil.example/", aud="nowhere")
    response = app.web.post("/authorize", data={**changed, "request_uri": uri})
    page = app.web.get(app.sign_in(response.headers["location"]).headers["location"])
    assert app.exchange(redirect_parameters(app.decide(page))["code"]).json()["scope"] == "patient/Patient.rs"


def test_it_is_used_once(app: SmartApp) -> None:
    sent = {"client_id": app.client_id, "request_uri": pushed(app)["request_uri"]}
    assert app.web.get("/authorize", params=sent).status_code == 303
    again = app.web.get("/authorize", params=sent)
    assert (again.status_code, "location" in again.headers) == (400, False)
    assert "invalid_request_uri" in again.text


def test_it_is_over_after_its_time(app: SmartApp) -> None:
    with clock.set_to(NOW):
        answer = pushed(app)
    with clock.set_to(NOW + timedelta(seconds=answer["expires_in"])):
        sent = {"client_id": app.client_id, "request_uri": answer["request_uri"]}
        assert app.web.get("/authorize", params=sent).status_code == 400


def test_it_is_the_pushing_clients_alone(app: SmartApp, database: Database, settings: Settings) -> None:
    other = new_app(app.web, database, settings, name="Other")
    uri = pushed(app)["request_uri"]
    for client_id in (other.client_id, "nobody", None):
        sent = {name: value for name, value in {"client_id": client_id, "request_uri": uri}.items() if value}
        assert app.web.get("/authorize", params=sent).status_code == 400
    assert app.web.get("/authorize", params={"client_id": app.client_id, "request_uri": uri}).status_code == 303


def test_an_unknown_name_is_no_request(app: SmartApp) -> None:
    complete = app.authorization_request(request_uri=PREFIX + "unknown")
    assert app.web.get("/authorize", params=complete).status_code == 400


def test_what_authorize_would_refuse_is_refused_at_once_and_in_json(app: SmartApp, subtests: pytest.Subtests) -> None:
    for changes, error in [
        ({"aud": "https://elsewhere.example/fhir"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "no/such.thing"}, "invalid_scope"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"request_uri": PREFIX + "x"}, "invalid_request"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ]:
        with subtests.test(changes=changes):
            response = app.post("/par", app.authorization_request(**changes))
            assert (response.status_code, response.json()["error"]) == (400, error)
            assert response.json()["error_description"]


def test_a_confidential_client_authenticates(app: SmartApp, database: Database, settings: Settings) -> None:
    other = new_app(app.web, database, settings, authentication="client_secret_basic")
    bare = app.web.post("/par", data=other.authorization_request())
    assert (bare.status_code, bare.json()["error"]) == (401, "invalid_client")
    assert pushed(other)


def test_no_secret_is_kept_with_the_request(app: SmartApp, database: Database, settings: Settings) -> None:
    from sqlalchemy import select

    from server.storage.schema import METADATA

    other = new_app(app.web, database, settings, authentication="client_secret_post")
    uri = pushed(other)["request_uri"]
    with database.reading() as transaction:
        (row,) = transaction.all(select(METADATA.tables["pushed_request"]))
    stored = str(tuple(row))
    assert other.client_id in stored
    assert str(other.secret) not in stored
    assert uri.removeprefix(PREFIX) not in stored


def test_it_can_only_be_posted(app: SmartApp) -> None:
    response = app.web.get("/par")
    assert (response.status_code, response.headers["allow"]) == (405, "POST, OPTIONS")


def test_a_refusal_is_in_the_ledger(app: SmartApp, database: Database) -> None:
    app.post("/par", app.authorization_request(aud="nowhere"))
    (refusal,) = events(database, "refusal")
    assert (refusal.client_id, refusal.interaction) == (app.client_id, "par")
    assert refusal.detail.startswith("invalid_request: 'aud'")

"""RFC 6749 sections 3.1 and 4.1.1, SMART App Launch 2.2 "Obtain authorization code", RFC 9207: the authorization request."""

import pytest
from httpx2 import Response

from server.authorization.authorization_request import CHECKS
from server.authorization.suspension import Decision, suspend
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.authorization.smart_app import REDIRECT_URI, SCOPE, SmartApp, events, hidden_fields, redirect_parameters

STATE = "a state/with ?&= and é"


def told_to_app(response: Response) -> dict[str, str]:
    assert response.status_code == 303
    assert response.headers["location"].startswith(REDIRECT_URI + "?")
    return redirect_parameters(response)


def test_a_good_request_leads_to_the_sign_in_page(app: SmartApp) -> None:
    response = app.authorize()
    assert response.status_code == 303
    assert response.headers["location"].startswith("/sign-in?request=")
    assert response.headers["cache-control"] == "no-store"


def test_a_form_post_does_as_well_as_a_get(app: SmartApp) -> None:
    response = app.web.post("/authorize", data=app.authorization_request())
    assert response.headers["location"].startswith("/sign-in?request=")


def test_the_answer_carries_code_state_and_issuer(app: SmartApp, settings: Settings) -> None:
    answer = told_to_app(app.decide(app.consent_page()))
    assert set(answer) == {"code", "state", "iss"}
    assert answer["state"] == STATE
    assert answer["iss"] == settings.fhir_base


def test_without_a_state_none_is_answered(app: SmartApp) -> None:
    assert "state" not in told_to_app(app.decide(app.consent_page(state=None)))


def test_the_query_of_a_redirect_uri_is_kept(app: SmartApp, database: Database, settings: Settings) -> None:
    from tests.authorization.smart_app import new_app

    other = new_app(app.web, database, settings, redirect_uris=["https://app.example/cb?tenant=7"])
    answer = redirect_parameters(other.decide(other.consent_page()))
    assert answer["tenant"] == "7"
    assert "code" in answer


def test_aud_is_compared_with_and_without_a_trailing_slash(
    app: SmartApp, settings: Settings, subtests: pytest.Subtests
) -> None:
    for slashes in ["", "/"]:
        with subtests.test(slashes=slashes):
            assert app.authorize(aud=settings.fhir_base + slashes).headers["location"].startswith("/sign-in")


def test_a_missing_or_wrong_aud_gives_no_code_and_names_the_expected_value(
    app: SmartApp, settings: Settings, subtests: pytest.Subtests
) -> None:
    for aud in [None, "", "https://elsewhere.example/fhir", "http://127.0.0.1:8000", f"{settings.fhir_base}//"]:
        with subtests.test(aud=aud):
            answer = told_to_app(app.authorize(aud=aud))
            assert answer["error"] == "invalid_request"
            assert settings.fhir_base in answer["error_description"]
            assert answer["state"] == STATE
            assert answer["iss"] == settings.fhir_base
            assert "code" not in answer


def test_a_bad_request_is_told_to_the_app(app: SmartApp, subtests: pytest.Subtests) -> None:
    for changes, error in [
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "no/such.thing"}, "invalid_scope"),
        ({"scope": "system/*.rs"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"prompt": "none"}, "login_required"),
    ]:
        with subtests.test(changes=changes, error=error):
            answer = told_to_app(app.authorize(**changes))
            assert answer["error"] == error
            assert answer["error_description"]
            assert answer["state"] == STATE


def test_an_untrusted_redirect_uri_is_never_followed(app: SmartApp, subtests: pytest.Subtests) -> None:
    for changes in [
        {"client_id": None},
        {"client_id": "nobody"},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": REDIRECT_URI + "/"},
        {"redirect_uri": REDIRECT_URI + "?x=1"},
        {"redirect_uri": "HTTPS://app.example/callback"},
    ]:
        with subtests.test(changes=changes):
            response = app.authorize(**changes)
            assert response.status_code == 400
            assert "location" not in response.headers
            assert "This app cannot be connected" in response.text


def test_a_parameter_sent_twice_is_refused(app: SmartApp, subtests: pytest.Subtests) -> None:
    for twice in ["state", "scope", "aud", "code_challenge"]:
        with subtests.test(twice=twice):
            pairs = [*app.authorization_request().items(), (twice, "again")]
            assert twice in told_to_app(app.web.get("/authorize", params=pairs))["error_description"]


def test_a_redirect_uri_sent_twice_is_not_trusted(app: SmartApp) -> None:
    pairs = [*app.authorization_request().items(), ("redirect_uri", "https://evil.example/")]
    assert app.web.get("/authorize", params=pairs).status_code == 400


def test_a_suspended_app_gets_a_page_with_the_reason(app: SmartApp, database: Database, settings: Settings) -> None:
    decision = Decision("credentials-exposed", "found", "Sam", notice="It leaked “tokens”.")
    suspend(EventLedger(database), settings, app.client_id, decision)
    response = app.authorize()
    assert response.status_code == 400
    assert "It leaked ?tokens?" in response.text


def test_a_refusal_of_a_known_app_is_in_the_ledger_and_of_an_unknown_one_is_not(
    app: SmartApp, database: Database
) -> None:
    app.authorize(client_id="nobody")
    app.authorize(aud="https://elsewhere.example")
    (refusal,) = events(database, "refusal")
    assert (refusal.client_id, refusal.interaction) == (app.client_id, "authorize")
    assert "aud" in refusal.detail


def test_unknown_scopes_are_dropped_and_the_rest_goes_on(app: SmartApp) -> None:
    token = app.connect(scope=f"{SCOPE} launch unknown patient/Nothing.rs patient/Patient.write")
    assert token["scope"] == SCOPE


def test_without_a_scope_the_registered_one_is_asked_for(app: SmartApp, database: Database, settings: Settings) -> None:
    from tests.authorization.smart_app import new_app

    other = new_app(app.web, database, settings, scope="launch/patient patient/Patient.rs")
    assert other.connect(scope=None)["scope"] == "launch/patient patient/Patient.rs"


def test_a_malformed_request_gets_a_page(app: SmartApp) -> None:
    for response in (
        app.web.get("/authorize?client_id=%ff%fe"),
        app.web.get("/authorize?client_id=%00"),
        app.web.post("/authorize", content="{}", headers={"Content-Type": "application/json"}),
    ):
        assert response.status_code == 400
        assert response.headers["content-type"].startswith("text/html")


def test_a_request_survives_as_long_as_a_sign_in_may_take(app: SmartApp, settings: Settings) -> None:
    from datetime import UTC, datetime, timedelta

    from server import clock

    start = datetime(2026, 11, 1, tzinfo=UTC)
    with clock.set_to(start):
        location = app.authorize().headers["location"]
    with clock.set_to(start + timedelta(minutes=settings.sign_in_minutes - 1)):
        assert hidden_fields(app.web.get(location))["request"]
    with clock.set_to(start + timedelta(minutes=settings.sign_in_minutes)):
        late = app.web.get(location)
    assert (late.status_code, "This request is over" in late.text) == (400, True)


def test_each_check_has_a_name_and_the_redirect_is_trusted_before_it_is_used() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    told = [check.told_to_app for check in CHECKS]
    assert told == sorted(told)
    assert CHECKS[told.index(True) - 1].name == "redirect_uri registered"


def test_a_state_too_long_for_a_redirect_is_refused(app: SmartApp) -> None:
    assert app.authorize(state="s" * 4096).headers["location"].startswith("/sign-in")
    answer = told_to_app(app.authorize(state="s" * 4097))
    assert (answer["error"], "state" in answer) == ("invalid_request", False)

"""SMART App Launch 2.2 "launch/patient" and best practices on consent; RFC 6749 section 4.1.2.1 access_denied."""

import html
import re

import pytest

from server.authorization.accounts import mark_test_member
from server.authorization.clients import register
from server.authorization.suspension import Decision, suspend
from server.settings import Settings
from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.authorization.smart_app import SCOPE, SmartApp, events, hidden_fields, new_app, redirect_parameters


def words(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


def test_the_page_says_in_plain_words_what_is_asked(app: SmartApp, settings: Settings) -> None:
    text = words(app.consent_page().text)
    assert "Share health plan information with Health Notes?" in text
    assert "Information about Ada Lovelace" in text
    for category in CONSENT_CATEGORIES:
        assert f"{category.title} {category.contents}" in text
    for row in RESOURCES.values():
        assert bool(row.categories) or row.title in text
    assert "Get your information also when you are not using the app" in text
    assert f"Health Notes is not part of {settings.payer_name}." in text
    assert "You can stop sharing whenever you like" in text


def test_only_what_can_be_granted_is_asked(app: SmartApp) -> None:
    text = words(app.consent_page(scope="launch/patient patient/Coverage.rs patient/Nothing.rs").text)
    assert "Your coverage" in text
    assert "Your claims" not in text
    assert "This once: about 60 minutes from now." in text


def test_the_payers_own_app_is_not_called_a_stranger(app: SmartApp, database: Database, settings: Settings) -> None:
    portal = new_app(app.web, database, settings, name="Member portal", kind="payer")
    assert "is not part of" not in words(portal.consent_page().text)


def test_consent_is_asked_each_time(app: SmartApp) -> None:
    app.connect()
    assert app.authorize().headers["location"].startswith("/consent?request=")


def test_prompt_login_asks_for_the_password_again(app: SmartApp) -> None:
    app.connect()
    location = app.authorize(prompt="login").headers["location"]
    assert location.startswith("/sign-in")
    assert app.sign_in(location).headers["location"].startswith("/consent")


def test_a_refusal_goes_to_the_app_and_into_the_ledger(app: SmartApp, database: Database, settings: Settings) -> None:
    answer = redirect_parameters(app.decide(app.consent_page(), decision="deny"))
    assert answer["error"] == "access_denied"
    assert answer["state"] == "a state/with ?&= and é"
    assert answer["iss"] == settings.fhir_base
    (refusal,) = events(database, "refusal")
    assert (refusal.client_id, refusal.patient, refusal.interaction) == (app.client_id, "p1", "consent")
    assert events(database, "grant") == []


@pytest.mark.parametrize("patient", ["p2", "p3", "p4"])
def test_who_may_act_for_several_members_chooses_one(app: SmartApp, patient: str, database: Database) -> None:
    page = app.consent_page("grace")
    text = words(page.text)
    assert "Whose information?" in text
    assert all(name in text for name in ("Grace Hopper yourself", "Kid Hopper you act as their parent"))
    code = redirect_parameters(app.decide(page, patient=patient))["code"]
    token = app.exchange(code).json()
    assert token["patient"] == patient
    (grant,) = events(database, "grant")
    assert (grant.patient, grant.actor) == (patient, "self" if patient == "p2" else "representative")


@pytest.mark.parametrize("patient", [None, "", "p1", "nobody"])
def test_no_other_member_can_be_chosen(app: SmartApp, patient: str | None, database: Database) -> None:
    page = app.consent_page("grace")
    response = app.decide(page, patient=patient)
    assert response.status_code == 400
    assert "Please choose whose information to share." in response.text
    assert events(database, "grant") == []
    assert app.decide(page, patient="p3").status_code == 303


def test_who_acts_for_one_member_cannot_name_another(app: SmartApp) -> None:
    page = app.consent_page("ada")
    fields = {**hidden_fields(page), "decision": "allow", "patient": "p2"}
    assert app.web.post("/consent", data=fields).status_code == 400


def test_an_account_without_a_member_can_only_go_back(app: SmartApp, database: Database) -> None:
    page = app.consent_page("bob")
    assert "not connected with a member" in page.text
    assert 'value="allow"' not in page.text
    assert app.decide(page, decision="allow").status_code == 400
    assert redirect_parameters(app.decide(page, decision="deny"))["error"] == "access_denied"


def test_a_request_is_answered_once(app: SmartApp, database: Database) -> None:
    page = app.consent_page()
    assert app.decide(page).status_code == 303
    again = app.decide(page)
    assert (again.status_code, "This request is over" in again.text) == (400, True)
    assert app.decide(page, decision="deny").status_code == 400
    assert len(events(database, "grant")) == 1


def test_without_a_session_there_is_no_consent(app: SmartApp) -> None:
    page = app.consent_page()
    app.web.cookies.delete("session")
    assert app.decide(page).headers["location"].startswith("/sign-in?request=")
    assert app.web.get(f"/consent?request={hidden_fields(page)['request']}").status_code == 303


def test_signing_out_there_comes_back_to_the_same_request(app: SmartApp) -> None:
    page = app.consent_page()
    fields = hidden_fields(page)
    location = app.web.post("/sign-out", data=fields).headers["location"]
    assert location == f"/sign-in?request={fields['request']}"
    consent = app.web.get(app.sign_in(location, "grace").headers["location"])
    assert "Grace Hopper" in consent.text


def test_only_this_page_has_forms_that_lead_away(app: SmartApp) -> None:
    policy = app.consent_page().headers["content-security-policy"]
    assert "form-action" not in policy
    assert "default-src 'none'" in policy


def test_a_native_app_is_reached_by_its_private_scheme(app: SmartApp, database: Database, settings: Settings) -> None:
    native = new_app(app.web, database, settings, redirect_uris=["com.example.app:/callback"])
    assert native.decide(native.consent_page()).headers["location"].startswith("com.example.app:/callback?code=")


def test_an_app_suspended_or_changed_meanwhile_gets_nothing(
    app: SmartApp, database: Database, settings: Settings
) -> None:
    page = app.consent_page()
    ledger = EventLedger(database)
    register(ledger, settings, "Health Notes", ["https://moved.example/cb"], client_id=app.client_id)
    moved = app.decide(page)
    assert moved.status_code == 400
    assert "location" not in moved.headers
    register(ledger, settings, "Health Notes", [app.redirect_uri], client_id=app.client_id)
    page = app.consent_page()
    suspend(ledger, settings, app.client_id, Decision("impersonation", "it looks like us", "Sam"))
    assert app.decide(page).status_code == 400
    assert events(database, "grant") == []


def test_app_names_are_escaped(app: SmartApp, database: Database, settings: Settings) -> None:
    hostile = new_app(app.web, database, settings, name="<b>Bank</b>")
    assert "<b>" not in hostile.consent_page().text


@pytest.mark.parametrize("what", ["member", "client", "deployment"])
def test_a_grant_is_production_only_if_member_client_and_deployment_are(
    app: SmartApp, database: Database, settings: Settings, what: str
) -> None:
    app.connect()
    if what == "member":
        mark_test_member(database, "p1")
        app.connect()
    elif what == "client":
        new_app(app.web, database, settings, environment="test").connect()
    else:
        from starlette.testclient import TestClient

        from server.app import create_app

        test = settings.model_copy(update={"environment": "test"})
        with TestClient(create_app(test), base_url=settings.base_url, follow_redirects=False) as web:
            SmartApp(web, test, app.client_id).connect()
    assert [row.environment for row in events(database, "grant")] == ["production", "test"]


def test_the_granted_scope_is_what_was_asked(app: SmartApp) -> None:
    assert app.connect()["scope"] == SCOPE

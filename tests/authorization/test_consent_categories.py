"""SMART App Launch 2.2 best practices and 42 CFR 422.119(e), (g): what the member takes the tick from is withheld."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import insert, select, update

from server import clock
from server.authorization.permissions import permissions
from server.authorization.scopes import withhold
from server.settings import Settings
from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.authorization.smart_app import SCOPE, SmartApp, events, hidden_fields, new_app, redirect_parameters, ticked
from tests.authorization.test_smart_consent import words

NOW = datetime(2026, 11, 22, 17, tzinfo=UTC)
SLUGS = [category.slug for category in CONSENT_CATEGORIES]


def boxes(page: Any) -> list[str]:
    return re.findall(r'type="checkbox" name="share-([^"]*)"', page.text)


def grants(database: Database) -> list[Any]:
    with database.reading() as transaction:
        return list(transaction.all(select(METADATA.tables["grant"])))


def enrol(database: Database, patient: str, enrolled: str) -> None:
    row = {"patient": patient, "environment": "production", "enrolled": enrolled}
    with database.transaction() as transaction:
        transaction.execute(insert(METADATA.tables["member"]), row)


def describe(database: Database, app: SmartApp, details: str) -> None:
    client = METADATA.tables["client"]
    with database.transaction() as transaction:
        transaction.execute(update(client).where(client.c.id == app.client_id).values(details=details))


# -- what is asked ---------------------------------------------------------------------------------------------------


def test_every_category_of_a_wildcard_is_a_box_with_its_tick(app: SmartApp) -> None:
    page = app.consent_page()
    assert boxes(page) == SLUGS
    assert {f"share-{slug}" for slug in SLUGS} <= set(ticked(page))


@pytest.mark.parametrize(
    ("scope", "shown"),
    [
        ("patient/Coverage.rs", ["coverage"]),
        ("patient/ExplanationOfBenefit.read", ["claims", "prior-authorizations"]),
        ("patient/ExplanationOfBenefit.rs?use=preauthorization", ["prior-authorizations"]),
        ("user/Observation.s patient/Organization.rs", ["test-results-and-vital-signs"]),
        ("openid fhirUser", ["demographics"]),
        ("openid launch/patient", []),
        ("patient/Practitioner.rs", []),
    ],
)
def test_only_what_the_request_could_give_is_asked(app: SmartApp, scope: str, shown: list[str]) -> None:
    assert boxes(app.consent_page(scope=scope)) == shown


def test_what_belongs_to_nobody_is_told_and_cannot_be_withheld(app: SmartApp) -> None:
    text = words(app.consent_page(scope="patient/Coverage.rs patient/Organization.rs").text)
    assert f"What goes with it {RESOURCES['Organization'].title}" in text


def test_without_demographics_the_app_does_not_get_the_name_and_the_page_says_so(app: SmartApp) -> None:
    assert "Without the tick, Health Notes does not get your name." in words(app.consent_page().text)
    assert "does not get your name" not in words(app.consent_page(scope="patient/Coverage.rs").text)


# -- what is withheld ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", SLUGS)
def test_a_box_without_its_tick_is_withheld(app: SmartApp, database: Database, slug: str) -> None:
    token = app.share(withheld=[slug])
    assert set(token["scope"].split()) == set(withhold(SCOPE, [slug]).split())
    (grant,) = grants(database)
    assert grant.withheld == slug
    assert withhold(grant.scope, [slug]) == grant.scope


def test_withheld_prior_authorizations_are_spelled_as_claims_only(app: SmartApp) -> None:
    token = app.share(scope="patient/ExplanationOfBenefit.rs", withheld=["prior-authorizations"])
    assert token["scope"] == "patient/ExplanationOfBenefit.rs?use=claim"


def test_withheld_demographics_drop_the_name_everywhere(app: SmartApp) -> None:
    token = app.share(withheld=["demographics"])
    assert "fhirUser" not in token["scope"].split()
    assert not permissions(token["scope"]).permits("Patient", "r")
    assert token["patient"] == "p1"
    keys = KeySet.import_key_set(app.web.get("/jwks").json())
    assert "fhirUser" not in jwt.decode(token["id_token"], keys, ["RS256"]).claims
    assert app.read(token["access_token"]) == 403
    assert app.read(token["access_token"], "Coverage") == 200


def test_with_every_tick_the_scope_stays_as_it_was_asked(app: SmartApp) -> None:
    assert app.share()["scope"] == SCOPE


def test_what_is_withheld_stays_so_at_refresh(app: SmartApp) -> None:
    token = app.share(withheld=["claims", "prior-authorizations"])
    again = app.refresh(token["refresh_token"], scope=SCOPE).json()
    assert not permissions(again["scope"]).permits("ExplanationOfBenefit", "s")
    assert permissions(again["scope"]).permits("Coverage", "s")


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_who_takes_every_tick_away_is_asked_again(app: SmartApp, database: Database, decision: str) -> None:
    page = app.consent_page()
    response = app.decide(page, withheld=SLUGS)
    assert response.status_code == 400
    assert "Tick at least one, or choose “Don't allow”." in words(response.text)
    assert not [name for name in ticked(response) if name.startswith("share-")]
    assert events(database, "grant") == []
    answer = redirect_parameters(app.decide(page, decision=decision))
    assert ("code" if decision == "allow" else "error") in answer


def test_a_form_without_any_box_withholds_everything(app: SmartApp, database: Database) -> None:
    page = app.consent_page()
    assert app.web.post("/consent", data={**hidden_fields(page), "decision": "allow"}).status_code == 400
    assert events(database, "grant") == []


def test_a_forged_box_gives_no_more_than_was_asked(app: SmartApp) -> None:
    page = app.consent_page(scope="patient/Coverage.rs")
    fields = {**hidden_fields(page), **ticked(page), "decision": "allow", "share-claims": "yes", "share-": "yes"}
    code = redirect_parameters(app.web.post("/consent", data=fields))["code"]
    assert app.exchange(code).json()["scope"] == "patient/Coverage.rs"


def test_the_choices_stay_when_another_answer_is_missing(app: SmartApp) -> None:
    page = app.consent_page("grace")
    response = app.decide(page, withheld=["claims"], duration="once")
    assert "Please choose whose information to share." in response.text
    assert "share-claims" not in ticked(response)
    assert ticked(response)["duration"] == "once"


# -- whose information -----------------------------------------------------------------------------------------------


def test_a_member_of_whom_nothing_can_be_shared_is_shown_with_the_reason(app: SmartApp, database: Database) -> None:
    enrol(database, "p3", "medicare-advantage|2026-10-31")
    enrol(database, "p4", "commercial|")
    with clock.set_to(NOW):
        page = app.consent_page("grace")
        text = words(page.text)
        assert "Kid Hopper you act as their parent The coverage has ended." in text
        assert "Baby Hopper you act as their parent Apps cannot get the information of this kind of plan." in text
        assert re.findall(r'value="(p\d)" required disabled', page.text) == ["p3", "p4"]
        for patient in ("p3", "p4"):
            assert app.decide(page, patient=patient).status_code == 400
        assert redirect_parameters(app.decide(page, patient="p2"))["code"]
    (grant,) = events(database, "grant")
    assert grant.patient == "p2"


@pytest.mark.parametrize(
    ("enrolled", "code", "reason"),
    [
        ("medicaid-ffs|2026-10-31", "member_disenrolled", "The coverage has ended."),
        ("commercial|", "line_of_business_not_served", "Apps cannot get the information of this kind of plan."),
    ],
)
def test_when_nobodys_can_be_shared_the_member_goes_back_and_the_app_gets_the_reason(
    app: SmartApp, database: Database, enrolled: str, code: str, reason: str
) -> None:
    enrol(database, "p1", enrolled)
    with clock.set_to(NOW):
        page = app.consent_page()
        assert reason in words(page.text)
        assert "Back to the app" in page.text
        assert 'value="allow"' not in page.text
        assert app.decide(page, decision="allow").status_code == 400
        answer = redirect_parameters(app.decide(page, decision="deny"))
    assert answer["error"] == "access_denied"
    assert answer["error_description"].startswith(f"{code}: ")
    assert (answer["state"], answer["iss"]) == ("a state/with ?&= and é", app.settings.fhir_base)
    (refusal,) = events(database, "refusal")
    assert (refusal.patient, refusal.interaction, code in refusal.detail) == ("p1", "consent", True)


def test_grants_of_several_members_to_one_app_live_side_by_side(app: SmartApp, database: Database) -> None:
    tokens = [app.connect("grace", patient) for patient in ("p2", "p3", "p4", "p3")]
    assert [app.read(token["access_token"]) for token in tokens] == [200] * 4
    assert [(row.patient, row.actor) for row in events(database, "grant")] == [
        ("p2", "self"),
        ("p3", "representative"),
        ("p4", "representative"),
        ("p3", "representative"),
    ]


# -- who asks --------------------------------------------------------------------------------------------------------


def test_an_app_that_attested_nothing_is_shown_with_a_warning_and_not_blocked(
    app: SmartApp, database: Database, settings: Settings
) -> None:
    warning = "Health Notes has not told us that it protects your privacy."
    page = app.consent_page()
    assert warning in words(page.text)
    assert redirect_parameters(app.decide(page))["code"]
    describe(database, app, '{"privacy_attestation": true}')
    assert warning not in words(app.consent_page().text)
    portal = new_app(app.web, database, settings, name="Portal", kind="payer")
    assert "has not told us" not in words(portal.consent_page().text)


def test_its_privacy_policy_is_linked_to(app: SmartApp, database: Database) -> None:
    assert "privacy policy (new tab)" not in app.consent_page().text
    describe(database, app, '{"policy_uri": "https://app.example/privacy?a=1&b=\\"2"}')
    (link,) = re.findall(r"<a [^>]*>The app&#39;s privacy policy", app.consent_page().text.replace("'", "&#39;"))
    assert 'href="https://app.example/privacy?a=1&amp;b=' in link
    assert 'target="_blank" rel="noopener noreferrer"' in link


@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://app.example/privacy", "data:text/html,x", "//x"])
def test_an_address_that_is_not_https_is_never_linked_to(app: SmartApp, database: Database, address: str) -> None:
    describe(database, app, f'{{"policy_uri": "{address}", "client_uri": "{address}"}}')
    assert address not in app.consent_page().text

"""How long a grant lasts is the member's choice among those the payer offers (SMART offline_access, OpenID Connect section 11)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.authorization.smart_app import SmartApp, events, hidden_fields, redirect_parameters, ticked
from tests.authorization.test_smart_consent import words

NOW = datetime(2026, 11, 22, 17, tzinfo=UTC)
ONE_TYPE = "launch/patient patient/Coverage.rs"


def offered(page: Any) -> list[str]:
    return re.findall(r'type="radio" name="duration" value="([^"]*)"', page.text)


def only_grant(database: Database) -> Any:
    with database.reading() as transaction:
        (grant,) = transaction.all(select(METADATA.tables["grant"]))
    return grant


@pytest.fixture
def one_offer(app: SmartApp, settings: Settings) -> Iterator[SmartApp]:
    """The same app at a payer that offers two durations, until revoked first."""
    changed = settings.model_copy(update={"grant_durations": ("until-revoked", "once")})
    with TestClient(create_app(changed), base_url=settings.base_url, follow_redirects=False) as web:
        yield SmartApp(web, changed, app.client_id)


def test_the_page_offers_each_with_its_end_and_the_first_is_chosen(app: SmartApp) -> None:
    with clock.set_to(NOW):
        page = app.consent_page()
    assert offered(page) == ["13-months", "once", "until-revoked"]
    assert ticked(page)["duration"] == "13-months"
    text = words(page.text)
    assert "For 13 months until December 23, 2027, or until you stop it" in text
    assert "Only this once for about 60 minutes" in text
    assert "Until I stop it there is no end date" in text


def test_only_what_the_payer_offers_can_be_chosen(one_offer: SmartApp, database: Database) -> None:
    page = one_offer.consent_page()
    assert offered(page) == ["until-revoked", "once"]
    assert ticked(page)["duration"] == "until-revoked"
    assert one_offer.decide(page, duration="13-months").status_code == 400
    assert events(database, "grant") == []


@pytest.mark.parametrize("duration", ["", "forever", "13-months ", "online", "once\nonce"])
def test_a_forged_duration_is_asked_again(app: SmartApp, database: Database, duration: str) -> None:
    page = app.consent_page()
    response = app.decide(page, duration=duration)
    assert response.status_code == 400
    assert "Please choose for how long to share." in words(response.text)
    assert events(database, "grant") == []
    assert "code" in redirect_parameters(app.decide(page))


def test_a_form_without_a_duration_is_asked_again(app: SmartApp, database: Database) -> None:
    page = app.consent_page()
    sent = {**hidden_fields(page), **ticked(page), "decision": "allow"}
    del sent["duration"]
    assert app.web.post("/consent", data=sent).status_code == 400
    assert events(database, "grant") == []


@pytest.mark.parametrize(
    ("duration", "refreshes", "days"),
    [("13-months", True, 396), ("until-revoked", True, 2_000_000), ("once", False, 0)],
)
def test_the_choice_is_the_grants(app: SmartApp, database: Database, duration: str, refreshes: bool, days: int) -> None:
    with clock.set_to(NOW):
        token = app.share(duration=duration)
    grant = only_grant(database)
    assert grant.duration == duration
    assert ("refresh_token" in token) == ("offline_access" in token["scope"].split()) == refreshes
    end = (grant.expires_at - clock.to_microseconds(NOW)) // 86_400_000_000
    assert min(end, 2_000_000) == days


def test_the_app_is_told_the_end(app: SmartApp) -> None:
    with clock.set_to(NOW):
        token = app.share(duration="13-months")
        told = app.introspect(token["access_token"])
    assert token["access_grant_expiration"] == told["access_grant_expiration"]
    assert str(token["access_grant_expiration"]).startswith("2027-12-23")


def test_once_is_over_with_the_access_token(app: SmartApp) -> None:
    with clock.set_to(NOW):
        token = app.share(duration="once")
        assert app.read(token["access_token"]) == 200
    with clock.set_to(NOW + timedelta(seconds=token["expires_in"] + 1)):
        assert app.read(token["access_token"]) == 401


def test_without_offline_access_there_is_nothing_to_choose(app: SmartApp, database: Database) -> None:
    page = app.consent_page(scope=ONE_TYPE)
    assert offered(page) == []
    assert "This once: about 60 minutes from now." in words(page.text)
    code = redirect_parameters(app.decide(page, duration="until-revoked"))["code"]
    assert "refresh_token" not in app.exchange(code).json()
    assert only_grant(database).duration == "once"


def test_online_access_lasts_while_the_member_is_signed_in(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        page = app.consent_page(scope=f"{ONE_TYPE} online_access")
        assert "While you stay signed in here, and not longer than until November 23, 2026" in words(page.text)
        assert "refresh_token" in app.exchange(redirect_parameters(app.decide(page))["code"]).json()
    assert only_grant(database).duration == "online"

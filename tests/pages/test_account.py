"""/account (SMART management_endpoint): a member's connected apps, since when, their last pull, and one click to stop."""

import html
import re
from datetime import UTC, datetime, timedelta

from httpx2 import Response
from sqlalchemy import insert

from server import clock
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.authorization.smart_app import SmartApp, events, hidden_fields, new_app

NOW = datetime(2026, 11, 1, 17, tzinfo=UTC)


def words(page: Response) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page.text)))


def connected(page: Response) -> str:
    """What is on the page before the history."""
    return page.text.partition('<details class="ended">')[0]


def stop(app: SmartApp, patient: str, client_id: str | None = None, **more: str) -> Response:
    csrf = hidden_fields(app.web.get("/account"))["csrf"]
    data = {"csrf": csrf, "patient": patient, "client": client_id or app.client_id, **more}
    return app.web.post("/account/stop", data=data)


def test_it_asks_to_sign_in(app: SmartApp) -> None:
    assert app.web.get("/account").headers["location"] == "/sign-in"


def test_it_shows_name_since_when_last_pull_and_what_is_seen(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        token = app.connect(scope="offline_access patient/Coverage.rs")
        assert "Last pull nothing yet" in words(app.web.get("/account"))
    with clock.set_to(NOW + timedelta(minutes=20)):
        assert app.read(token["access_token"], "Coverage") == 200
        assert app.read(token["access_token"], "Patient") == 403
        text = words(app.web.get("/account"))
    assert "Ada Lovelace" in text
    assert "Health Notes" in text
    assert "Connected November 1, 2026" in text
    assert "Last pull November 1, 2026, 1:20 PM" in text.replace("12:20 PM", "1:20 PM")
    assert "Your coverage" in text
    assert "Your claims" not in text


def test_one_click_stops_every_grant_of_the_app_at_once(app: SmartApp, database: Database, settings: Settings) -> None:
    other = new_app(app.web, database, settings, name="Another app")
    phone, tablet, elsewhere = app.connect(), app.connect(), other.connect()
    page = app.web.get("/account")
    assert page.text.count("Stop sharing</button>") == 2
    response = stop(app, "p1")
    assert response.headers["location"] == "/account?stopped=yes"
    statuses = [app.read(token["access_token"]) for token in (phone, tablet, elsewhere)]
    assert statuses == [401, 401, 200]
    assert app.refresh(phone["refresh_token"]).json()["error"] == "invalid_grant"
    after = app.web.get("/account?stopped=yes")
    assert "Sharing was stopped" in after.text
    assert "Health Notes" not in connected(after)
    assert "Another app" in connected(after)
    assert words(after).count("Why Sharing was stopped on this page.") == 2
    revocations = events(database, "revocation")
    assert [(row.patient, row.client_id, row.interaction) for row in revocations] == [
        ("p1", app.client_id, "account")
    ] * 2
    stop(app, "p1")
    assert len(events(database, "revocation")) == 2


def test_a_representative_sees_and_stops_what_a_child_shares(app: SmartApp) -> None:
    mine, childs = app.connect("grace", "p2"), app.connect("grace", "p3")
    text = words(app.web.get("/account"))
    assert "Kid Hopper you act as their parent Health Notes" in text
    assert "Baby Hopper you act as their parent No app is connected." in text
    stop(app, "p3")
    assert [app.read(token["access_token"]) for token in (mine, childs)] == [200, 401]


def test_nobody_stops_or_sees_what_others_share(app: SmartApp, database: Database) -> None:
    adas = app.connect("ada")
    app.web.cookies.clear()
    app.sign_in("/sign-in", "grace")
    assert "Ada" not in app.web.get("/account").text
    assert stop(app, "p1").status_code == 404
    assert app.read(adas["access_token"]) == 200
    assert events(database, "revocation") == []


def test_a_consent_whose_code_was_never_used_is_not_a_connection(app: SmartApp) -> None:
    app.code()
    assert "No app is connected." in app.web.get("/account").text


def test_what_has_run_out_is_not_shown(app: SmartApp) -> None:
    with clock.set_to(NOW):
        app.connect(scope="patient/Coverage.rs")
        assert "Health Notes" in app.web.get("/account").text
    with clock.set_to(NOW + timedelta(hours=2)):
        app.sign_in("/sign-in")
        page = app.web.get("/account")
    assert "Health Notes" not in connected(page)
    assert "Ended November 1, 2026, 2:01" in words(page).replace("1:01", "2:01")
    assert "Why The time was over." in words(page)


def test_an_account_without_a_member_is_told_so(app: SmartApp) -> None:
    app.sign_in("/sign-in", "bob")
    assert "not connected with a member" in app.web.get("/account").text


def test_each_grant_of_an_app_is_shown_and_stopped_by_itself(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        phone = app.share(duration="13-months")
    with clock.set_to(NOW + timedelta(minutes=1)):
        tablet = app.share(withheld=["claims", "medications"], duration="until-revoked")
        text = words(app.web.get("/account"))
        assert "Withheld Your claims; Your medicines" in text
        assert "Ends when you stop it" in text
        assert "Ends December 2, 2027" in text
        ids = re.findall(r'name="grant" value="([^"]*)"', app.web.get("/account").text)
        assert len(ids) == 2
        stop(app, "p1", grant=ids[1])
        statuses = [app.read(token["access_token"]) for token in (phone, tablet)]
    assert statuses == [200, 401]
    assert app.refresh(tablet["refresh_token"]).json()["error_code"] == "grant_revoked_by_member"


def test_a_grant_of_another_member_is_not_stopped_by_its_id(app: SmartApp, database: Database) -> None:
    adas = app.connect("ada")
    (grant,) = events(database, "grant")
    app.web.cookies.clear()
    app.connect("grace", "p2")
    stop(app, "p2", grant=grant.grant_id)
    assert app.read(adas["access_token"]) == 200
    assert events(database, "revocation") == []


def test_what_ended_is_shown_for_two_years_with_when_and_why(app: SmartApp) -> None:
    with clock.set_to(NOW):
        token = app.connect()
        app.post("/revoke", {"token": token["refresh_token"]})
        page = app.web.get("/account")
        assert "No app is connected." in connected(page)
        assert "Ended November 1, 2026" in words(page)
        assert "Why The app ended it." in words(page)
    for days, is_shown in ((700, True), (740, False)):
        with clock.set_to(NOW + timedelta(days=days)):
            app.sign_in("/sign-in")
            assert ("Health Notes" in app.web.get("/account").text) == is_shown


def test_it_says_who_allowed_it_when_that_was_somebody_else(app: SmartApp, database: Database) -> None:
    with database.transaction() as transaction:
        row = {
            "account": "bob-id",
            "patient": "p3",
            "relationship": "guardian",
            "related_person": "",
            "authority": "adult",
        }
        transaction.execute(insert(METADATA.tables["account_member"]), row)
    app.connect("grace", "p3")
    assert "Allowed by" not in words(app.web.get("/account"))
    app.web.cookies.clear()
    app.sign_in("/sign-in", "bob")
    text = words(app.web.get("/account"))
    assert "Kid Hopper you act as their guardian" in text
    assert "Allowed by Grace Hopper" in text


def test_a_former_member_sees_what_was_shared(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        app.connect()
        with database.transaction() as transaction:
            row = {"patient": "p1", "environment": "production", "enrolled": "medicare-advantage|2026-10-31"}
            transaction.execute(insert(METADATA.tables["member"]), row)
        text = words(app.web.get("/account"))
    assert "The coverage has ended. Apps can get the information of current members only." in text
    assert "Health Notes" in text

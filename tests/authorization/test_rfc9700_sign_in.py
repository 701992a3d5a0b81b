"""RFC 9700 sections 4.7 and 4.16, RFC 6265: sign-in, its session, its forms, and what a failure does not reveal."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.accounts import add_account
from server.authorization.identity import FAILURE_SECONDS, _one_of_few
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import PASSWORD, SmartApp, events, hidden_fields

FAILURES_BEFORE_PAUSE: int = Settings.model_fields["guesses_per_account"].default
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PAGES = ["/sign-in", "/account", "/consent", "/authorize"]


def attempt(app: SmartApp, username: str, password: str) -> Response:
    return app.sign_in("/sign-in", username, password)


def test_signing_in_opens_a_session(app: SmartApp) -> None:
    response = attempt(app, "ada", PASSWORD)
    assert (response.status_code, response.headers["location"]) == (303, "/account")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert app.web.get("/sign-in").headers["location"] == "/account"


def test_usernames_are_found_in_any_case_and_with_spaces_around(app: SmartApp) -> None:
    assert attempt(app, " ADA ", PASSWORD).status_code == 303


def test_over_https_cookies_are_bound_to_the_host(database: Database, settings: Settings, app: SmartApp) -> None:
    secure = settings.model_copy(update={"base_url": "https://payer.example"})
    with TestClient(create_app(secure), base_url="https://payer.example", follow_redirects=False) as web:
        page = web.get("/sign-in")
        answer = web.post("/sign-in", data={**hidden_fields(page), "username": "ada", "password": PASSWORD})
        assert web.get("/account").status_code == 200
    for response, name in ((page, "__Host-browser"), (answer, "__Host-session")):
        cookie = response.headers["set-cookie"]
        assert cookie.startswith(f"{name}=")
        assert "Secure" in cookie
        assert "Domain" not in cookie


def test_every_failure_looks_the_same(app: SmartApp, subtests: pytest.Subtests) -> None:
    for username, password in [("ada", "wrong"), ("nobody", PASSWORD), ("ada", ""), ("", ""), ("ada", "x" * 5000)]:
        with subtests.test(username=username, password=password):
            response = attempt(app, username, password)
            reference = attempt(app, "somebody else", "whatever")
            assert response.status_code == reference.status_code == 400
            assert "The username or the password is not right" in response.text
            assert response.text.replace(f'value="{username.strip()}"', "") == reference.text.replace(
                'value="somebody else"', ""
            )


def test_every_failure_takes_as_long(app: SmartApp) -> None:
    for username in ("ada", "nobody"):
        started = time.monotonic()
        attempt(app, username, "wrong")
        assert time.monotonic() - started >= FAILURE_SECONDS


def test_a_wrong_password_for_a_member_is_in_the_ledger(app: SmartApp, database: Database) -> None:
    attempt(app, "nobody", "wrong")
    attempt(app, "grace", "wrong")
    (refusal,) = events(database, "refusal")
    assert (refusal.patient, refusal.interaction) == ("p2", "sign-in")
    assert "wrong password" in refusal.detail


def test_an_account_pauses_after_many_failures_and_does_not_say_so(
    app: SmartApp, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.authorization.identity.FAILURE_SECONDS", 0.0)
    with clock.set_to(NOW):
        for _ in range(FAILURES_BEFORE_PAUSE):
            attempt(app, "ada", "wrong")
        paused = attempt(app, "ada", PASSWORD)
        assert (paused.status_code, "is not right" in paused.text) == (400, True)
        assert attempt(app, "grace", PASSWORD).status_code == 303
    app.web.cookies.clear()
    with clock.set_to(NOW + timedelta(minutes=1)):
        assert attempt(app, "ada", PASSWORD).status_code == 303
        app.web.cookies.clear()
        attempt(app, "ada", "wrong")
        assert attempt(app, "ada", PASSWORD).status_code == 303


def test_a_pause_does_not_last_longer_when_the_clock_is_set_back(
    app: SmartApp, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.authorization.identity.FAILURE_SECONDS", 0.0)
    with clock.set_to(NOW):
        for _ in range(FAILURES_BEFORE_PAUSE):
            attempt(app, "ada", "wrong")
    with clock.set_to(NOW - timedelta(seconds=59)):
        assert attempt(app, "ada", PASSWORD).status_code == 400
    with clock.set_to(NOW - timedelta(hours=3)):
        assert attempt(app, "ada", PASSWORD).status_code == 303


def test_the_payer_sets_after_how_many_failures_an_account_pauses(
    app: SmartApp, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.authorization.identity.FAILURE_SECONDS", 0.0)
    settings = app.settings.model_copy(update={"guesses_per_account": 3})
    with (
        clock.set_to(NOW),
        TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as web,
    ):
        strict = SmartApp(web, settings, app.client_id)
        for _ in range(3):
            attempt(strict, "ada", "wrong")
        assert attempt(strict, "ada", PASSWORD).status_code == 400
        assert attempt(strict, "grace", PASSWORD).status_code == 303


def test_a_session_ends_in_time(app: SmartApp, settings: Settings) -> None:
    with clock.set_to(NOW):
        attempt(app, "ada", PASSWORD)
    with clock.set_to(NOW + timedelta(minutes=settings.sign_in_minutes - 1)):
        assert app.web.get("/account").status_code == 200
    with clock.set_to(NOW + timedelta(minutes=settings.sign_in_minutes)):
        assert app.web.get("/account").headers["location"] == "/sign-in"


def test_signing_out_ends_the_session_for_good(app: SmartApp) -> None:
    attempt(app, "ada", PASSWORD)
    session = app.web.cookies["session"]
    page = app.web.get("/account")
    response = app.web.post("/sign-out", data={"csrf": hidden_fields(page)["csrf"]})
    assert response.headers["location"] == "/sign-in"
    app.web.cookies.set("session", session)
    assert app.web.get("/account").status_code == 303


def test_a_session_is_new_at_each_sign_in(app: SmartApp) -> None:
    attempt(app, "ada", PASSWORD)
    first = app.web.cookies["session"]
    page = app.web.get("/authorize", params=app.authorization_request(prompt="login"))
    app.sign_in(page.headers["location"])
    assert app.web.cookies["session"] != first
    app.web.cookies.clear()
    app.web.cookies.set("session", first)
    assert app.web.get("/account").status_code == 303


def test_a_form_of_another_site_is_refused(app: SmartApp, subtests: pytest.Subtests) -> None:
    for path in ["/sign-in", "/sign-out", "/consent", "/account/stop"]:
        for csrf in ["", "wrong"]:
            with subtests.test(path=path, csrf=csrf):
                page = app.consent_page()
                fields = {
                    **hidden_fields(page),
                    "csrf": csrf,
                    "username": "ada",
                    "password": PASSWORD,
                    "decision": "allow",
                }
                response = app.web.post(path, data={**fields, "client": app.client_id})
                assert response.status_code == 403
                assert "not valid any more" in response.text


def test_a_form_token_of_another_browser_is_refused(app: SmartApp) -> None:
    fields = hidden_fields(app.web.get("/sign-in"))
    app.web.cookies.clear()
    data = {**fields, "username": "ada", "password": PASSWORD}
    assert app.web.post("/sign-in", data=data).status_code == 403
    app.web.get("/sign-in")
    assert app.web.post("/sign-in", data=data).status_code == 403


def test_no_page_can_be_framed_sniffed_cached_or_scripted(app: SmartApp, subtests: pytest.Subtests) -> None:
    for path in PAGES:
        with subtests.test(path=path):
            headers = app.web.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] == "no-store"
            if headers.get("content-type"):
                policy = headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "script-src" not in policy
                assert "form-action 'self'" in policy


def test_the_style_sheet_is_served_and_pages_need_nothing_else(app: SmartApp) -> None:
    page = app.web.get("/sign-in").text
    href = page.split('<link rel="stylesheet" href="')[1].split('"')[0]
    style = app.web.get(href)
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in style.headers["cache-control"]
    assert "<script" not in page
    assert "style=" not in page
    assert '<html lang="en">' in page


def test_what_a_member_types_is_escaped(app: SmartApp) -> None:
    response = attempt(app, '"><script>alert(1)</script>', "wrong")
    assert "<script" not in response.text
    assert "&lt;script&gt;" in response.text


def test_who_may_act_for_a_member_no_longer_has_no_app_connected_for_them(app: SmartApp, database: Database) -> None:
    lost, kept = app.connect("grace", "p3"), app.connect("grace", "p2")
    code = app.code("grace", "p4")
    added = add_account(database, "grace", PASSWORD, "Grace Hopper", [("p2", "self", "")])
    assert (added.id, added.ended_grants, added.ended_sessions) == ("grace-id", 2, 0)
    assert (app.read(lost["access_token"]), app.read(kept["access_token"])) == (401, 200)
    assert app.exchange(code).json()["error"] == "invalid_grant"
    ended = events(database, "revocation")
    assert {row.patient for row in ended} == {"p3", "p4"}
    assert all("may act for the member no longer" in row.detail for row in ended)
    assert app.web.get("/account").status_code == 200


def test_a_new_password_ends_every_session(app: SmartApp, database: Database) -> None:
    attempt(app, "ada", PASSWORD)
    added = add_account(database, "ada", "another password", "Ada", [("p1", "self", "")])
    assert (added.ended_grants, added.ended_sessions) == (0, 1)
    assert app.web.get("/account").headers["location"] == "/sign-in"


def test_a_path_with_a_slash_more_is_not_found_and_leads_nowhere(app: SmartApp, subtests: pytest.Subtests) -> None:
    for path in PAGES:
        with subtests.test(path=path):
            response = app.web.get(path + "/", headers={"Host": "evil.example"})
            assert (response.status_code, "location" in response.headers) == (404, False)


def test_when_too_many_wait_the_page_says_busy(app: SmartApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.authorization.identity._places", threading.BoundedSemaphore(1))
    assert attempt(app, "nobody", "wrong").status_code == 400
    with _one_of_few():
        response = attempt(app, "ada", PASSWORD)
    assert (response.status_code, "We are busy, try again" in response.text) == (503, True)
    assert attempt(app, "ada", PASSWORD).status_code == 303

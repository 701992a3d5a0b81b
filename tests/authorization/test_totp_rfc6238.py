"""RFC 6238: one-time codes after the password, each taken once."""

import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from httpx2 import Response
from sqlalchemy import select
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.accounts import reset_totp
from server.authorization.totp import OneTimeCodes, matching_step
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from server.storage.schema import METADATA
from tests.authorization.smart_app import SmartApp, add_people, events, hidden_fields, new_app

FAILURES_BEFORE_PAUSE: int = Settings.model_fields["guesses_per_account"].default
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
STEP = timedelta(seconds=30)
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures answer at once."""
    monkeypatch.setattr("server.authorization.identity.FAILURE_SECONDS", 0.0)


@pytest.fixture
def standing() -> Iterator[None]:
    """The clock stands still."""
    with clock.set_to(NOW):
        yield


def secret_of(page: Response) -> str:
    """The key that a page shows."""
    found = re.search(r'<code id="secret">([A-Z2-7]+)</code>', page.text)
    assert found is not None
    return found[1]


def code(secret: str, at: datetime = NOW) -> str:
    """What the member's app shows at a time."""
    return pyotp.TOTP(secret).at(at)


def turn_on(app: SmartApp, at: datetime = NOW - STEP) -> str:
    """Ada signs in, turns codes on with the code of a step before, and signs out; her key."""
    app.sign_in("/sign-in")
    page = app.web.get("/account/codes")
    secret = secret_of(page)
    done = app.web.post("/account/codes", data={**hidden_fields(page), "code": code(secret, at)})
    assert (done.status_code, done.headers["location"]) == (303, "/account/codes")
    assert "They are on" in app.web.get("/account/codes").text
    app.web.cookies.clear()
    return secret


def give(app: SmartApp, page: Response, code: str) -> Response:
    """Send the form of the second step."""
    return app.web.post("/sign-in/code", data={**hidden_fields(page), "code": code})


@pytest.mark.parametrize(
    ("seconds", "digits"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_the_codes_are_those_of_the_specification(seconds: int, digits: str) -> None:
    with clock.set_to(datetime.fromtimestamp(seconds, UTC)):
        assert matching_step(RFC_SECRET, digits) == seconds // 30
        assert matching_step(RFC_SECRET, f"{digits[:3]} {digits[3:]}") == seconds // 30


@pytest.mark.parametrize("digits", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "000000"])
def test_what_is_no_code_matches_nothing(digits: str) -> None:
    with clock.set_to(datetime.fromtimestamp(59, UTC)):
        assert matching_step(RFC_SECRET, digits) is None
        assert matching_step("", digits) is None


@pytest.mark.usefixtures("standing")
def test_after_the_password_the_code_is_asked_for_and_only_then_is_there_a_session(app: SmartApp) -> None:
    secret = turn_on(app)
    request = app.authorize().headers["location"]
    page = app.sign_in(request)
    assert (page.status_code, "Your one-time code" in page.text) == (200, True)
    assert app.web.get("/account").status_code == 303
    answer = give(app, page, code(secret))
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/consent")
    assert app.web.get(answer.headers["location"]).status_code == 200


@pytest.mark.usefixtures("standing")
def test_a_wrong_password_does_not_say_that_there_are_codes(app: SmartApp) -> None:
    turn_on(app)
    failure = app.sign_in("/sign-in", password="wrong")
    assert (failure.status_code, "one-time" in failure.text) == (400, False)
    assert "The username or the password is not right" in failure.text


@pytest.mark.usefixtures("standing")
def test_a_code_is_taken_once(app: SmartApp) -> None:
    secret = turn_on(app)
    assert give(app, app.sign_in("/sign-in"), code(secret)).status_code == 303
    app.web.cookies.clear()
    again = give(app, app.sign_in("/sign-in"), code(secret))
    assert (again.status_code, "used already" in again.text) == (400, True)
    earlier = give(app, app.sign_in("/sign-in"), code(secret, NOW - STEP))
    assert earlier.status_code == 400
    assert give(app, app.sign_in("/sign-in"), code(secret, NOW + STEP)).status_code == 303


@pytest.mark.usefixtures("standing")
@pytest.mark.parametrize(("steps", "status"), [(-2, 400), (1, 303), (2, 400)])
def test_codes_of_a_step_around_are_taken_and_no_others(app: SmartApp, steps: int, status: int) -> None:
    secret = turn_on(app)
    assert give(app, app.sign_in("/sign-in"), code(secret, NOW + steps * STEP)).status_code == status


def test_the_code_must_come_within_five_minutes(app: SmartApp) -> None:
    with clock.set_to(NOW):
        secret = turn_on(app)
        page = app.sign_in("/sign-in")
    with clock.set_to(NOW + timedelta(minutes=5)):
        late = give(app, page, code(secret, NOW + timedelta(minutes=5)))
    assert (late.status_code, "That took too long" in late.text) == (400, True)


@pytest.mark.usefixtures("standing")
def test_the_second_step_belongs_to_the_browser_that_knew_the_password(app: SmartApp) -> None:
    secret = turn_on(app)
    ticket = hidden_fields(app.sign_in("/sign-in"))["ticket"]
    app.web.cookies.clear()
    fields = hidden_fields(app.web.get("/sign-in"))
    for stolen in (ticket, "", "nonsense"):
        answer = app.web.post("/sign-in/code", data={**fields, "ticket": stolen, "code": code(secret)})
        assert answer.status_code == 400
    assert app.web.get("/account").status_code == 303


def test_guesses_of_codes_are_limited_as_those_of_passwords_are(app: SmartApp, database: Database) -> None:
    with clock.set_to(NOW):
        secret = turn_on(app)
        for _ in range(FAILURES_BEFORE_PAUSE):
            give(app, app.sign_in("/sign-in"), "000000")
    refusals = events(database, "refusal")
    assert len(refusals) == FAILURES_BEFORE_PAUSE
    assert all("wrong one-time code" in row.detail for row in refusals)
    with clock.set_to(NOW + timedelta(seconds=59)):
        # The right password alone does not make the account forget the wrong codes.
        assert app.sign_in("/sign-in").status_code == 400
    with clock.set_to(NOW + timedelta(seconds=60)):
        page = app.sign_in("/sign-in")
        assert give(app, page, code(secret, NOW + timedelta(seconds=60))).status_code == 303


@pytest.mark.usefixtures("standing")
def test_the_key_is_stored_encrypted(app: SmartApp, database: Database) -> None:
    secret = turn_on(app)
    account = METADATA.tables["account"]
    with database.reading() as reading:
        stored = reading.scalar(select(account.c.totp_secret).where(account.c.username == "ada"))
    assert stored
    assert secret.encode() not in stored


@pytest.mark.usefixtures("standing")
def test_codes_are_turned_on_only_with_a_right_code(app: SmartApp, database: Database) -> None:
    app.sign_in("/sign-in")
    page = app.web.get("/account/codes")
    secret = secret_of(page)
    wrong = app.web.post("/account/codes", data={**hidden_fields(page), "code": "000000"})
    assert (wrong.status_code, secret_of(wrong)) == (400, secret)
    assert f"secret={secret}" not in wrong.text
    right = app.web.post("/account/codes", data={**hidden_fields(wrong), "code": code(secret)})
    assert right.status_code == 303
    other = app.web.post("/account/codes", data={**hidden_fields(page), "code": code(secret, NOW + STEP)})
    assert "They are on" in other.text


@pytest.mark.usefixtures("standing")
def test_codes_are_turned_off_with_a_code(app: SmartApp) -> None:
    secret = turn_on(app)
    give(app, app.sign_in("/sign-in"), code(secret))
    page = app.web.get("/account/codes")
    assert app.web.post("/account/codes/off", data={**hidden_fields(page), "code": code(secret)}).status_code == 400
    done = app.web.post("/account/codes/off", data={**hidden_fields(page), "code": code(secret, NOW + STEP)})
    assert done.status_code == 303
    app.web.cookies.clear()
    assert app.sign_in("/sign-in").status_code == 303


@pytest.mark.usefixtures("standing")
def test_the_operator_resets_codes_of_a_lost_device_and_ends_sessions(app: SmartApp, database: Database) -> None:
    secret = turn_on(app)
    give(app, app.sign_in("/sign-in"), code(secret))
    assert reset_totp(database, "Ada") == 2  # the session in which she turned them on, and this one
    assert app.web.get("/account").status_code == 303
    assert app.sign_in("/sign-in").status_code == 303
    for username, words in (("nobody", "no account"), ("ada", "no one-time codes")):
        with pytest.raises(ValueError, match=words):
            reset_totp(database, username)


@pytest.mark.usefixtures("standing")
def test_the_pages_ask_who_is_signed_in_and_for_our_own_form(app: SmartApp) -> None:
    assert app.web.get("/account/codes").headers["location"] == "/sign-in"
    for target in ("/account/codes", "/account/codes/off"):
        assert app.web.post(target, data={"code": "123456"}).headers["location"] == "/sign-in"
    app.sign_in("/sign-in")
    for target in ("/account/codes", "/account/codes/off"):
        assert app.web.post(target, data={"code": "123456"}).status_code == 403


@pytest.mark.usefixtures("standing")
def test_codes_can_be_required(database: Database, settings: Settings) -> None:
    strict = settings.model_copy(update={"require_totp": True})
    add_people(database)
    with TestClient(create_app(strict), base_url=strict.base_url, follow_redirects=False) as web:
        app = new_app(web, database, strict)
        page = app.sign_in(app.authorize().headers["location"])
        assert "Set up one-time codes" in page.text
        assert web.get("/account").status_code == 303
        secret = secret_of(page)
        wrong = web.post("/sign-in/set-up", data={**hidden_fields(page), "code": "000000"})
        assert (wrong.status_code, secret_of(wrong)) == (400, secret)
        done = web.post("/sign-in/set-up", data={**hidden_fields(wrong), "code": code(secret)})
        assert done.headers["location"].startswith("/consent?request=")
        page = web.get("/account/codes")
        assert "Turn off" not in page.text
        off = web.post("/account/codes/off", data={"csrf": csrf_of(web), "code": code(secret, NOW + STEP)})
        assert off.status_code == 403


def csrf_of(web: TestClient) -> str:
    """The form token of the account page."""
    found = re.search(r'name="csrf" value="([^"]*)"', web.get("/account").text)
    assert found is not None
    return html.unescape(found[1])


@pytest.mark.usefixtures("standing")
def test_the_picture_is_drawn_without_styles_scripts_or_another_site(app: SmartApp) -> None:
    app.sign_in("/sign-in")
    page = app.web.get("/account/codes")
    assert "<svg" in page.text
    assert "style=" not in page.text
    assert "<script" not in page.text
    assert "img-src 'self'" in page.headers["content-security-policy"]


def test_parallel_guesses_of_codes_are_no_more_than_others(
    app: SmartApp, database: Database, settings: Settings
) -> None:
    with clock.set_to(NOW):
        secret = turn_on(app)
    with clock.set_to(NOW + timedelta(minutes=5)):
        right = code(secret, NOW + timedelta(minutes=5))
        codes, ledger = OneTimeCodes(settings), EventLedger(database)
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(lambda _: codes.check(database, ledger, "ada-id", "no code"), range(3 * FAILURES_BEFORE_PAUSE))
            )
        assert not codes.check(database, ledger, "ada-id", right)
    details = [row.detail for row in events(database, "refusal")]
    assert sum("wrong one-time code" in detail for detail in details) == FAILURES_BEFORE_PAUSE

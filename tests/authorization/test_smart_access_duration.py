"""SMART App Launch 2.2 "Scopes for requesting a refresh token": how long access lasts, and what ends it before."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server import clock
from server.authorization.tokens import FOREVER, SECOND, grant_duration, grant_expiry
from server.settings import Settings
from tests.authorization.smart_app import SCOPE, SmartApp, hidden_fields, redirect_parameters

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ONLINE = SCOPE.replace("offline_access", "online_access")


@contextmanager
def after(**time: float) -> Iterator[None]:
    with clock.set_to(NOW + timedelta(**time)):
        yield


def connect(app: SmartApp, duration: str | None = None, **changes: str | None) -> dict[str, Any]:
    answer = redirect_parameters(app.decide(app.consent_page(**changes), duration=duration))
    token: dict[str, Any] = app.exchange(answer["code"]).json()
    return token


def test_13_months_end_on_their_day(app: SmartApp) -> None:
    with after():
        token = connect(app, "13-months")
        assert token["access_grant_expiration"] == "2027-12-02T12:00:00Z"
        assert app.introspect(token["access_token"])["access_grant_expiration"] == "2027-12-02T12:00:00Z"
    with after(days=396, seconds=-1):
        token = app.refresh(token["refresh_token"]).json()
        assert token["access_grant_expiration"] == "2027-12-02T12:00:00Z"
    with after(days=396):
        response = app.refresh(token["refresh_token"])
        assert (response.status_code, response.json()["error_code"]) == (400, "grant_expired")
        assert app.read(token["access_token"]) == 401


def test_until_revoked_has_no_end_of_its_own(app: SmartApp) -> None:
    with after():
        token = connect(app, "until-revoked")
        assert token["access_grant_expiration"] is None
        answer = app.introspect(token["refresh_token"])
        assert (answer["active"], answer["access_grant_expiration"], "exp" in answer) == (True, None, False)
    with after(days=365 * 30):
        token = app.refresh(token["refresh_token"]).json()
        assert token["access_grant_expiration"] is None
        assert app.read(token["access_token"]) == 200
        assert app.post("/revoke", {"token": token["refresh_token"]}).status_code == 200
        assert app.read(token["access_token"]) == 401


def test_once_gives_no_refresh_token_though_it_was_asked_for(app: SmartApp, settings: Settings) -> None:
    with after():
        token = connect(app, "once")
    assert "refresh_token" not in token
    assert token["scope"] == SCOPE.replace("offline_access ", "")
    assert token["access_grant_expiration"] == "2026-11-01T13:01:00Z"
    with after(seconds=settings.access_token_seconds):
        assert app.read(token["access_token"]) == 401


def test_what_is_not_offered_cannot_be_chosen(app: SmartApp) -> None:
    assert app.decide(app.consent_page(), duration="for-ever").status_code == 400


def test_online_access_refreshes_while_the_member_is_signed_in(app: SmartApp, settings: Settings) -> None:
    with after():
        token = connect(app, scope=ONLINE)
        assert token["scope"] == ONLINE
        assert token["access_grant_expiration"] == "2026-11-02T00:00:00Z"
    with after(hours=settings.online_access_hours, seconds=-1):
        token = app.refresh(token["refresh_token"]).json()
    with after(hours=settings.online_access_hours):
        assert app.refresh(token["refresh_token"]).json()["error_code"] == "grant_expired"


def sign_out(app: SmartApp) -> None:
    fields = hidden_fields(app.web.get("/account"))
    assert app.web.post("/sign-out", data={"csrf": fields["csrf"]}).status_code == 303


def test_online_access_ends_as_the_member_signs_out(app: SmartApp) -> None:
    lasting = connect(app, scope=SCOPE)
    token = connect(app, scope=ONLINE)
    sign_out(app)
    assert app.read(token["access_token"]) == 401
    response = app.refresh(token["refresh_token"])
    assert (response.status_code, response.json()["error_code"]) == (400, "signed_out")
    assert app.refresh(lasting["refresh_token"]).status_code == 200


def test_signing_in_anew_is_not_signing_out(app: SmartApp) -> None:
    with after():
        token = connect(app, scope=ONLINE)
    with after(minutes=1):
        app.connect(prompt="login")
        assert app.refresh(token["refresh_token"]).status_code == 200
        sign_out(app)
        assert app.read(token["access_token"]) == 401


def test_of_both_kinds_of_access_the_longer_is_given(app: SmartApp) -> None:
    token = connect(app, scope="online_access offline_access patient/Patient.rs")
    assert token["scope"] == "offline_access patient/Patient.rs"
    sign_out(app)
    assert app.refresh(token["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    ("scope", "chosen", "lasts", "seconds"),
    [
        ("offline_access", "", "13-months", 396 * 86_400),
        ("offline_access", "13-months", "13-months", 396 * 86_400),
        ("offline_access", "once", "once", 3660),
        ("online_access", "", "online", 12 * 3600),
        ("online_access", "until-revoked", "online", 12 * 3600),
        ("online_access", "once", "once", 3660),
        ("openid", "until-revoked", "once", 3660),
        ("", "13-months", "once", 3660),
    ],
)
def test_how_long_a_grant_lasts(settings: Settings, scope: str, chosen: str, lasts: str, seconds: int) -> None:
    assert grant_duration(scope, chosen) == lasts
    assert grant_expiry(settings, scope, chosen, 1000) == 1000 + seconds * SECOND


def test_until_revoked_is_the_end_of_time(settings: Settings) -> None:
    assert grant_expiry(settings, "offline_access", "until-revoked", 1000) == FOREVER


@pytest.mark.parametrize("durations", ["for-ever", "once,once", ""])
def test_the_payer_offers_only_what_there_is(durations: str) -> None:
    with pytest.raises(ValueError, match="must be one or more of 13-months, once and until-revoked"):
        Settings(grant_durations=durations)  # type: ignore[arg-type]

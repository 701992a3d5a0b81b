"""OpenID Connect Core 1.0 section 3.1.2.1: prompt, max_age, login_hint, ui_locales."""

from datetime import UTC, datetime, timedelta

import pytest

from server import clock
from tests.authorization.smart_app import SmartApp, hidden_fields, redirect_parameters

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def leads_to(app: SmartApp, **changes: str | None) -> str:
    """The page that /authorize leads to."""
    return str(app.authorize(**changes).headers["location"]).partition("?")[0]


def test_who_is_signed_in_goes_straight_to_consent(app: SmartApp) -> None:
    assert leads_to(app) == "/sign-in"
    app.connect()
    assert leads_to(app) == "/consent"


@pytest.mark.parametrize("prompt", ["login", "select_account", "login consent"])
def test_a_prompt_for_signing_in_shows_the_sign_in_page_once(app: SmartApp, prompt: str) -> None:
    with clock.set_to(NOW):
        app.connect()
    with clock.set_to(NOW + timedelta(minutes=1)):
        location = app.authorize(prompt=prompt).headers["location"]
        assert location.startswith("/sign-in")
        # neither the consent page nor its form is reached with the session from before
        consent = location.replace("/sign-in", "/consent")
        assert app.web.get(consent).headers["location"] == location
        page = app.sign_in(location)
        assert page.headers["location"] == consent
        assert "code" in redirect_parameters(app.decide(app.web.get(consent)))


@pytest.mark.parametrize("prompt", ["consent", "", "something-new"])
def test_other_prompts_ask_as_always(app: SmartApp, prompt: str) -> None:
    app.connect()
    assert leads_to(app, prompt=prompt) == "/consent"


def test_prompt_none_fails_as_the_member_is_always_asked(app: SmartApp) -> None:
    assert redirect_parameters(app.authorize(prompt="none"))["error"] == "login_required"
    app.connect()
    answer = redirect_parameters(app.authorize(prompt="none"))
    assert (answer["error"], answer["state"]) == ("consent_required", "a state/with ?&= and é")


def test_prompt_none_goes_with_no_other(app: SmartApp) -> None:
    assert redirect_parameters(app.authorize(prompt="none login"))["error"] == "invalid_request"


def test_a_session_older_than_max_age_signs_in_again(app: SmartApp) -> None:
    with clock.set_to(NOW):
        app.connect()
    with clock.set_to(NOW + timedelta(seconds=100)):
        assert leads_to(app, max_age="100") == "/consent"
        assert leads_to(app, max_age="99") == "/sign-in"
        assert redirect_parameters(app.authorize(prompt="none", max_age="99"))["error"] == "login_required"
        assert redirect_parameters(app.authorize(prompt="none", max_age="100"))["error"] == "consent_required"


def test_max_age_0_always_signs_in_and_then_goes_on(app: SmartApp) -> None:
    with clock.set_to(NOW):
        app.connect()
    with clock.set_to(NOW + timedelta(seconds=1)):
        location = app.authorize(max_age="0").headers["location"]
        assert location.startswith("/sign-in")
        consent = app.sign_in(location).headers["location"]
    with clock.set_to(NOW + timedelta(minutes=5)):  # the member may think about it
        assert "code" in redirect_parameters(app.decide(app.web.get(consent)))


def test_the_consent_form_is_not_taken_from_a_session_that_is_too_old(app: SmartApp) -> None:
    with clock.set_to(NOW):
        page = app.consent_page()
        fields = hidden_fields(page)
    with clock.set_to(NOW + timedelta(minutes=1)):
        location = app.authorize(max_age="10").headers["location"]
        forged = {**fields, "request": location.partition("request=")[2], "decision": "allow"}
        assert app.web.post("/consent", data=forged).headers["location"] == location


@pytest.mark.parametrize("max_age", ["soon", "-1", "1.5", "1e3", "9999999999", "٣"])
def test_a_malformed_max_age_is_refused(app: SmartApp, max_age: str) -> None:
    assert redirect_parameters(app.authorize(max_age=max_age))["error"] == "invalid_request"


def test_the_id_token_says_when_the_member_signed_in(app: SmartApp) -> None:
    from tests.authorization.test_openid_connect_id_token import claims_of

    with clock.set_to(NOW):
        app.connect()
    with clock.set_to(NOW + timedelta(minutes=5)):
        claims = claims_of(app, app.connect(max_age="600"))
    assert claims["auth_time"] == int(NOW.timestamp())
    assert claims["iat"] == int(NOW.timestamp()) + 300


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("grace", 'value="grace"'),
        ('o\'neill <b>"x"', 'value="o&#39;neill &lt;b&gt;&#34;x&#34;"'),
        ("x" * 201, 'name="username" value=""'),
        ("a\u202eb", 'name="username" value=""'),
    ],
)
def test_a_login_hint_is_filled_in_if_it_is_short_and_printable(app: SmartApp, hint: str, shown: str) -> None:
    page = app.web.get(app.authorize(login_hint=hint).headers["location"])
    assert shown in page.text


def test_ui_locales_choose_the_language_of_the_pages(app: SmartApp) -> None:
    page = app.web.get(app.authorize(ui_locales="fr es-MX en").headers["location"])
    assert '<html lang="es"' in page.text


def test_a_nonce_that_would_fill_an_id_token_is_refused(app: SmartApp) -> None:
    assert app.authorize(nonce="n" * 1024).headers["location"].startswith("/sign-in")
    answer = redirect_parameters(app.authorize(nonce="n" * 1025))
    assert (answer["error"], "'nonce'" in answer["error_description"]) == ("invalid_request", True)

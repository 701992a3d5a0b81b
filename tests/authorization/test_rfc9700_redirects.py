"""RFC 9700 section 4.11.2: nobody is sent on to an address that anybody could have registered before they have signed in."""

import html
import re

import pytest
from httpx2 import Response

from tests.authorization.registering import registered
from tests.authorization.smart_app import SmartApp, redirect_parameters

FAULTS = [
    ("response_type", "token", "unsupported_response_type"),
    ("aud", "https://elsewhere.example/fhir", "invalid_request"),
    ("scope", "nonsense", "invalid_scope"),
    ("code_challenge", None, "invalid_request"),
    ("prompt", "none", "login_required"),
]


def faulty(app: SmartApp, client_id: str, name: str, value: str | None) -> Response:
    return app.web.get("/authorize", params=app.authorization_request(**{"client_id": client_id, name: value}))


@pytest.mark.parametrize(("name", "value", "error"), FAULTS, ids=[name for name, *_ in FAULTS])
def test_the_fault_of_an_app_that_registered_itself_is_a_page_with_a_way_back(
    app: SmartApp, name: str, value: str | None, error: str
) -> None:
    client_id = registered(app.web, token_endpoint_auth_method="none")["client_id"]
    page = faulty(app, client_id, name, value)
    assert page.status_code == 400
    assert "location" not in page.headers
    [address] = re.findall(r'<a href="([^"]*)" rel="noreferrer">Back to the app</a>', page.text)
    assert html.unescape(address).startswith(f"{app.redirect_uri}?error={error}&")
    assert f"<code>{error}</code>" in page.text


def test_a_member_who_is_signed_in_is_sent_on(app: SmartApp) -> None:
    client_id = registered(app.web, token_endpoint_auth_method="none")["client_id"]
    app.sign_in("/sign-in")
    answer = faulty(app, client_id, "scope", "nonsense")
    assert answer.status_code == 303
    assert redirect_parameters(answer)["error"] == "invalid_scope"


def test_an_app_that_the_payer_registered_is_told_by_redirect(app: SmartApp) -> None:
    answer = faulty(app, app.client_id, "scope", "nonsense")
    assert redirect_parameters(answer)["error"] == "invalid_scope"


def test_a_page_about_an_app_that_is_not_known_leads_nowhere_else(app: SmartApp) -> None:
    assert "Back to the app" not in faulty(app, "nobody", "scope", "nonsense").text

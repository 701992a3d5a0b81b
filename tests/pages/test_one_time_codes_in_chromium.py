"""One-time codes in a real browser: set up, asked for, turned off; every page without a fault that axe-core finds, in two languages.

https://www.rfc-editor.org/rfc/rfc6238 and https://www.w3.org/TR/WCAG22/
"""

import time

import pyotp
import pytest
from playwright.sync_api import Page

from tests.authorization.smart_app import PASSWORD, SmartApp
from tests.pages.test_axe import check as without_fault
from tests.pages.test_axe import page
from tests.pages.test_in_chromium import app, callback

__all__ = ["app", "callback", "page"]

pytestmark = pytest.mark.slow


def fresh(secret: str, used: list[int]) -> str:
    """The earliest code of the member's authenticator app that will be taken: of no step used, and not about to be too old."""
    now, seconds = divmod(int(time.time()), 30)
    step = max([now if seconds > 20 else now - 1, *(last + 1 for last in used)])
    time.sleep(max(0, (step - 1) * 30 - time.time()))
    used.append(step)
    return pyotp.TOTP(secret).at(step * 30)


def sign_in(page: Page, app: SmartApp) -> None:
    page.goto(f"{app.settings.base_url}/sign-in")
    page.get_by_label("Username").fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("page", ["phone", "desktop"], indirect=True)
def test_a_member_turns_codes_on_signs_in_with_one_and_turns_them_off(page: Page, app: SmartApp, axe: str) -> None:
    used: list[int] = []
    sign_in(page, app)
    page.get_by_role("link", name="One-time codes").click()
    page.get_by_role("heading", name="Set up one-time codes").wait_for()
    without_fault(page, axe)
    secret = page.locator("#secret").inner_text()
    assert page.locator("svg").bounding_box()["width"] >= 120  # type: ignore[index]
    page.get_by_label("One-time code").fill("000000")
    page.get_by_role("button", name="Turn on").click()
    page.get_by_role("alert").wait_for()
    assert page.locator("#secret").inner_text() == secret
    page.get_by_label("One-time code").fill(fresh(secret, used))
    page.get_by_role("button", name="Turn on").click()
    page.get_by_text("They are on").wait_for()
    without_fault(page, axe)

    page.context.clear_cookies()
    sign_in(page, app)
    page.get_by_role("heading", name="Your one-time code").wait_for()
    without_fault(page, axe)
    page.get_by_label("One-time code").fill(fresh(secret, used))
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Your connected apps").wait_for()

    page.goto(f"{app.settings.base_url}/account/codes?language=es")
    page.get_by_role("heading", name="Códigos de un solo uso").wait_for()
    page.get_by_label("Para desactivarlos").fill(fresh(secret, used))
    page.get_by_role("button", name="Desactivar").click()
    page.get_by_role("heading", name="Configurar códigos de un solo uso").wait_for()
    without_fault(page, axe)

"""axe-core finds nothing to complain about on any page, at phone and desktop width, signed out and in.

https://github.com/dequelabs/axe-core and https://www.w3.org/TR/WCAG22/
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.pages.conftest import RunningSandbox
from tests.pages.test_sample_app import OVERFLOW, SIZES, open_and_connect

pytestmark = pytest.mark.slow
PUBLIC = (
    "/",
    "/try",
    "/docs",
    "/docs/registration",
    "/docs/scopes",
    "/docs/searches",
    "/docs/searches/ExplanationOfBenefit",
    "/docs/errors",
    "/docs/errors/token-expired",
    "/docs/limits",
    "/docs/sandbox",
    "/docs/sandbox/members",
    "/docs/changelog",
    "/docs/members",
    "/docs/errors/unknown",
    "/sign-in",
    "/sign-in?language=es",
    "/docs/members?language=es",
    "/authorize?client_id=nobody&language=es",
)
RUN = "() => axe.run(document, {runOnly: {type: 'tag', values: [%s]}})"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@pytest.fixture(params=SIZES)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport=SIZES[request.param])  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def check(page: Page, axe: str) -> None:
    """No violation, and something was looked at; every details element is opened first."""
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true })")
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate(RUN % ", ".join(f"'{tag}'" for tag in TAGS))
    assert len(found["passes"]) > 10
    violations = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]]
    assert violations == [], page.url
    assert page.evaluate(OVERFLOW) == 0, page.url


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_page(page: Page, axe: str, running_sandbox: RunningSandbox, path: str) -> None:
    page.goto(running_sandbox.base_url + path)
    check(page, axe)


@pytest.mark.parametrize("language", ["en", "es"])
def test_sign_in_consent_sample_app_and_account(
    page: Page, axe: str, running_sandbox: RunningSandbox, language: str
) -> None:
    page.goto(f"{running_sandbox.base_url}/sign-in?language={language}")
    page.goto(f"{running_sandbox.base_url}/try")
    page.get_by_role("button", name="Connect with").click()
    page.wait_for_selector("#username")
    check(page, axe)
    page.fill("#username", "castellanos")
    page.fill("#password", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    check(page, axe)
    page.fill("#password", "castellanos-sandbox")
    page.keyboard.press("Enter")
    page.wait_for_selector("button[value=allow]")
    assert page.locator("html").get_attribute("lang") == language
    check(page, axe)
    if page.locator("input[name=patient]:enabled:not([type=hidden])").count():
        page.locator("input[name=patient]:enabled").first.check()
    for box in page.get_by_role("checkbox").all():
        box.uncheck()
    page.locator("button[value=allow]").click()
    page.wait_for_selector("[role=alert]")
    check(page, axe)
    page.context.clear_cookies()
    open_and_connect(page, running_sandbox)
    check(page, axe)
    page.goto(f"{running_sandbox.base_url}/account?language={language}")
    check(page, axe)
    page.get_by_role("button", name={"en": "Stop sharing", "es": "Dejar de compartir"}[language]).first.click()
    page.wait_for_selector("[role=status]")
    check(page, axe)

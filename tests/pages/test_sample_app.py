"""/try in headless Chromium, against a sandbox that really runs: connect, look, copy, refresh, sign out, and what can go wrong.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.conftest import RunningSandbox

pytestmark = pytest.mark.slow
SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
COUNTED = {"billed": ("submitted",), "paid": ("paidtoprovider", "paidtopatient"), "owed": ("memberliability",)}
LABELS = {"billed": "Billed", "paid": "Plan paid", "owed": "Your share"}


@pytest.fixture(params=SIZES)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    yield from visited(browser, request.param)


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    yield from visited(browser, "phone")


def visited(browser: Browser, size: str) -> Iterator[Page]:
    """A page of a browser that has never been here; whatever it complains about fails the test."""
    context = browser.new_context(viewport=SIZES[size])  # type: ignore[arg-type]
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    # The browser itself reports answers that are errors; the tests of those expect them.
    assert [text for text in complaints if "the server responded with a status of 4" not in text] == []


def records(sandbox: RunningSandbox, type: str, username: str) -> list[dict[str, Any]]:
    """What was loaded of a type for a member."""
    lines = (sandbox.directory / "var" / "seed" / f"{type}.ndjson").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [one for one in found if one["patient"]["reference"] == f"Patient/member-{username}"]


def connect(page: Page, sandbox: RunningSandbox, username: str = "vantongeren", decision: str = "Allow") -> None:
    """Go through sign-in and consent, from the page as it is."""
    page.get_by_role("button", name="Connect with").click()
    page.fill("#username", username)
    page.fill("#password", f"{username}-sandbox")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=decision, exact=True).click()


def open_and_connect(page: Page, sandbox: RunningSandbox, username: str = "vantongeren") -> None:
    """From nothing to all panels."""
    page.goto(f"{sandbox.base_url}/try")
    connect(page, sandbox, username)
    ready(page)


def ready(page: Page) -> None:
    """Wait until every panel has what it asked for."""
    expect(page.locator(".session h1")).not_to_have_text("Connected")
    expect(page.locator("[aria-busy]")).to_have_count(0)


def session(page: Page) -> dict[str, Any]:
    """What the app keeps."""
    kept: dict[str, Any] = page.evaluate("() => JSON.parse(sessionStorage.getItem('try.session') ?? '{}')")
    return kept


def status(sandbox: RunningSandbox, token: str) -> int:
    """What the server says to a token now."""
    request = Request(f"{sandbox.base_url}/fhir/Coverage", headers={"Authorization": f"Bearer {token}"})
    try:
        with urlopen(request) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_a_member_sees_coverage_claims_authorizations_medications_and_labs(
    page: Page, running_sandbox: RunningSandbox
) -> None:
    open_and_connect(page, running_sandbox)
    assert page.url == f"{running_sandbox.base_url}/try", "the code does not stay in the address"
    assert page.evaluate(OVERFLOW) == 0
    expect(page.get_by_role("heading", level=1)).to_have_text("Marisol Jane Vantongeren")
    expect(page.locator("#status")).to_have_text("5 of 5 panels are ready.")
    assert "Meridale Advantage Classic" in page.get_by_role("region", name="Coverage", exact=True).inner_text()

    claims = [one for one in records(running_sandbox, "ExplanationOfBenefit", "vantongeren") if one["use"] == "claim"]
    panel = page.locator(".panel-claims")
    assert f"{len(claims)} found" in panel.inner_text()
    assert panel.locator(".requests ol > li").count() == 2, "ten claims on a page, and the next link followed"
    for name, codes in COUNTED.items():
        cents = sum(
            round(total["amount"]["value"] * 100)
            for one in claims
            if one["status"] == "active"
            for total in one["total"]
            if total["category"]["coding"][0]["code"] in codes
        )
        assert f"{LABELS[name]} ${cents / 100:,.2f}" in panel.locator(".legend").inner_text()
    picture = panel.get_by_role("img")
    assert re.match(r"Bar chart\. From \w+ 20\d\d to \w+ 20\d\d: billed \$", picture.get_attribute("aria-label") or "")
    assert picture.locator("rect").count() >= 3 * 3
    panel.get_by_text("The chart as a table").click()
    assert panel.get_by_role("row").count() == 1 + picture.locator("g").count()
    panel.get_by_role("button", name=f"Show all {len(claims)} claims").click()
    assert panel.locator(".rows > li").count() == len(claims)
    assert panel.get_by_text("Replaced by a newer claim", exact=True).count() == 1

    text = page.locator(".panel-authorizations").inner_text()
    assert "Physical therapy visits Approved" in text
    assert "Heart scan Denied" in text
    assert "asks for a simpler test first" in text
    assert "asked for 12, 12 allowed, 0 used" in text
    medications = page.locator(".panel-medications").inner_text()
    assert "Lisinopril 10 mg tablets active" in medications
    assert "at Millbrook Pharmacy" in medications
    assert "High" in page.get_by_role("row", name="Total cholesterol").inner_text()
    assert page.evaluate(OVERFLOW) == 0


def test_a_request_can_be_copied_as_curl_and_does_the_same(phone: Page, running_sandbox: RunningSandbox) -> None:
    phone.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_and_connect(phone, running_sandbox)
    panel = phone.locator(".panel-coverage")
    panel.locator(".requests > summary").click()

    def copied() -> str:
        panel.get_by_role("button", name="Copy as curl").click()
        expect(panel.get_by_role("button", name="Copied")).to_be_visible()  # the button says so for a moment
        expect(phone.locator("#status")).to_have_text("Copied.")
        expect(panel.get_by_role("button", name="Copy as curl")).to_be_visible()
        return str(phone.evaluate("() => navigator.clipboard.readText()"))

    def run(command: str, **environment: str) -> dict[str, Any]:
        done = subprocess.run(["bash", "-c", f"{command} -s"], env={**os.environ, **environment}, capture_output=True)
        bundle: dict[str, Any] = json.loads(done.stdout)
        return bundle

    command, token = copied(), session(phone)["accessToken"]
    assert "$TOKEN" in command
    assert token not in command
    assert run(command, TOKEN=token)["total"] == 1
    panel.get_by_label("Copy the real access token too").check()
    with_token = copied()
    assert token in with_token
    assert run(with_token)["total"] == 1
    panel.get_by_text("The answer", exact=True).click()
    expect(panel.locator("pre.answer")).to_contain_text('"resourceType": "Bundle"')


def test_refreshing_and_signing_out(phone: Page, running_sandbox: RunningSandbox) -> None:
    open_and_connect(phone, running_sandbox)
    before = session(phone)
    phone.get_by_role("button", name="Refresh the token").click()
    expect(phone.locator("#status")).to_have_text("The app has a new access token.")
    after = session(phone)
    assert after["accessToken"] != before["accessToken"]
    assert after["refreshToken"] != before["refreshToken"]
    assert status(running_sandbox, after["accessToken"]) == 200
    phone.get_by_role("button", name="Sign out").click()
    expect(phone.get_by_role("button", name="Connect with")).to_be_enabled()
    expect(phone.locator("#try-title")).to_be_focused()
    assert phone.evaluate("() => sessionStorage.length") == 0
    assert [status(running_sandbox, one["accessToken"]) for one in (before, after)] == [401, 401]


def test_a_token_that_ran_out_is_refreshed_without_a_word(phone: Page, running_sandbox: RunningSandbox) -> None:
    open_and_connect(phone, running_sandbox)
    old = session(phone)
    phone.evaluate(
        "() => sessionStorage.setItem('try.session', JSON.stringify("
        "{...JSON.parse(sessionStorage.getItem('try.session')), accessToken: 'no longer good'}))"
    )
    phone.reload()
    ready(phone)
    assert phone.locator("#problem").inner_text() == ""
    assert session(phone)["accessToken"] not in (old["accessToken"], "no longer good")
    assert phone.locator(".panels .failure").count() == 0


def test_it_asks_for_what_is_ticked_only(phone: Page, running_sandbox: RunningSandbox) -> None:
    phone.goto(f"{running_sandbox.base_url}/try")
    for name in ("Lab results", "Medications", "Stay connected when I am away"):
        phone.get_by_label(name).uncheck()
    phone.get_by_text("The scopes behind it").click()
    assert "Observation" not in phone.locator("#scope").inner_text()
    connect(phone, running_sandbox)
    ready(phone)
    assert "Observation" not in session(phone)["scope"]
    assert session(phone)["refreshToken"] == ""
    for panel in (".panel-labs", ".panel-medications"):
        assert "Not shared" in phone.locator(panel).inner_text()
    assert phone.get_by_role("button", name="Refresh the token").count() == 0
    assert "found" in phone.locator(".panel-claims").inner_text()


def test_a_parent_sees_the_child_that_was_chosen(phone: Page, running_sandbox: RunningSandbox) -> None:
    phone.goto(f"{running_sandbox.base_url}/try")
    phone.get_by_role("button", name="Connect with").click()
    phone.fill("#username", "castellanos")
    phone.fill("#password", "castellanos-sandbox")
    phone.keyboard.press("Enter")
    choice = phone.get_by_role("radio").nth(1)
    choice.check()
    chosen = choice.get_attribute("value")
    phone.get_by_role("button", name="Allow", exact=True).click()
    ready(phone)
    assert session(phone)["patient"] == chosen
    assert "Beatriz" not in phone.get_by_role("heading", level=1).inner_text()


def test_it_can_be_done_by_keyboard_alone(phone: Page, running_sandbox: RunningSandbox) -> None:
    phone.goto(f"{running_sandbox.base_url}/try")
    expect(phone.get_by_role("button", name="Connect with")).to_be_enabled()

    def tab_to(name: str) -> None:
        for _ in range(60):
            phone.keyboard.press("Tab")
            if (
                phone.evaluate("() => document.activeElement.textContent.trim() || document.activeElement.value")
                == name
            ):
                return
        raise AssertionError(f"{name} cannot be reached by keyboard")

    tab_to("Connect with Example Health Plan")
    phone.keyboard.press("Enter")
    phone.wait_for_selector("#username")
    phone.keyboard.type("vantongeren")
    phone.keyboard.press("Tab")
    phone.keyboard.type("vantongeren-sandbox")
    phone.keyboard.press("Enter")
    phone.wait_for_selector("button[value=allow]")
    tab_to("Allow")
    phone.keyboard.press("Enter")
    ready(phone)
    tab_to("Sign out")
    phone.keyboard.press("Enter")
    expect(phone.locator("#try-title")).to_be_focused()


# -- what can go wrong --


def test_who_does_not_allow_it_is_told_that_nothing_was_shared(phone: Page, running_sandbox: RunningSandbox) -> None:
    phone.goto(f"{running_sandbox.base_url}/try")
    connect(phone, running_sandbox, decision="Don't allow")
    expect(phone.get_by_role("alert")).to_contain_text("You did not allow it")
    expect(phone.get_by_role("alert")).to_contain_text("Nothing was shared")
    expect(phone.get_by_role("button", name="Connect with")).to_be_enabled()


def test_a_member_who_stops_sharing_is_believed_at_once(phone: Page, running_sandbox: RunningSandbox) -> None:
    open_and_connect(phone, running_sandbox)
    account = phone.context.new_page()
    account.goto(f"{running_sandbox.base_url}/account")
    account.get_by_role("button", name="Stop sharing").first.click()
    expect(account.get_by_role("status")).to_contain_text("Sharing was stopped")
    phone.reload()
    expect(phone.get_by_role("alert")).to_contain_text("The connection has ended")
    expect(phone.get_by_role("button", name="Connect with")).to_be_enabled()
    assert session(phone) == {}


def test_an_error_of_the_api_names_its_code_and_links_to_its_page(phone: Page, running_sandbox: RunningSandbox) -> None:
    # The app does not ask for what was not granted, so it is made to believe that a scope it lacks was.
    phone.goto(f"{running_sandbox.base_url}/try")
    phone.get_by_label("Lab results").uncheck()
    connect(phone, running_sandbox)
    ready(phone)
    phone.evaluate(
        "() => { const s = JSON.parse(sessionStorage.getItem('try.session'));"
        " sessionStorage.setItem('try.session', JSON.stringify({...s, scope: s.scope + ' patient/Observation.rs'})) }"
    )
    phone.reload()
    ready(phone)
    panel = phone.locator(".panel-labs")
    assert "scope-missing" in panel.inner_text()
    panel.get_by_role("link", name="What this means").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("The token's scopes do not allow this")


def test_an_answer_of_another_request_is_not_taken(phone: Page, running_sandbox: RunningSandbox) -> None:
    phone.goto(f"{running_sandbox.base_url}/try/callback?code=stolen&state=unknown&iss={running_sandbox.base_url}")
    expect(phone.get_by_role("alert")).to_contain_text("does not belong to a request of this browser tab")
    assert phone.url == f"{running_sandbox.base_url}/try"


def test_without_a_secure_address_it_says_why(phone: Page, running_sandbox: RunningSandbox) -> None:
    phone.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    phone.goto(f"{running_sandbox.base_url}/try")
    expect(phone.get_by_role("alert")).to_contain_text("needs a secure address")
    expect(phone.get_by_role("button", name="Connect with")).to_be_disabled()


def test_another_name_of_the_server_leads_to_its_own(phone: Page, running_sandbox: RunningSandbox) -> None:
    phone.goto(running_sandbox.base_url.replace("127.0.0.1", "localhost") + "/try")
    phone.wait_for_url(f"{running_sandbox.base_url}/try")


def test_without_javascript_it_says_so(browser: Browser, running_sandbox: RunningSandbox) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{running_sandbox.base_url}/try")
    assert "needs JavaScript" in page.locator("main").inner_text()
    context.close()

"""SMART App Launch 2.2 from start to token in a real browser: in Spanish, for one child of three, and with a category withheld.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html and https://playwright.dev/python/docs/api/class-page
"""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from pydantic import SecretStr
from starlette.testclient import TestClient

from server.app import create_app
from server.authorization.accounts import add_account
from server.settings import Settings
from server.storage.database import Database
from tests import factories
from tests.authorization.smart_app import SmartApp, new_app
from tests.pages.test_in_chromium import callback, check

__all__ = ["callback"]

PASSWORD = "a password for tests"
MOTHER = factories.patient("mother", name=[{"given": ["Marta"], "family": "Ruiz"}])
CHILDREN = tuple(
    factories.patient(
        f"child-{number}", name=[{"given": [given], "family": "Ruiz"}], birthDate=f"{2026 - number * 4}-02-03"
    )
    for number, given in enumerate(("Lucía", "Mateo", "Sofía"), 1)
)
CLAIMS_SCOPE = "launch/patient offline_access patient/ExplanationOfBenefit.rs patient/Coverage.rs"


@pytest.fixture(scope="module")
def app(callback: str, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmartApp]:
    """A public app, and a server with a mother who acts for herself and three children, all with claims and a prior authorization."""
    path = tmp_path_factory.mktemp("family") / "test.db"
    shutil.copyfile(sqlite_template, path)
    listener = socket.create_server(("127.0.0.1", 0))
    settings = Settings(
        base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        database_url=f"sqlite:///{path}",
        secret_key=SecretStr("a secret key of the tests, long enough"),
        log_requests=False,
    )
    database = Database(settings)
    records = [factories.organization("payer"), factories.organization("hospital"), MOTHER, *CHILDREN]
    for person in (MOTHER, *CHILDREN):
        records.append(factories.explanation_of_benefit(f"claim-of-{person['id']}", person))
        asked = factories.explanation_of_benefit(f"asked-for-{person['id']}", person, use="preauthorization")
        records.append(asked)
    factories.store(database, settings, records)
    members = [("mother", "self"), *((child["id"], "parent") for child in CHILDREN)]
    add_account(database, "marta", PASSWORD, "Marta Ruiz", members)
    add_account(database, "lucia", PASSWORD, "Lucía Ruiz", [("child-1", "self")])
    application = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    web = TestClient(application, base_url=settings.base_url, follow_redirects=False)
    yield new_app(web, database, settings, redirect_uris=[callback])
    server.should_exit = True
    thread.join()
    database.engine.dispose()


@pytest.fixture(params=[375, 1280], ids=["phone", "desktop"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A browser without JavaScript, whose person reads Spanish."""
    viewport: Any = {"width": request.param, "height": 800}
    context = browser.new_context(viewport=viewport, java_script_enabled=False, locale="es-US")
    yield context.new_page()
    context.close()


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page in SCREENSHOTS, when that names a directory."""
    directory = os.environ.get("SCREENSHOTS")
    if directory:
        width = (page.viewport_size or {"width": 0})["width"]
        page.screenshot(path=str(Path(directory) / f"{name}-{width}.png"), full_page=True)


def sign_in(page: Page, app: SmartApp, username: str, **changes: str) -> None:
    page.goto(f"{app.settings.base_url}/authorize?{urlencode(app.authorization_request(**changes))}")
    picture(page, f"sign-in-{username}")
    check_language(page)
    page.fill("#username", username)
    page.fill("#password", PASSWORD)
    with page.expect_navigation():
        page.locator("main button[type=submit]").click()


def check_language(page: Page) -> None:
    """What must be true of every page, in its own language."""
    check(page, page.locator("html").get_attribute("lang") or "")


def allow(page: Page, app: SmartApp, words: str) -> dict[str, Any]:
    """Allow it; the token response that the app gets."""
    with page.expect_navigation():
        page.get_by_role("button", name=words, exact=True).click()
    code = parse_qs(urlsplit(page.url).query)["code"][0]
    token: dict[str, Any] = app.exchange(code).json()
    return token


def get(app: SmartApp, token: dict[str, Any], path: str) -> httpx2.Response:
    """A FHIR request of the app."""
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    return httpx2.get(f"{app.settings.fhir_base}/{path}", headers=headers)


def uses(app: SmartApp, token: dict[str, Any], query: str = "") -> list[str]:
    """The ``use`` of each explanation of benefit that a token finds."""
    answer = get(app, token, f"ExplanationOfBenefit{query}")
    assert answer.status_code == 200, answer.text
    return sorted(entry["resource"]["use"] for entry in answer.json().get("entry", []))


def test_sign_in_and_consent_in_spanish_from_start_to_token(page: Page, app: SmartApp) -> None:
    sign_in(page, app, "lucia", ui_locales="es")
    check_language(page)
    picture(page, "consent-es")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "¿Compartir información de su plan de salud con Health Notes?"
    )
    expect(page.get_by_role("group", name="¿Qué puede ver Health Notes?")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Sus autorizaciones previas")).to_be_checked()
    page.get_by_role("radio", name="Hasta que yo lo detenga").check()
    token = allow(page, app, "Permitir")
    assert token["patient"] == "child-1"
    assert uses(app, token) == ["claim", "preauthorization"]
    page.goto(f"{app.settings.base_url}/account")
    check_language(page)
    picture(page, "account-es")
    expect(page.get_by_role("region", name="Lucía Ruiz")).to_contain_text(
        "Termina cuando usted lo detenga", use_inner_text=True
    )


def test_a_representative_with_three_children_chooses_one(page: Page, app: SmartApp) -> None:
    sign_in(page, app, "marta", ui_locales="en")
    check_language(page)
    picture(page, "consent-of-a-mother")
    group = page.get_by_role("group", name="Whose information?")
    assert group.get_by_role("radio").count() == 4
    with page.expect_navigation():
        page.get_by_role("button", name="Allow", exact=True).evaluate("e => e.form.noValidate = true")
        page.get_by_role("button", name="Allow", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("Please choose whose information to share.")
    check_language(page)
    page.get_by_role("radio", name="Mateo Ruiz").check()
    token = allow(page, app, "Allow")
    assert token["patient"] == "child-2"
    assert app.introspect(token["access_token"])["patient"] == "child-2"
    found = get(app, token, "Patient").json()["entry"]
    assert [entry["resource"]["id"] for entry in found] == ["child-2"]
    page.goto(f"{app.settings.base_url}/account")
    check_language(page)
    picture(page, "account-of-a-mother")
    expect(page.get_by_role("region", name="Mateo Ruiz")).to_contain_text("Health Notes")
    expect(page.get_by_role("region", name="Sofía Ruiz")).to_contain_text("No app is connected.")


def test_a_category_is_withheld(page: Page, app: SmartApp) -> None:
    sign_in(page, app, "lucia", scope=CLAIMS_SCOPE, ui_locales="en")
    assert page.get_by_role("checkbox").count() == 3
    page.get_by_role("checkbox", name="Your prior authorizations").uncheck()
    picture(page, "consent-withheld")
    token = allow(page, app, "Allow")
    assert "patient/ExplanationOfBenefit.rs?use=claim" in token["scope"].split()
    assert not [word for word in token["scope"].split() if "preauthorization" in word]
    assert uses(app, token) == ["claim"]
    assert uses(app, token, "?use=preauthorization") == []
    assert get(app, token, "ExplanationOfBenefit/claim-of-child-1").status_code == 200
    assert get(app, token, "ExplanationOfBenefit/asked-for-child-1").status_code == 404


def test_who_takes_every_tick_away_is_told_kindly_and_keeps_their_choices(page: Page, app: SmartApp) -> None:
    sign_in(page, app, "lucia", scope=CLAIMS_SCOPE)
    for box in page.get_by_role("checkbox").all():
        box.uncheck()
    page.get_by_role("radio", name="Solo esta vez").check()
    with page.expect_navigation():
        page.get_by_role("button", name="Permitir", exact=True).click()
    check_language(page)
    picture(page, "consent-nothing-left")
    expect(page.get_by_role("alert")).to_contain_text("no se compartiría nada")
    assert not any(box.is_checked() for box in page.get_by_role("checkbox").all())
    expect(page.get_by_role("radio", name="Solo esta vez")).to_be_checked()
    page.get_by_role("checkbox", name="Su cobertura").check()
    token = allow(page, app, "Permitir")
    assert "refresh_token" not in token
    assert "offline_access" not in token["scope"].split()


def test_the_language_is_changed_on_any_page(page: Page, app: SmartApp) -> None:
    sign_in(page, app, "marta")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("group", name="Whose information?")).to_be_visible()
    page.goto(f"{app.settings.base_url}/docs/members")
    check_language(page)
    page.get_by_role("link", name="Español").click()
    check_language(page)
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Su información de salud y las aplicaciones que usted elige"
    )

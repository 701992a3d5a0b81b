"""WCAG 2.2 in a real browser, without JavaScript: labels, contrast, reflow at 320 pixels, and the way through by keyboard alone.

https://www.w3.org/TR/WCAG22/ sections 1.3.1, 1.4.3, 1.4.10, 2.1.1, 2.4.7, 3.3.2
"""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import uvicorn
from playwright.sync_api import Browser, Page
from pydantic import SecretStr
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import PASSWORD, SmartApp, add_people, new_app

CONTRASTS = """() => {
  const channel = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4 }
  const parse = text => text.match(/[\\d.]+/g).map(Number)
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b)
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor)
      if (c.length < 4 || c[3] === 1) return c
    }
    return [255, 255, 255]
  }
  const found = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement
    if (!text || !element.getClientRects().length) continue
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x)
    found.push([text, (a + 0.05) / (b + 0.05)])
  }
  return found
}"""
UNLABELLED = """() => [...document.querySelectorAll('input:not([type=hidden]), button')]
  .filter(e => !(e.labels && e.labels.length) && !e.textContent.trim() && !e.ariaLabel).map(e => e.outerHTML)"""
TOO_SMALL = """() => [...document.querySelectorAll('button, input:not([type=hidden]), summary')]
  .filter(e => { const r = (e.closest('label') || e).getBoundingClientRect(); return r.height < 24 || r.width < 24 })
  .map(e => e.outerHTML)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUS = "() => { const s = getComputedStyle(document.activeElement); return parseFloat(s.outlineWidth) }"


class Callback(BaseHTTPRequestHandler):
    """The app's redirect URI, which sends the browser on to another origin, as many do."""

    def do_GET(self) -> None:
        """Go on to the same server by its other name, or thank the member."""
        here = self.headers["Host"].startswith("127.0.0.1")
        self.send_response(302 if here else 200)
        if here:
            self.send_header("Location", f"http://localhost:{self.server.server_port}{self.path}")  # type: ignore[attr-defined]
        self.end_headers()
        self.wfile.write(b"Back in the app")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing needs to be said."""


@pytest.fixture(scope="module")
def callback() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Callback) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/callback"
        server.shutdown()


@pytest.fixture(scope="module")
def app(callback: str, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmartApp]:
    """The public app of a sandbox that listens on a free port."""
    path = tmp_path_factory.mktemp("chromium") / "test.db"
    shutil.copyfile(sqlite_template, path)
    listener = socket.create_server(("127.0.0.1", 0))
    settings = Settings(
        base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        database_url=f"sqlite:///{path}",
        secret_key=SecretStr("a secret key of the tests, long enough"),
        log_requests=False,
    )
    database = Database(settings)
    add_people(database)
    application = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield new_app(TestClient(application, base_url=settings.base_url), database, settings, redirect_uris=[callback])
    server.should_exit = True
    thread.join()
    database.engine.dispose()


@pytest.fixture(params=[320, 1280], ids=["phone", "desktop"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    viewport: Any = {"width": request.param, "height": 800}
    context = browser.new_context(viewport=viewport, java_script_enabled=False)
    yield context.new_page()
    context.close()


def authorize_url(app: SmartApp) -> str:
    return f"{app.settings.base_url}/authorize?{urlencode(app.authorization_request())}"


def home(app: SmartApp) -> str:
    """Where the app's callback ends."""
    return app.redirect_uri.replace("127.0.0.1", "localhost")


def press(page: Page, key: str) -> None:
    """Press a key that leads to another page."""
    with page.expect_navigation():
        page.keyboard.press(key)


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus, visibly."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.locator(selector).first.evaluate("e => e === document.activeElement"):
            assert page.evaluate(FOCUS) >= 2 or page.locator(".choice:has(:focus-visible)").count() == 1
            return
    raise AssertionError(f"{selector} cannot be reached by keyboard")


def check(page: Page, language: str = "en") -> None:
    """What must be true of every page."""
    assert page.title()
    assert language
    assert page.locator(f"html[lang={language}]").count() == 1
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    assert page.evaluate(UNLABELLED) == []
    assert page.evaluate(TOO_SMALL) == []
    assert page.evaluate(OVERFLOW) == 0
    contrasts = page.evaluate(CONTRASTS)
    assert contrasts
    assert [found for found in contrasts if found[1] < 4.5] == []


def test_a_member_gets_through_by_keyboard_alone(page: Page, app: SmartApp) -> None:
    page.goto(authorize_url(app))
    check(page)
    page.keyboard.type("grace")
    tab_to(page, "#password")
    page.keyboard.type("not the password")
    press(page, "Enter")
    check(page)
    assert page.get_by_role("alert").inner_text().startswith("The username or the password is not right")
    assert page.locator("#username").input_value() == "grace"
    page.keyboard.type(PASSWORD)
    press(page, "Enter")
    check(page)
    assert page.get_by_role("radio", name="Kid Hopper").count() == 1
    tab_to(page, "input[type=radio]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    tab_to(page, "button[value=allow]")
    press(page, "Enter")
    assert page.url.startswith(f"{home(app)}?code=")
    code = page.url.split("code=")[1].split("&")[0]
    assert app.exchange(code).json()["patient"] == "p3"
    page.goto(f"{app.settings.base_url}/account")
    check(page)
    assert page.get_by_role("region", name="Kid Hopper").count() == 1
    tab_to(page, "summary")
    page.keyboard.press("Enter")
    check(page)
    tab_to(page, "button.stop")
    press(page, "Enter")
    check(page)
    assert "Sharing was stopped" in page.get_by_role("status").inner_text()
    assert "No app is connected" in page.get_by_role("region", name="Kid Hopper").inner_text()


def test_who_changes_their_mind_goes_back_to_the_app(page: Page, app: SmartApp) -> None:
    page.goto(authorize_url(app))
    page.fill("#username", "ada")
    page.fill("#password", PASSWORD)
    press(page, "Enter")
    check(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Don't allow").click()
    assert page.url.startswith(f"{home(app)}?error=access_denied")


@pytest.mark.parametrize("path", ["/", "/sign-in", "/consent", "/authorize?client_id=nobody"])
def test_the_other_pages(page: Page, app: SmartApp, path: str) -> None:
    page.goto(app.settings.base_url + path)
    check(page)

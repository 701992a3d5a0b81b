"""Three unmodified clients from npm do their natural story against the running server: SMART JS, fhir-kit-client, openid-client.

https://docs.smarthealthit.org/client-js/, https://github.com/Vermonster/fhir-kit-client and https://github.com/panva/openid-client
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright

from seed_data.generate import resources
from server.authorization.clients import register
from server.storage.ledger import EventLedger
from tests.browser import sign_in_and_allow
from tests.factories import ledger_rows
from tests.journeys.conftest import CALLBACK, PASSWORD, Running
from tests.lasting import settings_of

SCRIPTS = Path(__file__).parent / "node"
MEMBER, USERNAME = "member-mbeki-larsen", "mbeki-larsen"
SCOPE = "launch/patient openid fhirUser offline_access patient/*.read"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = pytest.mark.parametrize("running", ["sqlite"], indirect=True)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing about it."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="session")
def packages() -> Path:
    """The directory into which npm installed what package.json pins: once per version, outside of the repository."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js and npm")
    pinned = (SCRIPTS / "package.json").read_bytes()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "patient-access-tests"
    kept = caches / f"node-{sha256(pinned).hexdigest()[:12]}"
    if not kept.exists():
        caches.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=caches))
        (made / "package.json").write_bytes(pinned)
        options = ["--no-audit", "--no-fund", "--no-package-lock", "--omit=optional", "--ignore-scripts"]
        installed = subprocess.run(["npm", "install", *options], cwd=made, capture_output=True, text=True, timeout=300)
        try:
            assert installed.returncode == 0, installed.stderr
            with suppress(OSError):  # another process of the tests was faster
                made.rename(kept)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return kept / "node_modules"


@pytest.fixture
def workshop(packages: Path, tmp_path: Path) -> Path:
    """A directory with our scripts and the packages they import."""
    directory = tmp_path / "node"
    shutil.copytree(SCRIPTS, directory)
    (directory / "node_modules").symlink_to(packages)
    return directory


def registered(running: Running, client_id: str, callback: str = CALLBACK, authentication: str = "none") -> str:
    """Register an app; its secret, or ''."""
    ledger, settings = EventLedger(running.database), settings_of("sqlite:///unused", base_url=running.server.base_url)
    return (
        register(ledger, settings, client_id, [callback], authentication=authentication, client_id=client_id)[1] or ""
    )


def claims_of_member() -> list[dict[str, Any]]:
    """The member's claims as they were generated."""
    records: list[dict[str, Any]] = list(resources())
    claims = [record for record in records if record["resourceType"] == "ExplanationOfBenefit"]
    return [claim for claim in claims if claim["patient"]["reference"] == f"Patient/{MEMBER}"]


def pharmacy_among(claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those from a pharmacy."""
    return [claim for claim in claims if claim["type"]["coding"][0]["code"] == "pharmacy"]


def ids(records: list[dict[str, Any]]) -> list[str]:
    """Their ids, in order."""
    return sorted(record["id"] for record in records)


def story(workshop: Path, script: str, running: Running, client_id: str, secret: str = "") -> dict[str, Any]:
    """Run a script, play the member at the address it names, and answer what it tells at the end."""
    settings = {
        "issuer": running.server.fhir_base,
        "fhirBase": running.server.fhir_base,
        "clientId": client_id,
        "clientSecret": secret,
        "redirectUri": CALLBACK,
        "scope": SCOPE,
    }
    errors = workshop / "errors.txt"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            ["node", script, json.dumps(settings)],
            cwd=workshop,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, errors.read_text()
        callback = sign_in_and_allow(address, running.server.base_url, USERNAME, PASSWORD[USERNAME])
        told, _ = process.communicate(f"{callback}\n", timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors.read_text()
    return dict(json.loads(told))


def life_of_grant(running: Running, client_id: str) -> list[str]:
    """What the ledger says of an app but for answers and its registration."""
    rows = sorted(ledger_rows(running.database, client_id=client_id), key=lambda row: row.at)
    return [f"{row.kind} {row.interaction}" for row in rows if row.kind not in ("answer", "app")]


def test_fhir_kit_client_connects_searches_resolves_refreshes_and_is_revoked(running: Running, workshop: Path) -> None:
    registered(running, "fhir-kit")
    seen = story(workshop, "fhir_kit_client.mjs", running, "fhir-kit")
    claims = claims_of_member()
    pharmacy = pharmacy_among(claims)

    assert seen["searchable"] is True
    assert seen["patient"] == seen["again"] == MEMBER
    assert seen["pages"] == [30, 30, 12]
    assert seen["totals"] == [72, 72, 72]
    assert sorted(seen["claims"]) == ids(claims)
    assert sorted(seen["pharmacy"]) == ids(pharmacy)
    providers, insurers = ({claim[who]["reference"] for claim in pharmacy} for who in ("provider", "insurer"))
    assert seen["resolved"][0] in providers
    assert seen["resolved"][1] in insurers
    assert seen["sameVersion"] is True
    assert seen["isNewToken"] is True
    assert seen["revoked"] == 200
    assert seen["refused"] == {"status": 401, "type": "OperationOutcome"}
    assert (seen["notRefreshed"]["status"], seen["notRefreshed"]["error"]) == (400, "invalid_grant")
    assert life_of_grant(running, "fhir-kit") == ["grant consent", "revocation revoke", "refusal token"]


@pytest.mark.parametrize("authentication", ["none", "client_secret_basic"])
def test_openid_client_discovers_checks_the_id_token_refreshes_and_is_revoked(
    running: Running, workshop: Path, authentication: str
) -> None:
    client_id = f"openid-{authentication.partition('_')[0]}"
    secret = registered(running, client_id, authentication=authentication)
    assert bool(secret) == (authentication != "none")
    seen = story(workshop, "openid_client.mjs", running, client_id, secret)

    assert seen["supportsPKCE"] is True
    assert set(seen["scope"].split()) == set(SCOPE.split())
    claims = seen["claims"]
    assert (claims["iss"], claims["aud"]) == (running.server.fhir_base, client_id)
    assert claims["fhirUser"] == f"{running.server.fhir_base}/Patient/{MEMBER}"
    assert seen["userinfo"] is None or seen["userinfo"]["sub"] == claims["sub"]
    assert seen["patient"] == seen["user"] == seen["again"] == MEMBER
    assert seen["pages"] == [50, 22]
    assert sorted(seen["claimIds"]) == ids(claims_of_member())
    assert seen["introspected"]["active"] is True
    assert seen["introspected"]["patient"] == MEMBER
    assert seen["introspected"]["sub"] == claims["sub"]
    assert seen["isNewToken"] is True
    assert seen["refused"] == {"status": 401, "error": "invalid_token"}
    assert seen["notRefreshed"] == {"status": 400, "error": "invalid_grant"}
    assert seen["afterwards"] == {"active": False}
    assert life_of_grant(running, client_id) == ["grant consent", "revocation revoke", "refusal token"]


@pytest.fixture
def app_site(workshop: Path, packages: Path) -> Iterator[tuple[str, Path]]:
    """The SMART JS app's own web site on this machine, and its directory."""
    shutil.copy(packages / "fhirclient" / "build" / "fhir-client.min.js", workshop)
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(workshop)))
    thread = Thread(target=site.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{site.server_port}", workshop
    site.shutdown()
    thread.join()
    site.server_close()


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a headless Chromium: the system's, or the one that Playwright brought."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        if executable is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("needs Chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM)
        page = browser.new_page()
        page.set_default_timeout(15_000)
        yield page
        browser.close()


def test_smart_js_in_a_browser_connects_reads_refreshes_without_client_id_and_is_revoked(
    running: Running, app_site: tuple[str, Path], page: Page
) -> None:
    site, directory = app_site
    callback = f"{site}/smart_app.html"
    registered(running, "smart-js", callback)
    told = {"fhirBase": running.server.fhir_base, "clientId": "smart-js", "scope": SCOPE}
    (directory / "settings.json").write_text(json.dumps(told))
    complaints: list[str] = []
    exchanges: list[dict[str, list[str]]] = []

    def listen(said: ConsoleMessage) -> None:
        if said.type == "error" and not str(said.location["url"]).endswith("/favicon.ico"):
            complaints.append(f"{said.text} {said.location}")

    def overhear(sent: Request) -> None:
        if urlsplit(sent.url).path == "/token":
            exchanges.append(parse_qs(sent.post_data or ""))

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", overhear)

    page.goto(f"{site}/smart_launch.html")
    page.get_by_label("Username").fill(USERNAME)
    page.get_by_label("Password").fill(PASSWORD[USERNAME])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url(f"{callback}*")
    page.locator("#member:not(:empty)").wait_for()
    assert page.locator("#member").inner_text() == "Thandiwe Mbeki-Larsen"

    seen = page.evaluate("app.read()")
    claims = claims_of_member()
    covered = {claim["insurance"][0]["coverage"]["reference"] for claim in claims}
    assert seen["patient"] == MEMBER
    assert seen["user"] == f"Patient/{MEMBER}"
    assert set(seen["scope"].split()) == set(SCOPE.split())
    assert seen["pages"] == [50, 22]
    assert sorted(seen["claims"]) == ids(claims)
    assert {f"Coverage/{id}" for id in seen["coverage"]} == covered
    assert set(seen["references"]) == covered | {claim["provider"]["reference"] for claim in pharmacy_among(claims)}

    assert page.evaluate("app.refresh()") == {"isNewToken": True, "again": MEMBER}
    page.reload()
    page.locator("#member:not(:empty)").wait_for()
    assert page.evaluate("app.refresh()") == {"isNewToken": True, "again": MEMBER}
    grants = [exchange["grant_type"][0] for exchange in exchanges]
    assert grants == ["authorization_code", "refresh_token", "refresh_token"]
    assert "code_verifier" in exchanges[0]
    assert all("client_id" not in exchange for exchange in exchanges[1:])
    assert complaints == []

    assert page.evaluate("app.disconnect()") == 200
    refused = page.evaluate("app.refreshRefused()")
    assert refused["status"] == 400
    assert "invalid_grant" in refused["message"]
    assert page.evaluate("app.readRefused()")["status"] == 401
    page.reload()
    page.get_by_text("Please (re)launch the app").wait_for()
    assert life_of_grant(running, "smart-js") == ["grant consent", "revocation revoke", "refusal token"]

"""Federation end to end in a real browser: an app, this server, and npm oidc-provider, a certified OpenID provider, as a process.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth and RP-Initiated Logout 1.0
"""

import shutil
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from server.authorization.clients import register
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.factories import ledger_rows, patient, store
from tests.journeys.oidc_provider import CLIENT_ID, SECRET, new_key, oidc_provider
from tests.lasting import lasting_database, settings_of
from tests.serving import free_port, serving

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CALLBACK = "http://127.0.0.1:9/callback"
VERIFIER = "a-verifier-of-the-app-that-is-long-enough-for-rfc-7636"
SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"
CHILDREN = {"kid-one": "Ines Rivera", "kid-two": "Joel Rivera", "kid-three": "Lucia Rivera"}
PEOPLE: dict[str, dict[str, Any]] = {
    "marta": {
        "member": "marta",
        "name": "Marta Rivera",
        "represents": [{"member": id, "relationship": "parent"} for id in CHILDREN],
    },
    "stranger": {"name": "Stranger"},
}


@dataclass(frozen=True, slots=True)
class Payer:
    """A payer's server that runs behind a provider."""

    base_url: str
    database: Database
    provider_port: int
    directory: Path
    first_key: dict[str, Any]

    def provider(self, keys: list[dict[str, Any]], only_userinfo: bool = True) -> Any:
        """The provider, running for a block."""
        return oidc_provider(
            self.directory, self.provider_port, self.base_url, PEOPLE, keys, only_userinfo=only_userinfo
        )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def payer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Payer]:
    """A mother and her three children, an app, and a server with two workers that leaves sign-in to a provider."""
    directory, port = tmp_path_factory.mktemp("federation"), free_port()
    with lasting_database(request.param, request) as url:
        settings = settings_of(url)
        database = Database(settings)
        born = {"birthDate": "2016-04-02"}
        people = [patient("marta", name=[{"text": "Marta Rivera"}], birthDate="1984-03-01")]
        people += [patient(id, name=[{"text": name}], **born) for id, name in CHILDREN.items()]
        store(database, settings, people)
        register(EventLedger(database), settings, "Health Notes", [CALLBACK], client_id="health-notes")
        told = {
            "IDENTITY": "oidc",
            "OIDC_ISSUER": f"http://127.0.0.1:{port}",
            "OIDC_CLIENT_ID": CLIENT_ID,
            "OIDC_CLIENT_SECRET": SECRET,
            "OIDC_REPRESENTS_CLAIM": "represents",
        }
        with serving(url, directory / "server.log", workers=2, settings=told) as server:
            yield Payer(server.base_url, database, port, directory / "provider", new_key("first"))
        database.engine.dispose()


@pytest.fixture
def context() -> Iterator[BrowserContext]:
    """A headless Chromium without cookies; the app's callback answers with a word."""
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        if executable is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("needs Chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM)
        context = browser.new_context()
        context.set_default_timeout(20_000)
        context.route(f"{CALLBACK}*", lambda route: route.fulfill(body="back at the app"))
        yield context
        browser.close()


def authorization_url(payer: Payer, **more: str) -> str:
    """Where the app sends its member."""
    challenge = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "response_type": "code",
        "client_id": "health-notes",
        "redirect_uri": CALLBACK,
        "scope": SCOPE,
        "state": "the app's state",
        "aud": f"{payer.base_url}/fhir",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **more,
    }
    return f"{payer.base_url}/authorize?{urlencode(parameters)}"


def sign_in(page: Page, payer: Payer, name: str, **more: str) -> None:
    """From the app, past our page, to the provider's own sign-in and consent, as far as what follows here."""
    page.goto(authorization_url(payer, **more))
    page.get_by_role("link", name="Continue to sign in").click()
    page.locator("input[name=login]").fill(name)
    page.locator("input[name=password]").fill("anything")
    page.locator("button[type=submit]").click()
    page.locator("button[type=submit]").click()  # the provider's own consent
    page.wait_for_url(f"{payer.base_url}/**")


def tokens(payer: Payer, page: Page) -> dict[str, Any]:
    """What the app gets for the code in its callback."""
    page.wait_for_url(f"{CALLBACK}*")
    query = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    assert query["state"] == "the app's state"
    form = {
        "grant_type": "authorization_code",
        "code": query["code"],
        "redirect_uri": CALLBACK,
        "client_id": "health-notes",
        "code_verifier": VERIFIER,
    }
    answer = httpx2.post(f"{payer.base_url}/token", data=form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def read(payer: Payer, token: str, path: str) -> httpx2.Response:
    """A FHIR request of the app."""
    return httpx2.get(f"{payer.base_url}/fhir/{path}", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("only_userinfo", [True, False])
def test_a_mother_signs_in_at_the_provider_and_connects_an_app_for_one_of_three_children(
    payer: Payer, context: BrowserContext, only_userinfo: bool
) -> None:
    with payer.provider([payer.first_key], only_userinfo):
        page = context.new_page()
        sign_in(page, payer, "marta")
        page.get_by_text("Marta Rivera").first.wait_for()
        shown = page.get_by_role("radio").evaluate_all("radios => radios.map(radio => radio.value)")
        assert {"marta", *CHILDREN} <= set(shown)
        page.get_by_label("Joel Rivera").check()
        page.get_by_role("button", name="Allow", exact=True).click()
        got = tokens(payer, page)
    assert got["patient"] == "kid-two"
    found = read(payer, got["access_token"], "Patient")
    assert (found.status_code, found.json()["entry"][0]["resource"]["name"]) == (200, [{"text": "Joel Rivera"}])
    for other in ("marta", "kid-one", "kid-three"):
        assert read(payer, got["access_token"], f"Patient/{other}").status_code == 404
    rows = ledger_rows(payer.database, kind="grant")
    assert (rows[-1].patient, rows[-1].actor) == ("kid-two", "representative")


def test_who_signs_out_signs_in_anew_at_the_provider_too(payer: Payer, context: BrowserContext) -> None:
    with payer.provider([payer.first_key]):
        page = context.new_page()
        sign_in(page, payer, "marta")
        page.get_by_role("button", name="Not you? Sign out").click()
        page.wait_for_url(f"http://127.0.0.1:{payer.provider_port}/session/end*")
        page.get_by_role("button", name="Yes, sign me out").click()
        page.wait_for_url(f"{payer.base_url}/sign-in?request=*")
        page.get_by_role("link", name="Continue to sign in").click()
        page.locator("input[name=login]").wait_for()


def test_a_session_at_the_provider_is_enough_until_the_app_asks_for_a_new_sign_in(
    payer: Payer, context: BrowserContext
) -> None:
    with payer.provider([payer.first_key]):
        page = context.new_page()
        sign_in(page, payer, "marta")
        ours = [cookie for cookie in context.cookies() if cookie["name"] == "session"]
        assert len(ours) == 1
        context.clear_cookies(name="session")
        page.goto(authorization_url(payer))
        page.get_by_role("link", name="Continue to sign in").click()
        page.get_by_role("button", name="Allow", exact=True).wait_for()
        page.goto(authorization_url(payer, prompt="login"))
        page.get_by_role("link", name="Continue to sign in").click()
        page.locator("input[name=login]").wait_for()


def test_who_is_no_member_gets_a_clear_page(payer: Payer, context: BrowserContext) -> None:
    with payer.provider([payer.first_key]):
        page = context.new_page()
        sign_in(page, payer, "stranger")
        page.get_by_role("heading", name="We do not find your membership").wait_for()


@pytest.mark.slow
def test_the_provider_changes_its_keys_without_anybody_noticing(payer: Payer, context: BrowserContext) -> None:
    with payer.provider([payer.first_key]):
        sign_in(context.new_page(), payer, "marta")
    context.clear_cookies()
    with payer.provider([new_key("second")]):
        page = context.new_page()
        page.wait_for_timeout(11_000)  # an unknown key is looked for at most every ten seconds
        sign_in(page, payer, "marta")
        page.get_by_role("button", name="Allow", exact=True).wait_for()

"""English and Spanish (OpenID Connect Core 1.0 ui_locales, RFC 9110 Accept-Language, WCAG 2.2 section 3.1): all of every page."""

import html
import re
from datetime import UTC, datetime

import pytest
from babel.messages.pofile import read_po
from httpx2 import Response

from server import clock
from server.authorization import languages
from server.authorization.languages import CATALOGUES, LANGUAGES, accepted, supported, translate
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import PASSWORD, SmartApp, hidden_fields, new_app
from tests.pages.messages import messages

MESSAGES = messages()
NOW = datetime(2026, 11, 22, 17, tzinfo=UTC)
SAME = {"Medicare Advantage", "Medicaid"}
"""Names that are the same in Spanish."""
ENGLISH = re.compile(
    r"\b(the|and|you|your|with|what|which|who|is|are|not|this|that|from|sign|app|apps|share|until|for|have|has|allow)\b",
    re.IGNORECASE,
)


def words(page: Response) -> str:
    """What a person reads of a page, but for what is marked as another language."""
    other = re.sub(r'<(\w+)[^>]* lang="en"[^>]*>.*?</\1>', " ", page.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", other)))


def english_left(page: Response, *names: str) -> list[str]:
    text = words(page)
    for name in names:
        text = text.replace(name, "")
    return [text[max(0, found.start() - 40) : found.end() + 40] for found in ENGLISH.finditer(text)]


@pytest.fixture
def spanish(app: SmartApp) -> SmartApp:
    app.web.headers["Accept-Language"] = "es-US,es;q=0.9,en;q=0.5"
    return app


# -- the catalogue ---------------------------------------------------------------------------------------------------


def test_pages_have_messages() -> None:
    assert len(MESSAGES) > 150


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != languages.ENGLISH])
@pytest.mark.parametrize("message", MESSAGES)
def test_every_message_is_translated_and_keeps_its_variables(message: str, language: str) -> None:
    translated = translate(language, message)
    assert translated != message or message in SAME, f"written at {MESSAGES[message]}"
    for pattern in (r"%\(\w+\)s", r"<[^>]*>"):
        found = [re.sub(r'title="[^"]*"', "", mark) for mark in re.findall(pattern, message)]
        assert sorted(found) == sorted(re.sub(r'title="[^"]*"', "", mark) for mark in re.findall(pattern, translated))


def test_the_catalogue_holds_nothing_that_no_page_says() -> None:
    with (CATALOGUES / "es" / "messages.po").open("rb") as file:
        catalogue = read_po(file, locale="es")
    assert {str(entry.id) for entry in catalogue if entry.id} - set(MESSAGES) == set()
    assert [entry for entry in catalogue if entry.id and entry.fuzzy] == []


# -- which language --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("es", "es"),
        ("es-MX,en;q=0.8", "es"),
        ("en-US,es;q=0.9", "en"),
        ("en;q=0.3,es;q=0.8", "es"),
        ("fr,de;q=0.9,es;q=0.1", "es"),
        ("fr", ""),
        ("es;q=0", ""),
        ("es;q=nonsense", ""),
        ("", ""),
        ("," * 10_000 + "es", ""),
    ],
)
def test_the_language_that_a_browser_likes_best_is_spoken(header: str, language: str) -> None:
    assert accepted(header) == language


def test_the_first_of_ui_locales_that_is_spoken_counts() -> None:
    assert supported(["fr-CA", "es-419", "en"]) == "es"
    assert supported(["tlh", "../../etc"]) == ""


def test_an_app_asks_for_a_language(app: SmartApp) -> None:
    page = app.web.get(app.authorize(ui_locales="fr-CA es").headers["location"])
    assert '<html lang="es">' in page.text
    assert page.headers["content-language"] == "es"
    assert "Iniciar sesión" in page.text


def test_the_persons_own_choice_counts_more_than_the_apps(spanish: SmartApp) -> None:
    location = spanish.authorize(ui_locales="es").headers["location"]
    page = spanish.web.get(location)
    link = html.unescape(re.findall(r'<a class="language" href="([^"]*)" lang="en"', page.text)[0])
    chosen = spanish.web.get("/sign-in" + link)
    assert '<html lang="en">' in chosen.text
    assert spanish.web.get(location).text.count('lang="en"') == 1
    consent = spanish.web.get(spanish.sign_in(location).headers["location"])
    assert "Share health plan information with Health Notes?" in consent.text
    assert '<a class="language" href="?request=' in consent.text


def test_a_later_wish_of_an_app_is_heard_again(app: SmartApp) -> None:
    app.web.get("/sign-in?language=en")
    location = app.authorize(ui_locales="es").headers["location"]
    assert '<html lang="es">' in app.web.get(location).text


@pytest.mark.parametrize("language", ["fr", "", "en\r\nx: y", '"><script>', "es" * 50])
def test_an_unknown_language_changes_nothing(app: SmartApp, language: str) -> None:
    page = app.web.get("/sign-in", params={"language": language, "x": '"><script>'})
    assert '<html lang="en">' in page.text
    assert "<script>" not in page.text
    assert "language" not in app.web.cookies


def test_the_link_stays_on_the_page_after_a_form_failed(spanish: SmartApp) -> None:
    location = spanish.authorize().headers["location"]
    failed = spanish.sign_in(location, password="wrong password")
    (link,) = re.findall(r'<a class="language" href="([^"]*)"', failed.text)
    again = spanish.web.get("/sign-in" + html.unescape(link))
    assert hidden_fields(again)["request"] == hidden_fields(failed)["request"]


# -- nothing of a page is left in English ----------------------------------------------------------------------------


def test_sign_in_is_spanish_and_never_says_whether_an_account_exists(spanish: SmartApp) -> None:
    location = spanish.authorize().headers["location"]
    assert english_left(spanish.web.get(location), "Health Notes") == []
    pages = [spanish.sign_in(location, name, "wrong password") for name in ("ada", "nobody")]
    texts = [words(page) for page in pages]
    assert texts[0] == texts[1]
    assert "El nombre de usuario o la contraseña no es correcto." in texts[0]
    assert english_left(pages[0], "Health Notes") == []


@pytest.mark.parametrize("username", ["ada", "grace", "bob"])
def test_consent_is_spanish(spanish: SmartApp, username: str) -> None:
    with clock.set_to(NOW):
        page = spanish.consent_page(username)
    assert english_left(page, "Health Notes", "Example Health Plan") == []
    if username != "bob":
        text = words(page)
        assert "¿Compartir información de su plan de salud con Health Notes?" in text
        assert "hasta el 23 de diciembre de 2027" in text
        assert "Sus autorizaciones previas" in text
    if username == "grace":
        assert "usted actúa en su nombre (padre o madre)" in text


def test_an_apps_own_spanish_name_is_shown(spanish: SmartApp, database: Database, settings: Settings) -> None:
    with clock.set_to(NOW):
        spanish.decide(spanish.consent_page(), decision="deny")
    page = new_app(spanish.web, database, settings, name="Care & <Carry>").consent_page()
    assert "Care &amp; &lt;Carry&gt;" in page.text


def test_the_account_is_spanish(spanish: SmartApp) -> None:
    with clock.set_to(NOW):
        spanish.share(withheld=["claims"])
        ended = spanish.share(duration="until-revoked")
        spanish.post("/revoke", {"token": ended["refresh_token"]})
        page = spanish.web.get("/account")
    text = words(page)
    assert english_left(page, "Health Notes", "Example Health Plan") == []
    assert "Conectada desde 22 de noviembre de 2026" in text
    assert "No se comparte Sus reclamaciones" in text
    assert "La aplicación lo terminó." in text


def test_problems_are_spanish_but_for_what_the_makers_of_the_app_read(spanish: SmartApp) -> None:
    for page in (
        spanish.web.get("/authorize?client_id=nobody"),
        spanish.web.get("/consent?request=old"),
        spanish.web.post("/sign-in", data={"username": "ada", "password": PASSWORD}),
        spanish.web.post("/sign-in", json={}),
        spanish.web.get("/docs/errors/unknown"),
    ):
        assert page.status_code >= 400
        assert '<html lang="es">' in page.text
        assert english_left(page, "Example Health Plan") == []


def test_the_members_page_is_spanish_and_keeps_the_choice(app: SmartApp) -> None:
    page = app.web.get("/docs/members?language=es")
    assert english_left(page, "Example Health Plan") == []
    assert page.headers["vary"] == "Accept-Language, Cookie"
    assert '<html lang="es">' in app.web.get("/sign-in").text


def test_pages_for_developers_stay_english(spanish: SmartApp) -> None:
    assert '<html lang="en">' in spanish.web.get("/docs").text

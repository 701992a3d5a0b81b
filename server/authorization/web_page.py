"""Pages that people see: templates, and the headers that keep them from being framed, sniffed, cached or scripted.

https://www.w3.org/TR/CSP3/ and https://www.rfc-editor.org/rfc/rfc9700#section-4.16
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error
from fastapi import Request
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from server import clock
from server.authorization.browser import Browser, Browsers
from server.authorization.languages import (
    ENGLISH,
    LANGUAGES,
    TRANSLATIONS,
    Message,
    date_words,
    moment_words,
    translate,
)
from server.settings import Settings
from server.storage.database import DatabaseUnavailableError

HERE = Path(__file__).parent
ICON = (HERE / "static" / "icon.svg").read_bytes()
ICON_PATH = "/static/icon.svg"
STYLE_SHEET = (HERE / "static" / "style.css").read_bytes()
STYLE_PATH = "/static/style.css"
STYLE_VERSION = sha256(STYLE_SHEET).hexdigest()[:12]

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Headers of every page and of every redirect between pages."""
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"

_Handler = Callable[[Request], Awaitable[Response]]


class WebPages:
    """Renders templates of the given folders, and of this floor's own, in the language that the person reads."""

    def __init__(self, settings: Settings, *folders: Path) -> None:
        self.settings = settings
        self.browsers = Browsers(settings)
        base = urlsplit(settings.base_url)
        self._prefix = base.path
        self._origin = f"{base.scheme}://{base.netloc}"
        loader = FileSystemLoader([*folders, HERE / "templates"])
        self._templates = {language: self._environment(loader, language) for language in LANGUAGES}

    def _environment(self, loader: FileSystemLoader, language: str) -> Environment:
        environment = Environment(
            loader=loader,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.install_gettext_translations(TRANSLATIONS[language], newstyle=True)  # type: ignore[attr-defined]
        environment.filters.update(
            date=lambda microseconds: date_words(language, self._local(microseconds)),
            moment=lambda microseconds: moment_words(language, self._local(microseconds)),
            translated=lambda message: translate(language, message),
        )
        environment.globals.update(
            language=language,
            payer=self.settings.payer_name,
            sandbox=self.settings.environment == "test",
            path=self.path,
            icon=self.path(ICON_PATH),
            style=f"{self.path(STYLE_PATH)}?v={STYLE_VERSION}",
        )
        return environment

    def path(self, path: str) -> str:
        """A path of this server as a browser must ask for it."""
        return self._prefix + path

    def render(
        self, browser: Browser, template: str, status: int = 200, leaves: bool = False, **context: Any
    ) -> HTMLResponse:
        """A page. ``leaves``: a form of it leads away from this server, to an app.

        Browsers hold every redirect behind a form against ``form-action``, and only the app knows where its callback goes on
        to (another host, a deep link into a phone app): such a page cannot name its targets, and so does without the directive.
        """
        languages = _other_languages(browser, context.get("reference", ""))
        page = self._templates[browser.language].get_template(template)
        response = HTMLResponse(page.render(csrf=browser.csrf, other_languages=languages, **context), status, HEADERS)
        response.headers["Content-Language"] = browser.language
        response.headers["Content-Security-Policy"] = POLICY if leaves else f"{POLICY}; form-action 'self'"
        self.browsers.remember(browser, response)
        return response

    def public(
        self, template: str, status: int = 200, *, scripts: bool = False, request: Request | None = None, **context: Any
    ) -> HTMLResponse:
        """A page that is the same for everybody: no form, and no cookie but that of a language chosen on it.

        ``scripts``: it runs this server's own, which may ask it. ``request``: it is there in every language; else in English only.
        """
        browser = None if request is None else self.browsers.of(request)
        language = ENGLISH if browser is None else browser.language
        languages = () if browser is None else _other_languages(browser, "")
        page = self._templates[language].get_template(template)
        response = HTMLResponse(page.render(other_languages=languages, **context), status, HEADERS)
        allowed = f"; script-src 'self'; connect-src 'self' {self._origin}" if scripts else ""
        response.headers["Content-Security-Policy"] = f"{POLICY}{allowed}; form-action 'none'"
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Language"] = language
        if browser is not None:
            response.headers["Vary"] = "Accept-Language, Cookie"
            self.browsers.remember_language(browser.chosen_language, response)
        return response

    def redirect(self, location: str) -> RedirectResponse:
        """A redirect that is fetched with GET whatever the method was (303)."""
        return RedirectResponse(location, 303, headers=HEADERS)

    def problem(self, request: Request, status: int, title: Message, text: Message, **context: Any) -> HTMLResponse:
        """A page that says in plain words what went wrong and what to do; ``code`` and ``detail`` are for the app's makers.

        ``back``: an address of the app, which its person may follow.
        """
        context = {"code": "", "detail": "", "back": "", **context}
        return self.render(self.browsers.of(request), "problem.html", status, title=title, text=text, **context)

    def form_expired(self, request: Request) -> HTMLResponse:
        """The answer to a form that was not made by us for this browser, or long ago."""
        text = Message(
            "Please go back, reload the page and try again. Your browser must accept cookies from this site."
        )
        return self.problem(request, 403, Message("This form is not valid any more"), text)

    def route_class(self) -> type[APIRoute]:
        """Routes whose failures are pages too."""
        pages = self

        class PageRoute(APIRoute):
            def get_route_handler(self) -> Any:
                handle: _Handler = super().get_route_handler()

                async def answer(request: Request) -> Response:
                    try:
                        return await handle(request)
                    except DatabaseUnavailableError:
                        text = Message("We cannot answer just now. Please try again in a few minutes.")
                        page = pages.problem(request, 503, Message("Not available"), text)
                        page.headers["Retry-After"] = "5"
                        return page
                    except (OAuth2Error, HTTPException) as error:
                        told = error.get_error_description() if isinstance(error, OAuth2Error) else error.detail
                        text = Message("What your browser sent was not understood. Please go back and try again.")
                        title = Message("That did not work")
                        return pages.problem(request, error.status_code, title, text, detail=str(told or ""))

                return answer

        return PageRoute

    def _local(self, microseconds: int) -> datetime:
        return clock.from_microseconds(microseconds).astimezone(self.settings.time_zone)


def _other_languages(browser: Browser, reference: str) -> tuple[tuple[str, str, str], ...]:
    """(code, name, address) of the same page in every other language; ``reference`` is that of a pending request."""
    query = {name: value for name, value in browser.query if name not in ("language", "ui_locales")}
    query |= {"request": reference} if reference else {}
    return tuple(
        (code, name, f"?{urlencode({**query, 'language': code})}")
        for code, name in LANGUAGES.items()
        if code != browser.language
    )

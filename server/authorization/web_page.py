"""Pages that people see: templates, and the headers that keep them from being framed, sniffed, cached or scripted.

https://www.w3.org/TR/CSP3/ and https://www.rfc-editor.org/rfc/rfc9700#section-4.16
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749 import OAuth2Error
from fastapi import Request
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from server import clock
from server.authorization.browser import Browser, Browsers
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
    """Renders templates of the given folders, and of this floor's own."""

    def __init__(self, settings: Settings, *folders: Path) -> None:
        self.settings = settings
        self.browsers = Browsers(settings)
        base = urlsplit(settings.base_url)
        self._prefix = base.path
        self._origin = f"{base.scheme}://{base.netloc}"
        self._templates = Environment(
            loader=FileSystemLoader([*folders, HERE / "templates"]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(date=self._date, moment=self._moment)
        self._templates.globals.update(
            payer=settings.payer_name,
            sandbox=settings.environment == "test",
            path=self.path,
            icon=self.path(ICON_PATH),
            style=f"{self.path(STYLE_PATH)}?v={STYLE_VERSION}",
        )

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
        body = self._templates.get_template(template).render(csrf=browser.csrf, **context)
        response = HTMLResponse(body, status, headers=HEADERS)
        response.headers["Content-Security-Policy"] = POLICY if leaves else f"{POLICY}; form-action 'self'"
        self.browsers.remember(browser, response)
        return response

    def public(self, template: str, status: int = 200, *, scripts: bool = False, **context: Any) -> HTMLResponse:
        """A page that is the same for everybody: no cookie, no form. ``scripts``: it runs this server's own, which may ask it."""
        response = HTMLResponse(self._templates.get_template(template).render(**context), status, headers=HEADERS)
        allowed = f"; script-src 'self'; connect-src 'self' {self._origin}" if scripts else ""
        response.headers["Content-Security-Policy"] = f"{POLICY}{allowed}; form-action 'none'"
        response.headers["Cache-Control"] = "no-cache"
        return response

    def redirect(self, location: str) -> RedirectResponse:
        """A redirect that is fetched with GET whatever the method was (303)."""
        return RedirectResponse(location, 303, headers=HEADERS)

    def problem(self, request: Request, status: int, title: str, text: str, **context: Any) -> HTMLResponse:
        """A page that says in plain words what went wrong and what to do."""
        context = {"code": "", "detail": "", **context}
        return self.render(self.browsers.of(request), "problem.html", status, title=title, text=text, **context)

    def form_expired(self, request: Request) -> HTMLResponse:
        """The answer to a form that was not made by us for this browser, or long ago."""
        text = "Please go back, reload the page and try again. Your browser must accept cookies from this site."
        return self.problem(request, 403, "This form is not valid any more", text)

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
                        text = "We cannot answer just now. Please try again in a few minutes."
                        return pages.problem(request, 503, "Not available", text)
                    except OAuth2Error as error:
                        text = error.get_error_description() or "The request was not understood."
                        return pages.problem(request, error.status_code, "That did not work", text)
                    except HTTPException as error:
                        return pages.problem(request, error.status_code, "That did not work", str(error.detail))

                return answer

        return PageRoute

    def _date(self, microseconds: int) -> str:
        day = clock.from_microseconds(microseconds).astimezone(self.settings.time_zone)
        return f"{day:%B} {day.day}, {day.year}"

    def _moment(self, microseconds: int) -> str:
        time = clock.from_microseconds(microseconds).astimezone(self.settings.time_zone)
        return f"{self._date(microseconds)}, {time.hour % 12 or 12}:{time:%M %p}"

"""A member's browser, as far as the sign-in and consent pages need one: cookies, redirects, links and forms.

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#constructing-entry-list
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes, its named controls with the values they hold, its buttons."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, value, the words on it)"""


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._button: tuple[str, str] | None = None
        self._words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(urljoin(self.url, values.get("action", "")), values.get("method", "get").upper())
            self.forms.append(self._form)
        elif self._form is not None and tag == "input":
            kind, name = values.get("type", "text"), values.get("name", "")
            if kind in ("radio", "checkbox"):
                self._form.choices.setdefault(name, []).append(values.get("value", "on"))
                if "checked" in values:
                    self._form.fields.append((name, values.get("value", "on")))
            elif name:
                self._form.fields.append((name, values.get("value", "")))
        elif self._form is not None and tag == "button":
            self._button, self._words = (values.get("name", ""), values.get("value", "")), ""

    def handle_data(self, data: str) -> None:
        self._words += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._form is not None and self._button is not None:
            self._form.buttons.append((*self._button, " ".join(self._words.split())))
            self._button = None
        elif tag == "form":
            self._form = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page as the member sees it, or the app's address that the browser was sent to (status 0)."""

    url: str
    status: int
    text: str

    @property
    def forms(self) -> list[Form]:
        """The page's forms."""
        reader = _Reader(self.url)
        reader.feed(self.text)
        return reader.forms

    @property
    def query(self) -> dict[str, str]:
        """The query of the page's own address."""
        return dict(parse_qsl(urlsplit(self.url).query))


class Browser:
    """A browser that stays on one server: an address elsewhere, such as an app's callback, is answered as a page of status 0."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._http = httpx2.Client(follow_redirects=False, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._http.close()

    def open(self, url: str) -> Page:
        """Open an address and follow redirects."""
        return self._follow(self._http.request("GET", url))

    def press(self, page: Page, words: str, **typed: str) -> Page:
        """Fill in what is typed or chosen and press the button with these words, in the form that has it."""
        form = next(form for form in page.forms for button in form.buttons if button[2] == words)
        name, value, _ = next(button for button in form.buttons if button[2] == words)
        known = {field for field, _ in form.fields} | set(form.choices)
        assert set(typed) <= known, f"the form asks for {known}"
        fields = [(field, held) for field, held in form.fields if field not in typed] + list(typed.items())
        if name:
            fields.append((name, value))
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
        return self._follow(
            self._http.request(
                form.method, form.action, data=dict(fields), headers={"origin": origin, "referer": page.url}
            )
        )

    def _follow(self, response: httpx2.Response) -> Page:
        for _ in range(10):
            if not response.is_redirect:
                return Page(str(response.url), response.status_code, response.text)
            url = urljoin(str(response.url), response.headers["location"])
            if not url.startswith(self._home):
                return Page(url, 0, "")
            response = self._http.request("GET", url)
        raise AssertionError("redirected in a circle")


def sign_in_and_allow(url: str, home: str, username: str, password: str, **choice: str) -> str:
    """What a member does with an app's authorization URL; the callback URL that the app receives."""
    with Browser(home) as browser:
        page = browser.open(url)
        page = browser.press(page, "Sign in", username=username, password=password)
        page = browser.press(page, "Allow", **choice)
        assert page.status == 0, page.text
        return page.url

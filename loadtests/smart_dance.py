"""An app and the member's browser, as one client: discovery, authorize, sign in, consent, token, sync, refresh, revoke.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - every step has the name under which it is measured.
"""

import base64
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"
CLAIMS_WITH_INCLUDES = (
    "ExplanationOfBenefit?_include=ExplanationOfBenefit:provider&_include=ExplanationOfBenefit:care-team"
    "&_include=ExplanationOfBenefit:coverage&_include=ExplanationOfBenefit:insurer"
)
MAXIMUM_PAGES = 200


class DanceError(Exception):
    """A step did not end as it must; ``step`` is its name."""

    def __init__(self, step: str, message: str) -> None:
        super().__init__(f"{step}: {message}")
        self.step = step


class Response(Protocol):
    """What is read of an answer; the responses of requests have it."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def text(self) -> str: ...
    @property
    def content(self) -> bytes: ...
    def json(self) -> Any: ...


Send = Callable[..., Response]
"""send(step, method, url, status, *, headers={}, data={}): one request, redirects not followed, cookies kept; ``status`` is
the one that is expected."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a page: where it goes, its fields as they stand, the choices of its radio buttons and its submit buttons."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    buttons: set[tuple[str, str]] = field(default_factory=set)


class _FormParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
            self._inside = True
        name = given.get("name", "")
        if not self._inside or not name or tag not in ("input", "button"):
            return
        form, kind, value = (
            self.forms[-1],
            given.get("type", "submit" if tag == "button" else "text"),
            given.get("value", ""),
        )
        if kind == "submit":
            form.buttons.add((name, value))
        elif kind == "radio":
            form.choices.setdefault(name, []).append(value)
            if "checked" in given:
                form.fields[name] = value
        elif kind != "checkbox" or "checked" in given:
            form.fields[name] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def forms(page: str) -> list[Form]:
    """The forms of an HTML page, in order."""
    parser = _FormParser()
    parser.feed(page)
    return parser.forms


@dataclass(frozen=True, slots=True)
class Client:
    """An app as it is registered; without a secret it is a public client."""

    client_id: str
    redirect_uri: str
    scope: str = SCOPE


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token response."""

    access_token: str
    refresh_token: str
    patient: str
    scope: str

    @classmethod
    def of(cls, step: str, answer: Mapping[str, Any]) -> "Tokens":
        """Raises DanceError when something an app needs is missing."""
        for name in ("access_token", "refresh_token", "patient", "scope"):
            if not answer.get(name):
                raise DanceError(step, f"no {name} in the token response")
        return cls(answer["access_token"], answer["refresh_token"], answer["patient"], answer["scope"])


class SmartDance:
    """One member's app from launch to revocation. ``send`` makes the requests; DanceError when a step ends otherwise."""

    def __init__(self, send: Send, fhir_base: str, client: Client) -> None:
        self._send = send
        self._client = client
        self._verifier = self._state = ""
        self.fhir_base = fhir_base
        self.configuration: dict[str, Any] = {}
        self.tokens: Tokens | None = None

    # -- the browser -------------------------------------------------------------------------------------------------

    def discover(self) -> None:
        """Read where the endpoints are."""
        answer = self._send("discovery", "GET", f"{self.fhir_base}/.well-known/smart-configuration", 200)
        self.configuration = answer.json()

    def authorize(self) -> str:
        """Send the browser to the authorization endpoint: the address it is sent on to, to sign in or to decide."""
        self._verifier, self._state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        digest = sha256(self._verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": self._client.scope,
            "state": self._state,
            "aud": self.fhir_base,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        url = f"{self.configuration['authorization_endpoint']}?{urlencode(asked)}"
        return self._onwards("authorize", url, self._send("authorize", "GET", url, 303))

    def sign_in(self, url: str, username: str, password: str) -> str:
        """Open the sign-in page and sign in: the address of the consent page."""
        page = self._send("sign-in page", "GET", url, 200)
        return self._submit("sign in", url, page, {"username": username, "password": password})

    def consent(self, url: str, patient: str = "") -> str:
        """Open the consent page and allow, for ``patient`` where the page asks whose information: the code."""
        page = self._send("consent page", "GET", url, 200)
        location = self._submit("allow", url, page, {"patient": patient} if patient else {}, ("decision", "allow"))
        answer = dict(parse_qsl(urlsplit(location).query))
        if (
            not location.startswith(self._client.redirect_uri)
            or answer.get("state") != self._state
            or "code" not in answer
        ):
            raise DanceError("allow", f"the app got {sorted(answer)} instead of a code and its own state")
        return answer["code"]

    def _submit(
        self, step: str, url: str, page: Response, answers: Mapping[str, str], button: tuple[str, str] | None = None
    ) -> str:
        """Fill in and send the form that has the answers' fields and the button, with its hidden fields: where it leads."""
        for form in forms(page.text):
            askable = set(form.fields) | set(form.choices)
            if set(answers) <= askable and (button in form.buttons if button else bool(answers)):
                break
        else:
            raise DanceError(step, f"no form that takes {sorted(answers)} on the page")
        for name, value in answers.items():
            if name in form.choices and value not in form.choices[name]:
                raise DanceError(step, f"the page does not offer {name}={value}")
        data = form.fields | dict(answers) | (dict([button]) if button else {})
        address = urljoin(url, form.action)
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
        return self._onwards(
            step, address, self._send(step, "POST", address, 303, data=data, headers={"Origin": origin})
        )

    @staticmethod
    def _onwards(step: str, url: str, answer: Response) -> str:
        location = answer.headers.get("location")
        if not location:
            raise DanceError(step, f"status {answer.status_code} leads nowhere")
        return urljoin(url, location)

    # -- the app -----------------------------------------------------------------------------------------------------

    def exchange(self, code: str) -> Tokens:
        """Exchange the code for tokens, with the code verifier."""
        data = self.token_request(code)
        self.tokens = Tokens.of("token", self._send("token", "POST", self._token_endpoint, 200, data=data).json())
        return self.tokens

    def token_request(self, code: str) -> dict[str, str]:
        """The form that exchanges a code of this dance."""
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect_uri,
            "client_id": self._client.client_id,
            "code_verifier": self._verifier,
        }

    def refresh(self) -> Tokens:
        """Use the refresh token, once; it is replaced."""
        data = {
            "grant_type": "refresh_token",
            "refresh_token": self._granted.refresh_token,
            "client_id": self._client.client_id,
        }
        self.tokens = Tokens.of("refresh", self._send("refresh", "POST", self._token_endpoint, 200, data=data).json())
        return self.tokens

    def revoke(self) -> None:
        """Revoke the grant by its refresh token; the access token must not work any more on the very next request."""
        granted = self._granted
        data = {"token": granted.refresh_token, "client_id": self._client.client_id}
        self._send("revoke", "POST", self.configuration["revocation_endpoint"], 200, data=data)
        self._get("read after revoke: 401", f"{self.fhir_base}/Patient/{granted.patient}", 401)
        self.tokens = None

    @property
    def _token_endpoint(self) -> str:
        return str(self.configuration["token_endpoint"])

    @property
    def _granted(self) -> Tokens:
        if self.tokens is None:
            raise DanceError("token", "the app has no tokens")
        return self.tokens

    def _get(self, step: str, url: str, status: int = 200) -> Response:
        headers = {"Authorization": f"Bearer {self._granted.access_token}", "Accept": "application/fhir+json"}
        return self._send(step, "GET", url, status, headers=headers)

    def read_member(self) -> dict[str, Any]:
        """Read the Patient of the token."""
        patient = self._granted.patient
        found: dict[str, Any] = self._get("read Patient", f"{self.fhir_base}/Patient/{patient}").json()
        if found.get("id") != patient:
            raise DanceError("read Patient", "another resource came back")
        return found

    def sync(self, step: str, query: str) -> int:
        """Search and follow every next link: the number of matches, which must be the total, each one once."""
        total, found = -1, set[str]()
        for bundle in self._pages(step, f"{self.fhir_base}/{query}"):
            matches = [entry["fullUrl"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"]
            if total not in (-1, bundle["total"]) or found & set(matches):
                raise DanceError(step, "the pages do not fit together")
            total = bundle["total"]
            found.update(matches)
        if len(found) != total:
            raise DanceError(step, f"{len(found)} matches on the pages, but a total of {total}")
        return total

    def _pages(self, step: str, url: str) -> Iterator[dict[str, Any]]:
        for _ in range(MAXIMUM_PAGES):
            bundle: dict[str, Any] = self._get(step, url).json()
            yield bundle
            following = [link["url"] for link in bundle.get("link", ()) if link["relation"] == "next"]
            if not following:
                return
            url = following[0]
        raise DanceError(step, f"more than {MAXIMUM_PAGES} pages")

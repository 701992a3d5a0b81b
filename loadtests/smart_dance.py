"""An app's part of the dance: discovery, authorization URL, code, token, sync, refresh, revoke. The sign-in is ``loadtests.sign_in``.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html - every step has the name under which it is measured.
"""

import base64
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import orjson

SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"
CLAIMS_WITH_INCLUDES = (
    "ExplanationOfBenefit?_include=ExplanationOfBenefit:provider&_include=ExplanationOfBenefit:care-team"
    "&_include=ExplanationOfBenefit:coverage&_include=ExplanationOfBenefit:insurer"
)
MAXIMUM_PAGES = 2000
OF_MEMBER = ("patient", "subject", "beneficiary")
"""The elements that say whose a record is."""


class DanceError(Exception):
    """A step did not end as it must; ``step`` is its name. The message holds no token, no id and no name."""

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


class Session(Protocol):
    """A browser, or an app: cookies are kept, redirects are not followed."""

    def request(
        self,
        method: str,
        url: str,
        *,
        name: str,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        expected: frozenset[int] | None = None,
    ) -> Response:
        """One request, measured under ``name``; ``data`` is sent as a form. What another status than the ``expected`` ones (None: any
        below 400) does is the session's own: an exception that ends the journey."""
        ...


@dataclass(frozen=True, slots=True)
class Client:
    """An app as it is registered; without a secret it is a public client. ``authentication`` is a token endpoint's method."""

    client_id: str
    redirect_uri: str
    scope: str = SCOPE
    client_secret: str = ""
    authentication: str = "client_secret_basic"


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token response; what an authorization server may leave out is '' or 0."""

    access_token: str
    refresh_token: str
    patient: str
    scope: str
    expires_in: int

    @classmethod
    def of(cls, step: str, answer: Mapping[str, Any], asked: str, before: "Tokens | None" = None) -> "Tokens":
        """``before`` are the tokens that were refreshed. Raises DanceError when something an app needs is missing."""
        if not answer.get("access_token"):
            raise DanceError(step, "no access_token in the token response")
        scope = str(answer.get("scope") or (before.scope if before else asked))
        refresh = str(answer.get("refresh_token") or (before.refresh_token if before else ""))
        if "offline_access" in scope.split() and not refresh:
            raise DanceError(step, "offline_access was granted, but no refresh_token")
        patient = str(answer.get("patient") or (before.patient if before else ""))
        return cls(str(answer["access_token"]), refresh, patient, scope, int(answer.get("expires_in") or 0))


class SmartDance:
    """One member's app from launch to revocation, over any server. DanceError when a step ends otherwise."""

    def __init__(self, session: Session, fhir_base: str, client: Client, configuration_url: str = "") -> None:
        self._session = session
        self._client = client
        self._verifier = self._state = ""
        self._configuration_url = configuration_url or f"{fhir_base}/.well-known/smart-configuration"
        self.fhir_base = fhir_base
        self.configuration: dict[str, Any] = {}
        self.tokens: Tokens | None = None

    # -- launch ------------------------------------------------------------------------------------------------------

    def discover(self) -> None:
        """Read where the endpoints are."""
        found = orjson.loads(self._session.request("GET", self._configuration_url, name="discovery").content)
        for name in ("authorization_endpoint", "token_endpoint"):
            if not isinstance(found, dict) or not isinstance(found.get(name), str):
                raise DanceError("discovery", f"no {name}")
        self.configuration = found

    def authorization_url(self) -> str:
        """Where the app sends the browser, with a fresh code challenge and state."""
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
        endpoint = str(self.configuration["authorization_endpoint"])
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    def code(self, redirected: str) -> str:
        """The code in the redirect URL, which must be the app's own and carry its state."""
        answer = dict(parse_qsl(urlsplit(redirected).query))
        if (
            not redirected.startswith(self._client.redirect_uri)
            or answer.get("state") != self._state
            or "code" not in answer
        ):
            raise DanceError("authorize", f"the app got {sorted(answer)} instead of a code and its own state")
        return answer["code"]

    # -- tokens ------------------------------------------------------------------------------------------------------

    def exchange(self, code: str, patient: str = "") -> Tokens:
        """Exchange the code for tokens, with the code verifier; ``patient`` is whose they are where the answer does not say it."""
        found = Tokens.of("token", self._token("token", self.token_request(code)), self._client.scope)
        self.tokens = found if found.patient else replace(found, patient=patient)
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
        """Use the refresh token, once; a new one replaces it."""
        before = self.granted
        answer = self._token("refresh", {"grant_type": "refresh_token", "refresh_token": before.refresh_token})
        self.tokens = Tokens.of("refresh", answer, self._client.scope, before)
        return self.tokens

    def revoke(self, *, ends_access: bool = True) -> None:
        """Revoke the grant by its refresh token (the access token where there is none), if the server can; when that ``ends_access``
        the access token must not work any more on the very next request."""
        granted = self.granted
        if endpoint := self.configuration.get("revocation_endpoint"):
            data = {"token": granted.refresh_token or granted.access_token}
            self._post("revoke", str(endpoint), data)
            if ends_access:
                url = f"{self.fhir_base}/Patient/{granted.patient}"
                self.get("read after revoke: 401", url, frozenset({401}))
        self.tokens = None

    @property
    def granted(self) -> Tokens:
        """The tokens; DanceError before there are any."""
        if self.tokens is None:
            raise DanceError("token", "the app has no tokens")
        return self.tokens

    def _token(self, step: str, data: Mapping[str, str]) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(self._post(step, str(self.configuration["token_endpoint"]), data).content)
        return answer

    def _post(self, step: str, url: str, data: Mapping[str, str], expected: frozenset[int] | None = None) -> Response:
        """A form, by which the client says who it is."""
        client, headers = self._client, {"Accept": "application/json"}
        form = dict(data) | {"client_id": client.client_id}
        if client.client_secret and client.authentication == "client_secret_post":
            form["client_secret"] = client.client_secret
        elif client.client_secret:
            pair = urlencode({client.client_id: client.client_secret}).replace("=", ":", 1)
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
            del form["client_id"]
        return self._session.request("POST", url, name=step, data=form, headers=headers, expected=expected)

    def refresh_refused(self, step: str, expected: frozenset[int]) -> None:
        """Try a refresh token that is dead."""
        data = {"grant_type": "refresh_token", "refresh_token": self.granted.refresh_token or secrets.token_urlsafe(32)}
        self._post(step, str(self.configuration["token_endpoint"]), data, expected)

    # -- records -----------------------------------------------------------------------------------------------------

    def get(self, step: str, url: str, expected: frozenset[int] | None = None) -> Response:
        """One request with the access token."""
        headers = {"Authorization": f"Bearer {self.granted.access_token}", "Accept": "application/fhir+json"}
        return self._session.request("GET", url, name=step, headers=headers, expected=expected)

    def read_member(self) -> dict[str, Any]:
        """Read the Patient of the token."""
        patient = self.granted.patient
        found: dict[str, Any] = orjson.loads(self.get("read Patient", f"{self.fhir_base}/Patient/{patient}").content)
        if found.get("id") != patient:
            raise DanceError("read Patient", "another resource came back")
        return found

    def pages(self, step: str, query: str, most: int = MAXIMUM_PAGES) -> Iterator[dict[str, Any]]:
        """A search's pages by their next links, ``most`` at most; further pages are measured as ``step, next page``."""
        url, name, read = f"{self.fhir_base}/{query}", step, 0
        while url:
            bundle = orjson.loads(self.get(name, url).content)
            if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
                raise DanceError(name, "no Bundle came back")
            yield bundle
            read += 1
            following = [str(link["url"]) for link in bundle.get("link", ()) if link["relation"] == "next"]
            if not following or read == most:
                return
            url, name = urljoin(url, following[0]), f"{step}, next page"
            if read == MAXIMUM_PAGES:
                raise DanceError(step, f"more than {MAXIMUM_PAGES} pages")

    def sync(self, step: str, query: str, most: int = MAXIMUM_PAGES) -> list[str]:
        """Search and follow next links: the matches' type/id. Each comes once, none is another member's, and with the last page
        there are as many as the total says, where the server tells one."""
        found: dict[str, None] = {}
        total: int | None = None
        bundle: dict[str, Any] = {}
        for bundle in self.pages(step, query, most):
            total = bundle.get("total", total)
            for entry in bundle.get("entry", ()):
                if entry.get("search", {}).get("mode", "match") == "match":
                    self._take(step, entry["resource"], found)
        is_last = not any(link["relation"] == "next" for link in bundle.get("link", ()))
        if is_last and total is not None and len(found) != total:
            raise DanceError(step, f"{len(found)} matches on the pages, but a total of {total}")
        return list(found)

    def _take(self, step: str, resource: Mapping[str, Any], found: dict[str, None]) -> None:
        key = f"{resource['resourceType']}/{resource['id']}"
        if key in found:
            raise DanceError(step, "the same match came twice")
        found[key] = None
        for element in OF_MEMBER:
            named = resource.get(element)
            reference = str(named.get("reference", "")) if isinstance(named, dict) else ""
            _, of_patient, rest = reference.rpartition("Patient/")
            if of_patient and rest.partition("/")[0] != self.granted.patient:
                raise DanceError(step, "another member's record came back")

"""The server that is examined: its FHIR base, its documents and the member whose token is used, each asked for once.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#using-well-known
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from server.doctor.findings import MissingError
from server.doctor.web import Answer, UnreachableError, Web, origin

SMART, METADATA = "/.well-known/smart-configuration", "/metadata"
FHIR_JSON = "application/fhir+json"
FORM = "application/x-www-form-urlencoded"
NOBODY = "doctor-nobody-7f3b1c"
"""An id that no server has given to anybody or anything."""


class UnusableError(Exception):
    """There is no FHIR server to examine at the address; the message says what is there."""


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """What the doctor was told: a member's ``token`` and Patient id, an app that is registered, and an ``origin`` of web apps. '': not told."""

    token: str = ""
    patient: str = ""
    client_id: str = ""
    redirect_uri: str = ""
    origin: str = ""


class Site:
    """A FHIR base without a trailing slash, and what was asked of it."""

    def __init__(self, web: Web, base: str, told: Acquaintance) -> None:
        self.web, self.base, self.told = web, base, told
        self._kept: dict[tuple[str, bool, str], Answer] = {}

    def get(self, url: str, *, with_token: bool = False, accept: str = "", **headers: str) -> Answer:
        """A GET; the same question is asked once. ``url``: absolute, or below the base. Raises UnreachableError, MissingError."""
        if not url.startswith(("http://", "https://")):
            url = f"{self.base}/{url.lstrip('/')}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if accept:
            sent["Accept"] = accept
        if with_token:
            sent |= self._authorization(url)
        key = (url, with_token, repr(sorted(sent.items())))
        if key not in self._kept:
            self._kept[key] = self.web.ask("GET", url, sent)
        return self._kept[key]

    def search(self, type: str, parameters: Mapping[str, str]) -> Answer:
        """A search with the member's token."""
        query = urlencode(dict(parameters))
        return self.get(f"{type}?{query}" if query else type, with_token=True, accept=FHIR_JSON)

    def post(self, url: str, form: Mapping[str, str], *, with_token: bool = False, **headers: str) -> Answer:
        """A form POST that changes nothing; the same is sent once. Raises UnreachableError, MissingError."""
        if not url.startswith(("http://", "https://")):
            url = f"{self.base}/{url.lstrip('/')}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if with_token:
            sent |= self._authorization(url)
        key = (url, with_token, repr((sorted(sent.items()), sorted(form.items()))))
        if key not in self._kept:
            self._kept[key] = self.web.ask("POST", url, {"Accept": "application/json", **sent}, form)
        return self._kept[key]

    def preflight(self, url: str, origin_of_app: str, method: str, headers: str) -> Answer:
        """What a browser asks before a request of another origin (https://fetch.spec.whatwg.org/#cors-preflight-fetch)."""
        sent = {"Origin": origin_of_app, "Access-Control-Request-Method": method}
        return self.web.ask("OPTIONS", url, {**sent, "Access-Control-Request-Headers": headers})

    def _authorization(self, url: str) -> dict[str, str]:
        if not self.told.token:
            raise MissingError("no token was given (--token-file)")
        if origin(url) != origin(self.base):
            raise MissingError(f"the token is not sent to another origin ({origin(url) or url[:80]})")
        return {"Authorization": f"Bearer {self.told.token}"}

    # -- its documents -----------------------------------------------------------------------------------------------

    @property
    def smart(self) -> dict[str, Any]:
        """The SMART configuration. Raises MissingError."""
        return self._document(SMART, is_smart_configuration, "smart-configuration")

    @property
    def capabilities(self) -> dict[str, Any]:
        """The CapabilityStatement. Raises MissingError."""
        return self._document(METADATA, is_capability_statement, "capability-statement")

    def _document(self, path: str, is_one: Any, check: str) -> dict[str, Any]:
        try:
            found = self.get(path, accept=FHIR_JSON if path == METADATA else "application/json").json
        except UnreachableError as error:
            raise MissingError(f"see {check}") from error
        if found is None or not is_one(found):
            raise MissingError(f"see {check}")
        return dict(found)

    def endpoint(self, name: str) -> str:
        """An endpoint of the SMART configuration, e.g. ``token_endpoint``. Raises MissingError."""
        value = self.smart.get(name)
        if not isinstance(value, str) or not origin(value).startswith("http"):
            raise MissingError(f"smart-configuration has no {name}")
        return value

    @property
    def rest(self) -> dict[str, Any]:
        """The server part of the CapabilityStatement. Raises MissingError."""
        for rest in dictionaries(self.capabilities.get("rest")):
            if rest.get("mode", "server") == "server":
                return rest
        raise MissingError("see capability-statement")

    @property
    def types(self) -> dict[str, dict[str, Any]]:
        """The announced resource types. Raises MissingError."""
        return {str(entry["type"]): entry for entry in dictionaries(self.rest.get("resource")) if entry.get("type")}

    # -- its member --------------------------------------------------------------------------------------------------

    def member(self) -> str:
        """The Patient id of the token's member. Raises MissingError."""
        if not self.told.token:
            raise MissingError("no token was given (--token-file)")
        if self.told.patient:
            if self.get(f"Patient/{self.told.patient}", with_token=True, accept=FHIR_JSON).status != 200:
                raise MissingError("see member-record")
            return self.told.patient
        found = [match for match in matches(self.search("Patient", {})) if match.get("id")]
        if not found:
            raise MissingError("see member-record")
        return str(found[0]["id"])

    def claims(self) -> Answer:
        """The search of the member's claims. Raises MissingError when it fails or finds none."""
        answer = self.search("ExplanationOfBenefit", {"patient": self.member()})
        if not matches(answer):
            raise MissingError("the member has no claims, or see claims")
        return answer


def is_smart_configuration(found: Mapping[str, Any]) -> bool:
    """Whether a JSON object is one, however incomplete."""
    return "token_endpoint" in found or "authorization_endpoint" in found


def is_capability_statement(found: Mapping[str, Any]) -> bool:
    """Whether a JSON object is one."""
    return found.get("resourceType") == "CapabilityStatement"


def find(web: Web, url: str, told: Acquaintance) -> Site:
    """The server at a FHIR base, or at a site that has one at /fhir. Raises UnusableError."""
    base = url.strip().rstrip("/").removesuffix(SMART).removesuffix(METADATA)
    if not origin(base).startswith(("http://", "https://")) or "?" in base or "#" in base or "@" in base:
        raise UnusableError(f"{url} is not the address of a server; give one as https://host/fhir")
    seen: list[str] = []
    for candidate in (base, f"{base}/fhir"):
        site = Site(web, candidate, told)
        for path, is_one in ((METADATA, is_capability_statement), (SMART, is_smart_configuration)):
            try:
                answer = site.get(path, accept=FHIR_JSON if path == METADATA else "application/json")
            except UnreachableError as error:
                raise UnusableError(f"{candidate} cannot be used: {error}") from error
            if answer.status == 200 and is_one(answer.json or {}):
                return site
            if 300 <= answer.status < 400:
                to = answer.header("location")[:150]
                seen.append(f"{path} redirects to {to}" if to else f"{path} redirects")
            else:
                seen.append(f"{path} gave {answer.told}")
    raise UnusableError(f"{base} is no FHIR server, and neither is {base}/fhir: {'; '.join(dict.fromkeys(seen))}")


def dictionaries(value: Any) -> list[dict[str, Any]]:
    """The objects of a JSON array, or none."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def entries(answer: Answer, *modes: str) -> list[dict[str, Any]]:
    """The resources of a searchset's entries with these search modes; an entry without a mode is a match."""
    found = answer.json or {}
    if answer.status != 200 or found.get("resourceType") != "Bundle":
        return []
    resources = []
    for entry in dictionaries(found.get("entry")):
        search, resource = entry.get("search"), entry.get("resource")
        mode = search.get("mode", "match") if isinstance(search, dict) else "match"
        if mode in modes and isinstance(resource, dict):
            resources.append(resource)
    return resources


def matches(answer: Answer) -> list[dict[str, Any]]:
    """What a search found."""
    return entries(answer, "match")


def link(answer: Answer, relation: str) -> str:
    """A Bundle's link, or ''."""
    for entry in dictionaries((answer.json or {}).get("link")):
        if entry.get("relation") == relation and isinstance(entry.get("url"), str):
            return str(entry["url"])
    return ""


def is_outcome(answer: Answer) -> bool:
    """Whether a body is an OperationOutcome with an issue."""
    found = answer.json or {}
    return found.get("resourceType") == "OperationOutcome" and bool(dictionaries(found.get("issue")))

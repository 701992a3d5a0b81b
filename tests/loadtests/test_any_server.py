"""What a load test asks of a server that is not ours: what its CapabilityStatement offers, with the manifest's people, in any form.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtests.capability import Capability
from loadtests.population import ManifestError, Population, heavy, read_manifest
from loadtests.smart_dance import SCOPE, Client, DanceError, Response, SmartDance, Tokens

BASE = "https://payer.example/fhir"
CLIENT = {"client_id": "app", "redirect_uris": ["https://app.example/cb"]}
ADA = {"username": "ada", "password": "secret", "patients": ["1"]}


def capability(*resources: dict[str, Any]) -> Capability:
    """Of a CapabilityStatement with these types."""
    return Capability.of({"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": resources}]})


def searched(type: str, *parameters: str, **more: Any) -> dict[str, Any]:
    """A type that can be searched by these parameters."""
    names = [{"name": name} for name in parameters]
    return {"type": type, "interaction": [{"code": "read"}, {"code": "search-type"}], "searchParam": names, **more}


def test_types_are_searched_by_whichever_parameter_names_the_member() -> None:
    found = capability(
        searched("Coverage", "beneficiary"),
        searched("Observation", "subject", "patient"),
        searched("Organization", "name"),
        searched("Patient"),
        {"type": "Encounter", "interaction": [{"code": "read"}], "searchParam": [{"name": "patient"}]},
    )
    queries = {search.type: search.query("1", "_count=10") for search in found.searches}
    assert queries == {
        "Coverage": "Coverage?beneficiary=1&_count=10",
        "Observation": "Observation?patient=1&_count=10",
        "Patient": "Patient?_id=1&_count=10",
    }


def test_includes_are_asked_for_where_they_are_declared() -> None:
    includes = ["ExplanationOfBenefit:provider", "ExplanationOfBenefit:payee"]
    (search,) = capability(searched("ExplanationOfBenefit", "patient", searchInclude=includes)).searches
    assert search.with_includes("1") == "ExplanationOfBenefit?patient=1&_include=ExplanationOfBenefit:provider"


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        ("patient/*.rs", ["Coverage", "Condition"]),
        ("patient/*.read openid", ["Coverage", "Condition"]),
        ("patient/*.*", ["Coverage", "Condition"]),
        ("patient/Condition.s patient/Coverage.r", ["Condition"]),
        ("patient/Condition.rs?category=x", ["Condition"]),
        ("system/*.rs launch/patient openid", []),
    ],
)
def test_only_what_was_granted_is_searched(scope: str, wanted: list[str]) -> None:
    found = capability(searched("Condition", "patient"), searched("Coverage", "patient"))
    assert [search.type for search in found.granted(scope)] == wanted


@pytest.mark.parametrize(
    ("operations", "wanted"),
    [
        ([{"name": "everything", "definition": "https://payer.example/op"}], True),
        ([{"name": "all", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything"}], True),
        ([{"name": "match", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match"}], False),
        ([], False),
    ],
)
def test_whether_there_is_everything_is_declared(operations: list[dict[str, str]], wanted: bool) -> None:
    assert capability(searched("Patient", operation=operations)).has_everything is wanted


def manifest_of(folder: Path, **content: Any) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps({"fhir_base": BASE, "client": CLIENT, "logins": [ADA]} | content), "utf-8")
    return path


def test_a_manifest_names_clients_with_secrets_and_what_their_server_does(tmp_path: Path) -> None:
    secret = CLIENT | {"client_secret": "s", "token_endpoint_auth_method": "client_secret_post", "scope": "openid"}
    path = manifest_of(
        tmp_path, clients=[CLIENT, secret], revocation_ends_access=False, configuration_url="https://x/c"
    )
    found = read_manifest(path)
    assert found.clients == (
        Client("app", "https://app.example/cb", SCOPE),
        Client("app", "https://app.example/cb", "openid", "s", "client_secret_post"),
    )
    assert (found.revocation_ends_access, found.configuration_url) == (False, "https://x/c")
    assert "secret" not in repr(found).replace("client_secret", "")


def test_members_whom_no_app_may_see_are_not_met(tmp_path: Path) -> None:
    former = {"username": "dex", "password": "x", "patients": ["2"], "refused": ["2"]}
    parent = {"username": "pat", "password": "x", "patients": ["3", "4"], "refused": ["4"], "heavy": True}
    found = read_manifest(manifest_of(tmp_path, logins=[ADA, former, parent]))
    assert [(login["username"], login["patients"]) for login in found.logins] == [("ada", ["1"]), ("pat", ["3"])]
    assert [login["username"] for login in heavy(found.logins)] == ["pat"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"logins": []}, "names no logins"),
        ({"clients": []}, "names no client"),
        ({"client": {"client_id": "app"}}, "'redirect_uris' is missing"),
        ({"client": {"client_id": "app", "redirect_uris": []}}, "docs/load-testing.md"),
        ({"logins": ["ada"]}, "a login is an object"),
    ],
)
def test_a_manifest_that_lacks_something_says_what(tmp_path: Path, content: dict[str, Any], why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        read_manifest(manifest_of(tmp_path, **content))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ManifestError, match=r"manifest\.json is not"):
        read_manifest(path)


def test_the_first_members_are_met_most_by_zipf_s_law() -> None:
    logins = [{"username": str(rank), "patients": [str(rank)]} for rank in range(1, 11)]
    met = Counter(Population(logins, 1.0).meet()["patient"] for _ in range(20_000))
    assert met["1"] / met["2"] == pytest.approx(2, rel=0.15)
    assert met["1"] / met["10"] == pytest.approx(10, rel=0.25)
    alike = Counter(Population(logins, 0.0).meet()["patient"] for _ in range(20_000))
    assert alike["1"] / alike["10"] == pytest.approx(1, rel=0.15)


@dataclass
class Answer:
    """An answer of a server that was recorded."""

    body: Mapping[str, Any]
    status_code: int = 200

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    @property
    def text(self) -> str:
        return json.dumps(self.body)

    @property
    def content(self) -> bytes:
        return self.text.encode()

    def json(self) -> Any:
        return self.body


class Recorded:
    """Answers in their order; what was asked is kept."""

    def __init__(self, *bodies: Mapping[str, Any]) -> None:
        self.bodies = list(bodies)
        self.asked: list[tuple[str, str, Any]] = []

    def request(self, method: str, url: str, *, name: str, **options: Any) -> Response:
        self.asked.append((name, url, options))
        return Answer(self.bodies.pop(0))


def dance(*bodies: Mapping[str, Any], client: Client | None = None) -> tuple[SmartDance, Recorded]:
    """A dance that has its tokens, over answers in their order."""
    session = Recorded(*bodies)
    found = SmartDance(session, BASE, client or Client("app", "https://app.example/cb"))
    found.configuration = {"authorization_endpoint": f"{BASE}/a?x=1", "token_endpoint": f"{BASE}/t"}
    found.tokens = Tokens("access", "refresh", "1", "patient/*.rs", 60)
    return found, session


def bundle(*ids: str, total: int | None = None, following: str = "", patient: str = "1") -> dict[str, Any]:
    """A page of Coverages."""
    entries = [
        {"resource": {"resourceType": "Coverage", "id": id, "beneficiary": {"reference": f"Patient/{patient}"}}}
        for id in ids
    ]
    link = [{"relation": "next", "url": following}] if following else []
    return {"resourceType": "Bundle", "entry": entries, "link": link} | ({} if total is None else {"total": total})


def test_a_server_that_tells_no_total_and_no_mode_is_synced_by_its_next_links() -> None:
    found, session = dance(bundle("a", "b", following="Coverage?page=2"), bundle("c"))
    assert found.sync("search Coverage", "Coverage?patient=1") == ["Coverage/a", "Coverage/b", "Coverage/c"]
    assert [name for name, _, _ in session.asked] == ["search Coverage", "search Coverage, next page"]


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([bundle("a", following="x"), bundle("a")], "the same match came twice"),
        ([bundle("a", total=2)], "1 matches on the pages, but a total of 2"),
        ([bundle("a", patient="12")], "another member's record"),
        ([{"resourceType": "OperationOutcome"}], "no Bundle"),
    ],
)
def test_pages_that_are_wrong_are_noticed(pages: list[dict[str, Any]], why: str) -> None:
    found, _ = dance(*pages)
    with pytest.raises(DanceError, match=why):
        found.sync("search Coverage", "Coverage?patient=1")


def test_a_refresh_token_that_is_not_replaced_stays() -> None:
    found, _ = dance({"access_token": "new"})
    assert found.refresh() == Tokens("new", "refresh", "1", "patient/*.rs", 0)


def test_a_patient_that_the_token_response_does_not_tell_is_the_manifest_s() -> None:
    found, _ = dance({"access_token": "new", "expires_in": 300, "scope": "openid"})
    assert found.exchange("code", "7") == Tokens("new", "", "7", "openid", 300)


def test_offline_access_without_a_refresh_token_is_wrong() -> None:
    found, _ = dance({"access_token": "new", "scope": "openid offline_access"})
    with pytest.raises(DanceError, match="offline_access was granted, but no refresh_token"):
        found.exchange("code", "7")


@pytest.mark.parametrize(
    ("authentication", "has_header", "fields"),
    [("client_secret_basic", True, set()), ("client_secret_post", False, {"client_id", "client_secret"})],
)
def test_a_client_with_a_secret_proves_itself(authentication: str, has_header: bool, fields: set[str]) -> None:
    client = Client("app", "https://app.example/cb", SCOPE, "s:1", authentication)
    found, session = dance({"access_token": "new"}, client=client)
    found.refresh()
    options = session.asked[0][2]
    assert ("Authorization" in options["headers"]) is has_header
    assert set(options["data"]) - {"grant_type", "refresh_token"} == fields


@pytest.mark.parametrize(
    "redirected",
    [
        "https://app.example/cb?code=1&state=other",
        "https://app.example/cb?error=access_denied",
        "https://else.example/?code=1",
    ],
)
def test_a_code_is_taken_only_with_the_app_s_own_state(redirected: str) -> None:
    found, _ = dance()
    assert found.authorization_url().startswith(f"{BASE}/a?x=1&response_type=code&client_id=app")
    with pytest.raises(DanceError):
        found.code(redirected)


def test_a_configuration_without_endpoints_is_told() -> None:
    found, _ = dance({"token_endpoint": "https://payer.example/t"})
    with pytest.raises(DanceError, match="no authorization_endpoint"):
        found.discover()

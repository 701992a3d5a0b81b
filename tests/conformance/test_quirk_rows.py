"""What apps have to work around elsewhere, and never here: one test for each row of the list of quirks, asserting its rule.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html and 42 CFR 422.119(c); the list is compared with these tests at the end.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.authorization.accounts import add_account
from server.fhir.application import FHIRApplication
from server.settings import Settings
from server.specification.registry import RESOURCES
from server.storage.database import Database
from tests import factories
from tests.authorization.registering import registered
from tests.authorization.smart_app import (
    PASSWORD,
    REDIRECT_URI,
    SmartApp,
    add_people,
    events,
    new_app,
    redirect_parameters,
)
from tests.factories import concept, coverage, explanation_of_benefit, identifier, organization, practitioner, reference
from tests.ingest.store import Store
from tests.lasting import lasting_database, settings_of

ROOT = Path(__file__).parents[2]
ORIGIN = "https://app.example"
"""Of the redirect URI that the app registered."""
FOREIGN = "https://elsewhere.example"
PAYER = organization("payer", identifier=[identifier("11111", "https://p.example/payer")])
HOSPITAL, DOCTOR = organization("hospital"), practitioner("doctor")
ADA = {"resourceType": "Patient", "id": "p1"}
GRACE = {"resourceType": "Patient", "id": "p2"}
GOLD = coverage("gold", ADA, PAYER)
CLAIMS = [
    explanation_of_benefit(
        f"claim-{number:02d}",
        ADA,
        insurance=[{"focal": True, "coverage": reference(GOLD)}],
        careTeam=[{"sequence": 1, "provider": reference(DOCTOR) | {"display": "Hanna Healer"}}],
        item=[
            {
                "sequence": 1,
                "productOrService": concept("https://payer.example/codes", "visit") | {"text": "A visit to the office"},
            }
        ],
    )
    for number in range(1, 11)
]
MANY = [explanation_of_benefit(f"many-{number:03d}", GRACE) for number in range(300)]
COMMERCIAL = """
[[unit]]
payor = "https://p.example/payer|11111"
class = "group|EMPLOYER"
line_of_business = "commercial"
"""
Test = TypeVar("Test", bound=Callable[..., None])
ROWS: dict[int, str] = {}
"""Row of the list to the name of its test."""


def row(number: int) -> Callable[[Test], Test]:
    """The test of this row."""

    def mark(test: Test) -> Test:
        assert number not in ROWS, f"row {number} has a test already: {ROWS[number]}"
        ROWS[number] = test.__name__
        return test

    return mark


@dataclass(frozen=True, slots=True)
class Deployment:
    """A payer's server, a public app, and what Ada's token response for it was."""

    settings: Settings
    database: Database
    web: TestClient
    app: SmartApp
    token: dict[str, Any]

    def get(self, target: str, token: str = "", **headers: str) -> Response:
        """A GET below the FHIR base (or of one of its own links), with Ada's token unless another is given."""
        address = target.removeprefix(self.settings.base_url)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("authorization", f"Bearer {token or self.token['access_token']}")
        return self.web.get(address if address.startswith("/") else f"/fhir/{address}", headers=named)

    def pages(self, target: str, token: str = "") -> list[dict[str, Any]]:
        """Every page of a Bundle, by its next links; none of them twice."""
        pages, seen = [], set()
        while target:
            assert target not in seen
            seen.add(target)
            reply = self.get(target, token)
            assert reply.status_code == 200, reply.text
            pages.append(reply.json())
            target = links(pages[-1]).get("next", "")
        return pages

    def docs(self, page: str) -> str:
        """The words of a page of the documentation."""
        return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", self.web.get(f"/docs{page}").text))


def links(bundle: dict[str, Any]) -> dict[str, str]:
    """Relation to URL."""
    return {link["relation"]: link["url"] for link in bundle["link"]}


def names(*bundles: dict[str, Any]) -> list[str]:
    """``Type/id`` of the matches."""
    entries = [entry for bundle in bundles for entry in bundle.get("entry", [])]
    resources = [entry["resource"] for entry in entries if entry["search"]["mode"] == "match"]
    return [f"{resource['resourceType']}/{resource['id']}" for resource in resources]


def error_code(reply: Response) -> str:
    """The code of an OperationOutcome's first issue."""
    return str(reply.json()["issue"][0]["details"]["coding"][0]["code"])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def here(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """That server, with Ada's ten claims and Grace's three hundred."""
    with lasting_database(request.param, request) as url:
        settings = settings_of(url)
        database = Database(settings)
        add_people(database)
        factories.store(database, settings, [PAYER, HOSPITAL, DOCTOR, GOLD, *CLAIMS, *MANY])
        with TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as web:
            app = new_app(web, database, settings)
            yield Deployment(settings, database, web, app, app.connect())
        database.engine.dispose()


@pytest.fixture(autouse=True)
def nobody_is_signed_in(here: Deployment) -> None:
    """Each test begins with a browser that has no cookies."""
    here.web.cookies.clear()


@row(1)
def test_everything_of_a_member_comes_in_pages_and_type_by_type_too(here: Deployment) -> None:
    pages = here.pages("Patient/p1/$everything?_count=4")
    assert len(pages) > 2
    everything = names(*pages)
    assert len(everything) == len(set(everything))
    by_type = [name for type in ("Patient", "Coverage", RESOURCES_OF_CLAIMS) for name in names(*here.pages(type))]
    assert len(by_type) == 12
    assert set(by_type) == set(everything)
    assert "type by type" in here.docs("")


RESOURCES_OF_CLAIMS = CLAIMS[0]["resourceType"]


@row(2)
def test_a_request_without_aud_is_told_the_value_expected(here: Deployment) -> None:
    told = redirect_parameters(here.app.authorize(aud=None))
    assert told["error"] == "invalid_request"
    assert "aud" in told["error_description"]
    assert here.settings.fhir_base in told["error_description"]


@row(3)
def test_aud_is_good_with_a_slash_at_its_end_and_without(here: Deployment) -> None:
    for aud in (here.settings.fhir_base, here.settings.fhir_base + "/"):
        assert "/sign-in" in here.app.authorize(aud=aud).headers["location"]
    wrong = redirect_parameters(here.app.authorize(aud=here.settings.fhir_base + "/x"))
    assert here.settings.fhir_base in wrong["error_description"]


@row(4)
def test_a_scope_is_narrowed_and_told_and_refused_only_when_nothing_is_left(here: Deployment) -> None:
    asked = "openid fhirUser profile launch/patient offline_access patient/*.read patient/Nothing.rs internal sandbox"
    granted = here.app.connect(scope=asked)["scope"].split()
    assert {"openid", "fhirUser", "launch/patient", "offline_access"} <= set(granted)
    assert not {"internal", "sandbox", "patient/Nothing.rs"} & set(granted)
    for scope in ("patient/*.rs", "patient/Coverage.rs launch/patient", "user/Coverage.rs"):
        assert here.app.connect(scope=scope)["patient"] == "p1"
    none = redirect_parameters(here.app.authorize(scope="internal sandbox"))
    assert none["error"] == "invalid_scope"
    assert "internal sandbox" in none["error_description"]
    registered_scope = new_app(here.web, here.database, here.settings, name="Few", scope="launch/patient patient/*.rs")
    here.web.cookies.clear()
    assert "/sign-in" in registered_scope.authorize(scope=None).headers["location"]


@row(5)
def test_pkce_is_taken_from_every_app_and_asked_of_every_app_and_announced(here: Deployment) -> None:
    for confidential in (False, True):
        authentication = "client_secret_basic" if confidential else "none"
        app = new_app(here.web, here.database, here.settings, name="Any app", authentication=authentication)
        here.web.cookies.clear()
        assert app.connect()["access_token"]
        refused = redirect_parameters(app.authorize(code_challenge=None, code_challenge_method=None))
        assert refused["error"] == "invalid_request"
        assert "PKCE" in refused["error_description"]
    smart = here.get("/fhir/.well-known/smart-configuration").json()
    assert smart["code_challenge_methods_supported"] == ["S256"]
    assert "PKCE" in here.docs("/changelog")


@row(6)
def test_web_apps_reach_the_token_endpoint_and_the_fhir_api_without_a_relay(here: Deployment) -> None:
    allowed = "access-control-allow-origin"
    for path in ("/token", "/revoke"):
        preflight = here.web.options(path, headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"})
        assert (preflight.status_code, preflight.headers[allowed]) == (204, ORIGIN)
        answer = here.web.post(path, data={"client_id": here.app.client_id}, headers={"Origin": ORIGIN})
        assert answer.headers[allowed] == ORIGIN
        assert allowed not in here.web.options(path, headers={"Origin": FOREIGN}).headers
        assert "origin" in answer.headers["vary"].lower()
    for origin in (ORIGIN, FOREIGN):
        for path in ("metadata", "Patient/p1", ".well-known/smart-configuration"):
            assert here.get(path, origin=origin).headers[allowed] == "*"
        assert here.web.options("/fhir/Patient", headers={"Origin": origin}).headers[allowed] == "*"


@row(7)
@pytest.mark.parametrize(
    "accept", ["application/json+fhir", "application/fhir+json", "application/json", "*/*", "application/*", ""]
)
def test_every_way_to_ask_for_json_gets_fhir_json(here: Deployment, accept: str) -> None:
    reply = here.get("Patient/p1", accept=accept)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("application/fhir+json")


@row(8)
def test_pages_end_lead_back_and_never_lead_to_themselves(here: Deployment) -> None:
    pages = here.pages(f"{RESOURCES_OF_CLAIMS}?_count=4")
    found = names(*pages)
    assert [len(page["entry"]) for page in pages] == [4, 4, 2]
    assert len(found) == len(set(found)) == 10
    for page in pages:
        assert links(page).get("next") != links(page)["self"]
        assert "prev" not in links(page)
    assert ["previous" in links(page) for page in pages] == [False, True, True]
    back = here.get(links(pages[2])["previous"]).json()
    assert names(back) == names(pages[1])
    cut = links(pages[0])["next"][:-3]
    assert (here.get(cut).status_code, error_code(here.get(cut))) == (400, "cursor-invalid")


@row(9)
def test_the_token_response_names_the_member_and_a_search_finds_exactly_them(here: Deployment) -> None:
    assert here.token["patient"] == "p1"
    assert here.app.refresh(here.app.connect()["refresh_token"]).json()["patient"] == "p1"
    bundle = here.get("Patient").json()
    assert (bundle["total"], names(bundle)) == (1, ["Patient/p1"])


@row(10)
def test_a_coverage_is_found_by_patient_and_by_beneficiary(here: Deployment) -> None:
    for query in ("patient=p1", "beneficiary=p1", "patient=Patient/p1", "beneficiary=Patient/p1"):
        assert names(here.get(f"Coverage?{query}").json()) == ["Coverage/gold"]


@row(11)
def test_the_first_page_of_everything_comes_at_once_however_much_there_is(here: Deployment) -> None:
    token = factories.token(here.database, "p2").text
    begun = time.perf_counter()
    first = here.get("Patient/p2/$everything?_count=20", token).json()
    assert time.perf_counter() - begun < 2
    assert len(names(first)) == 20
    assert "next" in links(first)


@row(12)
def test_a_line_of_business_not_served_is_told_before_sign_in_and_by_a_code(here: Deployment, tmp_path: Path) -> None:
    units = tmp_path / "units.toml"
    units.write_text(COMMERCIAL)
    note = "Employer plans: use the employer portal."
    own = here.settings.model_copy(update={"reporting_units_file": units, "lines_not_served_note": note})
    cora = factories.patient("cora")
    group = {"type": concept("http://terminology.hl7.org/CodeSystem/coverage-class", "group"), "value": "EMPLOYER"}
    covered = coverage("employer", cora, PAYER) | {"class": [group], "period": {"start": "2026-01-01"}}
    factories.store(here.database, own, [cora, covered])
    add_account(here.database, "cora", PASSWORD, "Cora", [("cora",)])
    with TestClient(create_app(own), base_url=own.base_url, follow_redirects=False) as web:
        app = new_app(web, here.database, own, name="Of Cora")
        sign_in = web.get(app.authorize().headers["location"]).text
        assert "For members of these plans: Medicare Advantage" in " ".join(sign_in.split())
        assert note in sign_in
        denied = redirect_parameters(app.decide(app.consent_page("cora"), "deny"))
        assert denied["error"] == "access_denied"
        assert "line_of_business_not_served" in denied["error_description"]
    refused = here.get("Patient", factories.token(here.database, "cora").text)
    assert (refused.status_code, error_code(refused)) == (401, "line-of-business-not-served")


@row(13)
def test_errors_are_json_from_every_layer(here: Deployment) -> None:
    html = {"Accept": "text/html,application/xml"}
    bearer = {"Authorization": f"Bearer {here.token['access_token']}"}
    requests = [
        ("GET", "/fhir/Patient", {}),
        ("GET", "/fhir/Patient", bearer | html),
        ("GET", "/fhir/Patient?_format=xml", bearer),
        ("GET", "/fhir/Nothing", bearer),
        ("GET", "/fhir", bearer),
        ("GET", "/fhir/.well-known/nothing", bearer),
        ("GET", "/fhir/Patient/unknown", bearer),
        ("PUT", "/fhir/Patient/p1", bearer),
        ("BREW", "/fhir/Patient", bearer),
        ("POST", "/fhir/Patient/_search", bearer | {"Content-Type": "text/xml"}),
        ("POST", "/fhir/metadata", {}),
        ("POST", "/token", {}),
        ("GET", "/token", html),
        ("POST", "/revoke", {"Content-Type": "text/xml"}),
        ("POST", "/introspect", {}),
        ("POST", "/par", {}),
        ("GET", "/userinfo", {}),
        ("DELETE", "/jwks", {}),
        ("POST", "/fhir/.well-known/smart-configuration", {}),
        ("POST", "/register", {"Content-Type": "application/json"}),
    ]
    for method, path, headers in requests:
        reply = here.web.request(method, path, headers=headers, content=b"<xml/>" if method == "POST" else None)
        assert 400 <= reply.status_code < 500, path
        assert "json" in reply.headers["content-type"], path
        if path.startswith("/fhir") and ".well-known/smart" not in path:
            assert reply.json()["resourceType"] == "OperationOutcome", path
        else:
            assert reply.json()["error"], path


def test_an_error_of_the_server_itself_is_json_too(here: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(FHIRApplication, "_check_scope", broken)
    reply = here.get("Patient")
    assert (reply.status_code, reply.json()["resourceType"]) == (500, "OperationOutcome")
    assert "broken on purpose" not in reply.text


@row(14)
def test_every_reference_served_can_be_read_below_the_same_base_by_the_same_token(here: Deployment) -> None:
    base = here.settings.fhir_base
    followed = set()
    for page in here.pages("Patient/p1/$everything?_count=5"):
        for entry in page["entry"]:
            resource = entry["resource"]
            assert entry["fullUrl"] == f"{base}/{resource['resourceType']}/{resource['id']}"
            contained = {one["id"] for one in resource.get("contained", [])}
            for target in references(resource):
                if target.startswith("#"):
                    assert target[1:] in contained
                    continue
                assert not target.startswith("urn:")
                assert target.startswith(base + "/") or "://" not in target
                followed.add(target.removeprefix(base + "/"))
    assert len(followed) >= 5
    for target in followed:
        reply = here.get(target)
        assert (reply.status_code, reply.json()["id"]) == (200, target.split("/")[1]), target


def references(value: Any) -> Iterator[str]:
    """Every literal reference in a resource."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


@row(15)
def test_the_metadata_lists_exactly_the_types_that_are_served(here: Deployment) -> None:
    rest = here.get("/fhir/metadata").json()["rest"][0]
    listed = {
        one["type"]: {interaction["code"] for interaction in one.get("interaction", [])} for one in rest["resource"]
    }
    token = here.token["access_token"]
    served = {type for type, codes in listed.items() if "search-type" in codes and type in RESOURCES}
    assert served == set(RESOURCES)
    for type in served:
        assert here.get(f"{type}?_count=1", token).status_code == 200, type
    for type in {"DetectedIssue", "ResearchStudy", "Claim", "Account", "Group"} - set(listed):
        assert (here.get(type).status_code, error_code(here.get(type))) == (404, "type-not-served")


@row(16)
def test_refreshing_in_parallel_keeps_the_grant_and_its_scope(here: Deployment) -> None:
    first = here.app.connect()
    second, third = (here.app.refresh(first["refresh_token"], scope=scope) for scope in (None, first["scope"]))
    for reply in (second, third):
        assert reply.status_code == 200
        assert set(reply.json()["scope"].split()) == set(first["scope"].split())
        assert reply.json()["refresh_token"] != first["refresh_token"]
        assert here.app.read(reply.json()["access_token"]) == 200
    assert here.app.read(first["access_token"]) == 200
    known = here.app.introspect(second.json()["refresh_token"])
    assert known["active"] is True
    assert known["exp"] > clock.now_microseconds() // 1_000_000 + 300 * 86_400
    assert f"the old one works {here.settings.refresh_grace_seconds} seconds longer" in here.docs("/limits")


@row(17)
def test_there_is_one_way_to_say_that_the_limit_is_reached_and_it_is_published(here: Deployment) -> None:
    own = here.settings.model_copy(update={"rate_limit_per_minute": 2})
    token = factories.token(here.database, "p1", client_id="hasty").text
    with TestClient(create_app(own), base_url=own.base_url) as web:
        replies = [web.get("/fhir/Patient", headers={"Authorization": f"Bearer {token}"}) for _ in range(6)]
        words = re.sub(r"<[^>]*>", "", web.get("/docs/limits").text)
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused
    for reply in replies:
        assert not [name for name in reply.headers if "ratelimit" in name.lower()]
    for reply in refused:
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert error_code(reply) == "throttled"
    assert "2 requests a minute" in words
    assert "Retry-After" in words


@row(18)
def test_a_member_may_take_a_quarter_of_an_hour_to_sign_in_and_the_state_survives(here: Deployment) -> None:
    start = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with clock.set_to(start):
        asked = here.app.authorize(state="as it was, é")
    with clock.set_to(start + timedelta(minutes=15)):
        consent = here.app.sign_in(asked.headers["location"])
    with clock.set_to(start + timedelta(minutes=29)):
        answer = here.app.decide(here.web.get(consent.headers["location"]))
        assert redirect_parameters(answer)["state"] == "as it was, é"
        assert here.app.exchange(redirect_parameters(answer)["code"]).status_code == 200


@row(19)
def test_whether_the_server_is_up_can_be_asked_and_a_canary_can_try_it(here: Deployment) -> None:
    ready = here.web.get("/readyz")
    assert (ready.status_code, set(ready.json()["checks"].values())) == (200, {"ok"})
    assert here.web.get("/livez").status_code == 200
    assert "/readyz" in here.docs("")
    canary = new_app(here.web, here.database, here.settings, name="Canary", kind="probe")
    here.web.cookies.clear()
    assert here.app.read(canary.connect()["access_token"], "Patient/p1") == 200
    assert {event.client_kind for event in events(here.database, "answer") if event.client_id == canary.client_id} == {
        "probe"
    }


@row(20)
def test_an_app_has_its_client_id_at_once_by_written_criteria(here: Deployment) -> None:
    begun = time.perf_counter()
    information = registered(here.web)
    app = SmartApp(here.web, here.settings, information["client_id"])
    app.secret, app.authentication = information.get("client_secret"), information["token_endpoint_auth_method"]
    token = app.connect()
    assert app.read(token["access_token"], "Patient/p1") == 200
    assert time.perf_counter() - begun < 60
    criteria = here.web.get("/docs/app-criteria.json").json()
    assert criteria["criteria"]
    assert all(one["id"] for one in criteria["criteria"])


@row(21)
def test_an_unknown_parameter_is_named_and_refused_only_for_who_wants_it(here: Deployment) -> None:
    for name in ("count", "_Count", "foo"):
        target = f"Coverage?{name}=1"
        lenient = here.get(target)
        assert lenient.status_code == 200
        (outcome,) = [entry for entry in lenient.json()["entry"] if entry["search"]["mode"] == "outcome"]
        issue = outcome["resource"]["issue"][0]
        assert issue["severity"] == "warning"
        assert f"'{name}'" in issue["diagnostics"]
        assert here.get(target, prefer="handling=lenient").status_code == 200
        strict = here.get(target, prefer="handling=strict")
        assert (strict.status_code, error_code(strict)) == (400, "parameter-unknown")
    old = here.get("Coverage?_lastUpdated=ge2010-01-01", prefer="handling=strict")
    assert names(old.json()) == ["Coverage/gold"]
    refused = here.app.authorize(redirect_uri=REDIRECT_URI + "/")
    assert "location" not in refused.headers
    assert "character by character" in refused.text


@row(22)
def test_who_and_what_a_claim_names_can_be_read_in_plain_words(here: Deployment) -> None:
    target = f"{RESOURCES_OF_CLAIMS}?_id=claim-01"
    included = "&".join(f"_include={RESOURCES_OF_CLAIMS}:{name}" for name in ("provider", "insurer", "care-team"))
    entries = here.get(f"{target}&{included}").json()["entry"]
    claim = next(entry["resource"] for entry in entries if entry["search"]["mode"] == "match")
    actors = {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}": entry["resource"]
        for entry in entries
        if entry["search"]["mode"] == "include"
    }
    team = claim["careTeam"][0]["provider"]
    for one in (claim["provider"], claim["insurer"], team):
        actor = actors[one["reference"]]
        assert actor["name"]
        assert actor["identifier"]
    assert team["display"] == "Hanna Healer"
    assert claim["item"][0]["productOrService"]["text"] == "A visit to the office"
    for type, resource in RESOURCES.items():
        assert resource.title in here.docs("/searches"), type


@row(23)
def test_without_demographics_the_patient_is_refused_with_a_code_and_still_named(here: Deployment) -> None:
    token = here.app.share(scope="launch/patient patient/*.rs", withheld=["demographics"])
    assert token["patient"] == "p1"
    refused = here.get("Patient/p1", token["access_token"])
    assert (refused.status_code, error_code(refused)) == (403, "scope-missing")
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert here.app.read(token["access_token"], "Coverage") == 200
    assert "patient of the token response still names the member" in here.docs("")


@row(24)
def test_the_metadata_and_the_smart_configuration_name_the_same_endpoints(here: Deployment) -> None:
    security = here.get("/fhir/metadata").json()["rest"][0]["security"]
    (extension,) = [one for one in security["extension"] if one["url"].endswith("/oauth-uris")]
    uris = {one["url"]: one["valueUri"] for one in extension["extension"]}
    smart = here.get("/fhir/.well-known/smart-configuration").json()
    for name, key in (
        ("authorize", "authorization_endpoint"),
        ("token", "token_endpoint"),
        ("register", "registration_endpoint"),
        ("revoke", "revocation_endpoint"),
        ("introspect", "introspection_endpoint"),
        ("manage", "management_endpoint"),
    ):
        assert uris.pop(name) == smart[key]
    assert uris == {}


@row(25)
def test_a_claim_that_strict_parsers_refuse_is_not_taken_in(here: Deployment, tmp_path: Path) -> None:
    store = Store(here.database, here.settings, tmp_path)
    whole = explanation_of_benefit("strict", ADA)
    without_focal = whole | {"insurance": [{"coverage": reference(GOLD)}]}
    without_provider = {name: value for name, value in whole.items() if name != "provider"}
    with_r5_element = whole | {"diagnosisRelatedGroup": concept("https://payer.example/codes", "x")}
    for broken, path in (
        (without_focal, "insurance"),
        (without_provider, "provider"),
        (with_r5_element, "diagnosisRelatedGroup"),
    ):
        report = store.load(broken)
        assert report.exit_code == 1
        assert path in str(report)
        assert here.get(f"{RESOURCES_OF_CLAIMS}/strict").status_code == 404


@row(26)
def test_an_address_has_its_version_announces_its_end_and_tells_its_changes_to_programs(here: Deployment) -> None:
    own = here.settings.model_copy(update={"base_url": "https://api.payer.example/v1"})
    own = Settings.model_validate(own.model_dump() | {"deprecated_since": "2026-11-01", "sunset_at": "2027-11-01"})
    with TestClient(create_app(own), base_url="https://api.payer.example") as web:
        reply = web.get("/v1/fhir/metadata")
        smart = web.get("/v1/fhir/.well-known/smart-configuration").json()
        changes = web.get("/v1/docs/changelog.json")
    assert reply.json()["implementation"]["url"] == "https://api.payer.example/v1/fhir"
    assert smart["token_endpoint"] == "https://api.payer.example/v1/token"
    assert reply.headers["deprecation"] == "@1793491200"
    assert reply.headers["sunset"] == "Mon, 01 Nov 2027 00:00:00 GMT"
    assert "https://api.payer.example/v1/docs/changelog" in reply.headers["link"]
    assert changes.status_code == 200
    assert changes.json()
    assert "deprecation" not in here.get("/fhir/metadata").headers


def test_every_row_of_the_list_has_its_test_and_none_is_stale() -> None:
    shared = Path(os.environ.get("SHARED") or ROOT.parent / "shared")
    path = shared / "requirements" / "quirks-and-lessons.md"
    if not path.is_file():
        pytest.skip(f"no list of quirks at {path}; name its directory with SHARED")
    listed = [int(number) for number in re.findall(r"^\| (\d+) \|", path.read_text("utf-8"), re.MULTILINE)]
    assert len(listed) == len(set(listed))
    assert sorted(ROWS) == sorted(listed)

"""Every persona's answer key, checked as an app would: sign in, allow, search, and add up what is served.

https://hl7.org/fhir/us/carin-bb/ and https://hl7.org/fhir/us/davinci-pdex/ - nothing here reads a file of records.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from seed_data.expected import expected
from seed_data.generate import EVERYONE, MEMBERS, write_ndjson
from seed_data.personas import FIVE_THOUSAND, LOGINS
from server import clock
from server.app import create_app
from server.ingest.load import load
from server.sandbox import add_sign_ins
from server.settings import Settings
from server.specification.registry import RESOURCES
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp, new_app, redirect_parameters
from tests.factories import token as granted
from tests.lasting import lasting_database, settings_of

Record = dict[str, Any]
NOW = datetime(2026, 11, 2, 15, tzinfo=UTC)
"""The day after as-of: what the answer key says of the day holds."""
DECISIONS = {"A1": "approved", "A2": "partially-approved", "A3": "denied", "A4": "pended", "C": "cancelled"}
PASSWORD = {login.username: login.password for login in LOGINS}
PERSONAS = [member.key for member in EVERYONE]


@cache
def answer(key: str) -> Record:
    """What is expected of a persona."""
    return next(member for member in document()["members"] if member["key"] == key)


@cache
def document() -> Record:
    found: Record = json.loads(json.dumps(expected()))
    return found


@dataclass(slots=True)
class Payer:
    """The sandbox's members behind two doors: one that refuses former members, and one that does not."""

    database: Database
    settings: Settings
    strict: SmartApp
    lenient: SmartApp
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    def app(self, member: Record) -> SmartApp:
        """The door that shows this member's records."""
        return self.lenient if member["refused"] else self.strict

    def token(self, username: str, member: Record) -> str:
        """An access token from the whole dance: authorize, sign in, choose the member, allow, exchange."""
        key = (username, member["patient"])
        if key not in self.tokens:
            app = self.app(member)
            code = redirect_parameters(app.decide(consent_page(app, username), patient=member["patient"]))["code"]
            response = app.exchange(code)
            assert response.status_code == 200, response.text
            assert response.json()["patient"] == member["patient"]
            self.tokens[key] = response.json()["access_token"]
        return self.tokens[key]

    def records(self, member: Record, type: str) -> list[Record]:
        """Every resource of a type, page by page; the total of the first page is their number."""
        app, access = self.app(member), self.token(member["seenBy"][0]["username"], member)
        found: list[Record] = []
        page = asked(app, access, f"{type}?_count=500")
        total = page["total"]
        while True:
            found += [entry["resource"] for entry in page.get("entry", ())]
            following = [link["url"] for link in page["link"] if link["relation"] == "next"]
            if not following:
                break
            page = asked(app, access, following[0])
        assert len(found) == total
        return found


def consent_page(app: SmartApp, username: str) -> Response:
    """Sign in as one person, in a browser that knows nobody yet."""
    app.web.cookies.clear()
    response = app.sign_in(app.authorize().headers["location"], username, PASSWORD[username])
    return app.web.get(response.headers["location"])


def asked(app: SmartApp, access: str, target: str) -> Record:
    """The answer to a search, decimals as they were written."""
    url = target if target.startswith("http") else f"/fhir/{target}"
    response = app.web.get(url, headers={"Authorization": f"Bearer {access}"})
    assert response.status_code == 200, response.text
    page: Record = json.loads(response.text, parse_float=Decimal)
    return page


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def payer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Payer]:
    """The personas, loaded once; those with thousands of claims on one kind of database."""
    members = EVERYONE if request.param == "sqlite" else MEMBERS
    with lasting_database(request.param, request) as url, clock.set_to(NOW), ExitStack() as stack:
        settings = settings_of(url, former_members="refuse", rate_limit_per_minute=0)
        database = Database(settings)
        report = load(database, settings, write_ndjson(tmp_path_factory.mktemp("seed"), members=members))
        assert report.exit_code == 0, report
        add_sign_ins(database, settings.model_copy(update={"sandbox_heavy": request.param == "sqlite"}))
        apps = []
        for former in ("refuse", "allow"):
            own = settings.model_copy(update={"former_members": former})
            web = TestClient(create_app(own), base_url=settings.base_url, follow_redirects=False)
            apps.append(new_app(stack.enter_context(web), database, own, name=f"App {former}"))
        yield Payer(database, settings, *apps)
        database.engine.dispose()


@pytest.fixture(params=PERSONAS)
def member(request: pytest.FixtureRequest, payer: Payer) -> Record:
    """A persona's answer; the heavy one only where it is loaded."""
    if request.param == FIVE_THOUSAND.key and not payer.settings.database_url.startswith("sqlite"):
        return answer(PERSONAS[0])
    return answer(request.param)


def claims_of(payer: Payer, member: Record) -> list[Record]:
    return [record for record in payer.records(member, "ExplanationOfBenefit") if record["use"] == "claim"]


def test_a_search_of_each_type_finds_as_many_as_expected(payer: Payer, member: Record) -> None:
    app, access = payer.app(member), payer.token(member["seenBy"][0]["username"], member)
    shared = {"Organization", "Practitioner", "PractitionerRole", "Location", "Endpoint", "Medication"}
    totals = {name: asked(app, access, f"{name}?_count=1")["total"] for name in sorted(set(RESOURCES) - shared)}
    assert {name: total for name, total in totals.items() if total} == member["resources"]


def test_the_member_is_who_is_told(payer: Payer, member: Record) -> None:
    (patient,) = payer.records(member, "Patient")
    official = next(name for name in patient["name"] if name["use"] == "official")
    assert f"{official['given'][0]} {official['family']}" == member["name"]
    assert (patient["id"], patient["birthDate"]) == (member["patient"], member["birthDate"])


def test_the_plans_in_force_and_the_units_they_are_reported_under(payer: Payer, member: Record) -> None:
    day = document()["asOf"]
    current = []
    for coverage in payer.records(member, "Coverage"):
        period = coverage["period"]
        if coverage["status"] == "active" and period["start"] <= day <= period.get("end", "9999"):
            values = {row["type"]["coding"][0]["code"]: row["value"] for row in coverage["class"]}
            current.append({"plan": values["plan"], "unit": values["group"]})
    assert sorted(current, key=str) == sorted(member["current"], key=str)


def test_claims_by_profile_status_and_payment(payer: Payer, member: Record) -> None:
    profiles: dict[str, Counter[str]] = defaultdict(lambda: Counter(active=0, cancelled=0))
    payments = Counter[str]()
    for claim in claims_of(payer, member):
        profile = claim["meta"]["profile"][0].partition("|")[0].partition("C4BB-ExplanationOfBenefit-")[2]
        profiles[profile][claim["status"]] += 1
        if claim["status"] == "active":
            payments[claim["payment"]["type"]["coding"][0]["code"]] += 1
    assert profiles == member["claims"]
    assert payments == member["payments"]


def amounts(claim: Record) -> Counter[str]:
    """The amounts by category: added up over the lines, or those of the header where the lines have none."""
    lines = [row for item in claim["item"] for row in item.get("adjudication", ())]
    found: Counter[str] = Counter()
    for row in lines if any("amount" in line for line in lines) else claim["adjudication"]:
        if "amount" in row:
            found[row["category"]["coding"][0]["code"]] += row["amount"]["value"]
    return found


def test_the_sums_of_what_was_billed_paid_and_is_owed(payer: Payer, member: Record) -> None:
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for claim in claims_of(payer, member):
        if claim["status"] == "active":
            focal = next(row for row in claim["insurance"] if row["focal"])
            found, sums = amounts(claim), totals[focal["coverage"]["reference"].partition("/")[2]]
            sums["submitted"] += found["submitted"]
            sums["paidByPlan"] += found["paidtoprovider"] + found["paidtopatient"]
            sums["memberLiability"] += found["memberliability"]
    assert {cover: {name: f"{sum:.2f}" for name, sum in row.items()} for cover, row in totals.items()} == member[
        "totals"
    ]


def part(extensions: list[Record], name: str) -> Record:
    """The extension of this name, or {}."""
    return next((row for row in extensions if row["url"].rpartition("/")[2] == name), {})


def units(item: Record) -> Record:
    values = {row["category"]["coding"][0]["code"]: row.get("value", 0) for row in item["adjudication"]}
    return {
        "requested": int(item["quantity"]["value"]),
        "approved": int(values.get("allowedunits", 0)),
        "used": int(values.get("consumedunits", 0)),
    }


def told(authorization: Record) -> Record:
    """What an app reads from a prior authorization."""
    review = part(authorization["adjudication"][0].get("extension", []), "extension-reviewAction").get("extension", [])
    action = part(review, "extension-reviewActionCode").get("valueCodeableConcept")
    reason = part(review, "reasonCode").get("valueCodeableConcept")
    (period,) = authorization.get("preAuthRefPeriod", [{}])
    expires = period.get("end")
    return {
        "number": authorization["identifier"][0]["value"],
        "what": authorization["item"][0]["productOrService"]["text"],
        "status": authorization["status"],
        "decision": DECISIONS[action["coding"][0]["code"]] if action else "none",
        "reason": {"code": reason["coding"][0]["code"], "text": reason["text"]} if reason else None,
        "priority": {"stat": "expedited", "normal": "standard"}[authorization["priority"]["coding"][0]["code"]],
        "units": [units(item) for item in authorization["item"]],
        "expires": expires,
        "expired": bool(expires) and expires < document()["asOf"],
    }


def test_what_became_of_each_prior_authorization(payer: Payer, member: Record) -> None:
    found = [r for r in payer.records(member, "ExplanationOfBenefit") if r["use"] == "preauthorization"]
    assert sorted((told(row) for row in found), key=lambda row: str(row["number"])) == member["authorizations"]


def test_everybody_who_may_see_the_member_can_allow_it(payer: Payer, member: Record) -> None:
    for one in member["seenBy"]:
        found = asked(payer.app(member), payer.token(one["username"], member), "Patient")
        assert [entry["resource"]["id"] for entry in found["entry"]] == [member["patient"]]


def test_nobody_else_is_offered_the_member(payer: Payer) -> None:
    loaded = [m for m in document()["members"] if m["key"] != FIVE_THOUSAND.key]
    seen = {(one["username"], m["patient"]) for m in loaded for one in m["seenBy"]}
    several = {"castellanos", "silva-rowe", "okonjo-hale", "petrov", "whitlock-dara", "santos-first", "petrov-niko"}
    for username in sorted(several):
        page = consent_page(payer.strict, username).text
        offered = {m["patient"] for m in loaded if f'value="{m["patient"]}"' in page}
        assert offered == {patient for name, patient in seen if name == username}


def test_a_parents_authority_ends_when_the_child_comes_of_age(payer: Payer) -> None:
    teen = answer("petrov-niko")
    until = next(one["until"] for one in teen["seenBy"] if one["username"] == "petrov")
    assert until == "2026-12-12"
    with clock.set_to(datetime(2026, 12, 12, 15, tzinfo=UTC)):
        assert teen["name"] in consent_page(payer.strict, "petrov").text
    with clock.set_to(datetime(2026, 12, 13, 15, tzinfo=UTC)):
        assert teen["name"] not in consent_page(payer.strict, "petrov").text
        assert teen["name"] in consent_page(payer.strict, "petrov-niko").text


@pytest.mark.parametrize("key", [row["key"] for row in document()["members"] if row["refused"]])
def test_apps_of_former_members_are_refused(payer: Payer, key: str) -> None:
    member = answer(key)
    access = granted(payer.database, member["patient"]).text
    response = payer.strict.web.get("/fhir/Patient", headers={"Authorization": f"Bearer {access}"})
    assert response.status_code == member["refused"]["status"]
    assert response.json()["issue"][0]["details"]["coding"][0]["code"] == member["refused"]["code"]
    assert payer.lenient.read(access) == 200


def test_claims_of_sensitive_matters_are_labelled(payer: Payer) -> None:
    claims = claims_of(payer, answer("mercer-quinn"))
    labels = {row["code"] for claim in claims for row in claim["meta"].get("security", ())}
    assert {"BH", "ETH"} <= labels
    assert any("security" not in claim["meta"] for claim in claims)

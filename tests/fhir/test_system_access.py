"""SMART Backend Services at the FHIR API: a client's own token sees one member at a time, named by each request.

https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import insert

from server.authorization.access import Access
from server.authorization.permissions import permissions
from server.fhir.named_member import NamedMember
from server.metrics.transfer import APP_DAY
from server.metrics.usage_report import usage_report
from server.specification.registry import RESOURCES
from server.storage.schema import METADATA
from tests.asgi import Reply
from tests.factories import (
    IDENTIFIERS,
    client,
    concept,
    coverage,
    explanation_of_benefit,
    ledger_rows,
    organization,
    patient,
    provenance,
    record,
    reference,
    token,
)
from tests.lasting import World, lasting_world

ANNA, BEN = patient("anna"), patient("ben", identifier=[{"system": IDENTIFIERS, "value": "member-ben"}])
TWIN = patient("twin", identifier=[{"system": IDENTIFIERS, "value": "member-anna"}])
RECORDS = [
    organization("payer"),
    *(ANNA, BEN, TWIN),
    coverage("gold", ANNA),
    *(explanation_of_benefit(f"anna-{n}", ANNA) for n in range(3)),
    explanation_of_benefit("ben-0", BEN, use="preauthorization"),
    provenance("of-anna", "ExplanationOfBenefit/anna-0"),
    record("Medication", "pill", code=concept("https://codes.example", "pill")),
    record(
        "MedicationRequest",
        "order",
        status="active",
        intent="order",
        subject=reference(BEN),
        medicationReference=reference("Medication/pill"),
    ),
]
EVERYTHING = "system/*.rs"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS) as world:
        client(world.database, "job", kind="payer", authentication="private_key_jwt")
        client(world.database, "third", kind="third-party", authentication="private_key_jwt")
        with world.database.transaction() as transaction:
            transaction.execute(
                insert(METADATA.tables["member"]), {"patient": "ben", "environment": "test", "enrolled": ""}
            )
        yield world


def system_token(world: World, scope: str = EVERYTHING, client_id: str = "job") -> str:
    """The same token again for the same scope."""
    name = f"system {scope} {client_id}"
    if name not in world.tokens:
        own = {"grant_actor": "system", "grant_fhir_user": "", "grant_account": ""}
        world.tokens[name] = token(world.database, "", scope, client_id, **own).text
    return world.tokens[name]


def get(world: World, target: str, scope: str = EVERYTHING, client_id: str = "job") -> Reply:
    return world.served.get(target, system_token(world, scope, client_id))


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("ExplanationOfBenefit?patient=anna", 3),
        ("ExplanationOfBenefit?patient=Patient/anna&_count=1", 3),
        ("ExplanationOfBenefit?patient=http://127.0.0.1:8000/fhir/Patient/ben", 1),
        ("ExplanationOfBenefit?patient=ben&use=claim", 0),
        ("ExplanationOfBenefit?patient=nobody", 0),
        ("ExplanationOfBenefit?patient=anna&patient=ben", 0),
        ("ExplanationOfBenefit?_id=ben-0", 1),
        ("ExplanationOfBenefit?_id=ben-0&patient=anna", 0),
        ("ExplanationOfBenefit?_id=ben-0,anna-0&patient=anna", 1),
        ("Coverage?beneficiary=anna", 1),
        ("Coverage?patient=anna", 1),
        ("Patient?_id=ben", 1),
        (f"Patient?identifier={IDENTIFIERS}|member-ben", 1),
        ("Patient?identifier=member-ben", 1),
        ("Patient?identifier=member-nobody", 0),
        ("Provenance?target=ExplanationOfBenefit/anna-0", 1),
        ("Provenance?_id=of-anna", 1),
        ("Medication?_id=pill", 1),
        ("Organization", 1),
        ("Organization?_id=payer", 1),
    ],
)
def test_a_search_that_names_a_member_is_answered(world: World, target: str, found: int) -> None:
    reply = get(world, target)
    assert (reply.status, reply.json["total"]) == (200, found), reply.body


@pytest.mark.parametrize(
    "target",
    [
        "ExplanationOfBenefit",
        "ExplanationOfBenefit?use=claim",
        "ExplanationOfBenefit?patient=anna,ben",
        "ExplanationOfBenefit?_id=anna-0,ben-0",
        "ExplanationOfBenefit?patient=",
        "ExplanationOfBenefit?patient:missing=false",
        "Patient",
        "Patient?gender=female",
        f"Patient?identifier={IDENTIFIERS}|member-anna",
        f"Patient?identifier={IDENTIFIERS}|",
        "Provenance",
        "Medication",
        "Coverage?_count=0",
    ],
)
def test_a_search_that_names_no_single_member_says_how(world: World, target: str) -> None:
    reply = get(world, target)
    assert reply.status == 400
    (issue,) = reply.json["issue"]
    assert issue["details"]["coding"][0]["code"] == "member-not-named"
    assert "_id=" in issue["diagnostics"]


def test_a_search_by_post_names_the_member_in_its_form(world: World) -> None:
    reply = world.served.post("ExplanationOfBenefit/_search", system_token(world), [("patient", "anna")])
    assert (reply.status, reply.json["total"]) == (200, 3)


def test_pages_follow(world: World) -> None:
    first = get(world, "ExplanationOfBenefit?patient=anna&_count=2")
    second = get(world, first.links["next"])
    assert (len(first.ids()), len(second.ids()), second.json["total"]) == (2, 1, 3)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("Patient/anna", 200),
        ("ExplanationOfBenefit/ben-0", 200),
        ("ExplanationOfBenefit/ben-0/_history/1", 200),
        ("ExplanationOfBenefit/unknown", 404),
        ("Provenance/of-anna", 200),
        ("Medication/pill", 200),
        ("Organization/payer", 200),
    ],
)
def test_a_read_finds_the_member_by_itself(world: World, target: str, status: int) -> None:
    assert get(world, target).status == status


@pytest.mark.parametrize(
    ("scope", "target", "status"),
    [
        ("system/Coverage.rs", "Coverage/gold", 200),
        ("system/Coverage.rs", "Patient/anna", 403),
        ("system/Coverage.r", "Coverage?patient=anna", 403),
        ("patient/*.rs user/*.rs", "Coverage/gold", 403),
        ("openid fhirUser", "Patient/anna", 403),
        ("system/ExplanationOfBenefit.rs?use=preauthorization", "ExplanationOfBenefit/ben-0", 200),
        ("system/ExplanationOfBenefit.rs?use=preauthorization", "ExplanationOfBenefit/anna-0", 404),
        ("system/*.rs?use=claim", "ExplanationOfBenefit/anna-0", 403),
    ],
)
def test_system_scopes_alone_permit(world: World, scope: str, target: str, status: int) -> None:
    assert get(world, target, scope).status == status


def test_finer_grained_system_scopes_hold_for_searches(world: World) -> None:
    scope = "system/ExplanationOfBenefit.rs?use=preauthorization"
    assert get(world, "ExplanationOfBenefit?patient=anna", scope).json["total"] == 0
    assert get(world, "ExplanationOfBenefit?patient=ben", scope).json["total"] == 1


def test_a_members_token_gains_nothing_by_system_scopes(world: World) -> None:
    for scope in ("system/*.rs", "patient/Coverage.rs system/*.rs"):
        assert world.served.get("ExplanationOfBenefit/anna-0", world.token("anna", scope)).status == 403
    assert world.served.get("ExplanationOfBenefit/ben-0", world.token("anna", "system/*.rs patient/*.rs")).status == 404


def test_the_second_door_refuses_a_members_access(world: World) -> None:
    named = NamedMember(world.database, world.settings)
    access = Access(
        "app", "third-party", "g", "anna", "self", "production", "patient/*.rs", permissions("patient/*.rs")
    )
    for row in RESOURCES.values():
        for asked in (named.of_resource(access, row, "x"), named.of_search(access, row, [("_id", "x")])):
            with pytest.raises(RuntimeError):
                world.served.runner.run(asked)


def test_the_ledger_names_the_member_that_was_found(world: World) -> None:
    reply = get(world, "ExplanationOfBenefit?patient=ben")
    (row,) = ledger_rows(world.database, request_id=reply.request_id)
    assert (row.patient, row.actor, row.client_kind, row.resources) == ("ben", "system", "payer", 1)
    assert row.environment == "test"  # Ben is a test member
    reply = get(world, "ExplanationOfBenefit/anna-0")
    (row,) = ledger_rows(world.database, request_id=reply.request_id)
    assert (row.patient, row.actor, row.environment) == ("anna", "system", "production")


def test_the_ledger_names_nobody_when_nobody_was_found(world: World) -> None:
    for target in ("ExplanationOfBenefit", "ExplanationOfBenefit?patient=nobody", "Organization"):
        (row,) = ledger_rows(world.database, request_id=get(world, target).request_id)
        assert (row.patient, row.actor) == ("", "system")


@pytest.mark.parametrize("client_id", ["job", "third"])
def test_what_a_client_gets_for_itself_is_never_counted_as_patient_access(world: World, client_id: str) -> None:
    before = usage_report(world.database, world.settings, year=2026)
    reply = get(world, "ExplanationOfBenefit?patient=anna", client_id=client_id)
    (row,) = ledger_rows(world.database, request_id=reply.request_id)
    assert (row.status, row.patient, row.resources, row.environment) == (200, "anna", 3, "production")
    assert row.client_kind != "third-party"
    after = usage_report(world.database, world.settings, year=2026)
    assert (after.total.values, after.transfers) == (before.total.values, before.transfers) == ((0, 0), 0)
    assert after.answers == before.answers + 1
    slug = {"job": "own-portal", "third": "sibling-api"}[client_id]
    assert slug in {exclusion.slug for exclusion in APP_DAY.exclusions}
    removed = {each.slug: each.answers for each in after.removed}
    assert removed[slug] == {e.slug: e.answers for e in before.removed}[slug] + 1

"""SMART finer-grained scopes at the FHIR API: what criteria leave out, judged by the index and by a version's own body alike.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from collections.abc import Iterator
from itertools import product

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.authorization.permissions import permissions
from server.authorization.scopes import withhold
from server.fhir.indexing import index_entries
from server.fhir.scope_check import is_in_scope, is_met
from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES
from server.storage.database import Database
from server.storage.patient_compartment import PatientCompartment
from server.storage.query import AnyOfCriterion, SearchQuery, TokenAlternative, TokenCriterion
from tests.conformance.household import ANNA as HOUSEHOLD
from tests.conformance.household import BORIS
from tests.conformance.test_isolation import load_household
from tests.conformance.two_members import DIRECTORY as SHARED_DIRECTORY
from tests.conformance.two_members import versions
from tests.factories import (
    Record,
    concept,
    explanation_of_benefit,
    identifier,
    organization,
    patient,
    provenance,
    record,
    reference,
    store,
)
from tests.lasting import FHIR_BASE, World, lasting_world

SYSTEM, OTHER = "https://codes.example/category", "https://other.example/category"
LABORATORY, VITAL_SIGNS = concept(SYSTEM, "laboratory"), concept(SYSTEM, "vital-signs")
ANNA, MOTHER = patient("anna"), record("RelatedPerson", "mother", patient=reference("Patient/anna"))


def observation(id: str, *categories: Record, **elements: object) -> Record:
    return record(
        "Observation",
        id,
        **{
            "status": "final",
            "subject": reference(ANNA),
            "code": concept(SYSTEM, "code"),
            "category": list(categories),
        }
        | elements,
    )


MANY = [
    observation(f"many-{n}", *[concept(system, code) for system, code in categories], status=status)
    for n, (categories, status) in enumerate(
        product(
            (
                [(SYSTEM, "a")],
                [(SYSTEM, "b")],
                [(OTHER, "a")],
                [(SYSTEM, "a"), (SYSTEM, "b")],
                [(SYSTEM, "b"), (OTHER, "c")],
            ),
            ("final", "amended"),
        )
    )
]
PAYERS = [organization("payer"), organization("other", identifier=[identifier("a", SYSTEM), identifier("b", OTHER)])]
MOVED, RETURNED = observation("moved", LABORATORY), observation("returned", VITAL_SIGNS)
RECORDS = [
    *PAYERS,
    *(ANNA, MOTHER, patient("ben")),
    *MANY,
    observation("lab", LABORATORY),
    *(MOVED, RETURNED),
    explanation_of_benefit("claim", ANNA, type=concept(SYSTEM, "oral")),
    explanation_of_benefit("authorization", ANNA, use="preauthorization"),
    provenance("of-moved", MOVED),
    provenance("of-claim", "ExplanationOfBenefit/claim"),
    provenance("of-authorization", "ExplanationOfBenefit/authorization"),
]
SECOND_VERSIONS = [
    MOVED | {"category": [VITAL_SIGNS]},
    RETURNED | {"category": [LABORATORY]},
    provenance("of-moved", "Observation/lab"),
]
LABS = f"patient/Observation.rs?category={SYSTEM}|laboratory"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, RECORDS) as world:
        store(world.database, world.settings, SECOND_VERSIONS)
        yield world


@pytest.fixture(scope="module")
def opened(world: World) -> Iterator[Database]:
    """A database of that world, open in the event loop of its requests."""
    database = Database(world.settings)
    world.served.runner.run(database.open())
    yield database
    world.served.runner.run(database.close())
    database.engine.dispose()


def get(world: World, target: str, scope: str, **headers: str):
    return world.served.get(target, world.token("anna", scope), **headers)


# -- the index and the body say the same -------------------------------------------------------------------------------

_alternatives = st.builds(
    TokenAlternative, st.sampled_from([None, SYSTEM, OTHER, ""]), st.sampled_from(["a", "b", "c", "final"])
) | st.sampled_from([TokenAlternative(SYSTEM, None), TokenAlternative(OTHER, None)])
_conditions = st.lists(
    st.builds(
        TokenCriterion,
        st.sampled_from(["category", "status", "identifier"]),
        st.lists(_alternatives, min_size=1, max_size=3).map(tuple),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(criterion=st.lists(_conditions, max_size=3).map(lambda some: AnyOfCriterion(tuple(some))))
def test_the_index_and_the_body_agree(world: World, opened: Database, criterion: AnyOfCriterion) -> None:
    compartment = PatientCompartment(opened, "anna")
    run = world.served.runner.run
    for type in ("Observation", "Organization"):
        everything = run(compartment.search(SearchQuery(type, count=100))).matches
        assert len(everything) > 1
        by_body = [
            each.id
            for each in everything
            if is_met(criterion, index_entries(RESOURCES[type], orjson.loads(each.body), FHIR_BASE))
        ]
        query = SearchQuery(type, (criterion,), count=100)
        page = run(compartment.search(query))
        assert [each.id for each in page.matches] == by_body
        assert run(compartment.total(query)) == len(by_body) == page.total or not by_body
        for each in everything:
            seen = run(compartment.read_seen(type, each.id, (criterion,)))
            assert (seen is not None) == (each.id in by_body)
            assert run(is_in_scope(compartment, each, (criterion,), FHIR_BASE)) == (each.id in by_body)


# -- versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("Observation/moved", 404),
        ("Observation/moved/_history/1", 200),
        ("Observation/moved/_history/2", 404),
        ("Observation/returned", 200),
        ("Observation/returned/_history/1", 404),
        ("Observation/returned/_history/2", 200),
        ("Observation/lab/_history/7", 404),
    ],
)
def test_a_version_is_judged_by_its_own_body(world: World, target: str, status: int) -> None:
    assert get(world, target, LABS).status == status


def test_a_provenances_version_is_judged_by_its_own_targets(world: World) -> None:
    scope = f"{LABS} patient/Provenance.rs"
    assert get(world, "Provenance/of-moved", scope).status == 200
    assert get(world, "Provenance/of-moved/_history/2", scope).status == 200
    assert get(world, "Provenance/of-moved/_history/1", scope).status == 404


def test_a_known_etag_of_what_is_left_out_is_no_304(world: World) -> None:
    etag = get(world, "Observation/moved", "patient/*.rs").header("etag")
    assert get(world, "Observation/moved", "patient/*.rs", if_none_match=etag).status == 304
    reply = get(world, "Observation/moved", LABS, if_none_match=etag)
    assert (reply.status, reply.header("etag"), reply.header("last-modified")) == (404, "", "")


# -- searches ----------------------------------------------------------------------------------------------------------


def test_a_query_within_the_scope_is_filtered_and_no_error(world: World) -> None:
    assert get(world, "Observation?patient=anna", LABS).ids() == ["Observation/lab", "Observation/returned"]
    wider = get(world, f"Observation?category={SYSTEM}|laboratory,vital-signs&_count=0", LABS)
    assert (wider.status, wider.json["total"]) == (200, 2)


def test_criteria_of_several_scopes_are_or_ed(world: World) -> None:
    both = f"{LABS} patient/Observation.rs?category={OTHER}|a&status=amended"
    found = get(world, "Observation", both)
    assert sorted(found.ids()) == ["Observation/lab", "Observation/many-5", "Observation/returned"]


def test_withheld_prior_authorizations_leave_the_claims(world: World) -> None:
    scope = withhold("patient/*.rs", ["prior-authorizations"])
    assert get(world, "ExplanationOfBenefit", scope).ids() == ["ExplanationOfBenefit/claim"]
    assert get(world, "ExplanationOfBenefit/authorization", scope).status == 404
    assert get(world, "ExplanationOfBenefit?use=preauthorization", scope).json["total"] == 0
    assert get(world, "Provenance/of-authorization", scope).status == 404
    assert get(world, "Provenance/of-claim", scope).status == 200


def test_includes_under_criteria_stop_at_what_is_left_out(world: World) -> None:
    scope = f"{LABS} patient/Provenance.rs patient/Patient.rs"
    found = get(world, "Provenance?_include=Provenance:target&_id=of-moved", scope)
    assert found.ids("include") == ["Observation/lab"]
    back = get(world, "Observation?_include=Observation:patient&_revinclude=Provenance:target", scope)
    assert set(back.ids()) == {"Observation/lab", "Observation/returned"}
    assert set(back.ids("include")) == {"Patient/anna", "Provenance/of-moved"}


# -- the token's own fhirUser ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["openid fhirUser", "openid profile", "fhirUser patient/Coverage.rs"])
def test_fhir_user_is_read_while_it_is_granted(world: World, scope: str) -> None:
    reply = get(world, "Patient/anna", scope)
    assert (reply.status, reply.json["id"]) == (200, "anna")


@pytest.mark.parametrize("scope", ["openid", "profile", "launch/patient patient/Coverage.rs", "openid fhiruser"])
def test_without_it_fhir_user_is_not_read(world: World, scope: str) -> None:
    assert get(world, "Patient/anna", scope).status == 403


@pytest.mark.parametrize(
    "target", ["Patient", "Patient?_id=anna", "Patient/anna/_history/1", "Patient/ben", "RelatedPerson/mother"]
)
def test_fhir_user_opens_nothing_else(world: World, target: str) -> None:
    assert get(world, target, "openid fhirUser").status == 403


def test_withheld_demographics_close_fhir_user(world: World) -> None:
    assert get(world, "Patient/anna", withhold("openid fhirUser patient/*.rs", ["demographics"])).status == 403


def test_fhir_user_is_read_where_criteria_leave_it_out(world: World) -> None:
    scope = "openid fhirUser patient/Patient.rs?gender=male"
    assert get(world, "Patient/anna", scope).status == 200
    assert get(world, "Patient", scope).json["total"] == 0
    assert get(world, "Patient/anna", "patient/Patient.rs?gender=male").status == 404


# -- what belongs to a member through another resource -----------------------------------------------------------------


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def household(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, SHARED_DIRECTORY) as world:
        load_household(world, HOUSEHOLD, BORIS)
        yield world


LAST = list(versions(HOUSEHOLD, BORIS))[-1] + [next(versions(HOUSEHOLD, BORIS))[0]]
MISTAKEN = HOUSEHOLD.named("mistaken")


def kept(each: Record, categories: set[str]) -> bool:
    """Whether a record of the household stays readable: not withheld, and not known only through something withheld."""
    parts = RESOURCES[each["resourceType"]].categories
    own = [part for part in parts if part.category not in categories]
    if each["resourceType"] == "ExplanationOfBenefit":
        return any(part.query == f"use={each['use']}" for part in own) and each["id"] != MISTAKEN
    return (bool(own) or not parts) and each["id"] != MISTAKEN


def served(world: World, scope: str) -> set[str]:
    """All that any read or search gives, with everything included."""
    token = world.token(HOUSEHOLD.member, scope)
    onward = "&".join(
        f"{kind}={row.type}:{parameter.code}"
        for row in RESOURCES.values()
        for parameter in row.references
        for kind in ("_include:iterate",)
    )
    found: set[str] = set()
    for row in RESOURCES.values():
        revincludes = "".join(f"&_revinclude={each}" for each in row.revincludes)
        reply = world.served.get(f"{row.type}?_count=200&{onward}{revincludes}", token)
        if reply.status == 200:
            found |= {*reply.ids(), *reply.ids("include")}
    for each in LAST:
        name = f"{each['resourceType']}/{each['id']}"
        statuses = {world.served.get(f"{name}{tail}", token).status for tail in ("", "/_history/1", "/_history/2")}
        if 200 in statuses:
            found.add(name)
    return found


@pytest.mark.parametrize("category", CONSENT_CATEGORIES, ids=lambda category: category.slug)
def test_nothing_of_a_withheld_category_is_served_by_any_route(household: World, category) -> None:
    found = served(household, withhold("patient/*.rs openid fhirUser", [category.slug]))
    hidden = {f"{e['resourceType']}/{e['id']}" for e in LAST if not kept(e, {category.slug})}
    hidden |= {f"Provenance/{HOUSEHOLD.named('of-everything')}"}  # it names what is withheld
    assert not found & hidden
    stays = {f"{e['resourceType']}/{e['id']}" for e in LAST if kept(e, {category.slug})} - hidden
    unseen = {name for name in stays - found if not name.startswith(("Medication/", "Binary/", "Provenance/"))}
    assert not unseen


@pytest.mark.parametrize(
    ("left", "named", "lost"),
    [
        ("DocumentReference", "Binary/anna-note", "Binary/anna-form"),
        ("DiagnosticReport", "Binary/anna-form", "Binary/anna-note"),
        ("MedicationRequest", "Medication/anna-medicine", "Medication/anna-dispensed"),
        ("MedicationDispense", "Medication/anna-dispensed", "Medication/anna-medicine"),
    ],
)
def test_what_is_named_is_seen_with_what_names_it_only(household: World, left: str, named: str, lost: str) -> None:
    type = named.partition("/")[0]
    token = household.token(HOUSEHOLD.member, f"patient/{left}.rs patient/{type}.rs")
    assert household.served.get(named, token).status == 200
    for target in (lost, f"{lost}/_history/1", f"{lost}/_history/2"):
        assert household.served.get(target, token).status == 404
    assert lost not in household.served.get(type, token).ids()
    assert named in household.served.get(type, token).ids()


def test_what_is_named_is_not_seen_alone(household: World) -> None:
    for type in ("Medication", "Binary"):
        found = household.served.get(type, household.token(HOUSEHOLD.member, f"patient/{type}.rs"))
        assert (found.status, found.ids(), found.json["total"]) == (200, [], 0)


def test_what_is_named_by_something_outside_the_criteria_is_not_seen(household: World) -> None:
    def seen(intent: str) -> list[str]:
        scope = f"patient/MedicationRequest.rs?intent={intent} patient/Medication.rs"
        return household.served.get("Medication", household.token(HOUSEHOLD.member, scope)).ids()

    assert "Medication/anna-medicine" in seen("order")
    assert seen("plan") == []


def test_unrestricted_tokens_have_no_criteria_at_all() -> None:
    everything = permissions("patient/*.rs")
    assert all(everything.criteria(type, letter) == () for type in RESOURCES for letter in "rs")

"""Includes bring exactly what was asked for: nothing the reference does not name, nothing twice, nothing without a scope.

https://hl7.org/fhir/R4/search.html#include
"""

import pytest

from server.specification.registry import RESOURCES
from tests.factories import coverage, explanation_of_benefit, patient, provenance, record, reference, store
from tests.lasting import World

EOB = "ExplanationOfBenefit"
ANNA = patient("anna")
INCLUDES = {
    "the member": (f"_include={EOB}:patient", ["Patient/anna"]),
    "the provider and not the insurer": (f"_include={EOB}:provider", ["Practitioner/doctor"]),
    "the whole care team": (f"_include={EOB}:care-team", ["Practitioner/doctor", "PractitionerRole/role"]),
    "every coverage": (f"_include={EOB}:coverage", ["Coverage/gold", "Coverage/silver"]),
    "the insurer and not the provider": (f"_include={EOB}:insurer", ["Organization/payer"]),
    "the payee": (f"_include={EOB}:payee", ["RelatedPerson/mother"]),
    "two at once": (f"_include={EOB}:payee&_include={EOB}:insurer", ["Organization/payer", "RelatedPerson/mother"]),
    "the same twice": (f"_include={EOB}:payee&_include={EOB}:payee", ["RelatedPerson/mother"]),
    "of a target type": (f"_include={EOB}:care-team:Practitioner", ["Practitioner/doctor"]),
    "of another target type": (f"_include={EOB}:payee:Patient", []),
    "everything": (
        f"_include={EOB}:*",
        [
            "Coverage/gold",
            "Coverage/silver",
            "Organization/payer",
            "Patient/anna",
            "Practitioner/doctor",
            "PractitionerRole/role",
            "RelatedPerson/mother",
        ],
    ),
    "what the included refer to, by iteration": (
        f"_include={EOB}:coverage&_include:iterate=Coverage:payor",
        ["Coverage/gold", "Coverage/silver", "Organization/payer", "RelatedPerson/mother"],
    ),
    "nothing by an iteration that finds no source": ("_include:iterate=Coverage:payor", []),
    "iteration under its old name": (
        f"_include={EOB}:coverage&_include:recurse=Coverage:payor",
        ["Coverage/gold", "Coverage/silver", "Organization/payer", "RelatedPerson/mother"],
    ),
    "everything, said shorter": (
        "_include=*",
        [
            "Coverage/gold",
            "Coverage/silver",
            "Organization/payer",
            "Patient/anna",
            "Practitioner/doctor",
            "PractitionerRole/role",
            "RelatedPerson/mother",
        ],
    ),
    "all that is of one type": (f"_include={EOB}:*:Practitioner", ["Practitioner/doctor"]),
    "iteration of everything": (
        f"_include={EOB}:payee&_include:iterate=RelatedPerson:*",
        ["Patient/anna", "RelatedPerson/mother"],
    ),
    "iteration of a target type": (
        f"_include={EOB}:coverage&_include:iterate=Coverage:payor:RelatedPerson",
        ["Coverage/gold", "Coverage/silver", "RelatedPerson/mother"],
    ),
    "what the matches refer to, by iteration": (
        f"_include:iterate={EOB}:coverage&_include:iterate=Coverage:payor",
        ["Coverage/gold", "Coverage/silver", "Organization/payer", "RelatedPerson/mother"],
    ),
    "iteration without the step before": ("_include:iterate=PractitionerRole:organization", []),
    "nothing of a step that does not iterate": (
        f"_include={EOB}:care-team&_include:iterate=RelatedPerson:patient",
        ["Practitioner/doctor", "PractitionerRole/role"],
    ),
    "where the included come from, by iteration": (
        f"_include={EOB}:patient&_revinclude:iterate=Provenance:target",
        ["Patient/anna", "Provenance/of-anna"],
    ),
    "not where the included come from without iteration": (
        f"_include={EOB}:patient&_revinclude=Provenance:target",
        ["Patient/anna"],
    ),
    "a circle once": (
        f"_include={EOB}:patient&_revinclude:iterate=Provenance:target&_include:iterate=Provenance:target",
        ["Patient/anna", "Provenance/of-anna"],
    ),
    "two steps of iteration": (
        f"_include={EOB}:care-team&_include:iterate=PractitionerRole:organization"
        "&_include:iterate=PractitionerRole:practitioner",
        ["Organization/clinic", "Practitioner/doctor", "PractitionerRole/role"],
    ),
}


@pytest.mark.parametrize(("asked", "expected"), INCLUDES.values(), ids=INCLUDES)
def test_an_include_brings(world: World, asked: str, expected: list[str]) -> None:
    reply = world.get("anna", f"{EOB}?_id=april&{asked}")
    assert reply.status == 200
    assert reply.ids() == ["ExplanationOfBenefit/april"]
    assert sorted(reply.ids("include")) == expected
    assert reply.json["total"] == 1


def test_each_page_brings_what_its_own_matches_name(world: World) -> None:
    reply = world.get("anna", f"{EOB}?_id=january&_include={EOB}:*")
    assert sorted(reply.ids("include")) == [
        "Coverage/gold",
        "Organization/hospital",
        "Organization/payer",
        "Patient/anna",
    ]


def test_a_match_is_not_included_again(world: World) -> None:
    asked = f"_revinclude=Provenance:target&_include:iterate=Provenance:target&_include={EOB}:coverage"
    reply = world.get("anna", f"{EOB}?_id=january&{asked}")
    assert reply.ids() == [f"{EOB}/january"]
    assert sorted(reply.ids("include")) == ["Coverage/gold", f"{EOB}/february", "Provenance/of-claims"]


def test_the_order_of_includes_does_not_matter(world: World) -> None:
    parameters = [
        f"_include={EOB}:care-team",
        "_include:iterate=PractitionerRole:*",
        f"_include={EOB}:coverage",
        "_include:iterate=Coverage:payor",
        "_include:iterate=RelatedPerson:patient",
        "_revinclude:iterate=Provenance:target",
    ]
    found = [
        sorted(world.get("anna", f"{EOB}?_id=april&{'&'.join(order)}").ids("include"))
        for order in (parameters, parameters[::-1], sorted(parameters), parameters[3:] + parameters[:3])
    ]
    assert found == [found[0]] * 4
    assert {"Organization/clinic", "RelatedPerson/mother", "Provenance/of-anna"} <= set(found[0])


def test_a_reverse_include_may_name_the_type_of_its_targets(world: World) -> None:
    asked = f"{EOB}?_id=april&_include={EOB}:patient&_revinclude:iterate=Provenance:target"
    assert world.get("anna", f"{asked}:Patient").ids("include") == ["Patient/anna", "Provenance/of-anna"]
    assert world.get("anna", f"{asked}:{EOB}").ids("include") == ["Patient/anna"]
    assert world.get("anna", f"{EOB}?_id=january&_revinclude=Provenance:target:{EOB}").ids("include") == [
        "Provenance/of-claims"
    ]


REFUSED = {
    "what is referred to by nothing": (f"{EOB}?_include={EOB}:claim", f"{EOB}:payee"),
    "a target that it never refers to": (f"{EOB}?_include={EOB}:coverage:Patient", "never refers to 'Patient'"),
    "a target of a type that is not served": (f"{EOB}?_include={EOB}:*:Claim", "never refers to 'Claim'"),
    "a canonical": ("QuestionnaireResponse?_include=QuestionnaireResponse:questionnaire", ":patient"),
    "another type without iteration": (f"{EOB}?_include=Coverage:payor", f"{EOB}:payee"),
    "a star with iteration": (f"{EOB}?_include:iterate=*", f"{EOB}:payee"),
    "a reverse include that is not declared": ("Patient?_revinclude=Coverage:beneficiary", "Provenance:target"),
    "a reverse include of everything": ("Patient?_revinclude=*", "Provenance:target"),
    "a reverse include by iteration that nobody declares": (
        "Patient?_revinclude:iterate=Coverage:payor",
        "Provenance:target",
    ),
    "a reverse include of another target": (
        f"{EOB}?_revinclude=Provenance:target:Coverage",
        "Provenance:target",
    ),
    "a modifier that there is not": (f"{EOB}?_include:reverse={EOB}:coverage", ":iterate"),
    "a narrative with includes": (f"{EOB}?_summary=text&_include={EOB}:coverage", "_summary=text"),
    "a narrative with reverse includes": (f"{EOB}?_revinclude=Provenance:target&_summary=text", "_summary=text"),
}


@pytest.mark.parametrize(("asked", "told"), REFUSED.values(), ids=REFUSED)
def test_an_include_that_is_not_offered_is_a_bad_request_that_names_what_is(
    world: World, asked: str, told: str
) -> None:
    reply = world.get("anna", asked)
    assert reply.status == 400
    assert told in reply.json["issue"][0]["diagnostics"]


@pytest.mark.parametrize("type", RESOURCES)
def test_what_a_row_does_not_declare_is_refused_and_what_it_declares_served(world: World, type: str) -> None:
    row = RESOURCES[type]
    for other in RESOURCES.values():
        for parameter in other.search_parameters:
            value = f"{other.type}:{parameter.code}"
            assert (world.get("anna", f"{type}?_count=1&_include={value}").status == 200) == (value in row.includes)
            assert (world.get("anna", f"{type}?_count=1&_revinclude={value}").status == 200) == (
                value in row.revincludes
            )


@pytest.mark.parametrize("only_counted", ["_summary=count", "_count=0"])
def test_a_count_has_no_includes(world: World, only_counted: str) -> None:
    reply = world.get("anna", f"{EOB}?{only_counted}&_include={EOB}:*&_revinclude=Provenance:target")
    assert (reply.status, reply.json["total"]) == (200, 4)
    assert "entry" not in reply.json


def test_elements_of_the_matches_leave_the_included_whole(world: World) -> None:
    """https://hl7.org/fhir/R4/search.html#elements - what is included is reduced where its own type is named."""
    asked = f"{EOB}?_id=january&_include={EOB}:coverage&_include={EOB}:patient&_elements=status,Coverage.status"
    reply = world.get("anna", asked)
    (match,) = reply.entries()
    assert "insurance" in match and "disposition" not in match
    by_type = {one["resourceType"]: one for one in reply.entries("include")}
    assert "subscriberId" not in by_type["Coverage"]
    assert by_type["Patient"] == world.get("anna", "Patient/anna").json


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_page_has_what_its_own_matches_refer_to_and_each_once(world: World, size: int) -> None:
    page, pages = f"{EOB}?_count={size}&_include={EOB}:coverage&_revinclude=Provenance:target", 0
    while page:
        reply = world.get("anna", page)
        included = reply.ids("include")
        assert len(included) == len(set(included))
        alone = world.get(
            "anna",
            f"{EOB}?_id={','.join(each['id'] for each in reply.entries())}"
            f"&_include={EOB}:coverage&_revinclude=Provenance:target",
        )
        assert sorted(included) == sorted(alone.ids("include"))
        page, pages = reply.links.get("next", ""), pages + 1
    assert pages == -(-4 // size)


def test_a_reverse_include_brings_the_provenance_of_the_matches(world: World) -> None:
    reply = world.get("anna", f"{EOB}?_id=january,march&_revinclude=Provenance:target")
    assert reply.ids("include") == ["Provenance/of-claims"]
    assert world.get("anna", "Patient?_revinclude=Provenance:target").ids("include") == ["Provenance/of-anna"]
    assert world.get("anna", "Coverage?_revinclude=Provenance:target").ids("include") == []


def test_an_include_needs_the_scope_of_what_it_brings(world: World) -> None:
    token = world.token("anna", "patient/ExplanationOfBenefit.rs patient/Coverage.rs")
    reply = world.served.get(f"{EOB}?_id=april&_include={EOB}:*&_revinclude=Provenance:target", token)
    assert sorted(reply.ids("include")) == ["Coverage/gold", "Coverage/silver"]


def test_a_scope_to_search_alone_brings_no_includes(world: World) -> None:
    token = world.token("anna", "patient/ExplanationOfBenefit.s patient/Coverage.s patient/Patient.r")
    reply = world.served.get(f"{EOB}?_id=april&_include={EOB}:*", token)
    assert reply.ids("include") == ["Patient/anna"]


@pytest.fixture(scope="module")
def dated(world: World) -> World:
    """With a member whose claims name one version of a coverage, the other, or neither; each version has a payor of its own."""
    dora = patient("dora")
    payors = [record("RelatedPerson", name, patient=reference(dora)) for name in ("former-payor", "later-payor")]
    coverages = [
        coverage("dated", dora, payor, subscriberId=number)
        for payor, number in zip(payors, ("first", "second"), strict=True)
    ]
    claims = [
        explanation_of_benefit(name, dora, insurance=[{"focal": True, "coverage": {"reference": named}}])
        for name, named in (
            ("then", "Coverage/dated/_history/1"),
            ("later", "Coverage/dated/_history/2"),
            ("whenever", "Coverage/dated"),
            ("never", "Coverage/dated/_history/9"),
        )
    ]
    for records in ([dora, *payors], [coverages[0]], [coverages[1]], claims):
        store(world.database, world.settings, records)
    return world


@pytest.mark.parametrize(
    ("claim", "expected"), [("then", "first"), ("later", "second"), ("whenever", "second"), ("never", "second")]
)
def test_an_include_brings_the_version_that_is_referred_to(dated: World, claim: str, expected: str) -> None:
    """Claims are points in time: https://hl7.org/fhir/R4/references.html#Reference.reference (version specific)"""
    reply = dated.get("dora", f"{EOB}?_id={claim}&_include={EOB}:coverage")
    (included,) = reply.entries("include")
    assert included["subscriberId"] == expected


def test_each_version_that_matches_refer_to_is_there_once(dated: World) -> None:
    both = dated.get("dora", f"{EOB}?_id=then,later,whenever&_include={EOB}:coverage")
    assert sorted(one["meta"]["versionId"] for one in both.entries("include")) == ["1", "2"]


@pytest.mark.parametrize(("claim", "payor"), [("then", "former-payor"), ("later", "later-payor")])
def test_iteration_follows_the_version_that_is_referred_to(dated: World, claim: str, payor: str) -> None:
    reply = dated.get("dora", f"{EOB}?_id={claim}&_include={EOB}:coverage&_include:iterate=Coverage:payor")
    assert sorted(reply.ids("include")) == ["Coverage/dated", f"RelatedPerson/{payor}"]


def test_a_reference_to_a_version_is_read_as_it_is_written(dated: World) -> None:
    claim = dated.get("dora", f"{EOB}/then").json
    named = dated.get("dora", claim["insurance"][0]["coverage"]["reference"])
    assert (named.status, named.json["subscriberId"]) == (200, "first")
    (included,) = dated.get("dora", f"{EOB}?_id=then&_include={EOB}:coverage").entries("include")
    assert included == named.json


def test_where_many_come_from_is_found_in_several_questions(world: World) -> None:
    """SQLite's limit on the depth of an expression is 1000."""
    claims = [explanation_of_benefit(f"of-many-{number}", patient("emil")) for number in range(600)]
    store(world.database, world.settings, [patient("emil"), *claims, provenance("of-the-last", claims[-1], claims[0])])
    reply = world.get("emil", f"{EOB}?_count=500&_revinclude:iterate=Provenance:target&_include:iterate=Provenance:*")
    assert len(reply.ids()) == 500
    assert sorted(reply.ids("include")) == [f"{EOB}/of-many-599", "Provenance/of-the-last"]

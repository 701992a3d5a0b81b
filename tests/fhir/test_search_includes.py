"""Includes bring exactly what was asked for: nothing the reference does not name, nothing twice, nothing without a scope.

https://hl7.org/fhir/R4/search.html#include
"""

import pytest

from server.ingest.load import retract
from tests.factories import coverage, explanation_of_benefit, patient, store
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
    reply = world.get("anna", "Coverage?_id=gold&_include=Coverage:payor&_revinclude=ExplanationOfBenefit:coverage")
    assert reply.ids() == ["Coverage/gold"]
    included = reply.ids("include")
    assert len(included) == len(set(included))
    assert sorted(included) == [f"{EOB}/april", f"{EOB}/february", f"{EOB}/january", "Organization/payer"]


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


def test_an_include_brings_the_version_that_is_referred_to(world: World) -> None:
    """Claims are points in time: https://hl7.org/fhir/R4/references.html#Reference.reference (version specific)"""
    coverages = [coverage("dated", ANNA, subscriberId=number) for number in ("first", "second")]
    claims = [
        explanation_of_benefit(name, ANNA, insurance=[{"focal": True, "coverage": {"reference": named}}])
        for name, named in (
            ("then", "Coverage/dated/_history/1"),
            ("later", "Coverage/dated/_history/2"),
            ("whenever", "Coverage/dated"),
            ("never", "Coverage/dated/_history/9"),
        )
    ]
    for records in ([coverages[0]], [coverages[1]], claims):
        store(world.database, world.settings, records)
    try:
        for name, expected in (("then", "first"), ("later", "second"), ("whenever", "second"), ("never", "second")):
            reply = world.get("anna", f"ExplanationOfBenefit?_id={name}&_include=ExplanationOfBenefit:coverage")
            (included,) = reply.entries("include")
            assert included["subscriberId"] == expected, name
        both = world.get("anna", "ExplanationOfBenefit?_id=then,later&_include=ExplanationOfBenefit:coverage")
        numbers = sorted(one["meta"]["versionId"] for one in both.entries("include"))
        assert numbers == ["1", "2"]
    finally:
        names = ["Coverage/dated", *(f"ExplanationOfBenefit/{claim['id']}" for claim in claims)]
        assert retract(world.database, world.settings, names).exit_code == 0

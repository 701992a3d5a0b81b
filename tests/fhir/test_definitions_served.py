"""SearchParameters, OperationDefinitions and the member's compartment: read and searched without a token, at one with the CapabilityStatement.

https://hl7.org/fhir/R4/searchparameter.html and https://hl7.org/fhir/R4/operationdefinition.html
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from server.fhir.validation import validate
from server.specification.definition import MembershipKind, SearchType
from server.specification.definitional import DEFINITION_TYPES
from server.specification.registry import RESOURCES
from tests.asgi import Reply
from tests.factories import ledger_rows
from tests.lasting import FHIR_BASE, World

PARAMETERS = [(row, parameter) for row in RESOURCES.values() for parameter in row.search_parameters]
OPERATIONS = [(row, operation) for row in RESOURCES.values() for operation in row.operations]


@pytest.fixture(scope="module")
def statement(world: World) -> Any:
    """The server's part of the CapabilityStatement."""
    return world.served.get("metadata").json["rest"][0]


@pytest.fixture(scope="module")
def by_url(world: World) -> dict[str, Any]:
    """Every definition served, by its canonical URL."""
    found = [one for type in DEFINITION_TYPES for one in world.served.get(type).entries()]
    urls = {one["url"]: one for one in found}
    assert len(urls) == len(found)
    return urls


def told(statement: Any) -> Iterator[tuple[str, Any]]:
    for resource in statement["resource"]:
        for each in resource["searchParam"]:
            yield resource["type"], each


def test_what_the_statement_names_is_served(statement: Any, by_url: dict[str, Any]) -> None:
    for type, each in told(statement):
        found = by_url[each["definition"]]
        assert (found["code"], found["type"]) == (each["name"], each["type"])
        assert type in found["base"]
    for resource in statement["resource"]:
        for each in resource.get("operation", []):
            found = by_url[each["definition"]]
            assert (found["resourceType"], found["code"]) == ("OperationDefinition", each["name"])
            assert resource["type"] in found["resource"]
    assert {by_url[url]["resourceType"] for url in statement["compartment"]} == {"CompartmentDefinition"}


def test_nothing_else_is_served(statement: Any, by_url: dict[str, Any]) -> None:
    named = {each["definition"] for _, each in told(statement)}
    named |= {each["definition"] for resource in statement["resource"] for each in resource.get("operation", [])}
    assert set(by_url) == named | set(statement["compartment"])


def test_every_definition_is_a_valid_r4_resource_and_can_be_read(world: World, by_url: dict[str, Any]) -> None:
    for resource in by_url.values():
        assert validate(resource) == [], resource["url"]
        reply = world.served.get(f"{resource['resourceType']}/{resource['id']}")
        assert (reply.status, reply.json) == (200, resource)


def test_a_search_parameter_says_what_its_row_says(by_url: dict[str, Any]) -> None:
    for row, parameter in PARAMETERS:
        found = by_url[parameter.canonical]
        assert parameter.expression in found["expression"]
        assert set(parameter.targets) <= set(found.get("target", []))
        assert ("comparator" in found) == (parameter.type is SearchType.DATE)
        assert row.type in found["base"]


def test_the_modifiers_it_names_are_answered_and_no_others(world: World, by_url: dict[str, Any]) -> None:
    values = {"missing": "true"}
    for row, parameter in PARAMETERS:
        stated = by_url[parameter.canonical]["modifier"]
        for modifier in ("missing", "exact", "contains", "not", "identifier", "text", "in", "below", "above"):
            value = values.get(modifier, "x")
            reply = world.get("anna", f"{row.type}?{parameter.code}:{modifier}={value}", prefer="handling=strict")
            assert reply.status == (200 if modifier in stated else 400), f"{row.type} {parameter.code}:{modifier}"
        assert ("type" in stated) == bool(parameter.targets)


def test_what_can_be_chained_to_a_reference_is_what_it_says(world: World, by_url: dict[str, Any]) -> None:
    (provider,) = [one for row, one in PARAMETERS if (row.type, one.code) == ("ExplanationOfBenefit", "provider")]
    chained = by_url[provider.canonical]["chain"]
    assert {"name", "specialty", "identifier"} <= set(chained)
    for code in (*chained, "gender"):
        reply = world.get("anna", f"ExplanationOfBenefit?provider.{code}=2026", prefer="handling=strict")
        assert reply.status == (400 if code == "gender" else 200), code


def test_an_operation_says_what_its_row_says(by_url: dict[str, Any]) -> None:
    assert OPERATIONS
    for _, operation in OPERATIONS:
        found = by_url[operation.canonical]
        assert (found["type"], found["instance"]) == (operation.on_type, operation.on_instance)
        taken = [one for one in found["parameter"] if one["use"] == "in"]
        assert [(one["name"], one["type"], one["min"]) for one in taken] == [
            (one.name, one.type, int(one.required)) for one in operation.parameters
        ]
        assert [one["type"] for one in found["parameter"] if one["use"] == "out"] == [operation.returns] * bool(
            operation.returns
        )


def test_the_compartment_names_how_each_type_belongs_to_a_member(by_url: dict[str, Any]) -> None:
    (compartment,) = [one for one in by_url.values() if one["resourceType"] == "CompartmentDefinition"]
    assert (compartment["code"], compartment["search"]) == ("Patient", False)
    linked = {one["code"]: one.get("param", []) for one in compartment["resource"]}
    assert list(linked) == list(RESOURCES)
    for type, row in RESOURCES.items():
        by_parameter = row.membership.kind in (MembershipKind.SELF, MembershipKind.PATH, MembershipKind.VIA)
        assert bool(linked[type]) == by_parameter, type
    assert linked["Coverage"] == ["patient", "beneficiary"]
    assert linked["Provenance"] == ["target"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("url=http://hl7.org/fhir/us/core/SearchParameter/us-core-patient-name", ["us-core-patient-name"]),
        ("code=birthdate", ["us-core-patient-birthdate"]),
        ("code=birthdate,death-date&base=Patient", ["us-core-patient-birthdate", "us-core-patient-death-date"]),
        ("base=Specimen&type=reference", ["us-core-specimen-patient"]),
        ("_id=us-core-patient-name,unknown", ["us-core-patient-name"]),
        ("name=uscorepatientg", ["us-core-patient-given", "us-core-patient-gender"]),
        ("code=|birthdate", ["us-core-patient-birthdate"]),
        ("url=http://nothing.example", []),
        ("code=BIRTHDATE", []),
        ("code:missing=true", []),
        ("code=birthdate&url:missing=false", ["us-core-patient-birthdate"]),
    ],
)
def test_search_parameters_are_found_by(world: World, query: str, expected: list[str]) -> None:
    reply = world.served.get(f"SearchParameter?{query}")
    assert reply.status == 200
    assert [one["id"] for one in reply.entries()] == expected
    assert reply.json["total"] == len(expected)
    assert reply.links["self"].startswith(f"{FHIR_BASE}/SearchParameter?")
    posted = world.served.send("POST", "SearchParameter/_search", "", query.encode(), content_type=FORM)
    assert posted.ids() == reply.ids()


FORM = "application/x-www-form-urlencoded"


def test_operations_are_found_by_their_flags(world: World) -> None:
    on_type = {operation.code for _, operation in OPERATIONS if operation.on_type}
    reply = world.served.get("OperationDefinition?type=true")
    assert {one["code"] for one in reply.entries()} == on_type
    assert world.served.get("OperationDefinition?system=true").ids() == []


def test_pages_follow_one_another_to_the_end(world: World) -> None:
    everything = world.served.get("SearchParameter").ids()
    seen: list[str] = []
    reply = world.served.get("SearchParameter?_count=50&type=token,reference,date,string,uri")
    while True:
        assert len(reply.entries()) <= 50
        seen += reply.ids()
        if "next" not in reply.links:
            break
        reply = world.served.get(reply.links["next"])
    assert seen == everything
    assert world.served.get("SearchParameter?_count=0").entries() == []
    assert world.served.get("SearchParameter?_summary=count").json["total"] == len(everything)


def test_answers_are_shortened_and_made_readable_as_elsewhere(world: World) -> None:
    (short,) = world.served.get("SearchParameter?code=birthdate&_summary=true").entries()
    assert "expression" not in short
    assert short["meta"]["tag"][0]["code"] == "SUBSETTED"
    read = world.served.get("SearchParameter/us-core-patient-name?_elements=target&_pretty=true")
    assert set(read.json) == {"resourceType", "id", "meta", *MANDATORY_OF_PARAMETER}
    assert read.body.startswith(b"{\n")
    assert world.served.get("SearchParameter?_format=xml").status == 406
    assert world.served.get("SearchParameter", accept="application/xml").status == 406


MANDATORY_OF_PARAMETER = {"url", "name", "status", "description", "code", "base", "type"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "SearchParameter/unknown", 404),
        ("GET", "SearchParameter/us-core-patient-name/_history", 404),
        ("GET", "OperationDefinition/$validate", 404),
        ("PUT", "SearchParameter/us-core-patient-name", 405),
        ("POST", "SearchParameter", 405),
        ("GET", "SearchParameter/_search", 405),
        ("DELETE", "metadata", 405),
        ("GET", "SearchParameter?code:exact=name", 400),
        ("GET", "SearchParameter?code:missing=perhaps", 400),
        ("GET", "SearchParameter?_count=few", 400),
        ("GET", "metadata?mode=short", 400),
        ("HEAD", "SearchParameter?code=name", 200),
    ],
)
def test_what_cannot_be_answered_says_so(world: World, method: str, path: str, status: int) -> None:
    reply = world.served.send(method, path)
    assert reply.status == status
    if status >= 400:
        assert reply.json["resourceType"] == "OperationOutcome"


def test_an_unknown_parameter_is_named_or_refused(world: World) -> None:
    reply = world.served.get("SearchParameter?status=active")
    (outcome,) = reply.entries("outcome")
    assert "'status'" in outcome["issue"][0]["diagnostics"]
    assert world.served.get("SearchParameter?status=active", prefer="handling=strict").status == 400


def test_no_token_is_needed_none_is_looked_at_and_nothing_is_written(world: World) -> None:
    before = len(ledger_rows(world.database))
    replies: list[Reply] = [
        world.served.get("SearchParameter?code=name", origin="https://app.example"),
        world.served.get(
            f"SearchParameter?url={quote('http://hl7.org/fhir/SearchParameter/Resource-id')}", "not a token"
        ),
        world.get("anna", "OperationDefinition/docref"),
    ]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert replies[0].header("access-control-allow-origin") == "*"
    assert len(ledger_rows(world.database)) == before


@pytest.mark.parametrize("mode", ["full", "normative", "terminology"])
def test_every_mode_of_metadata_is_the_capability_statement(world: World, mode: str) -> None:
    assert world.served.get(f"metadata?mode={mode}").json["resourceType"] == "CapabilityStatement"

"""The CapabilityStatement: readable without a token, computed from the registry, at one with smart-configuration.

https://hl7.org/fhir/R4/http.html#capabilities
"""

from typing import Any

import pytest

from server.authorization.scopes import supported_scopes
from server.fhir.validation import validate
from server.specification.audit import AUDIT_TYPES
from server.specification.combinations import COMBINATIONS, combinations
from server.specification.definitional import DEFINITION_TYPES
from server.specification.registry import RESOURCES
from tests.lasting import FHIR_BASE, World

ROWS = RESOURCES.values()
VALUES = {"token": "x", "string": "x", "date": "2026", "reference": f"{FHIR_BASE}/Patient/x"}


@pytest.fixture(scope="module")
def statement(world: World) -> Any:
    """The CapabilityStatement."""
    reply = world.served.get("metadata")
    assert reply.status == 200
    assert reply.header("content-type").startswith("application/fhir+json")
    return reply.json


@pytest.fixture(scope="module")
def smart(world: World) -> Any:
    """The smart-configuration."""
    reply = world.served.get(".well-known/smart-configuration")
    assert reply.status == 200
    return reply.json


def resource(statement: Any, type: str) -> Any:
    """The statement's words on a type."""
    (found,) = [each for each in statement["rest"][0]["resource"] if each["type"] == type]
    return found


def test_it_is_a_valid_r4_resource(statement: Any) -> None:
    assert validate(statement) == []
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["kind"] == "instance"
    assert statement["implementation"]["url"] == FHIR_BASE
    assert {"json", "application/fhir+json"} <= set(statement["format"])


@pytest.mark.parametrize(
    "canonical",
    [
        "http://hl7.org/fhir/us/carin-bb/CapabilityStatement/c4bb",
        "http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server",
        "http://hl7.org/fhir/us/davinci-pdex/CapabilityStatement/pdex-server",
    ],
)
def test_it_instantiates_the_guides_word_for_word(statement: Any, canonical: str) -> None:
    assert canonical in statement["instantiates"]


def test_it_lists_the_types_of_the_registry_and_no_others(statement: Any) -> None:
    assert [each["type"] for each in statement["rest"][0]["resource"]] == [
        *RESOURCES,
        *DEFINITION_TYPES,
        *AUDIT_TYPES,
    ]


@pytest.mark.parametrize("type", RESOURCES)
def test_it_says_of_a_type_what_its_row_says(statement: Any, type: str) -> None:
    row, told = RESOURCES[type], resource(statement, type)
    assert [each["code"] for each in told["interaction"]] == list(row.interactions)
    assert [(each["name"], each["type"], each["definition"]) for each in told["searchParam"]] == [
        (parameter.code, str(parameter.type), parameter.canonical) for parameter in row.search_parameters
    ]
    assert told.get("searchInclude", []) == list(row.includes)
    assert told.get("searchRevInclude", []) == list(row.revincludes)
    assert told.get("supportedProfile", []) == [profile.canonical for profile in row.profiles]
    assert [(each["name"], each["definition"]) for each in told.get("operation", [])] == [
        (operation.code, operation.canonical) for operation in row.operations
    ]
    for each, parameter in zip(told["searchParam"], row.search_parameters, strict=True):
        assert parameter.expression in each["documentation"]
    combinations = [
        [part["valueString"] for part in extension["extension"] if part["url"] == "required"]
        for extension in told.get("extension", [])
        if extension["url"].endswith("/capabilitystatement-search-parameter-combination")
    ]
    assert combinations == [each.split("+") for each in COMBINATIONS.get(type, "").split()]


@pytest.mark.parametrize("type", RESOURCES)
def test_everything_it_lists_is_answered(world: World, statement: Any, type: str) -> None:
    told = resource(statement, type)
    for each in told["searchParam"]:
        reply = world.get("anna", f"{type}?{each['name']}={VALUES[each['type']]}", prefer="handling=strict")
        assert reply.status == 200, reply.body
    for each in told.get("searchInclude", []):
        assert world.get("anna", f"{type}?_include={each}").status == 200
    for each in told.get("searchRevInclude", []):
        assert world.get("anna", f"{type}?_revinclude={each}").status == 200


@pytest.mark.parametrize("type", COMBINATIONS)
def test_every_combination_it_tells_is_answered(world: World, statement: Any, type: str) -> None:
    told = resource(statement, type)
    types = {each["name"]: each["type"] for each in told["searchParam"]}
    for together in combinations(RESOURCES[type]):
        query = "&".join(f"{code}={VALUES[types[code]]}" for code in together)
        assert world.get("anna", f"{type}?{query}", prefer="handling=strict").status == 200, query


def test_a_combination_of_unknown_parameters_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(iter(ROWS))
    monkeypatch.setitem(COMBINATIONS, row.type, "name+shoe-size")
    with pytest.raises(ValueError, match="shoe-size"):
        combinations(row)


def test_its_security_is_that_of_smart_configuration(statement: Any, smart: Any) -> None:
    security = statement["rest"][0]["security"]
    assert security["cors"] is True
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    (uris,) = [each for each in security["extension"] if each["url"].endswith("/oauth-uris")]
    told = {each["url"]: each["valueUri"] for each in uris["extension"]}
    assert {"authorize", "token"} <= set(told)
    pairs = {
        "authorize": "authorization_endpoint",
        "token": "token_endpoint",
        "introspect": "introspection_endpoint",
        "manage": "management_endpoint",
        "register": "registration_endpoint",
        "revoke": "revocation_endpoint",
    }
    for name, endpoint in pairs.items():
        assert told.get(name) == smart.get(endpoint), name
    assert set(told) <= set(pairs)


def test_the_scopes_offered_are_of_served_types(smart: Any) -> None:
    assert smart["scopes_supported"] == supported_scopes()
    types = {scope.partition("/")[2].partition(".")[0] for scope in smart["scopes_supported"] if "/" in scope}
    assert types == {*RESOURCES, "*", "patient"}


def test_it_may_be_asked_by_anyone_from_anywhere_in_any_way(world: World, statement: Any) -> None:
    for reply in (
        world.served.get("metadata", origin="https://app.example"),
        world.served.get("metadata?mode=full", accept="application/json"),
        world.served.get("metadata", "not a token"),
        world.served.get("metadata/"),
    ):
        assert reply.status == 200
        assert reply.json == statement
    assert world.served.send("POST", "metadata").status == 405


def test_every_search_parameter_of_every_row_is_told() -> None:
    assert sum(len(row.search_parameters) for row in ROWS) > 40

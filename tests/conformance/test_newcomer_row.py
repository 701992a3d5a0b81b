"""A newcomer's change: one row more in the registry, and nothing else, and the server serves, declares, asks and protects it.

https://hl7.org/fhir/R4/nutritionorder.html - a type that this server does not serve; here it does, for as long as the tests last.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from server import documentation
from server.authorization.consent_question import visible_data
from server.authorization.scopes import narrow, supported_scopes
from server.fhir.validation import validate
from server.specification.administrative import EVERY_TYPE, PROVENANCE
from server.specification.definition import CORE, ResourceDefinition, SearchParameter, SearchType, path
from server.specification.registry import RESOURCES
from tests.conformance.household import ANNA, BORIS, Household
from tests.conformance.test_isolation import SEEN, Worlds, check, load_household
from tests.conformance.two_members import DIRECTORY, labelled, probes, references, versions
from tests.factories import Record, concept, provenance, record, reference, store
from tests.lasting import World, lasting_world

TYPE = "NutritionOrder"
ROW = ResourceDefinition(
    type=TYPE,
    title="Diets ordered for you",
    membership=path("patient"),
    profiles=(),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter("patient", SearchType.REFERENCE, f"{TYPE}.patient", CORE + "clinical-patient", ("Patient",)),
        SearchParameter("status", SearchType.TOKEN, f"{TYPE}.status", CORE + f"{TYPE}-status"),
        SearchParameter("datetime", SearchType.DATE, f"{TYPE}.dateTime", CORE + f"{TYPE}-datetime"),
        SearchParameter(
            "provider",
            SearchType.REFERENCE,
            f"{TYPE}.orderer",
            CORE + f"{TYPE}-provider",
            targets=("Practitioner", "PractitionerRole"),
        ),
    ),
    revincludes=PROVENANCE,
)


def diets(own: Household, *, wording: str = "first") -> list[Record]:
    """A member's two orders, and where one comes from."""
    orders = [
        record(
            TYPE,
            own.named(id),
            **own.identified(id),
            **own.text(f"{wording} {id}"),
            status=status,
            intent="order",
            patient=own.reference,
            dateTime=f"{own.month}-{day}",
            orderer=reference("Practitioner/doctor"),
            oralDiet={"type": [concept(own.system, f"{own.mark}-{id}")]},
        )
        for id, status, day in (("fluid", "active", "04"), ("soft", "completed", "21"))
    ]
    return labelled([*orders, provenance(own.named("of-a-diet"), orders[0])], own.system, own.mark)


OWN, OTHERS = diets(ANNA), diets(BORIS)


@pytest.fixture(scope="module", autouse=True)
def newcomer() -> Iterator[None]:
    """The change: one row."""
    assert TYPE not in RESOURCES
    assert not [scope for scope in supported_scopes() if TYPE in scope]
    RESOURCES[TYPE] = ROW
    yield
    del RESOURCES[TYPE]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def worlds(request: pytest.FixtureRequest, newcomer: None) -> Iterator[Worlds]:
    """A member alone, and together with another, each with all that the registry knows and their diets."""
    with (
        lasting_world(request.param, request, DIRECTORY) as alone,
        lasting_world(request.param, request, DIRECTORY) as together,
    ):
        store(together.database, together.settings, [*next(versions(BORIS, ANNA)), *diets(BORIS, wording="earlier")])
        for world in (alone, together):
            load_household(world, ANNA, BORIS)
            store(world.database, world.settings, OWN)
        store(together.database, together.settings, OTHERS)
        yield Worlds(alone, together)


@pytest.fixture
def world(worlds: Worlds) -> World:
    """The one with both members."""
    return worlds.together


def test_it_has_routes(world: World) -> None:
    name = f"{TYPE}/{ANNA.named('fluid')}"
    read = world.get(ANNA.member, name)
    assert read.status == 200
    assert read.json["oralDiet"] == OWN[0]["oralDiet"]
    version = read.json["meta"]["versionId"]
    assert world.get(ANNA.member, f"{name}/_history/{version}").body == read.body
    token = world.token(ANNA.member)
    assert world.served.post(f"{TYPE}/_search", token, [("status", "active")]).json["total"] == 1
    assert world.served.get(name).status == 401


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", ["fluid", "soft"]),
        ("?status=active", ["fluid"]),
        ("?status:not=active", ["soft"]),
        (f"?patient={ANNA.member}&datetime=ge{ANNA.month}-10", ["soft"]),
        (f"?datetime=lt{ANNA.month}-10,{ANNA.month}-21", ["fluid", "soft"]),
        ("?provider=Practitioner/doctor&status=completed", ["soft"]),
        ("?provider:missing=true", []),
        (f"?_id={ANNA.named('fluid')}", ["fluid"]),
        (f"?patient={BORIS.member}", []),
        ("?_lastUpdated=2026-10-01T08:30:00Z", ["fluid", "soft"]),
    ],
)
def test_it_is_searched_by_its_parameters(world: World, asked: str, expected: list[str]) -> None:
    assert world.found(ANNA.member, f"{TYPE}{asked}") == sorted(map(ANNA.named, expected))


def test_it_includes_and_is_included(world: World) -> None:
    added = f"_include={TYPE}:provider&_include={TYPE}:patient&_revinclude=Provenance:target"
    reply = world.get(ANNA.member, f"{TYPE}?status=active&{added}")
    assert sorted(reply.ids("include")) == [
        f"Patient/{ANNA.member}",
        "Practitioner/doctor",
        f"Provenance/{ANNA.named('of-a-diet')}",
    ]
    everything = world.get(ANNA.member, f"Provenance?_include=Provenance:target:{TYPE}&_include:iterate={TYPE}:*")
    assert {f"{TYPE}/{ANNA.named('fluid')}", "Practitioner/doctor"} <= set(everything.ids("include"))


def test_it_is_declared(world: World) -> None:
    statement = world.served.get("metadata").json
    assert validate(statement) == []
    (told,) = [each for each in statement["rest"][0]["resource"] if each["type"] == TYPE]
    assert [each["name"] for each in told["searchParam"]] == [parameter.code for parameter in ROW.search_parameters]
    assert told["searchInclude"] == list(ROW.includes)
    assert told["searchRevInclude"] == list(ROW.revincludes)
    smart = world.served.get(".well-known/smart-configuration").json
    assert {f"patient/{TYPE}.rs", f"patient/{TYPE}.read"} <= set(smart["scopes_supported"])


def test_it_has_scopes_and_words_for_consent(world: World) -> None:
    assert f"user/{TYPE}.rs" in supported_scopes()
    assert narrow(f"patient/{TYPE}.read patient/{TYPE}.s", "").scope == f"patient/{TYPE}.read patient/{TYPE}.s"
    assert visible_data(f"patient/{TYPE}.rs patient/Coverage.rs") == ("Your coverage", ROW.title)
    assert ROW.title in visible_data("patient/*.rs")
    searching = world.token(ANNA.member, f"patient/{TYPE}.s")
    assert world.served.get(TYPE, searching).status == 200
    assert world.served.get(f"{TYPE}/{ANNA.named('fluid')}", searching).status == 403
    assert world.served.get(TYPE, world.token(ANNA.member, "patient/Coverage.rs")).status == 403


def test_it_is_in_the_open_api_document(world: World) -> None:
    document = world.served.get("/openapi.json").json
    base = f"/fhir/{TYPE}"
    own = {path: operations for path, operations in document["paths"].items() if path.startswith(base)}
    assert set(own) == {
        base,
        *(f"{base}/{path}" for path in ("_search", "_history", "{id}", "{id}/_history", "{id}/_history/{version}")),
    }
    names = [field["name"] for field in own[base]["get"]["parameters"]]
    assert {parameter.code for parameter in ROW.search_parameters} <= set(names)
    assert own[base]["get"]["security"] == [{"smart": [f"patient/{TYPE}.s"]}]
    assert {"name": TYPE, "description": ROW.title} in document["tags"]


def test_it_is_in_the_documentation(world: World) -> None:
    assert f"| {TYPE} | the member in `patient` |" in documentation.resources_table()
    listed = world.served.get("/docs/searches")
    assert listed.status == 200
    assert TYPE in listed.body.decode()


def test_it_tells_a_member_nothing_of_another(worlds: Worlds) -> None:
    seen = {*SEEN, *(f"{each['resourceType']}/{each['id']}" for each in OWN)}
    tried = set()
    for probe in probes(ROW, [*OWN, *DIRECTORY], OTHERS):
        check(worlds, probe, seen)
        tried.add(probe.part)
    assert {(TYPE, "search", each.code) for each in ROW.search_parameters if each.code != "_lastUpdated"} <= tried
    assert {(TYPE, "_include", each.code) for each in references(ROW)} <= tried
    assert (TYPE, "_revinclude", "Provenance:target") in tried
    for row in ("Patient", "Practitioner", "Provenance"):
        for probe in probes(RESOURCES[row], [*OWN, *DIRECTORY], OTHERS):
            if any(TYPE in part for part in probe.part) or probe.part[0] == "Provenance":
                check(worlds, probe, seen)


def test_the_other_member_has_their_own(world: World) -> None:
    """Nothing is hidden by mistake: the same requests find the other member's records for them."""
    others = [each["id"] for each in OTHERS if each["resourceType"] == TYPE]
    assert world.found(BORIS.member, TYPE) == sorted(others)
    for id in others:
        assert world.get(BORIS.member, f"{TYPE}/{id}").status == 200
        assert world.get(BORIS.member, f"{TYPE}/{id}/_history/1").status == 200
        assert world.get(ANNA.member, f"{TYPE}/{id}").status == 404


def test_what_is_not_valid_is_not_taken(world: World) -> None:
    wrong: Any = OWN[0] | {"id": "wrong", "status": 7}
    with pytest.raises(AssertionError, match=rf"{TYPE}\.status"):
        store(world.database, world.settings, [wrong])

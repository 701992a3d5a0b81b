"""``GET /fhir/Patient`` under a member's token answers exactly that member, whatever else is asked.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html - an app finds whose token it holds by this search too.
"""

from typing import Any

import pytest

from server.specification.registry import MEMBER_TYPE, RESOURCES
from tests.conformance.two_members import search_values
from tests.factories import IDENTIFIERS
from tests.fhir.conftest import ANNA, BEN, CARLA
from tests.lasting import FHIR_BASE, World

ROW = RESOURCES[MEMBER_TYPE]
SEEN = {
    "nothing": "",
    "their id": "?_id=anna",
    "their id among others": "?_id=ben,anna,carla",
    "their number": f"?identifier={IDENTIFIERS}|member-anna",
    "their number among others'": f"?identifier={IDENTIFIERS}|member-ben,{IDENTIFIERS}|member-anna",
    "any number": f"?identifier={IDENTIFIERS}|",
    "what everybody has": "?identifier:missing=false",
    "what nobody is": "?gender:not=unknown",
    "an order": "?_sort=-birthdate,_id",
    "one a page": "?_count=1",
    "no total": "?_total=none",
    "a summary": "?_summary=true",
    "some elements": "?_elements=name",
    "where it comes from": "?_revinclude=Provenance:target",
    "an unknown parameter": "?colour=blue",
    "an unknown time": "?_lastUpdated=ge1900",
}
UNSEEN = {
    "another's id": "?_id=ben",
    "others' ids": "?_id=ben,carla,nobody",
    "another's number": f"?identifier={IDENTIFIERS}|member-ben",
    "their own id and another's": "?_id=anna&_id=ben",
    "their own id and another's number": f"?_id=anna&identifier={IDENTIFIERS}|member-ben",
    "what refers to another": "?_has:ExplanationOfBenefit:patient:_id=bens",
}


@pytest.mark.parametrize("asked", SEEN.values(), ids=SEEN)
def test_it_is_the_member_alone(world: World, asked: str) -> None:
    reply = world.get("anna", f"Patient{asked}")
    assert (reply.status, reply.ids()) == (200, ["Patient/anna"])
    assert reply.json.get("total", 1) == 1
    assert "next" not in reply.links


@pytest.mark.parametrize("asked", UNSEEN.values(), ids=UNSEEN)
def test_another_member_is_never_found(world: World, asked: str) -> None:
    reply = world.get("anna", f"Patient{asked}")
    assert (reply.status, reply.ids(), reply.json["total"]) == (200, [], 0)


@pytest.mark.parametrize("member", [ANNA, BEN, CARLA], ids=lambda member: str(member["id"]))
def test_whose_token_it_is_decides(world: World, member: Any) -> None:
    for form in (None, [], [("_id", "anna,ben,carla")]):
        if form is None:
            reply = world.get(member["id"], "Patient")
        else:
            reply = world.served.post("Patient/_search", world.token(member["id"]), form)
        assert reply.ids() == [f"Patient/{member['id']}"]


@pytest.mark.parametrize("code", [parameter.code for parameter in ROW.search_parameters])
def test_no_value_of_any_parameter_finds_somebody_else(world: World, code: str) -> None:
    parameter = ROW.parameter(code)
    assert parameter is not None
    for value in [*search_values(ROW, parameter, [ANNA, BEN, CARLA]), "anna", "2026"]:
        for modifier in ("", ":not", ":exact", ":contains", ":missing"):
            reply = world.served.post("Patient/_search", world.token("anna"), [(f"{code}{modifier}", value)])
            assert reply.status == 400 or set(reply.ids()) <= {"Patient/anna"}, (code, modifier, value)


def test_a_reference_to_it_is_its_full_url(world: World) -> None:
    (entry,) = world.get("anna", "Patient").json["entry"]
    assert entry["fullUrl"] == f"{FHIR_BASE}/Patient/anna"
    claim = world.get("anna", "ExplanationOfBenefit/january").json
    assert entry["fullUrl"].endswith(claim["patient"]["reference"])

"""Every stored version is read by its address, and by every reference that names it, for as long as its member may see it.

https://hl7.org/fhir/R4/http.html#vread and https://hl7.org/fhir/R4/references.html#Reference.reference (version specific)
"""

from collections.abc import Iterator

import orjson
import pytest

from server.ingest.load import retract
from tests.factories import (
    Record,
    coverage,
    explanation_of_benefit,
    organization,
    patient,
    practitioner,
    record,
    reference,
    store,
)
from tests.lasting import FHIR_BASE, World, lasting_world

GINA, HUGO = patient("gina"), patient("hugo")
WORDINGS = ("first", "second", "third", "fourth")


def wording(words: str) -> list[Record]:
    """A load: each record says it in other words."""
    return [
        coverage("gold", GINA, subscriberId=words),
        explanation_of_benefit("claim", GINA, disposition=words),
        record("Condition", "problem", subject=reference(GINA), note=[{"text": words}]),
        organization("payer", name=f"The {words} payer"),
        practitioner("doctor", name=[{"family": words}]),
        coverage("other", HUGO, subscriberId=f"hugo's {words}"),
    ]


POINTING = [
    explanation_of_benefit(
        f"at-{number}",
        GINA,
        insurance=[{"focal": True, "coverage": {"reference": f"{base}Coverage/gold/_history/{number}"}}],
        insurer={"reference": f"{base}Organization/payer/_history/{number}"},
    )
    for number, base in ((1, ""), (2, f"{FHIR_BASE}/"), (3, ""), (4, ""))
]  # fmt: skip
VERSIONED = (
    "Coverage/gold",
    "ExplanationOfBenefit/claim",
    "Condition/problem",
    "Organization/payer",
    "Practitioner/doctor",
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with lasting_world(request.param, request, [GINA, HUGO]) as world:
        for words in WORDINGS:
            store(world.database, world.settings, wording(words))
        store(world.database, world.settings, POINTING)
        yield world


@pytest.mark.parametrize("name", VERSIONED)
def test_each_version_says_what_was_loaded_then(world: World, name: str) -> None:
    for number, words in enumerate(WORDINGS, start=1):
        reply = world.get("gina", f"{name}/_history/{number}")
        assert reply.status == 200
        assert words in reply.body.decode()
        assert (reply.json["meta"]["versionId"], reply.header("etag")) == (str(number), f'W/"{number}"')
    assert world.get("gina", name).body == world.get("gina", f"{name}/_history/4").body
    assert world.get("gina", f"{name}/_history/5").status == 404


@pytest.mark.parametrize(
    "history", ["_history", "Coverage/_history", "Organization/_history", *(f"{name}/_history" for name in VERSIONED)]
)
def test_what_a_history_tells_is_what_each_version_is_read_as(world: World, history: str) -> None:
    reply = world.get("gina", f"{history}?_count=100")
    entries = reply.json["entry"]
    assert len(entries) >= len(WORDINGS)
    for entry in entries:
        version = entry["resource"]["meta"]["versionId"]
        read = world.get("gina", f"{entry['fullUrl']}/_history/{version}")
        assert (read.status, read.json, read.header("etag")) == (200, entry["resource"], entry["response"]["etag"])


@pytest.mark.parametrize("claim", POINTING, ids=lambda claim: str(claim["id"]))
def test_a_reference_to_a_version_leads_to_it(world: World, claim: Record) -> None:
    told = world.get("gina", f"ExplanationOfBenefit/{claim['id']}").json
    words = WORDINGS[int(told["id"].removeprefix("at-")) - 1]
    for named in (told["insurance"][0]["coverage"]["reference"], told["insurer"]["reference"]):
        assert words in world.get("gina", named).body.decode()
    included = world.get(
        "gina",
        f"ExplanationOfBenefit?_id={told['id']}"
        "&_include=ExplanationOfBenefit:coverage&_include=ExplanationOfBenefit:insurer",
    ).entries("include")
    assert sorted(one["resourceType"] for one in included) == ["Coverage", "Organization"]
    assert all(words in orjson.dumps(one).decode() for one in included)


def test_no_version_of_anothers_is_read(world: World) -> None:
    for number in range(1, 6):
        assert world.get("gina", f"Coverage/other/_history/{number}").status == 404
        assert world.get("hugo", f"Coverage/other/_history/{number}").status == (200 if number < 5 else 404)


@pytest.mark.parametrize(
    ("scope", "status"), [("patient/Coverage.r", 200), ("patient/Coverage.s", 403), ("patient/Patient.rs", 403)]
)
def test_a_version_and_a_history_need_the_scope_of_a_read(world: World, scope: str, status: int) -> None:
    token = world.token("gina", scope)
    for target in ("Coverage/gold", "Coverage/gold/_history/1", "Coverage/gold/_history"):
        assert world.served.get(target, token).status == status, target


def test_of_what_was_retracted_no_version_is_left(world: World) -> None:
    store(world.database, world.settings, [coverage("brief", GINA, subscriberId=words) for words in ("a",)])
    store(world.database, world.settings, [coverage("brief", GINA, subscriberId="b")])
    pointing = explanation_of_benefit(
        "to-brief", GINA, insurance=[{"focal": True, "coverage": {"reference": "Coverage/brief/_history/1"}}]
    )
    store(world.database, world.settings, [pointing])
    asked = "ExplanationOfBenefit?_id=to-brief&_include=ExplanationOfBenefit:coverage"
    assert world.get("gina", asked).ids("include") == ["Coverage/brief"]
    assert retract(world.database, world.settings, ["Coverage/brief"]).exit_code == 0
    for target in ("Coverage/brief", "Coverage/brief/_history/1", "Coverage/brief/_history/2"):
        assert world.get("gina", target).status == 410
    assert world.get("gina", asked).ids("include") == []

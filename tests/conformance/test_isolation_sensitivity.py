"""What a policy withholds is as if it were not there: every request the registry makes possible is answered alike without it.

Two servers hold the same member; one has no policy and lacks what the other's withhold. Representatives' apps and clients' own tokens
get the same from both, byte for byte; the member gets everything. https://hl7.org/fhir/R4/security-labels.html
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from seed_data.generate import resources
from server.fhir.search_values import names_member
from server.ingest.load import retract
from server.specification.definition import ResourceDefinition
from server.specification.registry import RESOURCES
from tests import factories
from tests.asgi import Reply
from tests.conformance.test_isolation_operations import comparable
from tests.conformance.test_scope_isolation import few, tells_of
from tests.conformance.two_members import Probe, identities, probes
from tests.factories import Record, client, ledger_rows, provenance, store
from tests.fhir.exporting import export
from tests.lasting import World, lasting_world

MEMBER = "member-mercer-quinn"
MATTER = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
POLICIES = f"""
[[policy]]
slug = "substance-use"
title = "Records of treatment for substance use"
labels = ["{MATTER}|ETH"]
from = ["representative", "system"]
legal_basis = "42 CFR part 2"

[[policy]]
slug = "behavioral-health"
title = "Records of behavioral health care"
labels = ["{MATTER}|BH"]
from = ["representative", "system"]
legal_basis = "State law"
"""
ROWS = [row for row in RESOURCES.values() if "vread" in row.interactions]
ACTORS = ("representative", "system")
SAMPLE, EVERY = 6, {"sqlite": 4, "postgresql": 12}
"""On PostgreSQL every sixth type is asked about. Of the generated requests every fourth or twelfth is made, representatives' apps and
clients' own tokens making different ones; those of ``more`` are all made."""


def of_member() -> Iterator[Record]:
    """The seed data of the member, with the directory and the medicines that everybody's records name."""
    part = ""
    for each in resources():
        if each["resourceType"] == "Patient":
            part = str(each["id"])
        if part in ("", MEMBER):
            yield dict(each)


def is_labelled(each: Record) -> bool:
    """Whether it has one of the policies' labels, told from its JSON alone."""
    return any(
        label["code"] in ("ETH", "BH") and label["system"] == MATTER for label in each["meta"].get("security", [])
    )


def with_label(each: Record, *codes: str) -> Record:
    return each | {"meta": each["meta"] | {"security": [{"system": MATTER, "code": code} for code in codes]}}


SEEDED = list(of_member())
OPEN = [each for each in SEEDED if each["resourceType"] == "Observation" and not is_labelled(each)]
CLOSED = [each for each in SEEDED if each["resourceType"] == "Condition" and is_labelled(each)]
CLAIM = next(each for each in SEEDED if each["resourceType"] == "ExplanationOfBenefit" and not is_labelled(each))
PAYER = next(each for each in SEEDED if each["resourceType"] == "Organization")
RETRACTED, LABELLED_RETRACTED = CLAIM | {"id": "withdrawn"}, with_label(CLAIM, "BH") | {"id": "withdrawn-too"}
CRAFTED = [
    with_label(PAYER, "ETH")
    | {"id": "sensitive-clinic", "identifier": [{"system": "https://x.example", "value": "1"}]},
    CLAIM | {"id": "at-the-clinic", "provider": {"reference": "Organization/sensitive-clinic"}},
    provenance("of-closed", CLOSED[0], CLOSED[1]),
    provenance("of-open", OPEN[0]),
    provenance("of-both", CLOSED[0], OPEN[0]),
]
BECAME_CLOSED = CLAIM | {"id": "became-closed"}
RECORDS = [*SEEDED, *CRAFTED, BECAME_CLOSED, RETRACTED, LABELLED_RETRACTED]
SECOND = [with_label(BECAME_CLOSED, "ETH", "BH")]
_LABELLED = {*identities([each for each in RECORDS if is_labelled(each)]), "ExplanationOfBenefit/became-closed"}


def _is_hidden(each: Record) -> bool:
    return not _LABELLED.isdisjoint(identities([each])) or tells_of(each, _LABELLED)


def _medicines(records: list[Record]) -> set[str]:
    return {each.get("medicationReference", {}).get("reference", "") for each in records}


HIDDEN = [each for each in RECORDS if _is_hidden(each)]
LEFT = [each for each in RECORDS if not _is_hidden(each)]
ALONE = _medicines(HIDDEN) - _medicines(LEFT)
"""Medicines that only withheld prescriptions of the member name."""


@dataclass(frozen=True, slots=True)
class Worlds:
    """The member without what the policies withhold, and with it and the policies."""

    without: World
    complete: World
    tokens: dict[tuple[int, str], str] = field(default_factory=dict)

    def token(self, world: World, actor: str) -> str:
        """A token of an actor that sees all there is."""
        name = (id(world), actor)
        if name not in self.tokens:
            patient, scope = ("", "system/*.rs") if actor == "system" else (MEMBER, factories.EVERYTHING)
            whose = {"grant_actor": actor, "grant_fhir_user": "", "grant_account": ""}
            kind = "job" if actor == "system" else "app"
            self.tokens[name] = factories.token(world.database, patient, scope, kind, **whose).text
        return self.tokens[name]

    def check(self, actor: str, probe: Probe) -> list[Reply]:
        """Both answer alike, on every page; the complete one's answers."""
        both = [self.chain(world, self.token(world, actor), probe) for world in (self.without, self.complete)]
        without, complete = both
        assert list(map(answer, without)) == list(map(answer, complete)), probe
        return complete

    @staticmethod
    def chain(world: World, token: str, probe: Probe) -> list[Reply]:
        """The answer and those behind its links ``next``."""
        if probe.form is not None:
            replies = [world.served.post(probe.target, token, probe.form)]
        else:
            replies = [world.served.get(probe.target, token)]
        while replies[-1].status == 200 and replies[-1].json["resourceType"] == "Bundle" and len(replies) < 4:
            if "next" not in replies[-1].links:
                break
            replies.append(world.served.get(replies[-1].links["next"], token))
        return replies


def answer(reply: Reply) -> Any:
    """An answer without what differs from request to request."""
    headers = [(name, value) for name, value in reply.headers if name not in (b"x-request-id", b"content-length")]
    return headers, comparable(reply)


@contextmanager
def both_worlds(
    kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worlds]:
    """Both worlds on a kind of database."""
    policies: Path = tmp_path_factory.mktemp("policies") / "policies.toml"
    policies.write_text(POLICIES, "utf-8")
    with ExitStack() as stack:
        without = stack.enter_context(lasting_world(kind, request, LEFT))
        complete = stack.enter_context(lasting_world(kind, request, RECORDS, sensitivity_policies_file=policies))
        store(complete.database, complete.settings, SECOND)
        for world, gone in ((without, [RETRACTED]), (complete, [RETRACTED, LABELLED_RETRACTED])):
            assert retract(world.database, world.settings, identities(gone)).exit_code == 0
            client(world.database, "job", kind="payer", authentication="private_key_jwt")
        yield Worlds(without, complete)


@pytest.fixture(scope="module")
def sqlite_worlds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """On SQLite."""
    with both_worlds("sqlite", request, tmp_path_factory) as found:
        yield found


@pytest.fixture(scope="module")
def postgresql_worlds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """On PostgreSQL."""
    with both_worlds("postgresql", request, tmp_path_factory) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def worlds(request: pytest.FixtureRequest) -> Worlds:
    """On the kind of database that the test names."""
    found: Worlds = request.getfixturevalue(f"{request.param}_worlds")
    return found


ASKED = [("sqlite", row, actor) for row in ROWS for actor in ACTORS] + [
    ("postgresql", row, ACTORS[number % 2]) for number, row in enumerate(ROWS) if number % SAMPLE == 0
]


def of_one_member(row: ResourceDefinition, probe: Probe) -> Probe:
    """The probe with the member named, as a client's own token must."""
    naming = [parameter.code for parameter in row.search_parameters if names_member(row, parameter)]
    if not naming or probe.form is not None or "?" not in probe.target:
        return probe
    return Probe(probe.part, f"{probe.target}&{naming[0]}=Patient/{MEMBER}")


def more(row: ResourceDefinition) -> Iterator[Probe]:
    """Requests beyond those of ``probes``: totals, orders, reduced answers, histories, operations."""
    of_type = [each for each in HIDDEN if each["resourceType"] == row.type][:4]
    paths = [
        *(f"{row.type}{query}" for query in ("?_count=0", "?_count=3", "?_summary=count", "?_sort=-_security&_count=4")),
        *(f"{row.type}?_security{how}" for how in (f"={MATTER}|BH", "=ETH", ":missing=false", ":not=BH")),
        *(f"{row.type}/_history{query}" for query in ("", "?_count=3", "?_since=2020-01-01")),
        *(f"{name}{path}" for name in identities(of_type) for path in ("", "/_history", "/_history?_since=2020-01-01", "?_elements=id")),
        *(f"{row.type}?_has:Provenance:target:_id=of-{which}" for which in ("open", "closed", "both")),
        f"Patient/{MEMBER}/$everything?_type={row.type}&_count=3",
    ]  # fmt: skip
    if row.parameter("encounter") is not None:
        named = [each["encounter"]["reference"] for each in HIDDEN if "encounter" in each]
        paths += [f"{row.type}?encounter._id={name.partition('/')[2]}" for name in named[:2]]
    for path in paths:
        yield Probe((row.type,), path)


@pytest.mark.parametrize(
    ("worlds", "row", "actor"),
    ASKED,
    ids=[f"{kind}-{row.type}-{actor}" for kind, row, actor in ASKED],
    indirect=["worlds"],
)
def test_what_is_withheld_is_as_if_it_were_not_there(worlds: Worlds, row: ResourceDefinition, actor: str) -> None:
    hidden = set(identities(HIDDEN))
    others = [*few(HIDDEN, 1), *few([each for each in LEFT if each["resourceType"] == row.type], 1)]
    tried = 0
    every = EVERY["sqlite" if worlds.complete.database.is_sqlite else "postgresql"]
    generated = tuple(probes(row, few(LEFT, 1), others))
    for probe in (*generated[ACTORS.index(actor) :: every], *more(row)):
        asked = of_one_member(row, probe) if actor == "system" else probe
        for reply in worlds.check(actor, asked):
            if reply.json["resourceType"] == "Bundle":
                told = {
                    f"{e['resource']['resourceType']}/{e['resource'].get('id')}"
                    for e in reply.json.get("entry", [])
                    if "resource" in e
                }
                assert not told & hidden, probe
        tried += 1
    assert tried > 20


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize(
    "path",
    [
        "_history",
        "_history?_count=5&_since=2020-01-01",
        f"Patient/{MEMBER}/$everything",
        f"Patient/{MEMBER}/$everything?_count=7",
        f"DocumentReference/$docref?patient={MEMBER}",
        f"DocumentReference/$docref?patient={MEMBER}&start=2000",
        f"Patient?_id={MEMBER}&_revinclude=Provenance:target&_has:Observation:patient:_security=BH",
    ],
)
def test_so_it_is_for_what_asks_of_all_types(worlds: Worlds, path: str, actor: str) -> None:
    worlds.check(actor, Probe((), path))


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("query", ["", "?_since=2020-01-01T00:00:00Z"])
def test_so_are_the_files_of_an_export(worlds: Worlds, query: str, actor: str) -> None:
    both = [
        export(world.served, worlds.token(world, actor), MEMBER, query) for world in (worlds.without, worlds.complete)
    ]
    files = [
        {
            type: [orjson.dumps(line) for line in lines] if type != "Bundle" else names_of_deleted(lines)
            for type, lines in one.files.items()
        }
        for one in both
    ]
    assert files[0] == files[1]
    assert len(both[1].names) > 15
    counts = [[file["count"] for file in one.manifest["output"]] for one in both]
    assert counts[0] == counts[1]
    rows = ledger_rows(worlds.complete.database, interaction="export-file", actor=actor)
    counted = [orjson.loads(row.detail)["withheld"] for row in rows if row.detail]
    assert {slug for each in counted for slug in each} == {"substance-use", "behavioral-health"}


def names_of_deleted(lines: list[Any]) -> list[str]:
    """What Bundles of deletions name."""
    return [entry["request"]["url"] for line in lines for entry in line["entry"]]


def test_nothing_of_it_is_withheld_from_the_member(worlds: Worlds) -> None:
    world = worlds.complete
    for name in {*identities(HIDDEN), *ALONE} - {"ExplanationOfBenefit/withdrawn-too"}:
        assert world.get(MEMBER, name).status == 200, name
    assert world.get(MEMBER, "ExplanationOfBenefit/withdrawn-too").status == 410
    assert ledger_rows(world.database, patient=MEMBER, actor="self")
    assert {row.detail for row in ledger_rows(world.database, patient=MEMBER, actor="self")} == {""}


@pytest.mark.parametrize("actor", ACTORS)
def test_the_probes_are_no_blanks(worlds: Worlds, actor: str) -> None:
    """All that is withheld would be there, the kinds of it are many, and the ledger counts it."""
    assert len({each["resourceType"] for each in HIDDEN}) > 8 and len(HIDDEN) > 25
    served, token = worlds.complete.served, worlds.token(worlds.complete, actor)
    for each in LEFT:
        (name,) = identities([each])
        if name not in ALONE and name != "ExplanationOfBenefit/withdrawn" and each["resourceType"] == "Observation":
            assert served.get(name, token).status == 200, name
    for name in {*identities(HIDDEN), *ALONE}:
        reply = served.get(name, token)
        assert reply.status == 404, name
        (row,) = ledger_rows(worlds.complete.database, request_id=reply.request_id)
        assert row.detail.startswith('{"withheld":{') or name == "ExplanationOfBenefit/withdrawn-too", name

"""One member's door: pages, totals and includes agree, and each of its queries is answered from an index.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from server.fhir.scope_check import SupersededVersions
from server.settings import Settings
from server.storage import compartment_content, compartment_history, compartment_includes, patient_compartment
from server.storage.compartment_includes import CompartmentIncludes
from server.storage.compiled import Compiled
from server.storage.criteria import Shape, shapes_and_values
from server.storage.database import Database
from server.storage.patient_compartment import PatientCompartment, StoredResource
from server.storage.query import (
    ChainCriterion,
    HasCriterion,
    IdCriterion,
    Include,
    NothingCriterion,
    ReverseInclude,
    SearchQuery,
    SortKey,
    TokenAlternative,
    TokenCriterion,
)
from server.storage.schema import METADATA
from tests.factories import coverage, explanation_of_benefit, organization, patient, provenance, store
from tests.lasting import FHIR_BASE

ANNA, BEN = patient("anna"), patient("ben")
CLAIMS = [explanation_of_benefit(f"claim-{number}", ANNA) for number in range(7)]
RECORDS = [
    *(organization("payer"), organization("hospital"), ANNA, BEN, coverage("gold", ANNA), *CLAIMS),
    *(explanation_of_benefit("bens", BEN), provenance("origin", *CLAIMS)),
]
EOB = "ExplanationOfBenefit"
Answer = TypeVar("Answer")


@pytest.fixture
def ask(database: Database, settings: Settings) -> Callable[[Callable[[PatientCompartment], Awaitable[Any]]], Any]:
    """Asks Anna's compartment."""
    store(database, settings, RECORDS)

    def run(question: Callable[[PatientCompartment], Awaitable[Answer]]) -> Answer:
        async def asked() -> Answer:
            await database.open()
            try:
                return await question(PatientCompartment(database, "anna"))
            finally:
                await database.close()

        return asyncio.run(asked())

    return run


def test_pages_follow_each_other_by_key(ask: Any) -> None:
    first = ask(lambda anna: anna.search(SearchQuery(EOB, count=3)))
    assert ([match.id for match in first.matches], first.more) == (["claim-0", "claim-1", "claim-2"], True)
    rest = ask(lambda anna: anna.search(SearchQuery(EOB, count=4, after=first.last)))
    assert ([match.id for match in rest.matches], rest.more) == (["claim-3", "claim-4", "claim-5", "claim-6"], False)


def test_a_total_counts_what_the_pages_hold(ask: Any) -> None:
    several = IdCriterion(("claim-1", "claim-2", "bens", "unknown"))
    assert ask(lambda anna: anna.total(SearchQuery(EOB))) == 7
    assert ask(lambda anna: anna.total(SearchQuery(EOB, (several,)))) == 2
    assert ask(lambda anna: anna.total(SearchQuery(EOB, (several, NothingCriterion())))) == 0
    assert ask(lambda anna: anna.search(SearchQuery(EOB, (NothingCriterion(),)))).matches == ()
    number = TokenCriterion("identifier", (TokenAlternative(None, "claim-claim-3"),))
    assert [m.id for m in ask(lambda anna: anna.search(SearchQuery(EOB, (number,)))).matches] == ["claim-3"]


async def brought(anna: PatientCompartment, query: SearchQuery, matches: Sequence[StoredResource]) -> Any:
    """What a page's includes add when everything may be seen."""
    past = SupersededVersions(anna, FHIR_BASE)
    return await CompartmentIncludes(anna, lambda _type: (), past).of(query, matches)


def test_includes_bring_each_resource_once(ask: Any) -> None:
    async def included(anna: PatientCompartment) -> list[str]:
        query = SearchQuery(
            EOB,
            includes=(Include(EOB, ("insurer", "patient")), Include(EOB, ("provider",), "Organization")),
            reverse_includes=(ReverseInclude("Provenance", "target", (EOB,)),),
        )
        page = await anna.search(query)
        return sorted(f"{found.type}/{found.id}" for found in await brought(anna, query, page.matches))

    assert ask(included) == ["Organization/hospital", "Organization/payer", "Patient/anna", "Provenance/origin"]


def test_an_included_match_is_no_include(ask: Any) -> None:
    async def included(anna: PatientCompartment) -> list[str]:
        back = Include(EOB, ("patient",), iterate=True)
        query = SearchQuery(
            "Patient", includes=(back,), reverse_includes=(ReverseInclude(EOB, "patient", ("Patient",)),)
        )
        page = await anna.search(query)
        return sorted(found.id for found in await brought(anna, query, page.matches))

    assert ask(included) == [f"claim-{number}" for number in range(7)]


def test_the_watermark_moves_with_each_load(database: Database, settings: Settings, ask: Any) -> None:
    before = ask(lambda anna: anna.watermark())
    store(database, settings, [explanation_of_benefit("bens-second", BEN)])
    assert ask(lambda anna: anna.watermark()) > before > 0


SHAPES: dict[str, tuple[Shape, ...]] = {
    "no criteria": (),
    "an id": (("IdCriterion", ("id", "id")),),
    "a token": (("TokenCriterion", ("system code", "code", "system")),),
    "a reference": (("ReferenceCriterion", ("type id", "id")),),
    "dates": (("DateCriterion", ("eq", "ge", "lt", "ap")),),
    "a string": (("StringCriterion", ("starts",)),),
    "last updated": (("LastUpdatedCriterion", ("ge",)),),
    "all together": (
        ("TokenCriterion", ("code",)),
        ("DateCriterion", ("ge",)),
        ("ReferenceCriterion", ("type id",)),
    ),
}
SORT = (SortKey("type", "token"), SortKey("service-date", "date", descending=True), SortKey("_id", "_id"))
CHAIN = ChainCriterion("provider", (("Organization", (TokenCriterion("identifier", (TokenAlternative(None, "1"),)),)),))
HAS = HasCriterion(EOB, "Provenance", "target", (IdCriterion(("1",)),))
MAKERS: dict[str, Callable[..., Any]] = {
    "first page": partial(patient_compartment._search, sort=(), after=False, backwards=False, counted=True),
    "page": partial(patient_compartment._search, sort=(), after=True, backwards=False, counted=False),
    "page before": partial(patient_compartment._search, sort=(), after=True, backwards=True, counted=False),
    "sorted page": partial(patient_compartment._search, sort=SORT, after=True, backwards=False, counted=False),
    "count": patient_compartment._count,
}
STATEMENTS: dict[str, Any] = {
    "read": patient_compartment._READ,
    "vread": patient_compartment._VREAD,
    "a tombstone": patient_compartment._TOMBSTONE,
    "an include": compartment_includes._included(Include(EOB, ("insurer", "patient")), 64),
    "a reverse include": compartment_includes._reverse_included(64),
    "a chain": patient_compartment._count(EOB, shapes_and_values([CHAIN])[0]),
    "a reverse chain": patient_compartment._count(EOB, shapes_and_values([HAS])[0]),
    "history of one": compartment_history._page((EOB,), one=True, after=False),
    "history of a type": compartment_history._page((EOB,), one=False, after=True),
    "history of all": compartment_history._page(("Coverage", EOB, "Patient", "Provenance"), one=False, after=True),
    "history with the directory's deletions": compartment_history._page(
        (EOB, "Patient"), ("Organization",), one=False, after=True
    ),
    "everything": compartment_content._page(20),
    "whether anything shared was loaded": compartment_content._SHARED_LOADED,
    "what was loaded since": compartment_content._recent(64),
    "what is named": compartment_content._named(64),
    **{
        f"{kind} of {type} by {name}": make(type, shapes)
        for type in (EOB, "Organization")
        for name, shapes in SHAPES.items()
        for kind, make in MAKERS.items()
    },
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_no_query_of_a_member_reads_a_whole_table(statement: Any, sqlite_template: Path) -> None:
    """SQLite says how it would answer; a table that is scanned is everybody's."""
    database = Database(Settings(database_url=f"sqlite:///{sqlite_template}"))
    compiled = Compiled(statement, SQLiteDialect_pysqlite())
    arguments = tuple(compiled.defaults.get(name, 1) for name in compiled.names)
    with database.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled.text}", arguments)]
    database.engine.dispose()
    harmless = ("SCAN load_clock", "SCAN anon_")  # one row; what a subquery has found
    scanned = [step for step in plan if step.startswith("SCAN") and not step.startswith(harmless)]
    assert scanned == []
    assert any("SEARCH resource" in step for step in plan)


def _constants() -> list[tuple[str, str]]:
    """(table, column) that a partial index compares with a constant."""
    conditions = [
        (table.name, str(index.dialect_options["sqlite"]["where"]))
        for table in METADATA.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    ]
    return [(table, found[1]) for table, condition in conditions if (found := re.match(r"(\w+) = ", condition))]


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_no_query_of_a_member_is_prepared_anew_for_each_value(statement: Any) -> None:
    """SQLite does so when a value is bound that it may compare with a partial index's constant; it takes longer than a read."""
    text = Compiled(statement, SQLiteDialect_pysqlite()).text
    assert ("token_index", "patient") in _constants()
    assert [row for row in _constants() if re.search(rf"{row[0]}(_\d+)?\.{row[1]} = \?", text)] == []

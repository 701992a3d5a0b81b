"""Every statement over members' data names the member: so the database can be distributed by member, and no answer can hold another's.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html - the statements are those that requests of every kind really execute, and each
is judged by its tree. Those that name nobody are listed here with the reason.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import Select, bindparam, exists, or_, select, true
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, ColumnClause

from server.specification.definition import MembershipKind
from server.specification.registry import RESOURCES
from server.storage import audit_trail, authorization_store, compartment_content, export_store, population
from server.storage.compiled import Compiled, Compiler
from server.storage.criteria import MEMBER, REFERENCE, RESOURCE, TOKEN, visible
from server.storage.schema import DIRECTORY, NAMED, NAMES
from tests.conformance.household import ANNA, BORIS
from tests.conformance.member_named import unnamed
from tests.conformance.test_isolation import OWN, ROWS, load_household
from tests.conformance.test_isolation_chains import LINKS, RECORDS, some_values
from tests.conformance.two_members import DIRECTORY as DIRECTORY_RECORDS
from tests.conformance.two_members import identities, probes
from tests.factories import client, token
from tests.fhir.exporting import export
from tests.fhir.test_sensitivity import POLICIES
from tests.lasting import World, lasting_world

BY_TOKEN = "the token check, by the token's hash: only what it finds says who the member is"
BY_JOB = "the files of an export, by the job's random name, which the member's request has to give"
BY_RESOURCE = "a client's own token names the member by a resource or an identifier: this finds which member that is"
OF_SYSTEM = "the audit events of a client with a scope for them: of everybody"
EXCEPTIONS: list[tuple[Any, str]] = [
    *((getattr(authorization_store, name), BY_TOKEN) for name in ("ACCESS_BY_TOKEN", "ACCESS_BY_TOKENS")),
    *((getattr(authorization_store, name), BY_TOKEN) for name in ("ACCESS_BY_TOKENS_AT_LOAD", "ACCESS_BY_GRANT")),
    *((getattr(export_store, name), BY_JOB) for name in ("JOB_BY_ID", "FILES_OF_JOB", "CHUNK_OF_FILE")),
    *((getattr(export_store, name), BY_JOB) for name in ("REFERENCES_OF_ROUND", "LAPSED_JOBS", "JOBS_OVER")),
    *((getattr(population, name), BY_RESOURCE) for name in ("_MEMBER_OF", "_MEMBER_NAMING")),
    *((getattr(population, name), BY_RESOURCE) for name in ("_IDENTIFIED", "_IDENTIFIED_IN_SYSTEM", "_ENVIRONMENT")),
    *((getattr(audit_trail, name), OF_SYSTEM) for name in ("_PAGE", "_ONE")),
    (compartment_content._SHARED_LOADED, "whether anything shared was loaded since: of no member"),
]
"""What may name nobody, and why. The directory is no exception: it is asked for by name ('')."""
A_DAY = "2020-01-01"


@dataclass(frozen=True, slots=True)
class Executed:
    """The distinct statements that were executed, by the request that executed each first."""

    statements: dict[Any, str]

    def unnamed(self) -> list[str]:
        """Those that name nobody, but for the exceptions: the first request and statement for each set of tables."""
        excepted = [statement for statement, _ in EXCEPTIONS]
        found: dict[str, str] = {}
        for statement, target in self.statements.items():
            if not any(statement is one for one in excepted) and (tables := unnamed(statement)):
                found.setdefault(", ".join(sorted(tables)), f"{target}: {statement}")
        return [f"{tables} in {told}" for tables, told in sorted(found.items())]


def requests() -> Iterator[str]:
    """Requests of every kind that a member's app can make: each search, include and chain that the registry offers, and the rest."""
    for row in ROWS:
        seen: Counter[tuple[str, ...]] = Counter()
        for probe in probes(row, RECORDS, OWN if not row.is_directory else DIRECTORY_RECORDS):
            part = probe.part[:2] if probe.part[1].startswith("_") else probe.part
            seen[part] += 1
            if probe.form is None and seen[part] <= (2 if part != probe.part else 1):
                yield probe.target
        for parameter in row.search_parameters:
            yield f"{row.type}?{parameter.code}:missing=true"
        for name in identities(OWN if not row.is_directory else DIRECTORY_RECORDS):
            if name.startswith(f"{row.type}/"):
                yield from (name, f"{name}/_history", f"{name}/_history/1", f"{name}/_history?_since={A_DAY}")
                break
        yield from (f"{row.type}/_history", f"{row.type}/_history?_count=1", f"{row.type}?_total=none&_count=1")
        yield from (f"{row.type}?_sort={order}" for order in ("_lastUpdated", "-_lastUpdated"))
    for row, reference, target in LINKS:
        for there, here in ((target, row), (row, target)):
            kinds = {}
            for parameter in there.search_parameters:
                for value in some_values(there, parameter, RECORDS, 1):
                    kinds.setdefault(parameter.type, (parameter.code, quote(value, safe="")))
            number = len(f"{row.type}{reference.code}{target.type}") % len(kinds)
            code, value = list(kinds.values())[number]
            if there is target:
                yield f"{here.type}?{reference.code}:{there.type}.{code}={value}"
            else:
                yield f"{here.type}?_has:{there.type}:{reference.code}:{code}={value}"
    yield from (f"_history{query}" for query in ("", f"?_since={A_DAY}", f"?_since={A_DAY}&_count=1"))
    yield from (f"Patient/$everything{query}" for query in ("", f"?_since={A_DAY}", "?_count=2", "?_type=Organization"))
    yield from (f"DocumentReference/$docref?patient={ANNA.member}{rest}" for rest in ("", "&start=2020&end=2030"))


def follow(world: World, target: str, text: str) -> int:
    """Ask, follow a page, and answer the first status."""
    reply = world.served.get(target, text)
    if reply.status == 200 and b'"Bundle"' in reply.body[:40] and "next" in reply.links:
        world.served.get(reply.links["next"], text)
    return reply.status


@pytest.fixture(scope="module")
def executed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Executed, Counter[int]]]:
    policies: Path = tmp_path_factory.mktemp("policies") / "policies.toml"
    policies.write_text(POLICIES)
    statements: dict[Any, str] = {}
    statuses: Counter[int] = Counter()
    asked = ""
    compiled = Compiler.compiled

    def noted(self: Compiler, statement: Any) -> Compiled:
        statements.setdefault(statement, asked)
        return compiled(self, statement)

    with (
        pytest.MonkeyPatch.context() as patched,
        lasting_world("sqlite", request, DIRECTORY_RECORDS, sensitivity_policies_file=policies) as world,
    ):
        load_household(world, BORIS, ANNA)
        load_household(world, ANNA, BORIS)
        whole = world.token(ANNA.member)
        narrow = "launch/patient patient/Patient.rs patient/Organization.rs patient/Observation.rs?category=laboratory"
        narrow += " patient/ExplanationOfBenefit.rs?type=http://terminology.hl7.org/CodeSystem/claim-type|professional"
        narrow += " patient/MedicationRequest.rs patient/Medication.rs patient/Provenance.rs patient/Binary.rs"
        few = token(world.database, ANNA.member, narrow, "narrow").text
        relative = token(world.database, ANNA.member, grant_actor="representative", client_id="relative").text
        client(world.database, "job", kind="payer", authentication="private_key_jwt")
        own = {"grant_actor": "system", "grant_fhir_user": "", "grant_account": ""}
        system = token(world.database, "", "system/*.rs", "job", **own).text
        patched.setattr(Compiler, "compiled", noted)
        for number, target in enumerate(requests()):
            for text in (whole, few, relative) if number % 9 == 0 or "?" not in target else (whole,):
                asked = target
                statuses[follow(world, target, text)] += 1
        for text in (whole, few, relative):
            for query in ("", f"?_since={A_DAY}"):
                asked = f"$export{query}"
                export(world.served, text, ANNA.member, query)
        for target in (f"Patient?_id={ANNA.member}", f"ExplanationOfBenefit?patient={ANNA.member}", "AuditEvent"):
            asked = f"{target} by a client's own token"
            statuses[follow(world, target, system)] += 1
    yield Executed(statements), statuses


def test_every_statement_over_members_data_names_the_member(executed: tuple[Executed, Counter[int]]) -> None:
    statements, statuses = executed
    found = statements.unnamed()
    assert not found, "\n\n".join(found)
    assert len(statements.statements) > 500
    assert statuses[200] > 0.8 * statuses.total(), statuses  # the others: what few scopes do not allow
    assert statuses[500] == 0


def without_member(statement: Any) -> Any:
    """The statement without any condition by which it names the member."""

    def replaced(element: Any, **_: Any) -> Any:
        if isinstance(element, BinaryExpression) and is_column_of(element.left, "patient"):
            named = [element.right, *getattr(getattr(element.right, "element", None), "clauses", ())]
            if any(isinstance(one, BindParameter) and one.key == MEMBER.key for one in named):
                return true()
        return None

    return visitors.replacement_traverse(statement, {}, replaced)


def is_column_of(element: Any, name: str) -> bool:
    return any(isinstance(one, ColumnClause) and one.name == name for one in visitors.iterate(element))


def test_without_its_member_every_statement_is_noticed(executed: tuple[Executed, Counter[int]]) -> None:
    naming = [one for one in executed[0].statements if "patient" in one.compile().params and isinstance(one, Select)]
    chosen = naming[:: max(1, len(naming) // 120)]
    assert len(chosen) > 100
    missed = [str(one) for one in chosen if not unnamed(without_member(one))]
    assert not missed, missed[0]


def test_the_requests_reach_every_way_to_the_data(executed: tuple[Executed, Counter[int]]) -> None:
    """What has criteria of each kind, and each way in which a type belongs to a member."""
    statements, _ = executed
    text = "\n".join(map(str, statements.statements))
    for table in ("resource", "resource_version", "token_index", "reference_index", "date_index", "string_index"):
        assert f"FROM {table}" in text, table
    assert {row.membership.kind for row in ROWS} == set(MembershipKind)
    assert set(RESOURCES) == {row.type for row in ROWS}


@pytest.mark.parametrize(
    ("statement", "reason"), EXCEPTIONS, ids=[f"{n} {reason[:20]}" for n, (_, reason) in enumerate(EXCEPTIONS)]
)
def test_an_exception_is_needed_and_says_why(statement: Any, reason: str) -> None:
    assert len(reason.split()) > 4
    assert unnamed(statement)


OWN_ROWS = select(RESOURCE.c.body).where(RESOURCE.c.patient == MEMBER, RESOURCE.c.id == bindparam("id"))
_ENTRY = REFERENCE.alias()


@pytest.mark.parametrize(
    "statement",
    [
        OWN_ROWS,
        select(RESOURCE.c.body).where(visible(RESOURCE)),
        OWN_ROWS.where(exists().where(TOKEN.c.resource == RESOURCE.c.key, TOKEN.c.code == bindparam("code"))),
        select(TOKEN.c.code)
        .join_from(TOKEN, RESOURCE, TOKEN.c.resource == RESOURCE.c.key)
        .where(RESOURCE.c.patient == MEMBER),
        select(RESOURCE.c.body).where(
            RESOURCE.c.key.in_(select(REFERENCE.c.resource).where(REFERENCE.c.patient.in_((MEMBER, DIRECTORY))))
        ),
    ],
)
def test_what_names_the_member_is_recognised(statement: Any) -> None:
    assert unnamed(statement) == []


@pytest.mark.parametrize(
    ("statement", "tables"),
    [
        (select(RESOURCE.c.body).where(RESOURCE.c.id == bindparam("id")), ["resource"]),
        (select(RESOURCE.c.body).where(RESOURCE.c.patient == bindparam("other")), ["resource"]),
        (select(RESOURCE.c.body).where(RESOURCE.c.patient.in_((MEMBER, bindparam("other")))), ["resource"]),
        (select(RESOURCE.c.body).where(RESOURCE.c.patient == NAMED), ["resource"]),
        (select(RESOURCE.c.body).where(or_(RESOURCE.c.patient == MEMBER, RESOURCE.c.type == bindparam("type"))), ["resource"]),
        (
            select(RESOURCE.c.body).where(
                RESOURCE.c.patient == NAMED,
                exists().where(_ENTRY.c.target_id == RESOURCE.c.id, _ENTRY.c.parameter == NAMES),
            ),
            ["resource", "reference_index"],
        ),
        (OWN_ROWS.where(exists().where(TOKEN.c.code == bindparam("code"))), ["token_index"]),
        (OWN_ROWS.where(exists().where(_ENTRY.c.target_id == RESOURCE.c.id)), ["reference_index"]),
        (
            select(RESOURCE.c.body).where(RESOURCE.c.key.in_(select(TOKEN.c.resource).where(TOKEN.c.code == bindparam("c")))),
            ["resource", "token_index"],
        ),
        (select(select(RESOURCE.c.body).where(RESOURCE.c.deleted.is_(False)).subquery().c.body), ["resource"]),
        (select(OWN_ROWS.where(True).scalar_subquery(), select(RESOURCE.c.id).correlate(None).scalar_subquery()), ["resource"]),
    ],
)  # fmt: skip
def test_what_names_nobody_is_noticed(statement: Any, tables: list[str]) -> None:
    assert sorted(unnamed(statement)) == sorted(tables)

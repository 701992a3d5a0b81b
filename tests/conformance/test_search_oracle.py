"""Every search of the guides' conformance kits finds what a brute-force evaluation of the published parameters finds: no more, no less.

https://hl7.org/fhir/R4/search.html - one test per (guide, version, resource, search), and one per include and reverse include.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from seed_data.generate import write_ndjson
from seed_data.personas import MEMBERS
from server import clock
from server.ingest.load import load
from server.specification.registry import MEMBER_TYPE
from server.storage.database import Database
from server.storage.schema import Resource
from tests.asgi import served
from tests.conformance.oracle import DAY, PREFIXES, Compartment, Value, codings, compartments, texts
from tests.conformance.published_search import Parameter, Requirement, listed_includes, parameter, requirements
from tests.lasting import FHIR_BASE, World, lasting_database, settings_of

SEARCHES, ADDED = requirements()
RESOURCE: Any = Resource.__table__  # type: ignore[attr-defined]
NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
SINCE_THE_YEAR_1 = datetime(1970, 1, 1).toordinal() * DAY  # noqa: DTZ001 - a count of days
SAMPLE = 5
"""On PostgreSQL every fifth is asked; on SQLite all are."""
QUERIES = 24
"""Queries of one search for one member."""
NOWHERE = "https://elsewhere.example/fhir"
Found = tuple[set[str], set[str]]


@dataclass(frozen=True, slots=True)
class Store:
    """A served database with all the data there is, its members' compartments, and answers that were already asked for."""

    world: World
    compartments: dict[str, Compartment]
    ours: frozenset[str]
    answers: dict[tuple[str, str], Found] = field(default_factory=dict)

    def found(self, member: str, target: str) -> Found:
        """``Type/id`` of the matches and of what was included, following ``next``; nothing stands there twice."""
        if (member, target) not in self.answers:
            matches: list[str] = []
            included: set[str] = set()
            page = target
            while page:
                reply = self.world.get(member, page)
                assert reply.status == 200, (page, reply.body)
                bundle = reply.json
                for entry in bundle.get("entry", []):
                    name = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
                    if entry["search"]["mode"] == "match":
                        matches.append(name)
                    else:
                        included.add(name)
                page = {link["relation"]: link["url"] for link in bundle["link"]}.get("next", "")
            assert len(matches) == len(set(matches)) == bundle["total"], target
            self.answers[member, target] = (set(matches), included)
        return self.answers[member, target]

    def members_with(self, type: str, parameters: Sequence[Parameter]) -> list[str]:
        """Two members of the seed data and two of others' whose records have most of what is asked for."""
        count = {
            member: len(_seeds(compartment, type, parameters)) for member, compartment in self.compartments.items()
        }
        ranked = sorted((member for member in count if count[member]), key=lambda member: (-count[member], member))
        own = [member for member in ranked if member in self.ours]
        return own[:2] + [member for member in ranked if member not in self.ours][:2]


def on_both(all: Sequence[Requirement]) -> pytest.MarkDecorator:
    """Each requirement on SQLite, and a sample on PostgreSQL."""
    asked = [("sqlite", each) for each in all] + [("postgresql", each) for each in all[::SAMPLE]]
    names = [f"{kind}-{each}" for kind, each in asked]
    return pytest.mark.parametrize(("store", "asked"), asked, ids=names, indirect=["store"])


@contextmanager
def loaded(kind: str, request: pytest.FixtureRequest, shared_data: Path) -> Iterator[Store]:
    """The seed data and the example data of others, loaded once and served."""
    seed = request.getfixturevalue("tmp_path_factory").mktemp("seed")
    with lasting_database(kind, request) as url, clock.set_to(NOW):
        settings = settings_of(url, former_members="allow")  # of all members, also of one who died
        database = Database(settings)
        load(database, settings, [*write_ndjson(seed), shared_data])
        statement = select(RESOURCE.c.patient, RESOURCE.c.type, RESOURCE.c.body).where(RESOURCE.c.deleted.is_(False))
        with database.reading() as transaction:
            rows = list(transaction.all(statement))
        members = sorted({row.patient for row in rows if row.type == MEMBER_TYPE})
        with served(settings) as application:
            ours = frozenset(f"member-{member.key}" for member in MEMBERS)
            yield Store(
                World(settings, database, application, {}),
                compartments([tuple(row) for row in rows], FHIR_BASE, members),
                ours & set(members) or frozenset(members),
            )
        database.engine.dispose()


@pytest.fixture(scope="module")
def sqlite_store(request: pytest.FixtureRequest, shared_data: Path) -> Iterator[Store]:
    """On SQLite."""
    with loaded("sqlite", request, shared_data) as store:
        yield store


@pytest.fixture(scope="module")
def postgresql_store(request: pytest.FixtureRequest, shared_data: Path) -> Iterator[Store]:
    """On PostgreSQL."""
    with loaded("postgresql", request, shared_data) as store:
        yield store


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Store:
    """The store of the kind that the test names."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    return found


def _seeds(compartment: Compartment, type: str, parameters: Sequence[Parameter]) -> list[str]:
    """The ids of resources that have a value for every parameter."""
    values = [compartment.values(type, parameter) for parameter in parameters]
    return [id for id in compartment.resources.get(type, {}) if all(each[id] for each in values)]


# -- what is asked, spelled from the data ----------------------------------------------------------------------------


def spelled(parameter: Parameter, values: Sequence[Value], compartment: Compartment, kit: Sequence[str]) -> list[str]:
    """Forms in which a resource's values can be searched, and some that are near misses; ``kit`` are the codes that the kit sends."""
    forms = [form for value in values for form in _FORMS[parameter.type](value.content, compartment)]
    if parameter.type == "token" and kit:
        forms += [",".join(kit)]
    if len(forms) > 1 and parameter.type != "string":
        forms += [f"{forms[0]},{forms[-1]}", f"nothing,{forms[0]}" if parameter.type != "date" else f"1900,{forms[0]}"]
    return list(dict.fromkeys(forms))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")


def _token_forms(content: Any, _: Compartment) -> Iterator[str]:
    for system, code in codings(content):
        yield _escaped(code)
        yield f"{_escaped(system)}|{_escaped(code)}"
        yield f"{_escaped(system)}|" if system else f"{_escaped(code)}-not"
        yield f"{NOWHERE}|{_escaped(code)}" if len(code) % 2 else f"|{_escaped(code)}"


def _reference_forms(content: Any, compartment: Compartment) -> Iterator[str]:
    if isinstance(content, str):
        yield content
        return
    target = compartment.target(content.get("reference", ""))
    if target is not None:
        id = target.partition("/")[2]
        yield from (target, id, f"{FHIR_BASE}/{target}", f"{NOWHERE}/{target}", f"Basic/{id}")


def _string_forms(content: Any, _: Compartment) -> Iterator[str]:
    for text in texts(content):
        yield from (_escaped(text), _escaped(text[:3].upper()), _escaped(text[:1].lower()), f"Zq,{_escaped(text[:4])}")
        yield _escaped(text[1:5].strip() or text)


def _date_forms(content: Any, _: Compartment) -> Iterator[str]:
    if isinstance(content, dict):
        period = content.get("repeat", {}).get("boundsPeriod", content)
        found = [*content.get("event", []), *(period[end] for end in ("start", "end") if end in period)]
    else:
        found = [content]
    for text in found:
        precisions = {text[:4], text[:7], text[:10], text}
        if "T" in text:
            zone = text[19:].lstrip(".0123456789") if len(text) > 19 else ""
            precisions |= {f"{text[:16]}{zone}", f"{text[:19]}{zone}", f"{text[:19]}.000{zone}", f"{text[:19]}+05:30"}
        for each in sorted(precisions):
            yield each
            yield from (f"{prefix}{each}" for prefix in PREFIXES)


_FORMS: dict[str, Callable[[Any, Compartment], Iterator[str]]] = {
    "token": _token_forms,
    "reference": _reference_forms,
    "string": _string_forms,
    "date": _date_forms,
}


def queries(
    compartment: Compartment, asked: Requirement, parameters: Sequence[Parameter]
) -> Iterator[list[tuple[Parameter, str]]]:
    """Queries with values of the member's own records: always the same, every form of the first record's values among them."""
    draw = Random(f"{asked.resource} {asked.parameters} {compartment.patient}")
    ids = _seeds(compartment, asked.resource, parameters)
    chosen = [ids[0], *draw.sample(ids, min(4, len(ids)))]
    kit = dict(asked.values)
    forms = {
        id: [
            spelled(each, compartment.values(asked.resource, each)[id], compartment, kit.get(each.code, ()))
            for each in parameters
        ]
        for id in dict.fromkeys(chosen)
    }
    longest = max(len(each) for own in forms.values() for each in own)
    for number in range(min(QUERIES, longest + 2)):
        own = forms[chosen[number % len(chosen)]]
        if all(own):
            yield [(each, draw.choice(texts)) for each, texts in zip(parameters, own, strict=True)]


def written(type: str, query: Sequence[tuple[Parameter, str]]) -> str:
    """A query as an app would encode it."""
    return f"{type}?" + "&".join(f"{each.code}={quote(text, safe='/:,|')}" for each, text in query)


def told(request: Any, guide: str, tried: int) -> None:
    """Note for the count per guide at the end of the run."""
    kind = request.node.callspec.params["store"]
    request.node.user_properties += [("guide", f"{guide}, {kind}"), ("requests", tried)]


# -- the tests -------------------------------------------------------------------------------------------------------


@on_both(SEARCHES)
def test_a_search_finds_what_brute_force_finds(store: Store, asked: Requirement, request: Any) -> None:
    parameters = [parameter(asked.package, asked.guide_version, asked.resource, code) for code in asked.parameters]
    members = store.members_with(asked.resource, parameters)
    assert members, f"no member has anything to be found by {asked}"
    now = clock.to_microseconds(NOW) + SINCE_THE_YEAR_1
    tried = hits = 0
    for member in members:
        compartment = store.compartments[member]
        for number, query in enumerate(queries(compartment, asked, parameters)):
            target = written(asked.resource, query) + ("" if number % 6 == 0 else "&_count=500")
            expected = {f"{asked.resource}/{id}" for id in compartment.search(asked.resource, query, now)}
            assert store.found(member, target)[0] == expected, (member, target)
            tried += 1
            hits += bool(expected)
    assert hits * 6 > tried
    told(request, asked.guide, tried)


@on_both(ADDED)
def test_what_is_included_is_what_brute_force_follows(store: Store, asked: Requirement, request: Any) -> None:
    tried = 0
    for member in store.compartments:
        compartment = store.compartments[member]
        ids = set(compartment.resources.get(asked.resource, {}))
        first = sorted(ids)[:1]
        for chosen, by in ((ids, ""), (set(first), f"&_id={','.join(first)}")):
            expected = _added(compartment, asked, chosen)
            if not expected:
                continue
            way = "_include" if asked.added.startswith(f"{asked.resource}:") else "_revinclude"
            matches, included = store.found(member, f"{asked.resource}?{way}={asked.added}{by}")
            assert matches == {f"{asked.resource}/{id}" for id in chosen}
            assert included == expected - matches, member
            tried += 1
    assert tried, f"nobody's records have anything to be included by {asked}"
    told(request, f"{asked.guide}, includes", tried)


def _added(compartment: Compartment, asked: Requirement, ids: set[str]) -> set[str]:
    source, code, *only = asked.added.split(":")
    if source != asked.resource:
        pointing = parameter(asked.package, asked.guide_version, source, code)
        return compartment.sources(source, pointing, {f"{asked.resource}/{id}" for id in ids})
    codes = listed_includes(source) if code == "*" else (code,)
    followed = [parameter(asked.package, asked.guide_version, source, each) for each in codes]
    return set().union(*(compartment.targets(source, each, ids, *only) for each in followed))


def test_every_kit_is_asked_for() -> None:
    if not SEARCHES:
        pytest.skip("the requirements are not here: name their folder's parent in the environment variable SHARED")
    assert len({asked.guide for asked in SEARCHES}) == len({asked.guide for asked in ADDED}) == 5
    assert len(SEARCHES) > 300
    assert len(ADDED) > 80

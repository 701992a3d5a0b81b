"""Each thing in its one place: SQL in storage, the clock in ``clock``, resource types in the rows, plain names everywhere.

https://docs.python.org/3/library/ast.html
"""

import ast
import re
from pathlib import Path

import pytest

from server.specification.registry import RESOURCES
from tests.conformance.source_code import ROOT, imports, modules, strings, tree

SERVER = modules("server")
PROJECT = modules("server", "seed_data", "loadtests")
OUTSIDE_STORAGE = {name: path for name, path in SERVER.items() if not name.startswith("server.storage")}
DRIVERS = ("sqlalchemy", "sqlmodel", "sqlite3", "asyncpg", "psycopg", "alembic")
SHAPES_OF_ANSWERS = {"Row"}
"""What other rooms may import of SQLAlchemy: the type of a row they were given, no means to ask for one."""
SQL = re.compile(
    r"^\s*(select\s.*\sfrom|insert\s+into|update\s+\S+\s+set|delete\s+from|create\s+(table|index|database)|alter\s|drop\s"
    r"|pragma\s|begin\s+immediate|with\s.*\sas\s*\()",
    re.IGNORECASE | re.DOTALL,
)

OPENS_THE_SECOND_DOOR = {
    "server.fhir.named_member": "a client's own token, which is for no member: which one does its request name",
    "server.account_commands": "operator commands: do the members of an account exist",
    "server.sandbox": "the sandbox: is the seed data loaded",
    "server.metrics.prior_authorization_report": "what is published yearly: the prior authorizations of all members, counted",
}
"""Everybody's data, by importer, and why it must: a member's request never goes through here."""

LITERAL_RESOURCE_TYPES: dict[tuple[str, str], str] = {}
"""(module, type): why the specification demands this name there."""
WITHOUT_LITERAL_TYPES = {
    name: path
    for name, path in SERVER.items()
    if name.startswith(("server.fhir", "server.authorization", "server.storage")) and ".migrations" not in name
}
TYPE_NAME = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(sorted(RESOURCES, key=len, reverse=True))})(?=[/:.?|]|$)")

CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "localtime"),
    ("time", "gmtime"),
}
EMPTY_WORDS = re.compile(r"(^|_)(util|helper|common|base|manager|service|misc)(s|ies)?($|_)")
EMPTY_CLASSES = re.compile(r"(?<=\w)(Util|Helper|Manager|Service)s?$")
CEILING = 400


@pytest.mark.parametrize("module", OUTSIDE_STORAGE)
def test_sql_lives_in_storage(module: str) -> None:
    path = OUTSIDE_STORAGE[module]
    for node in ast.walk(tree(path)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        source = node.module or "" if isinstance(node, ast.ImportFrom) else ""
        for name in names:
            driver = (source or name).partition(".")[0]
            assert driver not in DRIVERS or name in SHAPES_OF_ANSWERS, f"{module} imports {name} of {driver}"
    assert not [(line, text) for line, text in strings(path) if SQL.match(text)]


def test_everybodys_data_is_asked_for_in_known_places_only() -> None:
    known = frozenset(SERVER)
    importers = {
        name
        for name, path in SERVER.items()
        if name != "server.storage.population"
        and any(imported.startswith("server.storage.population") for imported in imports(path, known))
    }
    assert importers == set(OPENS_THE_SECOND_DOOR)


def test_the_answers_of_the_ledger_over_all_members_are_read_by_the_auditors_door_only() -> None:
    known = frozenset(SERVER)
    importers = {name for name, path in SERVER.items() if "server.storage.audit_trail" in imports(path, known)}
    assert importers == {"server.fhir.audit_event", "server.fhir.audit_search"}


@pytest.mark.parametrize("module", WITHOUT_LITERAL_TYPES)
def test_resource_types_are_named_in_the_rows_only(module: str) -> None:
    found = {match[1] for _, text in strings(WITHOUT_LITERAL_TYPES[module]) for match in TYPE_NAME.finditer(text)}
    assert found == {type for name, type in LITERAL_RESOURCE_TYPES if name == module}


@pytest.mark.parametrize("module", [name for name in SERVER if name != "server.clock"])
def test_only_the_clock_knows_the_time(module: str) -> None:
    for node in ast.walk(tree(SERVER[module])):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            assert (owner, node.attr) not in CLOCKS, f"{module}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            assert not {alias.name for alias in node.names} & {"time", "time_ns", "localtime", "gmtime"}


def test_no_module_and_no_class_has_an_empty_name() -> None:
    names = [part for module in modules("server", "seed_data", "loadtests", "tests") for part in module.split(".")]
    assert not [name for name in names if EMPTY_WORDS.search(name)]
    classes = [n.name for path in PROJECT.values() for n in ast.walk(tree(path)) if isinstance(n, ast.ClassDef)]
    assert not [name for name in classes if EMPTY_CLASSES.search(name)]


@pytest.mark.parametrize("path", PROJECT.values(), ids=PROJECT)
def test_a_module_says_what_it_is_and_has_at_most_400_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= CEILING, "it asks to become two rooms"
    assert not text or ast.get_docstring(tree(path)), "the first line says what the module is"


def test_nothing_committed_knows_this_machine() -> None:
    sources = [*modules("server", "seed_data", "loadtests", "tests").values(), *ROOT.glob("*.toml"), *ROOT.glob("*.md")]
    foreign = re.compile(r"(?<![\w./])/(work|root|home)/\w")
    assert not [str(path) for path in sources if foreign.search(path.read_text(encoding="utf-8"))]

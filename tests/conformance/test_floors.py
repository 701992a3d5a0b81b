"""Imports run downhill, by the picture in ``server/__init__.py``; there are no circles.

https://docs.python.org/3/reference/import.html
"""

import re
from graphlib import TopologicalSorter

import pytest

import server
from tests.conformance.source_code import imports, modules

MODULES = modules("server", "seed_data", "loadtests")
KNOWN = frozenset(MODULES)
IMPORTS = {name: set(imports(path, KNOWN)) & KNOWN - {name} for name, path in MODULES.items()}
PICTURE = {
    room: int(line[1])
    for line in re.finditer(r"^ +(\d)  (\S+(?: · \S+)*)  ", server.__doc__ or "", re.MULTILINE)
    for room in line[2].split(" · ")
}
TOP = max(PICTURE.values())
WITH_MEMBERS = {"server.sandbox", "server.generate_command"}
"""Who may make synthetic members."""


def room(module: str) -> str:
    """``storage`` of ``server.storage.ledger``; '' of the package itself, which holds the picture and the version."""
    return module.partition(".")[2].partition(".")[0]


def test_every_room_of_the_server_is_in_the_picture() -> None:
    assert {room(name) for name in MODULES if name.startswith("server.")} <= set(PICTURE)


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("server")])
def test_imports_run_downhill(module: str) -> None:
    own = PICTURE.get(room(module), -1)
    for imported in IMPORTS[module]:
        floor = PICTURE.get(room(imported), -1)
        composing = own == floor == TOP
        assert floor < own or room(imported) == room(module) or composing, f"{module} imports {imported}"
        assert imported.startswith("server") or module in WITH_MEMBERS, f"{module} imports {imported}"


def test_nothing_is_imported_in_a_circle() -> None:
    assert len(list(TopologicalSorter(IMPORTS).static_order())) == len(MODULES)


def test_the_synthetic_payer_knows_only_the_specification() -> None:
    found = {m for name in MODULES if name.startswith("seed_data") for m in IMPORTS[name] if m.startswith("server")}
    assert {room(module) for module in found} <= {"specification", ""}


def test_load_tests_know_nothing_of_the_server() -> None:
    assert not [m for name in MODULES if name.startswith("loadtests") for m in IMPORTS[name] if m.startswith("server")]

"""The README says what the code says: its tables are computed, its paths exist, its commands are real."""

import re
from pathlib import Path

import pytest

from server import documentation
from server.documentation import PLACES, README, TABLES, rewritten
from server.settings import Settings
from server.specification.registry import RESOURCES

ROOT = Path(__file__).parents[2]
TEXT = README.read_text("utf-8")


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in PLACES.items() for name in names])
def test_the_tables_are_up_to_date(path: Path, name: str) -> None:
    assert TABLES[name]() in path.read_text("utf-8"), f"the {name} table lags; run: make docs"


def test_every_table_has_its_place() -> None:
    assert sorted(name for names in PLACES.values() for name in names) == sorted(TABLES)


@pytest.mark.parametrize("path", PLACES)
def test_rewriting_changes_nothing(path: Path) -> None:
    text = path.read_text("utf-8")
    assert rewritten(text, PLACES[path]) == text


def test_a_file_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="settings"):
        rewritten("# Title\n", ["settings"])


def test_every_setting_and_every_resource_type_has_a_line() -> None:
    for name in Settings.model_fields:
        assert f"| `{name.upper()}` |" in documentation.settings_table()
    for resource_type in RESOURCES:
        assert f"| {resource_type} |" in documentation.resources_table()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", TEXT))))
def test_links_of_the_readme_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\w+)|`make (\w+)`", TEXT, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), f"make {target}"


def test_every_command_of_the_readme_exists() -> None:
    known = documentation.commands_table()
    groups = "|".join(sorted(set(re.findall(r"`patient-access ([a-z]+) [a-z-]+`", known))))
    for command in re.findall(rf"patient-access ((?:(?:{groups}) )?[a-z-]+)", TEXT):
        assert f"`patient-access {command}`" in known, command


def test_the_map_names_places_that_exist() -> None:
    picture = TEXT.split("## The map of the house")[1].split("```")[1]
    for place in re.findall(r"server/\w+(?:/|\.py)", picture):
        assert (ROOT / place).exists() or place == "server/pages/", place


def test_the_readme_fits_one_sitting() -> None:
    assert len(TEXT.splitlines()) < 250

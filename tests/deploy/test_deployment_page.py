"""docs/deployment.md says what is: its commands, settings, files and links are real.

https://www.rfc-editor.org/rfc/rfc2119 - a page that lags is worse than none.
"""

import re

import pytest

from loadtests.shapes import BY_NAME
from tests.deploy.facts import DEPLOY, ROOT, SETTINGS, commands_in, what_is_wrong_with
from tests.deploy.test_compose import COMPOSE

PAGE = ROOT / "docs" / "deployment.md"
TEXT = PAGE.read_text("utf-8")
CODE = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
OTHERS = {
    "EXTRAS",
    "REVISION",
    "SHAPE",
    "MINUTES",
    "USERS",
    "LOAD_WORKERS",
    "MANIFEST",
    "HTTPS_PORT",
    "REPORTING_UNITS",
}
"""Arguments of the Dockerfile, and what compose.yaml asks for besides settings."""


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!http)([^)]+)\)", TEXT))))
def test_links_lead_somewhere(target: str) -> None:
    page, _, anchor = target.partition("#")
    path = PAGE.parent / page if page else PAGE
    assert path.is_file()
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\bdeploy/[\w./-]*\w", TEXT))))
def test_files_that_are_named_exist(path: str) -> None:
    made_by_the_payer = {"deploy/compose/settings.env"}
    assert (ROOT / path).exists() or path in made_by_the_payer


def test_commands_that_are_named_exist() -> None:
    calls = [call for code in CODE if code.startswith("patient-access ") for call in commands_in(code)]
    assert len(calls) > 5
    assert [wrong for wrong in map(what_is_wrong_with, calls) if wrong] == []


def test_settings_that_are_named_exist() -> None:
    named = {word for code in CODE for word in re.findall(r"\b[A-Z][A-Z_]{4,}\b", code)}
    known = SETTINGS | OTHERS | {"SIGTERM", "CHANGELOG"}
    assert {name for name in named if "_" in name} - known == set()
    assert {
        name for name in OTHERS - {"EXTRAS", "REVISION"} if f"${{{name}:-" not in COMPOSE.read_text("utf-8")
    } == set()


def test_shapes_that_are_named_exist() -> None:
    (line,) = [line for line in TEXT.splitlines() if "patient-access loadtest` with" in line]
    assert set(re.findall(r"`([a-z]+-[a-z]+)`", line)) <= set(BY_NAME)


def test_the_servers_of_the_pages_are_those_of_the_manifests() -> None:
    assert (DEPLOY / "kubernetes" / "base" / "settings.env").read_text("utf-8").count("https://api.payer.example") == 1
    assert "api.payer.example" in TEXT

"""The systemd units: commands and settings of the server, secrets as credentials, confined, and time enough to end.

https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
"""

from collections import defaultdict
from pathlib import Path

import pytest

from server.settings.secret_files import SECRETS
from tests.deploy.facts import DEPLOY, SETTINGS, SHUTDOWN_SECONDS, commands_in, what_is_wrong_with

UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [path for path in UNITS if path.suffix == ".service"]


def unit(path: Path) -> dict[str, list[str]]:
    """Key to its values, of all sections."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_runs_commands_that_exist(path: Path) -> None:
    calls = [
        call for line in unit(path)["ExecStart"] for call in commands_in(line.replace("'", " ").replace("if [", ";"))
    ]
    assert len(calls) == len(unit(path)["ExecStart"])
    assert [wrong for wrong in map(what_is_wrong_with, calls) if wrong] == []


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_takes_its_secrets_from_credentials(path: Path) -> None:
    own = unit(path)
    environment = dict(word.split("=", 1) for line in own["Environment"] for word in line.split())
    assert environment["SECRETS_DIRECTORY"] == "%d"
    assert environment.keys() <= SETTINGS
    assert {line.partition(":")[0] for line in own["LoadCredential"]} <= set(SECRETS)


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_is_confined(path: Path) -> None:
    own = unit(path)
    for key, value in {"DynamicUser": "yes", "ProtectSystem": "strict", "NoNewPrivileges": "yes"}.items():
        assert own[key] == [value]
    assert own["CapabilityBoundingSet"] == [""]


def test_the_server_may_finish_what_it_does_before_it_is_killed() -> None:
    own = unit(DEPLOY / "systemd" / "patient-access.service")
    assert float(own["TimeoutStopSec"][0]) >= SHUTDOWN_SECONDS + 5
    assert own["KillMode"] == ["mixed"]


def test_every_timer_starts_a_service_that_is_there() -> None:
    timers = [path for path in UNITS if path.suffix == ".timer"]
    assert timers
    assert [path for path in timers if path.with_suffix(".service") not in UNITS] == []

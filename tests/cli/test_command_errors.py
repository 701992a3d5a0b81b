"""Whatever goes wrong, the user of the command line reads one line, and the exit code is 2."""

import socket
from pathlib import Path

import pytest

from tests.cli.command import PatientAccess

WRONG = [
    (["serve", "--port", "many"], {}, "--port"),
    (["serve", "--port", "70000"], {}, "--port"),
    (["serve"], {"PORT": "x"}, "PORT"),
    (["serve"], {"DATABASE_URL": "mysql://localhost/x"}, "DATABASE_URL must start with sqlite:/// or postgresql://"),
    (["serve"], {"PAYER_TIME_ZONE": "Mars/Olympus"}, "PAYER_TIME_ZONE is not a time zone"),
    (["serve"], {"SECRET_KEY": "short"}, "SECRET_KEY must have at least 32 characters"),
    (["sandbox"], {"ENVIRONMENT": "production"}, "production"),
    (["migrate"], {"DATABASE_URL": "postgresql://127.0.0.1:1/none"}, "DATABASE_URL does not answer"),
    (["nonsense"], {}, "nonsense"),
    (["report", "usage"], {}, "--year"),
    (["report", "usage", "--year", "2026", "--format", "pdf"], {}, "pdf"),
    (["load", "missing-file"], {}, "missing-file"),
    (["client", "suspend", "nobody"], {}, "--reason"),
]


@pytest.mark.parametrize(("arguments", "environment", "expected"), WRONG)
def test_an_error_is_one_line(
    call: PatientAccess,
    arguments: list[str],
    environment: dict[str, str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    monkeypatch.chdir(tmp_path)
    outcome = call(*arguments, **environment)
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    assert expected in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""


@pytest.mark.parametrize("arguments", [["load", "x"], ["report", "usage", "--year", "2026"], ["retract", "Patient/1"]])
def test_commands_say_how_to_make_a_database(
    call: PatientAccess, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x").write_text("{}")
    outcome = call(*arguments)
    assert outcome.code == 2
    assert "patient-access migrate" in outcome.err
    assert not (tmp_path / "var").exists()


def test_a_port_in_use_is_named(patient_access: PatientAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = patient_access("serve", "--port", str(port))
    assert outcome.code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in outcome.err


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_production_deployment_needs_its_secret(
    patient_access: PatientAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    monkeypatch.delenv("SECRET_KEY")
    outcome = patient_access("serve", "--port", "1024")
    assert outcome.code == 2
    assert "SECRET_KEY is not set" in outcome.err

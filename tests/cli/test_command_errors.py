"""Whatever goes wrong, the user of the command line reads one line, and the exit code is 2."""

import socket
from pathlib import Path

import pytest

from server.settings import Settings
from tests.cli.command import PatientAccess

WRONG = [
    (["serve", "--port", "many"], {}, "--port"),
    (["serve", "--port", "70000"], {}, "--port"),
    (["serve"], {"PORT": "x"}, "PORT"),
    (["serve"], {"DATABASE_URL": "mysql://localhost/x"}, "DATABASE_URL must start with sqlite:/// or postgresql://"),
    (["serve"], {"PAYER_TIME_ZONE": "Mars/Olympus"}, "PAYER_TIME_ZONE is not a time zone"),
    (["serve"], {"SECRET_KEY": "short"}, "SECRET_KEY must have at least 32 characters"),
    (["migrate"], {"PERSON_IDENTIFIERS": '["um"'}, "PERSON_IDENTIFIERS must be words separated by commas"),
    (["migrate"], {"PAGE_SIZE": "600"}, "PAGE_SIZE_LIMIT must not be less than PAGE_SIZE, which is 600"),
    (["migrate"], {"BASE_URL": "https://payer.example/?x=1"}, "BASE_URL must be a host"),
    (["migrate"], {"BASE_URL": "https://payer.example:x"}, "BASE_URL "),
    (["serve"], {"REFRESH_TOKEN_DAYS": "999999999999"}, "REFRESH_TOKEN_DAYS"),
    (["serve"], {"SIGN_IN_MINUTES": "1441"}, "SIGN_IN_MINUTES"),
    (["serve"], {"ACCESS_TOKEN_SECONDS": "86401"}, "ACCESS_TOKEN_SECONDS"),
    (["serve"], {"LOG_REQUESTS": "perhaps"}, "LOG_REQUESTS"),
    (["sandbox"], {"ENVIRONMENT": "production"}, "production"),
    (["migrate"], {"DATABASE_URL": "postgresql://127.0.0.1:1/none"}, "DATABASE_URL does not answer"),
    (
        ["migrate"],
        {"DATABASE_URL": "postgresql://payer:a/b@127.0.0.1:1/none"},
        "DATABASE_URL must be as in postgresql://",
    ),
    (["nonsense"], {}, "nonsense"),
    (["report", "usage"], {}, "--year"),
    (["report", "usage", "--year", "2026", "--format", "pdf"], {}, "pdf"),
    (["load", "missing-file"], {}, "missing-file"),
    (["client", "suspend", "nobody"], {}, "--criterion"),
    (["generate", "--output", "made"], {}, "--members"),
    (["generate", "--output", "made", "--members", "0"], {}, "--members"),
    (["generate", "--output", "made", "--members", "3", "--as-of", "tomorrow"], {}, "--as-of"),
    (["generate", "--output", "made", "--members", "3", "--as-of", "1700-01-01"], {}, "1700-01-01"),
    (["generate", "--output", "made", "--members", "3", "--detail", "all"], {}, "--detail"),
    (["generate", "--output", "/proc/made", "--members", "3"], {}, "/proc/made"),
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


@pytest.mark.parametrize(
    "password", ["hor/se", "hor?se", "hor#se", "hor@se", "hor%se", "a@hor:se", "hor[se", "a@b:hor/se"]
)
@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_REPLICA_URL"])
def test_no_part_of_a_password_that_is_not_escaped_is_printed(call: PatientAccess, name: str, password: str) -> None:
    outcome = call("migrate", **{name: f"postgresql://payer:{password}@database.example/payer"})
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {name} must be as in postgresql://user:password@host:5432/name, with ")
    assert "hor" not in outcome.err
    assert "se@" not in outcome.err


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://payer:p%2Fs%40:s@database.example:5432/payer?sslmode=verify-full",
        "postgresql://payer@/name?host=/run/postgresql",
        "postgresql:///name?user=payer@server",
        "postgresql://[::1]:5432/name",
    ],
)
def test_addresses_of_databases_that_are_good(url: str) -> None:
    assert Settings(database_url=url, database_replica_url=url).database_replica_url == (url,)


def test_a_replica_may_be_several_hosts() -> None:
    url = "postgresql://reader:p@one:5432,two:5433/name"
    assert Settings(database_replica_url=f"{url}, {url}").database_replica_url == (url, url)


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
@pytest.mark.parametrize("text", [None, "[[unit]", "[[unit]]\nnonsense = 1\n"])
@pytest.mark.parametrize("arguments", [["serve", "--port", "1024"], ["load", "."]])
def test_a_reporting_units_file_that_cannot_be_read_is_named_at_the_start(
    patient_access: PatientAccess,
    arguments: list[str],
    text: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    monkeypatch.chdir(tmp_path)
    units = tmp_path / "units.toml"
    if text is not None:
        units.write_text(text)
    outcome = patient_access(*arguments, REPORTING_UNITS_FILE=str(units))
    assert (outcome.code, outcome.err.count("error: "), outcome.out) == (2, 1, "")
    assert "units.toml" in outcome.err


@pytest.mark.parametrize("arguments", [["serve"], ["load", "."]])
def test_sensitivity_policies_that_cannot_be_used_stop_the_command(
    patient_access: PatientAccess, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    monkeypatch.chdir(tmp_path)
    policies = tmp_path / "policies.toml"
    for text in (None, "policy", '[[policy]]\nslug = "a"\n'):
        if text is not None:
            policies.write_text(text)
        outcome = patient_access(*arguments, SENSITIVITY_POLICIES_FILE=str(policies))
        assert (outcome.code, outcome.err.count("error: "), outcome.out) == (2, 1, "")
        assert "policies.toml" in outcome.err


def test_brands_that_cannot_be_used_stop_the_server(
    patient_access: PatientAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    brands = tmp_path / "brands.toml"
    for text in (None, "brand", '[[brand]]\ncolour = "red"\n'):
        if text is not None:
            brands.write_text(text)
        outcome = patient_access("serve", "--port", "1", BRANDS_FILE=str(brands))
        assert (outcome.code, outcome.err.count("error: "), outcome.out) == (2, 1, "")
        assert "brands.toml" in outcome.err


def test_person_identifiers_are_separated_by_commas(
    call: PatientAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("migrate", PERSON_IDENTIFIERS="um, MB").code == 0
    assert Settings().person_identifiers == ("um", "MB")
    monkeypatch.setenv("PERSON_IDENTIFIERS", '["MB"]')
    assert Settings().person_identifiers == ("MB",)


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

"""The command line, called in this process, with the settings of a test in its environment."""

import sys

import pytest

from server.cli import main
from server.settings import Settings
from tests.cli.command import Outcome, PatientAccess


@pytest.fixture
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from the environment of whoever runs the tests."""
    for name in (*Settings.model_fields, "host", "port", "workers"):
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def call(without_settings: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> PatientAccess:
    """Calls ``patient-access`` with arguments; keyword arguments become environment variables."""

    def run(*arguments: str, **environment: str) -> Outcome:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["patient-access", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), out, err)

    return run


@pytest.fixture
def patient_access(call: PatientAccess, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> PatientAccess:
    """The same, with the test's settings."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("ENVIRONMENT", settings.environment)
    monkeypatch.setenv("REPORTING_UNITS_FILE", str(settings.reporting_units_file))
    monkeypatch.setenv("SECRET_KEY_FILE", str(settings.secret_key_file))
    assert settings.secret_key is not None
    monkeypatch.setenv("SECRET_KEY", settings.secret_key.get_secret_value())
    return call

"""Secrets may be files, as containers have them: one a setting, named like it; the environment wins.

https://docs.docker.com/compose/how-tos/use-secrets/
"""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr
from pydantic_settings import SettingsError

from server.settings import Settings
from server.settings.secret_files import SECRETS
from tests.cli.command import PatientAccess

KEY = "Zk3vQ9xR1tB7nL5wY2cD8fH4jM6pS0aE"


@pytest.fixture
def secrets(tmp_path: Path, without_settings: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of secrets that SECRETS_DIRECTORY names."""
    directory = tmp_path / "secrets"
    directory.mkdir()
    monkeypatch.setenv("SECRETS_DIRECTORY", str(directory))
    return directory


def test_secrets_are_read_from_files_without_the_line_end(secrets: Path) -> None:
    (secrets / "secret_key").write_text(KEY + "\n")
    (secrets / "database_url").write_text("postgresql://payer:pass@database/payer\n")
    settings = Settings()
    assert settings.secret_key == SecretStr(KEY)
    assert settings.database_url == "postgresql://payer:pass@database/payer"


def test_the_environment_wins_over_a_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "database_url").write_text("postgresql://from-a-file/payer")
    monkeypatch.setenv("DATABASE_URL", "postgresql://from-the-environment/payer")
    assert Settings().database_url == "postgresql://from-the-environment/payer"


def test_what_is_no_secret_is_not_read_from_files(secrets: Path) -> None:
    (secrets / "environment").write_text("production")
    assert Settings().environment == "test"


def test_an_empty_file_is_no_secret(secrets: Path) -> None:
    (secrets / "secret_key_previous").write_text("\n")
    assert Settings().secret_key_previous is None


def test_a_secret_in_a_file_is_checked_like_any_other_and_not_shown(secrets: Path, call: PatientAccess) -> None:
    (secrets / "secret_key").write_text("too short")
    outcome = call("keys", "list")
    assert (outcome.code, outcome.err) == (2, "error: SECRET_KEY must have at least 32 characters\n")


def test_a_directory_that_was_named_must_be_there(call: PatientAccess, tmp_path: Path) -> None:
    outcome = call("migrate", SECRETS_DIRECTORY=str(tmp_path / "nowhere"))
    assert outcome.code == 2
    assert outcome.err == (
        f"error: a setting cannot be read: SECRETS_DIRECTORY is {tmp_path}/nowhere, and there is no such directory\n"
    )


def test_a_secret_that_is_no_text_is_told_by_its_file(secrets: Path) -> None:
    (secrets / "secret_key").write_bytes(b"\xff" * 40)
    with pytest.raises(SettingsError, match="secret_key is not UTF-8 text"):
        Settings()


def test_every_setting_that_nobody_may_see_can_be_a_file_and_its_line_names_it() -> None:
    secret = {name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)}
    assert secret <= set(SECRETS) <= secret | {"database_url", "database_replica_url"}
    line = Settings.model_fields["secrets_directory"].description or ""
    assert [name for name in SECRETS if name not in line] == []

"""The doctor and a deployment's configuration: a good one passes, and each thing that is wrong is noticed by its check.

https://12factor.net/config
"""

import importlib.util
import json
import resource
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from pydantic import SecretStr

from server import clock
from server.authorization.clients import register
from server.authorization.keys import SigningKeys
from server.doctor.checks import MACHINE_CHECKS
from server.doctor.examination import Diagnosis, examine
from server.doctor.findings import Outcome
from server.doctor.machine import Machine
from server.settings import Settings
from server.storage import ledger_partitions, rollups
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.cli.command import PatientAccess
from tests.cli.conftest import call, without_settings
from tests.conftest import NewDatabase
from tests.doctor.payer import complaints, skips
from tests.serving import REPORTING_UNITS, free_port

__all__ = ["call", "without_settings"]

KEY = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
DAY = 86_400 * 1_000_000
GOOD = {
    "ENVIRONMENT": "production",
    "BASE_URL": "https://payer.example",
    "SECRET_KEY": KEY,
    "REPORTING_UNITS_FILE": str(REPORTING_UNITS),
    "TRUSTED_PROXIES": "10.0.0.1",
    "METRICS_TOKEN": "a token for Prometheus alone",
    "SUPPORT_CONTACT": "help@payer.example",
}
UNUSED = {"software-statements", "sensitivity-policies", "prior-authorization-items", "identity-provider"}


class Deployment:
    """A production deployment on a database, as its environment describes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
        self._monkeypatch = monkeypatch
        self.database_url = database_url
        self.change(**GOOD, DATABASE_URL=database_url)

    def change(self, **environment: str | None) -> None:
        """Set variables of the environment, or take them out (None)."""
        for name, value in environment.items():
            if value is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, value)

    def examined(self) -> Diagnosis:
        """What the doctor says."""
        with Machine() as machine:
            return examine("this machine", machine, MACHINE_CHECKS)


@pytest.fixture
def deployment(without_settings: None, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Deployment:
    """A good one, on a database of either kind."""
    path = Path(database_url.removeprefix("sqlite:///"))
    if path.exists():
        path.chmod(0o600)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65_536, 65_536))
    return Deployment(monkeypatch, database_url)


def test_a_good_deployment_has_nothing_to_mend(deployment: Deployment) -> None:
    diagnosis = deployment.examined()
    assert complaints(diagnosis) == {}
    ledger = {"ledger-anchors", "ledger-roll-ups"}  # no day is over yet
    ledger |= {"replicas"}
    own = {"ledger-partitions"} if deployment.database_url.startswith("sqlite") else {"disk"}
    assert skips(diagnosis) == UNUSED | ledger | own


SETTINGS_FAULTS = {
    "environment": {"ENVIRONMENT": "test"},
    "base-url": {"BASE_URL": "http://payer.example", "TRUSTED_PROXIES": ""},
    "secret-key": {"SECRET_KEY": "changeme" * 5},
    "previous-secret-key": {"SECRET_KEY_PREVIOUS": KEY[::-1]},
    "cookies": {"COOKIES_SECURE": "false"},
    "trusted-proxies": {"TRUSTED_PROXIES": ""},
    "metrics-token": {"METRICS_TOKEN": ""},
    "support-contact": {"SUPPORT_CONTACT": ""},
    "brands": {"BRANDS_FILE": "no such file.toml"},
    "reporting-units": {"REPORTING_UNITS_FILE": "no such file.toml"},
    "software-statements": {"SOFTWARE_STATEMENT_ISSUERS_FILE": "no such file.toml"},
    "sensitivity-policies": {"SENSITIVITY_POLICIES_FILE": "no such file.toml"},
    "prior-authorization-items": {"PRIOR_AUTHORIZATION_ITEMS_FILE": "no such file.toml"},
}
SHOWN_BELOW = {
    *("settings", "identity-provider", "database", "migrations", "signing-keys", "sandbox-leftovers"),
    *("ledger-anchors", "ledger-roll-ups", "ledger-partitions", "disk", "libraries", "open-files", "replicas"),
}

sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@sqlite
@pytest.mark.parametrize("check", SETTINGS_FAULTS)
def test_a_setting_that_is_wrong_is_noticed_by_its_check_and_no_other(deployment: Deployment, check: str) -> None:
    deployment.change(**SETTINGS_FAULTS[check])
    found = complaints(deployment.examined())
    assert set(found) == {check}, found
    assert found[check].mend


def test_every_check_is_shown_to_notice_something() -> None:
    assert {check.name for check in MACHINE_CHECKS} == set(SETTINGS_FAULTS) | SHOWN_BELOW


@sqlite
def test_a_setting_that_cannot_be_read_is_named_without_its_value(deployment: Deployment) -> None:
    deployment.change(SECRET_KEY="too short and secret")
    diagnosis = deployment.examined()
    assert set(complaints(diagnosis)) == {"settings"}
    assert "SECRET_KEY must have at least 32 characters" in complaints(diagnosis)["settings"].found
    assert "too short and secret" not in "\n".join(diagnosis.lines())


@sqlite
@pytest.mark.parametrize(
    "name", ["REPORTING_UNITS_FILE", "SENSITIVITY_POLICIES_FILE", "PRIOR_AUTHORIZATION_ITEMS_FILE"]
)
def test_a_file_that_is_broken_is_told_with_what_is_wrong(deployment: Deployment, tmp_path: Path, name: str) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("this = is no TOML [", "utf-8")
    deployment.change(**{name: str(broken)})
    (finding,) = complaints(deployment.examined()).values()
    assert finding.outcome is Outcome.FAIL
    assert "broken.toml" in finding.found


@sqlite
def test_a_database_that_is_not_there_is_told_and_not_made(deployment: Deployment, tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    deployment.change(DATABASE_URL=f"sqlite:///{path}")
    diagnosis = deployment.examined()
    assert set(complaints(diagnosis)) == {"database"}
    assert {"migrations", "signing-keys", "disk"} <= skips(diagnosis)
    assert not path.exists()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_database_that_does_not_answer_is_told(deployment: Deployment) -> None:
    deployment.change(DATABASE_URL=f"postgresql://nobody:a-password@127.0.0.1:{free_port()}/none")
    diagnosis = deployment.examined()
    assert set(complaints(diagnosis)) == {"database"}
    assert {"migrations", "signing-keys", "ledger-partitions"} <= skips(diagnosis)
    assert "a-password" not in "\n".join(diagnosis.lines())


def test_a_database_without_tables_is_told(deployment: Deployment, empty_database_url: str) -> None:
    path = Path(empty_database_url.removeprefix("sqlite:///"))
    if empty_database_url.startswith("sqlite"):
        path.touch(mode=0o600)
    deployment.change(DATABASE_URL=empty_database_url)
    found = complaints(deployment.examined())
    assert set(found) == {"migrations"}
    assert found["migrations"].mend == "patient-access migrate"


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_replicas_are_asked_too(deployment: Deployment, new_database_url: NewDatabase) -> None:
    good, other = deployment.database_url, new_database_url(migrated=False)
    silent = f"postgresql://nobody:a-password@127.0.0.1:{free_port()}/none"
    deployment.change(DATABASE_REPLICA_URL=good)
    assert complaints(deployment.examined()) == {}
    deployment.change(DATABASE_REPLICA_URL=f"{good}, {silent}")
    found = complaints(deployment.examined())
    assert {name: finding.outcome for name, finding in found.items()} == {"replicas": Outcome.WARN}
    assert "a-password" not in found["replicas"].found
    deployment.change(DATABASE_REPLICA_URL=f"{good}, {other}")
    assert complaints(deployment.examined())["replicas"].outcome is Outcome.FAIL


@sqlite
def test_replicas_beside_a_file_are_told(deployment: Deployment) -> None:
    deployment.change(DATABASE_REPLICA_URL="postgresql://reader@127.0.0.1:1/none")
    assert "no replica is read" in complaints(deployment.examined())["replicas"].found


@sqlite
def test_telemetry_that_is_not_installed_is_told(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    found_as_ever = importlib.util.find_spec
    hidden = "opentelemetry.sdk"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == hidden else found_as_ever(name))
    assert complaints(deployment.examined()) == {}
    deployment.change(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert "patient-access[telemetry]" in complaints(deployment.examined())["libraries"].mend


def settings_of(deployment: Deployment, **more: object) -> Settings:
    """The settings of a deployment."""
    return Settings(**{"database_url": deployment.database_url, "environment": "production", **more})


def test_signing_keys_that_no_secret_key_decrypts_are_told(deployment: Deployment) -> None:
    settings = settings_of(deployment, secret_key=SecretStr("another secret key, which was before this"))
    database = Database(settings)
    with database.transaction() as transaction:
        SigningKeys(settings).current(transaction)
    database.engine.dispose()
    assert set(complaints(deployment.examined())) == {"signing-keys"}
    deployment.change(SECRET_KEY_PREVIOUS="another secret key, which was before this")
    assert set(complaints(deployment.examined())) == {"previous-secret-key"}


def test_an_old_signing_key_is_told(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(deployment, secret_key=SecretStr(KEY))
    database, now = Database(settings), clock.now_microseconds()
    with monkeypatch.context() as past, database.transaction() as transaction:
        past.setattr(clock, "now_microseconds", lambda: now - 500 * DAY)
        SigningKeys(settings).current(transaction)
    database.engine.dispose()
    found = complaints(deployment.examined())
    assert set(found) == {"signing-keys"}
    assert "500 days old" in found["signing-keys"].found


def test_the_sandbox_in_a_production_database_fails(deployment: Deployment) -> None:
    settings = settings_of(deployment, secret_key=SecretStr(KEY))
    database = Database(settings)
    register(EventLedger(database), settings, "Sandbox", ["https://app.example/cb"], client_id="sandbox-app")
    database.engine.dispose()
    found = complaints(deployment.examined())
    assert found["sandbox-leftovers"].outcome is Outcome.FAIL


def test_a_ledger_that_is_neither_anchored_nor_rolled_up_is_told(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(deployment, secret_key=SecretStr(KEY))
    database, now = Database(settings), clock.now_microseconds()
    for days in (9, 6, 4):
        with monkeypatch.context() as past:
            past.setattr(clock, "now_microseconds", lambda: now - days * DAY)  # noqa: B023 - called at once
            register(EventLedger(database), settings, f"App {days}", ["https://app.example/cb"], client_id=f"a{days}")
    found = complaints(deployment.examined())
    assert set(found) == {"ledger-anchors", "ledger-roll-ups"}
    assert "never" in found["ledger-anchors"].found
    with database.reading() as transaction:
        assert rollups.anchored_until(transaction) == 0, "the doctor writes nothing"
    database.engine.dispose()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_partition_that_is_missing_is_told(deployment: Deployment) -> None:
    settings = settings_of(deployment, secret_key=SecretStr(KEY))
    database = Database(settings)
    following = ledger_partitions.Month.of(clock.now_microseconds()).plus(1)
    with database.transaction() as transaction:
        ledger_partitions.drop(transaction, following)
    database.engine.dispose()
    found = complaints(deployment.examined())
    assert set(found) == {"ledger-partitions"}
    assert str(following) in found["ledger-partitions"].found


Usage = namedtuple("Usage", "total used free")


@sqlite
def test_a_full_disk_is_told(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12 - 10**8, 10**8))
    found = complaints(deployment.examined())
    assert set(found) == {"disk"}
    assert "100 MB free" in found["disk"].found


@sqlite
def test_a_library_that_is_missing_is_told(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    found_as_ever = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvloop" else found_as_ever(name))
    assert "pip install uvloop" in complaints(deployment.examined())["libraries"].mend


@sqlite
def test_too_few_open_files_are_told(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert set(complaints(deployment.examined())) == {"open-files"}


@sqlite
def test_an_identity_provider_that_does_not_answer_is_told(deployment: Deployment) -> None:
    issuer = f"http://127.0.0.1:{free_port()}"
    deployment.change(IDENTITY="oidc", OIDC_ISSUER=issuer, OIDC_CLIENT_ID="us", OIDC_CLIENT_SECRET=KEY)
    assert set(complaints(deployment.examined())) == {"identity-provider"}


@sqlite
def test_a_database_that_others_may_read_is_told(deployment: Deployment) -> None:
    Path(deployment.database_url.removeprefix("sqlite:///")).chmod(0o644)
    assert "chmod 600" in complaints(deployment.examined())["database"].mend


@sqlite
def test_a_test_deployment_is_warned_and_gets_no_secret_key_made(deployment: Deployment, tmp_path: Path) -> None:
    kept = tmp_path / "made.key"
    deployment.change(ENVIRONMENT="test", SECRET_KEY=None, SECRET_KEY_FILE=str(kept), BASE_URL="http://127.0.0.1:8000")
    diagnosis = deployment.examined()
    assert {name: finding.outcome for name, finding in complaints(diagnosis).items()} == dict.fromkeys(
        ("environment", "base-url", "secret-key"), Outcome.WARN
    )
    assert diagnosis.exit_code == 0
    assert not kept.exists()


@sqlite
def test_the_command_prints_the_score_and_its_exit_code_is_1_when_a_check_fails(
    deployment: Deployment, call: PatientAccess
) -> None:
    good = call("doctor")
    assert (good.code, good.err) == (0, "")
    assert good.out.strip().splitlines()[-1].startswith("18 of 18 checks pass")
    bad = call("doctor", "--json", COOKIES_SECURE="false")
    assert bad.code == 1
    document = json.loads(bad.out)
    assert document["examined"] == "this machine"
    assert [check["name"] for check in document["checks"] if check["outcome"] == "fail"] == ["cookies"]
    assert document["summary"].startswith("17 of 18 checks pass, 1 failure (8 skipped)")

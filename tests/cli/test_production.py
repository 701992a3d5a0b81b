"""45 CFR 164.312 and RFC 9700: a production deployment with default keys, open addresses or the sandbox's people does not start."""

import json

import pytest
from pydantic import SecretStr

from server.authorization.accounts import add_account, mark_test_member
from server.authorization.clients import register
from server.production import dangers, is_well_known, leftovers
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.cli.command import PatientAccess

GOOD = "Zk3vQ9xR1tB7nL5wY2cD8fH4jM6pS0aE"


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"secret_key": SecretStr("changeme" * 5)}, "SECRET_KEY"),
        ({"secret_key": SecretStr("x" * 40)}, "SECRET_KEY"),
        ({"secret_key": SecretStr("0123456789" * 4)}, "SECRET_KEY"),
        ({"oidc_client_secret": SecretStr("changeme")}, "OIDC_CLIENT_SECRET"),
        ({"base_url": "http://payer.example"}, "BASE_URL"),
        ({"base_url": "https://payer.example", "cookies_secure": False}, "COOKIES_SECURE"),
    ],
)
def test_what_is_dangerous_is_named(settings: Settings, changes: dict[str, object], words: str) -> None:
    good = settings.model_copy(update={"secret_key": SecretStr(GOOD), "base_url": "https://payer.example"})
    assert dangers(good) == []
    (found,) = dangers(good.model_copy(update=changes))
    assert words in found
    assert "changeme" not in found


def test_a_random_key_is_not_well_known() -> None:
    assert not is_well_known(GOOD)
    assert not is_well_known("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")


def test_the_sandbox_s_apps_and_people_are_found_in_a_database(database: Database, settings: Settings) -> None:
    add_account(database, "castellanos", "a password of one's own", "Ana", [("p1", "self", "")])
    assert leftovers(database) == []
    mark_test_member(database, "p1")
    register(EventLedger(database), settings, "Sandbox", ["https://app.example/cb"], client_id="sandbox-app")
    apps, people = leftovers(database)
    assert "sandbox-app" in apps
    assert "castellanos" in people


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_production_deployment_with_a_default_key_does_not_start_and_a_test_one_is_warned(
    patient_access: PatientAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.setenv(name, "1")
    stopped = patient_access("serve", "--port", "45870", SECRET_KEY="changeme" * 5)
    assert stopped.code == 2
    assert "SECRET_KEY" in stopped.err
    served: list[tuple[object, ...]] = []
    monkeypatch.setattr("server.launcher.run", lambda *arguments: served.append(arguments) or 0)
    warned = patient_access(
        "serve", "--port", "45871", SECRET_KEY="changeme" * 5, ENVIRONMENT="test", TRUSTED_PROXIES="10.0.0.0/8"
    )
    assert (warned.code, len(served)) == (0, 1)
    (settings,) = (one for one in served[0] if isinstance(one, Settings))
    assert settings.trusted_proxies == ("10.0.0.0/8",)
    lines = [json.loads(line) for line in warned.err.splitlines()]
    assert [line["level"] for line in lines if line["message"].startswith("SECRET_KEY")] == ["warning"]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_decisions_on_apps_are_listed(patient_access: PatientAccess) -> None:
    assert patient_access("client", "decisions").out == "No decision on any app is recorded.\n"
    why = (
        "--criterion",
        "malicious-software",
        "--evidence",
        "two lists",
        "--decided-by",
        "Sam",
        "--notice",
        "Clean it.",
    )
    refused = patient_access("client", "refuse", "--redirect-host", "bad.example", *why)
    assert refused.code == 0
    assert "Clean it." in refused.out
    neither = patient_access("client", "refuse", *why)
    assert (neither.code, "--redirect-host" in neither.err) == (2, True)
    lifted = patient_access("client", "resume", "redirect-host:bad.example", "--decided-by", "Kim")
    assert lifted.code == 0
    listed = patient_access("client", "decisions").out
    assert [
        word for word in ("refused", "admitted", "two lists", "Sam", "Kim", "Clean it.") if word not in listed
    ] == []
    unknown = patient_access("client", "suspend", "x", "--criterion", "whim", "--evidence", "e", "--decided-by", "Sam")
    assert (unknown.code, "attack-on-systems" in unknown.err) == (2, True)

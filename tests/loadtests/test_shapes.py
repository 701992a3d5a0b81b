"""Every shape for some seconds against a server of two workers, on both databases: no unexpected answer, and a report that names nobody.

https://docs.locust.io/en/stable/running-without-web-ui.html - in processes of their own, since locust patches the standard library.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtests import claims
from loadtests.shapes import SHAPES
from seed_data.generate import LOGINS, MEMBERS, resources
from server.authorization.accounts import add_account
from server.authorization.clients import register
from server.ingest.load import load
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests import factories
from tests.lasting import lasting_database, settings_of
from tests.serving import COMMAND, ROOT, environment, free_port, serving

pytestmark = pytest.mark.slow
CALLBACK = "http://127.0.0.1:9/callback"
CLAIMS = 160
"""Of the heavy member: four pages of 50."""
PEOPLE = [login for login in LOGINS if {patient for patient, _ in login.members} <= {one.id for one in MEMBERS[:6]}]
SECRETS = ("access_token", "Bearer ", "code_verifier", "-sandbox")
DANCE = ("discovery", "authorize", "sign-in page", "sign in", "consent page", "allow", "token")
STEPS = {
    "steady-day": (*DANCE, "read Patient", "search Coverage", "refresh", "revoke", "read after revoke: 401"),
    "monthly-sync-storm": ("refresh", "search ExplanationOfBenefit with includes", "search Observation"),
    "launch-day": (*DANCE, "read Patient", "search ExplanationOfBenefit with includes", "search Condition"),
    "token-expiry-stampede": ("refresh", "read Patient", "read ExplanationOfBenefit"),
    "heavy-member": ("search ExplanationOfBenefit of 50", "search ExplanationOfBenefit of 50, next page"),
    "everything-crawlers": ("$everything", "$everything, next page"),
    "dead-token": ("read with a dead token: 401", "search with a dead token: 401", "refresh with a dead token: 400"),
}
"""What must have been measured, among others."""


@dataclass(frozen=True, slots=True)
class Payer:
    """A server that can be loaded, and its manifest."""

    fhir_base: str
    manifest: Path
    people: list[dict[str, Any]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def payer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Payer]:
    """Some personas and one member with many claims, behind two workers."""
    folder = tmp_path_factory.mktemp("payer")
    with lasting_database(request.param, request) as url:
        settings = settings_of(url)
        database = Database(settings)
        factories.store(database, settings, resources(members=MEMBERS[:6]))
        (folder / "heavy").mkdir()
        report = load(database, settings, claims.write_ndjson(folder / "heavy", 1, CLAIMS, 2_600))
        assert report.exit_code == 0, report
        people = [
            {"username": login.username, "password": login.password, "patients": [one for one, _ in login.members]}
            for login in PEOPLE
        ]
        people.append(
            {"username": "heavy", "password": "heavy-sandbox", "patients": [claims.patient_id(0)], "heavy": True}
        )
        for one in people:
            members = [(patient, "self", "") for patient in one["patients"]]
            add_account(database, one["username"], one["password"], "Somebody", members)
        register(EventLedger(database), settings, "Health Notes", [CALLBACK], client_id="health-notes")
        database.engine.dispose()
        more = {"RATE_LIMIT_PER_MINUTE": "0", "SERVER_TIMING": "true"}
        with serving(url, folder / "server.log", workers=2, settings=more) as server:
            manifest = folder / "manifest.json"
            client = {"client_id": "health-notes", "redirect_uris": [CALLBACK]}
            content = {"fhir_base": server.fhir_base, "client": client, "logins": people}
            manifest.write_text(json.dumps(content), "utf-8")
            yield Payer(server.fhir_base, manifest, people)


def run(payer: Payer, output: Path, shape: str, *options: str) -> tuple[subprocess.CompletedProcess[str], Any]:
    """A load test of two seconds: the process, and its JSON."""
    command = [sys.executable, "-m", "loadtests.run", "--manifest", str(payer.manifest), "--shape", shape]
    timing = ["--minutes", "0.035", "--users", "4", "--pace", "0.02", "--output", str(output)]
    done = subprocess.run([*command, *timing, *options], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done, json.loads((output / f"{shape}.json").read_text("utf-8"))


@pytest.mark.parametrize("shape", [shape.name for shape in SHAPES])
def test_a_shape_gets_no_unexpected_answer_and_makes_a_report_that_names_nobody(
    payer: Payer, tmp_path: Path, shape: str
) -> None:
    done, report = run(payer, tmp_path, shape)
    assert report["errors"] == []
    assert (done.returncode, report["verdict"]) == (0, "pass"), done.stdout + done.stderr
    steps = {step["name"]: step for step in report["steps"]}
    assert set(STEPS[shape]) <= set(steps)
    assert all(step["requests"] > 0 and step["p50"] <= step["p95"] <= step["p99"] for step in steps.values())
    assert report["whole"]["requests"] == sum(step["requests"] for step in steps.values())
    assert {"total"} <= {timing["name"] for timing in report["timings"]}
    written = "".join(path.read_text("utf-8") for path in tmp_path.iterdir())
    named = [one for person in payer.people for one in (person["username"], *person["patients"]) if one != "heavy"]
    assert [one for one in (*named, *SECRETS) if one in written + done.stdout + done.stderr] == []


@pytest.mark.parametrize("payer", ["sqlite"], indirect=True)
def test_what_two_workers_measured_is_in_the_master_s_report(payer: Payer, tmp_path: Path) -> None:
    """The workers know neither the shape nor the pace: the master tells them."""
    baseline, port = tmp_path / "baseline.json", str(free_port())
    of_worker = ["--worker", "--master-port", port, "--manifest", str(payer.manifest)]
    workers = [subprocess.Popen([sys.executable, "-m", "loadtests.run", *of_worker], cwd=ROOT) for _ in range(2)]
    try:
        more = ("--master", "--expect-workers", "2", "--master-port", port)
        done, report = run(payer, tmp_path, "dead-token", *more, "--baseline", str(baseline), "--save-baseline")
        assert [worker.wait(30) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    assert (done.returncode, report["generators"]) == (0, 2), done.stdout + done.stderr
    steps = {step["name"]: step for step in report["steps"]}
    assert steps["metadata"]["requests"] >= 2  # each worker asks on its own
    assert steps["read with a dead token: 401"]["statuses"].startswith("401: ")
    assert report["timings"]
    stored = json.loads(baseline.read_text("utf-8"))["dead-token"]["steps"]
    assert stored["all steps"]["requests"] == report["whole"]["requests"]


@pytest.mark.parametrize("payer", ["sqlite"], indirect=True)
def test_pages_of_any_server_are_filled_in_by_the_adapter_for_forms(payer: Payer, tmp_path: Path) -> None:
    done, report = run(payer, tmp_path, "launch-day", "--sign-in", "forms")
    assert (done.returncode, report["errors"]) == (0, []), done.stdout + done.stderr
    steps = {step["name"] for step in report["steps"]}
    assert {"authorize", "sign-in page 1", "sign-in form 1", "sign-in form 2", "token", "read Patient"} <= steps


@pytest.mark.parametrize("payer", ["sqlite"], indirect=True)
def test_unexpected_answers_are_told_by_step_status_and_code_and_fail(payer: Payer, tmp_path: Path) -> None:
    content = json.loads(payer.manifest.read_text("utf-8"))
    content["client"]["scope"] = "launch/patient patient/Coverage.rs"  # so that reading the Patient is refused
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(content), "utf-8")
    done, report = run(payer, tmp_path / "report", "launch-day", "--manifest", str(manifest))
    assert (done.returncode, report["verdict"]) == (1, "fail")
    (error,) = report["errors"]
    assert (error["step"], error["status"]) == ("read Patient", 403)
    assert error["code"].startswith("OperationOutcome forbidden")
    assert error["count"] == report["whole"]["failed"] > 0
    assert "unexpected errors" in (tmp_path / "report" / "launch-day.html").read_text("utf-8")


@pytest.mark.parametrize("payer", ["sqlite"], indirect=True)
def test_the_command_fails_when_a_level_is_exceeded_and_takes_the_address_above_the_base(
    payer: Payer, tmp_path: Path
) -> None:
    levels = tmp_path / "levels.toml"
    levels.write_text('[levels."read Patient"]\np50 = 0.001\n', "utf-8")
    options = ["--target", payer.fhir_base.removesuffix("/fhir"), "--manifest", str(payer.manifest), "--users", "2"]
    timing = ["--minutes", "0.03", "--pace", "0.02", "--shape", "token-expiry-stampede", "--output", str(tmp_path)]
    done = subprocess.run(
        [*COMMAND, "loadtest", *options, *timing, "--thresholds", str(levels)],
        env=environment("sqlite:///nowhere/none.db", "http://127.0.0.1:1"),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "fail: read Patient: p50" in done.stdout
    report = json.loads((tmp_path / "token-expiry-stampede.json").read_text("utf-8"))
    assert (report["target"], report["errors"]) == (payer.fhir_base, [])

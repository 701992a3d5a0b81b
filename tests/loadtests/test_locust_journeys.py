"""Two members' journeys with locust, against a server of its own: no step fails.

https://docs.locust.io/en/stable/running-without-web-ui.html - in a process of its own, since locust patches the standard library.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from seed_data.generate import LOGINS, resources
from server.authorization.accounts import add_account
from server.authorization.clients import register
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.factories import store
from tests.serving import ROOT, serving

CALLBACK = "http://127.0.0.1:9/callback"
STEPS = (
    "discovery",
    "authorize",
    "sign-in page",
    "sign in",
    "consent page",
    "allow",
    "token",
    "read Patient",
    "search Coverage",
    "search ExplanationOfBenefit with includes",
    "refresh",
    "search ExplanationOfBenefit of 10",
    "search ExplanationOfBenefit of 10, next page",
    "revoke",
    "read after revoke: 401",
)
OTHERS_MEMBERS = max(LOGINS, key=lambda login: len(login.members))
"""Who acts for several members, and is asked for whom."""


def locust(manifest: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run locust without its web page."""
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        "loadtests/locustfile.py",
        "--headless",
        "--manifest",
        str(manifest),
    ]
    return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=150)


@pytest.mark.slow
def test_no_step_of_the_journey_fails(settings: Settings, database: Database, tmp_path: Path) -> None:
    store(database, settings, resources())
    logins = [LOGINS[0], OTHERS_MEMBERS]
    for login in logins:
        members = [(patient, relationship, "") for patient, relationship in login.members]
        add_account(database, login.username, login.password, login.display_name, members)
    register(EventLedger(database), settings, "Health Notes", [CALLBACK], client_id="health-notes")
    manifest, figures = tmp_path / "manifest.json", tmp_path / "figures"
    with serving(settings.database_url, tmp_path / "server.log", workers=2) as server:
        content = {
            "base_url": server.base_url,
            "fhir_base": server.fhir_base,
            "client": {"client_id": "health-notes", "redirect_uris": [CALLBACK]},
            "logins": [
                {
                    "username": login.username,
                    "password": login.password,
                    "patients": [patient for patient, _ in login.members],
                }
                for login in logins
            ],
        }
        manifest.write_text(json.dumps(content), "utf-8")
        # The time to stop lets both users end the journey they are in, however slow the machine.
        timing = ["-u", "2", "-r", "2", "-t", "5s", "--stop-timeout", "60", "--think-seconds", "0.05"]
        done = locust(manifest, *timing, "--csv", str(figures))
    assert done.returncode == 0, done.stdout + done.stderr
    with Path(f"{figures}_stats.csv").open(newline="") as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    assert {name for name in rows if name != "Aggregated"} == set(STEPS)
    assert {row["Failure Count"] for row in rows.values()} == {"0"}
    assert all(int(rows[step]["Request Count"]) >= 2 for step in STEPS)


@pytest.mark.slow
def test_a_manifest_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    done = locust(tmp_path / "missing.json", "-t", "1s")
    assert done.returncode == 2
    assert "missing.json is not the manifest of a sandbox" in done.stderr

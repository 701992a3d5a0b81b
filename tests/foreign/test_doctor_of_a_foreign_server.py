"""The doctor and a server that nobody here wrote: it finishes, finds what is true, and finds what is good too.

https://github.com/panva/node-oidc-provider and https://github.com/canvas-medical/fhirstarter
"""

import json
from pathlib import Path
from typing import Any

import pytest

from server.doctor.checks import SITE_CHECKS
from tests.cli.command import PatientAccess
from tests.cli.conftest import call, without_settings
from tests.foreign.foreign_server import CLIENT, ForeignServer
from tests.foreign.records import CLAIMS_EACH, MEMBERS

__all__ = ["call", "without_settings"]

TRUE_SHORTCOMINGS = {
    "fhir-version": "4.3.0",  # R4B models
    "required-searches": "_lastUpdated",
    "no-token": "WWW-Authenticate",
    "wrong-token": "WWW-Authenticate",
    "unknown-type": "404 without an OperationOutcome",
    "cors-discovery": "Access-Control-Allow-Origin",
    "cors-fhir": "preflight gave 405",
    "last-updated": "after 2200",
    "service-date": "after 2200",
    "type": "do not have it",
    "identifier": "do not have it",
    "include": "no include",
    "paging": "on a page of",
}
"""What fhirstarter does not do by itself, and words of the finding."""
TRUE_WARNINGS = {"security-endpoints", "conditional-read", "compression", "caching"}


@pytest.fixture
def checks(call: PatientAccess, foreign: ForeignServer, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Every check's finding, by name, with a member's token."""
    kept = tmp_path / "token"
    kept.write_text(foreign.token("ana") + "\n", "utf-8")
    app = ("--client-id", CLIENT["client_id"], "--redirect-uri", CLIENT["redirect_uris"][0])
    outcome = call("doctor", foreign.fhir_base, "--json", "--token-file", str(kept), *app)
    assert (outcome.code, outcome.err) == (1, "")
    assert kept.read_text("utf-8").strip() not in outcome.out
    return {check["name"]: check for check in json.loads(outcome.out)["checks"]}


def test_the_shortcomings_are_found_and_no_others(checks: dict[str, dict[str, Any]]) -> None:
    by_outcome = {
        outcome: {name for name, check in checks.items() if check["outcome"] == outcome}
        for outcome in ("pass", "warn", "fail", "skip")
    }
    assert by_outcome["fail"] == set(TRUE_SHORTCOMINGS)
    assert by_outcome["warn"] - {"response-time"} == TRUE_WARNINGS  # the machine may be busy
    assert by_outcome["skip"] == {"https", "certificate", "tls-version", "hsts", "cors-exposed", "everything"}
    assert set(checks) == {check.name for check in SITE_CHECKS}
    for name, words in TRUE_SHORTCOMINGS.items():
        assert words in checks[name]["found"], checks[name]
    assert f"{CLAIMS_EACH} found" in checks["claims"]["found"]


def test_the_same_is_told_to_people_without_a_token(call: PatientAccess, foreign: ForeignServer) -> None:
    outcome = call("doctor", foreign.fhir_base)
    assert outcome.code == 1
    assert "FAIL  fhir-version" in outcome.out
    assert "skip  claims" in outcome.out
    assert "checks pass" in outcome.out.splitlines()[-1]


def test_its_members_see_their_own_records_only(call: PatientAccess, foreign: ForeignServer) -> None:
    other = MEMBERS["bela"]
    outcome = call("doctor", foreign.fhir_base, "--json", "--patient", other, DOCTOR_TOKEN=foreign.token("ana"))
    found = {check["name"]: check for check in json.loads(outcome.out)["checks"]}
    assert found["member-record"]["outcome"] == "fail"
    assert found["claims"]["outcome"] == "skip"

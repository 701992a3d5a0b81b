"""The refusal register (42 CFR 422.119(e)): what was refused to whom, by which criterion, on what evidence and basis, how often."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server import clock
from server.authorization.consent import NOT_ALLOWED
from server.authorization.suspension import Decision, refuse, suspend
from server.metrics.refusals import AUTHORIZATION, DECISIONS, MEMBERS, REQUESTS, WITHHELD, Refusal, refusals
from server.metrics.refusals_forms import COLUMNS, as_csv, as_json, as_table
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import EventLedger
from tests.factories import client
from tests.lasting import settings_of
from tests.storage.ledgers import chain, write

POLICIES = """
[[policy]]
slug = "minors"
title = "Reproductive care of minors"
labels = ["http://labels.example|R"]
from = ["representative"]
legal_basis = "State law 12-34"
"""
MAY = clock.to_microseconds(datetime(2026, 5, 10, 12, tzinfo=UTC))


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    path = tmp_path / "policies.toml"
    path.write_text(POLICIES, "utf-8")
    return settings_of(database_url, sensitivity_policies_file=path)


def rows(*moments: int, kind: str = "answer", **columns: Any) -> list[dict[str, Any]]:
    """Ledger rows of a kind."""
    found = chain(moments, **columns)
    for row in found:
        row["kind"] = kind
    return found


def register(database: Database, settings: Settings, section: str, **options: Any) -> list[Refusal]:
    return [line for line in refusals(database, settings, year=2026, **options) if line.section == section]


def test_a_decision_on_an_app_has_criterion_evidence_basis_notice_and_appeal(
    database: Database, settings: Settings
) -> None:
    client(database, "bad")
    ledger = EventLedger(database)
    decision = Decision(
        "credentials-exposed", "seen at pastes.example", "A. Officer", "Replace it.", "appeals@payer.example"
    )
    with clock.set_to(datetime(2026, 5, 10, 12, tzinfo=UTC)):
        suspend(ledger, settings, "bad", decision)
        refuse(ledger, settings, "redirect-host:malware.example", replace(decision, criterion="malicious-software"))
    first, second = register(database, settings, DECISIONS)
    assert (first.what, first.app, first.app_name) == ("suspended", "bad", "The app bad")
    assert first.criterion.startswith("credentials-exposed: ")
    assert (first.evidence, first.decided_by, first.notice) == ("seen at pastes.example", "A. Officer", "Replace it.")
    assert first.appeal == "appeals@payer.example"
    assert "422.119" in first.basis
    assert (second.what, second.app) == ("refused", "redirect-host:malware.example")


def test_refused_requests_are_counted_by_app_status_and_what_was_asked(database: Database, settings: Settings) -> None:
    asked = {"interaction": "search-type", "resource_type": "Coverage", "resources": 0}
    write(database, rows(MAY, MAY + 1, MAY + 2, status=403, **asked), rows(MAY + 3, status=429, **asked))
    write(database, rows(MAY, status=404, **asked), rows(MAY, status=200, **asked))
    scope, throttled = register(database, settings, REQUESTS)
    assert (scope.criterion.partition(":")[0], scope.count, scope.what) == ("scope-missing", 3, "search-type Coverage")
    assert (scope.first, scope.last) == (MAY, MAY + 2)
    assert (throttled.criterion.partition(":")[0], throttled.count) == ("throttled", 1)


def test_tokens_refused_by_a_rule_of_the_payers_are_counted_by_rule(database: Database, settings: Settings) -> None:
    refused = {"kind": "refusal", "interaction": "access", "status": 401, "resources": 0}
    write(database, rows(MAY, MAY + 1, detail="disenrolled: The coverage has ended.", **refused))
    write(database, rows(MAY + 2, detail="suspended: The app is suspended: by a criterion", **refused))
    found = {line.criterion: line for line in register(database, settings, REQUESTS)}
    assert (found["disenrolled"].count, found["disenrolled"].evidence) == (2, "The coverage has ended.")
    assert "current enrollees" in found["disenrolled"].basis
    assert "422.119" in found["suspended"].basis


def test_withheld_records_add_up_by_policy_and_app_with_the_legal_basis(database: Database, settings: Settings) -> None:
    for detail, count in (('{"withheld":{"minors":2}}', 3), ('{"withheld":{"minors":5,"gone":1}}', 1)):
        write(database, rows(*range(MAY, MAY + count), actor="representative", detail=detail))
    found = {line.criterion.partition(":")[0]: line for line in register(database, settings, WITHHELD)}
    assert (found["minors"].count, found["minors"].basis) == (11, "State law 12-34")
    assert found["minors"].criterion == "minors: Reproductive care of minors"
    assert found["gone"].count == 1
    assert "no longer" in found["gone"].basis


def test_what_a_member_declines_is_shown_apart(database: Database, settings: Settings) -> None:
    declined = rows(MAY, kind="refusal", interaction="consent", status=0, detail=f"access_denied: {NOT_ALLOWED}")
    disenrolled = rows(
        MAY, kind="refusal", interaction="consent", status=0, detail="access_denied: The coverage has ended."
    )
    write(database, declined, disenrolled)
    (own,), (policy,) = register(database, settings, MEMBERS), register(database, settings, AUTHORIZATION)
    assert own.what == "declined to share"
    assert policy.evidence == "The coverage has ended."


def test_refused_scopes_have_the_code_and_words_the_app_was_told(database: Database, settings: Settings) -> None:
    detail = "invalid_scope: None of the requested scopes is offered."
    write(database, rows(MAY, MAY + 1, kind="refusal", interaction="authorize", status=0, detail=detail))
    (line,) = register(database, settings, AUTHORIZATION)
    assert (line.criterion, line.evidence, line.count) == (
        "invalid_scope",
        "None of the requested scopes is offered.",
        2,
    )


def test_a_failed_sign_in_names_no_account(database: Database, settings: Settings) -> None:
    for number in range(3):
        detail = f"wrong password, account secret-{number}"
        write(database, rows(MAY, kind="refusal", client_id="", interaction="sign-in", status=0, detail=detail))
    (line,) = register(database, settings, AUTHORIZATION)
    assert (line.criterion, line.count) == ("sign-in-failed", 3)
    assert "secret" not in repr(line)


def test_only_the_period_and_the_environment_asked_for_count(database: Database, settings: Settings) -> None:
    new_year = clock.to_microseconds(datetime(2027, 1, 1, 5, tzinfo=UTC))  # midnight in New York
    write(database, rows(new_year, status=403), rows(new_year - 1, status=403))
    write(database, rows(MAY, status=403, environment="test"))
    assert [line.count for line in register(database, settings, REQUESTS)] == [1]
    assert [line.count for line in register(database, settings, REQUESTS, month=12)] == [1]
    assert register(database, settings, REQUESTS, month=5) == []
    assert [line.count for line in register(database, settings, REQUESTS, environment="test")] == [1]
    with pytest.raises(ValueError, match="environment"):
        refusals(database, settings, year=2026, environment="other")


def test_every_form_tells_every_line(database: Database, settings: Settings) -> None:
    write(database, rows(MAY, MAY, status=403, client_id="=evil()", interaction="read"))
    lines = refusals(database, settings, year=2026)
    (row,) = csv.DictReader(io.StringIO(as_csv(lines)))
    assert tuple(row) == COLUMNS
    assert (row["app"], row["count"]) == ("'=evil()", "2")
    document = json.loads(as_json(lines, period="2026"))
    assert [line["app"] for line in document["refusals"]] == ["=evil()"]
    table = as_table(lines, "Refusal register 2026")
    assert "Refused requests for data: 1" in table
    assert "Decisions on apps: none" in table
    assert max(map(len, table.splitlines())) <= 100

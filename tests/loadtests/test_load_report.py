"""The report of a load test: the page and the file say the same, escape what they are given, and fetch nothing.

https://www.w3.org/WAI/tutorials/tables/
"""

import json
import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loadtests import shapes_evidence
from loadtests.measurements import Measurements
from loadtests.report import Report, as_html, as_json, terminal_lines, without_secrets, write
from loadtests.shapes import BY_NAME
from loadtests.summary import summarize
from loadtests.thresholds import Check


def report(checks: Sequence[Check] = ()) -> Report:
    """A small run with an error and timings of the server."""
    measured = Measurements()
    for number in range(40):
        measured.record("read Patient", 200, 2.0 + number, 500, number // 10, "db;dur=0.5")
    measured.record("token", 400, 9.0, 60, 2)
    measured.fail("token", 400, "OAuth <b>invalid_grant</b>")
    started = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    summary = summarize(measured, 4, 4.0)
    target = "https://somebody:secret@payer.example/fhir?key=1"
    return Report(BY_NAME["steady-day"], target, started, 0.1, 2, summary, checks, ["A note."])


def test_the_file_has_every_figure_of_the_page() -> None:
    content = json.loads(as_json(report([Check("token", "p95", "9 ms", "at most 5 ms", "fail")])))
    page = as_html(report())
    assert content["verdict"] == "fail"
    assert content["whole"]["requests"] == 41
    for step in content["steps"]:
        assert f'<th scope="row">{step["name"]}</th>' in page
        assert f'<td class="n">{step["p95"]:,.1f}</td>' in page
    assert content["timings"][0]["name"] == "db"
    assert content["errors"] == [{"step": "token", "status": 400, "code": "OAuth <b>invalid_grant</b>", "count": 1}]


def test_the_page_escapes_what_a_server_said_and_fetches_nothing() -> None:
    page = as_html(report())
    assert "<b>invalid_grant" not in page
    assert "&lt;b&gt;invalid_grant" in page
    assert re.findall(r"<(?:script|link|img|iframe)|\b(?:src|href)=|url\(|@import", page) == []


def test_neither_page_nor_file_has_the_secrets_of_an_address() -> None:
    for text in (as_html(report()), as_json(report())):
        assert "https://payer.example/fhir" in text
        assert "secret" not in text.replace("--secret", "")
        assert "key=1" not in text


@pytest.mark.parametrize(
    ("verdicts", "wanted", "good"),
    [([], "pass", True), (["pass", "warn"], "warn", True), (["warn", "fail", "pass"], "fail", False)],
)
def test_a_warning_does_not_fail_and_one_failure_does(verdicts: list[str], wanted: str, good: bool) -> None:
    found = report([Check("token", "p50", "1 ms", "2 ms", verdict) for verdict in verdicts])
    assert (found.verdict, found.is_good) == (wanted, good)


def test_what_failed_stands_first_and_is_told_in_the_terminal() -> None:
    checks = [Check("token", "p50", "1 ms", "2 ms", "pass"), Check("read Patient", "p95", "9 ms", "5 ms", "fail")]
    page, lines = as_html(report(checks)), list(terminal_lines(report(checks)))
    assert page.index('<td class="fail">fail</td>') < page.index('<td class="pass">pass</td>')
    assert "fail: read Patient: p95 9 ms, 5 ms" in lines
    assert "error: token: 400: OAuth <b>invalid_grant</b>: 1" in lines
    assert lines[-2:] == ["note: A note.", "verdict: fail"]


def test_a_run_that_measured_nothing_has_a_page_too() -> None:
    empty = replace(report(), summary=summarize(Measurements(), 1, 0.0))
    assert "<svg" not in as_html(empty)
    assert "None." in as_html(empty)


def test_both_files_are_named_after_the_shape(tmp_path: Path) -> None:
    paths = write(report(), tmp_path / "deep")
    assert [path.name for path in paths] == ["steady-day.html", "steady-day.json"]


def test_an_address_is_told_without_user_and_query() -> None:
    assert without_secrets("http://a:b@127.0.0.1:8000/fhir?x=1#y") == "http://127.0.0.1:8000/fhir"


def test_the_page_of_evidence_tells_every_shape_and_its_errors() -> None:
    content = json.loads(as_json(report([Check("token", "p95", "9 ms", "at most 5 ms", "fail")])))
    options = Namespace(postgresql=True, minutes=1.0, users=4, members=60, claims=5_000)
    page = shapes_evidence.render([content], options)
    assert "0 of 1 shapes passed" in page
    assert "python -m loadtests.shapes_evidence --postgresql --users 4\n" in page
    row = next(line for line in page.splitlines() if line.startswith("| `steady-day`"))
    assert row.startswith("| `steady-day` | 4 | 41 | ")
    assert row.endswith("| fail |")
    assert "- `steady-day`: token, status 400, OAuth <b>invalid_grant</b>: 1" in page


def test_evidence_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert shapes_evidence.main(["--users", "0"]) == 2
    assert capsys.readouterr().err == "error: minutes, users, members and claims are more than 0\n"

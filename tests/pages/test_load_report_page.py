"""axe-core finds nothing to complain about on the page of a load test, at phone and desktop width, in Chromium.

https://github.com/dequelabs/axe-core
"""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from loadtests.measurements import Measurements
from loadtests.report import Report, write
from loadtests.shapes import BY_NAME
from loadtests.summary import summarize
from loadtests.thresholds import Check
from tests.pages.test_axe import check
from tests.pages.test_sample_app import SIZES


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_the_report_of_a_load_test_is_accessible(browser: Browser, axe: str, tmp_path: Path, size: str) -> None:
    measured = Measurements()
    for number in range(60):
        measured.record(
            "search ExplanationOfBenefit with includes", 200, 3.0 + number, 90_000, number // 10, "db;dur=1"
        )
    measured.record("token", 400, 9.0, 60, 2)
    measured.fail("token", 400, "OAuth invalid_grant")
    checks = [Check("token", "p50", "9.0 ms", "5.0 ms", verdict) for verdict in ("pass", "warn", "fail")]
    summary, started = summarize(measured, 4, 6.0), datetime(2026, 11, 22, tzinfo=UTC)
    page, _ = write(
        Report(BY_NAME["steady-day"], "https://payer.example/fhir", started, 0.1, 1, summary, checks, ["A note."]),
        tmp_path,
    )
    context = browser.new_context(viewport=SIZES[size])  # type: ignore[arg-type]
    opened = context.new_page()
    opened.goto(page.as_uri())
    check(opened, axe)
    assert opened.locator("svg rect").count() == 4
    context.close()

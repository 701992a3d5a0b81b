"""/prior-authorization-metrics: public without an account, what the rule asks for and no more, usable by everybody.

42 CFR 422.122(c) and its parallels; https://www.w3.org/TR/WCAG22/
"""

import csv
import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from starlette.testclient import TestClient

from server import clock
from server.app import create_app
from server.metrics.prior_authorization_document import PriorAuthorizationReport, publish, store
from server.metrics.report_archive import row_of
from server.pages.prior_authorization_pages import PATH, standalone
from server.settings import Settings
from server.storage.database import Database
from tests.metrics.authorization_year import NOW, finished, with_items
from tests.pages.test_axe import check
from tests.pages.test_sample_app import SIZES
from tests.serving import serving


def published(
    database: Database, report: PriorAuthorizationReport, deployment: str = "production", **content: Any
) -> None:
    """Keep and publish a report, with something of its content changed."""
    changed = replace(report, content={**report.content, **content})
    with database.transaction() as transaction, clock.set_to(NOW):
        row = row_of(transaction, store(transaction, changed, generated_by=""))
        publish(transaction, row, environment=deployment, published_by="officer")


@pytest.fixture
def report(database: Database, settings: Settings, tmp_path: Path) -> PriorAuthorizationReport:
    return finished(database, with_items(settings, tmp_path))


@pytest.fixture
def web(settings: Settings) -> Iterator[TestClient]:
    """A browser without any account."""
    with TestClient(create_app(settings), base_url=settings.base_url, follow_redirects=False) as client:
        yield client


def test_nothing_is_public_before_it_is_published(
    web: TestClient, database: Database, report: PriorAuthorizationReport
) -> None:
    with database.transaction() as transaction:
        store(transaction, report, generated_by="")
    assert "No year has been published yet." in web.get(PATH).text
    for path in ("/2026", "/2026.csv", "/nonsense", "/99999", "/2026.xml"):
        assert web.get(PATH + path).status_code == 404


def test_a_published_year_is_on_the_front_door_listed_and_shown_without_a_cookie(
    web: TestClient, database: Database, report: PriorAuthorizationReport
) -> None:
    published(database, report)
    assert f'href="{PATH}"' in web.get("/").text
    assert f'href="{PATH}/2026"' in web.get(PATH).text
    page = web.get(f"{PATH}/2026")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "set-cookie" not in page.headers
    assert page.headers["content-language"] == "en"
    for text in (
        *(
            "Medicare Advantage, contract H1234",
            "6 standard and 2 expedited requests",
            "33.33%",
            "6.63 days",
            "61.75 hours",
            "n/a",
        ),
        *(
            "A new knee",
            "89 FR 8889",
            "Definition requests-received, version 1",
            report.sha256,
            "fully or partially denied",
        ),
    ):
        assert text in page.text
    assert "Test data" not in page.text


def test_no_request_no_clock_and_no_line_without_the_duty_is_public(
    web: TestClient, database: Database, report: PriorAuthorizationReport
) -> None:
    published(database, report)
    for path in ("/2026", "/2026.csv"):
        text = web.get(PATH + path).text
        assert not [
            word
            for word in ("AUTH-", "commercial", "E1", "overdue", "late", "internal", "anna", "Q9")
            if f">{word}" in text or f",{word}" in text
        ]
    assert "AUTH-" in str(report.content["internal"])


def test_the_download_has_the_figures_of_the_page(
    web: TestClient, database: Database, report: PriorAuthorizationReport
) -> None:
    published(database, report)
    answer = web.get(f"{PATH}/2026.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="prior-authorization-metrics-2026.csv"'
    page = web.get(f"{PATH}/2026").text
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["number"] for row in rows} == set("123456789")
    for row in rows:
        assert (row["percent"] or row["median"] or row["text"]) in page


def test_the_report_published_last_is_the_one_of_its_year(
    web: TestClient, database: Database, report: PriorAuthorizationReport
) -> None:
    published(database, report)
    published(database, report, payer="The corrected plan")
    published(database, report, payer="The year before", year=2025)
    assert "The corrected plan" in web.get(f"{PATH}/2026").text
    assert web.get(PATH).text.count('<li><a href="/prior-authorization-metrics/') == 2
    published(database, report)
    assert "The corrected plan" not in web.get(f"{PATH}/2026").text


def test_a_test_deployment_says_that_its_figures_are_made_up(
    web: TestClient, database: Database, settings: Settings, report: PriorAuthorizationReport
) -> None:
    published(database, report, "test", environment="test")
    assert web.get(f"{PATH}/2026").status_code == 404, "a production deployment never shows test data"
    sandbox = settings.model_copy(update={"environment": "test"})
    with TestClient(create_app(sandbox), base_url=settings.base_url) as other:
        assert '<span class="tag mixed">Test data</span>' in other.get(PATH).text
        assert "<strong>Test data.</strong>" in other.get(f"{PATH}/2026").text


@pytest.fixture(scope="module")
def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A running server with a published year, and the page of it as a file."""
    folder = tmp_path_factory.mktemp("metrics")
    shutil.copyfile(sqlite_template, folder / "test.db")
    settings = Settings(database_url=f"sqlite:///{folder / 'test.db'}", environment="production")
    database = Database(settings)
    made = finished(database, with_items(settings, folder))
    published(database, made)
    (folder / "page.html").write_text(standalone(settings, made), "utf-8")
    database.engine.dispose()
    with serving(settings.database_url, folder / "log", workers=1) as server:
        yield server.base_url, folder / "page.html"


@pytest.fixture(params=SIZES)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport=SIZES[request.param])  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def test_everybody_can_use_the_pages(page: Page, axe: str, served: tuple[str, Path]) -> None:
    base_url, file = served
    for address in (base_url + PATH, f"{base_url}{PATH}/2026", f"{base_url}{PATH}/2025", file.as_uri()):
        page.goto(address)
        check(page, axe)
        if folder := os.environ.get("SCREENSHOTS"):
            name = f"{address.rsplit('/', 1)[1]}-{page.viewport_size['width']}.png"  # type: ignore[index]
            page.screenshot(path=Path(folder) / name, full_page=True)


def test_the_figures_fit_on_a_phone(browser: Browser, served: tuple[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 800})
    page.goto(f"{served[0]}{PATH}/2026")
    wider = "() => [...document.querySelectorAll('.scroll:has(.figures)')].filter((e) => e.scrollWidth > e.clientWidth).length"
    assert page.locator("table.figures").count() > 4
    assert page.evaluate(wider) == 0
    page.close()

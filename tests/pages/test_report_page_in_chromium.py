"""The printable usage report in Chromium: nothing for axe-core to complain about, on a phone, on a desk and on paper.

https://github.com/dequelabs/axe-core and https://www.w3.org/TR/WCAG22/
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from server.metrics.forms.printed_page import as_html
from tests.metrics.finished_report import REPORT, UNITS, moment
from tests.pages.test_axe import check
from tests.pages.test_sample_app import SIZES

pytestmark = pytest.mark.slow
NOTHING = replace(
    REPORT,
    environment="test",
    answers=0,
    transfers=0,
    removed=(),
    total=replace(UNITS[1], level="organisation", unit=("",) * 6),
    units=(UNITS[1],),
    by_month=tuple(replace(share, values=(0, 0), occasions=0) for share in REPORT.by_month),
    by_app=(),
    notes=("No test transfers in 2026.",),
    known_at=moment("2026-11-22T12:00:00"),
)
MANY = replace(
    REPORT, units=tuple(replace(UNITS[0], unit=("medicare-advantage", f"H{n}", "", "", "", "")) for n in range(60))
)
REPORTS = {"finished": REPORT, "nothing yet, test data": NOTHING, "sixty contracts": MANY}


@pytest.fixture(params=SIZES)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport=SIZES[request.param])  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("name", REPORTS)
def test_axe_finds_nothing_on_the_page(page: Page, axe: str, tmp_path: Path, name: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(as_html(REPORTS[name]), "utf-8")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    check(page, axe)
    assert asked == [file.as_uri()]


def test_axe_finds_nothing_on_paper(browser: Browser, axe: str) -> None:
    context = browser.new_context(
        viewport={"width": 720, "height": 960}
    )  # letter without its margins, at 96 dots per inch
    page = context.new_page()
    page.emulate_media(media="print")
    page.set_content(as_html(REPORT))
    check(page, axe)
    assert page.locator(".internal").evaluate("one => getComputedStyle(one).breakBefore") == "page"
    context.close()


def test_a_chart_is_told_by_its_name_and_drawn_with_a_bar_for_every_number_but_zero(page: Page) -> None:
    page.set_content(as_html(REPORT))
    chart = page.get_by_role("img", name="Patients by reporting unit")
    numbers = sum(value > 0 for figures in REPORT.units for value in figures.values)
    assert chart.locator("rect.bar").count() == numbers + len(REPORT.measures)
    assert chart.bounding_box() is not None


def test_many_places_are_all_in_the_table_and_the_chart_says_what_it_draws(page: Page) -> None:
    page.set_content(as_html(MANY))
    table = page.get_by_role("table", name="Both measures by reporting unit")
    assert table.locator("tbody tr").count() == 60
    assert page.get_by_text("The 25 places with most patients; the table has all 60.").is_visible()


def test_a_chart_of_many_places_fits_on_a_sheet_of_paper(page: Page) -> None:
    page.emulate_media(media="print")
    page.set_content(as_html(MANY))
    box = page.get_by_role("img", name="Patients by reporting unit").bounding_box()
    assert box is not None
    assert box["height"] <= 220 / 25.4 * 96 + 1

"""Bar charts: round steps, lengths in proportion, something is never nothing, and zero has no bar."""

import re
from xml.etree import ElementTree

import pytest

from server.metrics.forms.bars import Bars, bar_chart, ticks

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (5, [0, 1, 2, 3, 4, 5]),
        (6, [0, 2, 4, 6]),
        (881, [0, 200, 400, 600, 800, 1000]),
        (20_000_000, [0, 5_000_000, 10_000_000, 15_000_000, 20_000_000]),
    ],
)
def test_steps_are_round_and_reach_the_highest_value(highest: int, expected: list[int]) -> None:
    assert ticks(highest) == expected


def drawn(*values: tuple[int, ...], label: str = "H1234") -> ElementTree.Element:
    """The chart of groups with these values."""
    series = [f"series {number}" for number in range(len(values[0]))]
    return ElementTree.fromstring(bar_chart("id", "Title", "Text", series, [Bars(label, row) for row in values]))


def lengths(chart: ElementTree.Element) -> list[float]:
    """The lengths of the bars, without those of the legend."""
    return [float(bar.get("width", "")) for bar in chart.iter(f"{SVG}rect") if bar.get("height") != bar.get("width")]


def test_bars_are_as_long_as_their_values() -> None:
    first, second = lengths(drawn((100, 50)))
    assert first == pytest.approx(2 * second, abs=0.1)


def test_something_is_never_nothing_and_zero_has_no_bar() -> None:
    assert min(lengths(drawn((1_000_000, 1)))) == 2
    assert lengths(drawn((0, 0), (0, 0))) == []


def test_every_number_is_written_and_the_chart_has_a_title_and_a_description() -> None:
    chart = drawn((12_345, 0))
    assert {"12,345", "0"} <= {text.text for text in chart.iter(f"{SVG}text") if text.get("class") == "number"}
    named = [element.text for element in chart if element.get("id") in str(chart.get("aria-labelledby")).split()]
    assert named == ["Title", "Text"]


def test_nothing_is_drawn_outside_of_the_picture() -> None:
    chart = drawn((1_000_000, 999), (0, 0), label="a line of business with a name that takes several lines " * 2)
    width, height = map(float, str(chart.get("viewBox")).split()[2:])
    for bar in chart.iter(f"{SVG}rect"):
        assert float(bar.get("x", "")) + float(bar.get("width", "")) <= width
    for text in chart.iter(f"{SVG}text"):
        assert 0 < float(text.get("x", "")) < width
        assert 0 < float(text.get("y", "")) < height


def test_texts_are_escaped() -> None:
    assert not re.search("<b>", str(bar_chart("id", "<b>", "<b>", ["<b>"], [Bars("<b>", (1,))])))

"""Bar charts as SVG (https://www.w3.org/TR/SVG2/): no script, no style of their own, a title and a description for who cannot see them.

https://www.w3.org/WAI/tutorials/images/complex/ - the numbers stand in a table beside each chart. Classes: ``grid``, ``bar`` and
``series-1``, ``series-2`` …, ``label``, ``number``, ``tick``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from markupsafe import Markup, escape

_BAR, _GAP, _LINE, _BOTTOM = 14, 12, 15, 24
_LETTER = 7.2
_ROOM_FOR_NUMBER = 64


@dataclass(frozen=True, slots=True)
class Bars:
    """A group of bars: its label, and a value of each series (none negative)."""

    label: str
    values: tuple[int, ...]


def bar_chart(
    id: str,
    title: str,
    description: str,
    series: Sequence[str],
    groups: Sequence[Bars],
    *,
    width: int = 720,
    label_width: int = 250,
) -> Markup:
    """Horizontal bars, a group below the other. ``id`` is unique in the page; lengths are in user units."""
    lines = [wrap(group.label, int(label_width / _LETTER)) or [""] for group in groups]
    heights = [max(len(series) * _BAR, len(text) * _LINE) + _GAP for text in lines]
    legend, y = _legend(series, label_width, width)
    height = y + sum(heights) + _BOTTOM
    top = ticks(max((value for group in groups for value in group.values), default=0))
    scale = (width - label_width - _ROOM_FOR_NUMBER) / top[-1]
    parts = [
        f'<svg role="img" aria-labelledby="{escape(id)}-title {escape(id)}-description" viewBox="0 0 {width} {height}" '
        f'xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{escape(id)}-title">{escape(title)}</title>',
        f'<desc id="{escape(id)}-description">{escape(description)}</desc>',
        *legend,
        *_grid(top, scale, label_width, y, height),
    ]
    for group, text, room in zip(groups, lines, heights, strict=True):
        parts += _group(group, text, y, room - _GAP, scale, label_width)
        y += room
    return Markup("\n".join([*parts, "</svg>"]))  # noqa: S704 - every text in it was escaped


def ticks(highest: int) -> list[int]:
    """Round whole numbers from 0 to at least the highest value, two to six of them."""
    step = 1
    while step * 5 < highest:
        step = next(size for size in _sizes() if size > step)
    return [step * number for number in range(max(-(-highest // step), 1) + 1)]


def _sizes() -> Iterator[int]:
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10


def _legend(series: Sequence[str], left: int, width: int) -> tuple[list[str], int]:
    """The names of the series, side by side where there is room; and where the chart begins below them."""
    parts, x, y = [], float(left), 4
    for number, name in enumerate(series, start=1):
        needed = 18 + len(name) * _LETTER
        if number > 1 and x + needed > width:
            x, y = float(left), y + 18
        parts.append(f'<rect class="bar series-{number}" x="{x:.0f}" y="{y}" width="12" height="12"/>')
        parts.append(f'<text class="label" x="{x + 18:.0f}" y="{y + 10}">{escape(name)}</text>')
        x += needed + 16
    return parts, y + 30


def _grid(steps: Sequence[int], scale: float, left: int, top: int, height: int) -> Iterator[str]:
    for value in steps:
        x = left + value * scale
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{height - _BOTTOM}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{height - 6}" text-anchor="middle">{value:,}</text>'


def _group(group: Bars, text: Sequence[str], y: int, room: int, scale: float, left: int) -> Iterator[str]:
    first = y + (room - len(text) * _LINE) / 2 + _LINE - 4
    for number, line in enumerate(text):
        yield f'<text class="label" x="{left - 10}" y="{first + number * _LINE:.1f}" text-anchor="end">{escape(line)}</text>'
    start = y + (room - len(group.values) * _BAR) / 2
    for number, value in enumerate(group.values):
        place = start + number * _BAR
        # something is never nothing: the shortest bar can be seen
        length = max(value * scale, 2) if value else 0
        if length:
            yield (
                f'<rect class="bar series-{number + 1}" x="{left}" y="{place + 1:.1f}" width="{length:.1f}" '
                f'height="{_BAR - 2}"/>'
            )
        yield f'<text class="number" x="{left + length + 6:.1f}" y="{place + _BAR - 3:.1f}">{value:,}</text>'

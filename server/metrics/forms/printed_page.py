"""The usage report as one HTML page to read, print and sign: charts with their tables, definitions, exclusions, citations, hash.

WCAG 2.2 AA (https://www.w3.org/TR/WCAG22/). The page holds everything it needs: it runs no script and fetches nothing.
"""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from server import clock
from server.metrics.forms.bars import Bars, bar_chart
from server.metrics.forms.due import remarks
from server.metrics.usage_document import Figures, Share, UsageReport, bucket_names

MOST_BARS = 25
"""More places than this are not drawn; their table has them all."""
_TEMPLATES = Environment(
    loader=PackageLoader(__name__.rpartition(".")[0]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def as_html(report: UsageReport) -> str:
    """The whole page."""
    zone = ZoneInfo(report.time_zone)

    def local(moment: int) -> str:
        return clock.from_microseconds(moment).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")

    return _TEMPLATES.get_template("usage_report.html").render(
        report=report,
        remarks=remarks(report),
        local=local,
        instant=clock.instant,
        period_word="year" if report.month is None else "month",
        spread=tuple(zip(bucket_names(), report.total.distribution, strict=True)),
        chart_of_units=_of_units(report),
        chart_of_spread=_of_spread(report),
        chart_of_months=_of_months(report),
        drawn=MOST_BARS,
        citations=tuple(dict.fromkeys(measure.citation for measure in report.measures)),
    )


def _titles(report: UsageReport) -> tuple[str, ...]:
    return tuple(measure.title for measure in report.measures)


def _of_units(report: UsageReport) -> Markup:
    places: Sequence[Figures] = report.units
    if len(places) > MOST_BARS:
        # the largest ones, in the order of the table
        largest = sorted(places, key=lambda figures: figures.values, reverse=True)[:MOST_BARS]
        places = tuple(figures for figures in places if figures in largest)[:MOST_BARS]
    most = max(report.units, key=lambda figures: figures.values[0])
    return bar_chart(
        "units",
        "Patients by reporting unit",
        f"Both measures for {len(places)} places. Most patients: {most.label}, {most.values[0]:,}, "
        f"of whom {most.values[1]:,} more than once. The table after the chart has every number.",
        _titles(report),
        [Bars(figures.label, figures.values) for figures in places],
    )


def _of_spread(report: UsageReport) -> Markup:
    names = bucket_names()
    patients = report.total.distribution
    most = patients.index(max(patients))
    return bar_chart(
        "spread",
        "Patients by number of transfer occasions",
        f"Most patients, {patients[most]:,}, had {names[most]} transfer occasions. The table beside the chart has every number.",
        ("Patients",),
        [Bars(name, (value,)) for name, value in zip(names, patients, strict=True)],
        width=440,
        label_width=90,
    )


def _of_months(report: UsageReport) -> Markup:
    most: Share = max(report.by_month, key=lambda share: share.values[0])
    return bar_chart(
        "months",
        "Patients by month",
        f"Both measures within each month. Most patients: {most.name}, {most.values[0]:,}. "
        "The table beside the chart has every number.",
        _titles(report),
        [Bars(share.name, share.values) for share in report.by_month],
        width=440,
        label_width=90,
    )

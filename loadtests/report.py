"""The report of a load test: one HTML page without anything external, one JSON file with the same figures, a few lines for the terminal.

https://www.w3.org/WAI/tutorials/tables/ - no token, no member's id and no name is in any of them: steps, statuses and codes only.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtests.shapes import Shape
from loadtests.summary import StepFigures, Summary
from loadtests.thresholds import Check

FORMAT = 1
TEMPLATES = Path(__file__).with_name("templates")
CHART_WIDTH, CHART_HEIGHT = 640, 140


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is reported. ``generators``: the locust processes that made the load; ``notes``: what a reader should know."""

    shape: Shape
    target: str
    started: datetime
    minutes: float
    generators: int
    summary: Summary
    checks: Sequence[Check]
    notes: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """fail when a check failed, warn when one warned, else pass."""
        verdicts = {check.verdict for check in self.checks}
        return next((verdict for verdict in ("fail", "warn") if verdict in verdicts), "pass")

    @property
    def is_good(self) -> bool:
        """Whether nothing failed; warnings are good enough."""
        return self.verdict != "fail"


def without_secrets(url: str) -> str:
    """An address without user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def as_json(report: Report) -> str:
    """The report for programs: milliseconds, seconds, requests a second, bytes."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "verdict": report.verdict,
        "shape": report.shape.name,
        "title": report.shape.title,
        "target": without_secrets(report.target),
        "started": report.started.isoformat(timespec="seconds"),
        "minutes": report.minutes,
        "generators": report.generators,
        "notes": list(report.notes),
        **asdict(report.summary),
        "checks": [asdict(check) for check in report.checks],
    }
    return json.dumps(_rounded(content), indent=1, ensure_ascii=False) + "\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def as_html(report: Report) -> str:
    """The page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ms"] = lambda value: f"{value:,.1f}"
    environment.filters["count"] = lambda value: f"{value:,}"
    template = environment.get_template("load_test.html")
    return template.render(
        report=report,
        summary=report.summary,
        target=without_secrets(report.target),
        bars=_bars(report.summary.steps),
        line=_line(report.summary.per_second),
        width=CHART_WIDTH,
        height=CHART_HEIGHT,
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """A step's bar in the chart of p95: its width and that of p50 within it, in units of the drawing."""

    step: StepFigures
    y: int
    p50: float
    p95: float


def _bars(steps: Sequence[StepFigures]) -> list[Bar]:
    longest = max((step.p95 for step in steps), default=0) or 1
    scale = (CHART_WIDTH - 350) / longest
    return [Bar(step, 22 * n, step.p50 * scale, step.p95 * scale) for n, step in enumerate(steps) if step.requests]


def _line(points: Sequence[tuple[float, float]]) -> str:
    """The points of a polyline: requests a second over the time."""
    if len(points) < 2:
        return ""
    last, most = points[-1][0], max(rate for _, rate in points) or 1
    return " ".join(
        f"{at / last * CHART_WIDTH:.1f},{CHART_HEIGHT - rate / most * (CHART_HEIGHT - 8):.1f}" for at, rate in points
    )


def write(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write the page and the file, named after the shape: their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, file = folder / f"{report.shape.name}.html", folder / f"{report.shape.name}.json"
    page.write_text(as_html(report), "utf-8", newline="\n")
    file.write_text(as_json(report), "utf-8", newline="\n")
    return page, file


def terminal_lines(report: Report) -> Iterator[str]:
    """What is printed at the end."""
    summary = report.summary
    yield f"{report.shape.title}: {summary.whole.requests:,} requests in {summary.seconds:.0f} s by {summary.users} users"
    yield f"{'':<48}{'requests':>9}{'failed':>8}{'req/s':>8}{'p50':>9}{'p95':>9}{'p99':>9}  ms"
    for step in (*summary.steps, summary.whole):
        figures = f"{step.p50:>9,.1f}{step.p95:>9,.1f}{step.p99:>9,.1f}"
        yield f"{step.name[:47]:<48}{step.requests:>9,}{step.failed:>8,}{step.throughput:>8,.1f}{figures}"
    for error in summary.errors:
        yield f"error: {error.step}: {error.status or 'no answer, or a wrong one'}: {error.code}: {error.count:,}"
    for check in report.checks:
        if check.verdict != "pass":
            yield f"{check.verdict}: {check.step}: {check.metric} {check.value}, {check.limit}"
    yield from (f"note: {note}" for note in report.notes)
    yield f"verdict: {report.verdict}"

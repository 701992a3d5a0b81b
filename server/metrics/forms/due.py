"""What a form is due for: its places in a report, and what a reader of it must be told.

42 CFR 431.60(f) and its parallels: an annual report, for the previous calendar year, at the level each payer owes.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from server import clock
from server.metrics.levels import AS_REQUIRED, REQUIRED
from server.metrics.transfer import APP_DAY
from server.metrics.usage_document import Figures, UsageReport


class FormError(ValueError):
    """The report cannot be written in this form; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The URLs a form asks for, '' where there is none: the API, what members can read about it, and about the sibling APIs."""

    api: str
    for_members: str
    for_members_on_siblings: str = ""


def places_due(report: UsageReport, lines_of_business: Collection[str], form: str) -> tuple[Figures, ...]:
    """The places of these lines of business, each at the level it owes.

    Raises FormError when the report has none, has them at another level, or a unit lacks what names it on the form.
    """
    found = tuple(figures for figures in report.units if figures.unit[0] in lines_of_business)
    for figures in found:
        owed = REQUIRED[figures.unit[0]]
        if figures.level == owed.slug:
            continue
        if report.level not in (AS_REQUIRED, owed.slug):
            raise FormError(
                f"{form} is made of a report with --level {AS_REQUIRED} or {owed.slug}; this one has level {report.level}"
            )
        raise FormError(
            f"{form} needs the {owed.columns[-1]} of the reporting unit {figures.label}: add it to REPORTING_UNITS_FILE and "
            "load the records again"
        )
    if not found:
        raise FormError(f"{form} is for {', '.join(lines_of_business)}: the report has no such reporting unit")
    return found


def of_a_year(report: UsageReport, form: str) -> None:
    """Raises FormError when the report is of a month."""
    if report.month is not None:
        raise FormError(f"{form} is for a calendar year: make the report without --month")


def remarks(report: UsageReport) -> tuple[str, ...]:
    """What stands on every form, in sentences: test data, a period that is not over, a definition for comparison."""
    said = []
    if report.environment == "test":
        said.append("TEST DATA, not for submission.")
    if report.in_progress:
        word = "year" if report.month is None else "month"
        state = "has not begun" if report.known_at < report.starts else "is not over"
        said.append(f"The {word} {state}: figures to date, known on {known_on(report).isoformat()}.")
    if report.definition.slug != APP_DAY.slug:
        said.append(f"Definition {report.definition.slug} is for comparison; what is submitted uses {APP_DAY.slug}.")
    return tuple(said)


def made_of(report: UsageReport) -> str:
    """What the figures were made of, in a sentence."""
    return (
        f"Definition of a transfer: {report.definition.slug} version {report.definition.version}. Known at "
        f"{clock.instant(report.known_at)}. Report SHA-256 {report.sha256}."
    )


def known_on(report: UsageReport) -> date:
    """The day in the payer's time zone whose knowledge the report used."""
    return _day(report, report.known_at)


def made_on(report: UsageReport) -> date:
    """The day in the payer's time zone on which the report was made."""
    return _day(report, report.generated_at)


def reporting_date(report: UsageReport) -> date:
    """The last day of the period, or the day on which it was looked at while it was not over."""
    return min(_day(report, report.ends - 1), known_on(report))


def _day(report: UsageReport, moment: int) -> date:
    return clock.from_microseconds(moment).astimezone(ZoneInfo(report.time_zone)).date()

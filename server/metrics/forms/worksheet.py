"""A worksheet for who must report and for whom no layout was found: both measures per place, and where they go, as far as known.

42 CFR 422.119(f), 431.60(f), 457.730(f) and 457.1233; 45 CFR 156.221(f).
"""

from server.metrics.forms.due import made_of, of_a_year, places_due, remarks
from server.metrics.forms.spreadsheets import Cell, Sheet
from server.metrics.levels import UNIT_COLUMNS
from server.metrics.usage_document import UsageReport

LABEL = "No official layout found"
CHANNELS = {
    "medicare-advantage": "HPMS, per contract (CMS memo of 2025-05-29)",
    "qhp": "Not found",
    "medicaid-ffs": "By e-mail to SMAEndpointDirectory@cms.hhs.gov, by March 31",
    "chip-ffs": "By e-mail to SMAEndpointDirectory@cms.hhs.gov, by March 31",
    "chip-managed-care": "Not found",
}
"""Where each line of business reports the annual figures. Medicaid managed care: ``program_annual_report``."""
COLUMNS = (
    *("Layout", "Channel", "Year", "Level", "Reporting Unit"),
    *(name.replace("_", " ").title() for name in UNIT_COLUMNS),
    *("Measure", "Measure Description", "Value", "Citation", "Comment"),
)


def as_sheet(report: UsageReport) -> Sheet:
    """A row for each measure of each place. Raises FormError when nothing is due on this form."""
    name = "the worksheet"
    of_a_year(report, name)
    comment = " ".join((*remarks(report), made_of(report)))
    rows: list[tuple[Cell, ...]] = []
    for figures in places_due(report, CHANNELS, name):
        place: tuple[Cell, ...] = (
            LABEL,
            CHANNELS[figures.unit[0]],
            report.year,
            figures.level,
            figures.label,
            *figures.unit,
        )
        for measure, value in zip(report.measures, figures.values, strict=True):
            rows.append((*place, measure.title, measure.wording, value, measure.citation, comment))
    return Sheet(LABEL, COLUMNS, tuple(rows))

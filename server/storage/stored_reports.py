"""The statements of reports that were made and kept: they are added, never changed.

Why they are kept: an annual figure that was sent (42 CFR 422.119(f) and its parallels) must be shown, and explained, years later.
"""

from typing import Any

from sqlalchemy import Select, bindparam, func, insert, select

from server.storage.report_schema import PublishedReport, StoredReport

STORED_REPORT = StoredReport.__table__  # type: ignore[attr-defined]
PUBLISHED_REPORT = PublishedReport.__table__  # type: ignore[attr-defined]
INSERT_REPORT = insert(STORED_REPORT)
REPORT_BY_ID: Select[Any] = select(STORED_REPORT).where(STORED_REPORT.c.id == bindparam("report"))

INSERT_PUBLICATION = insert(PUBLISHED_REPORT)
_newest = (
    select(func.max(PUBLISHED_REPORT.c.key))
    .join_from(PUBLISHED_REPORT, STORED_REPORT, STORED_REPORT.c.id == PUBLISHED_REPORT.c.report)
    .where(
        STORED_REPORT.c.kind == bindparam("kind"),
        STORED_REPORT.c.environment.in_((bindparam("environment"), "production")),
    )
    .group_by(STORED_REPORT.c.year)
)
_published = PUBLISHED_REPORT.join(STORED_REPORT, STORED_REPORT.c.id == PUBLISHED_REPORT.c.report)
PUBLISHED_YEARS: Select[Any] = (
    select(STORED_REPORT.c.year, STORED_REPORT.c.environment, PUBLISHED_REPORT.c.published_at)
    .select_from(_published)
    .where(PUBLISHED_REPORT.c.key.in_(_newest))
    .order_by(STORED_REPORT.c.year.desc())
)
"""The years of which a report of ``:kind`` is public, of ``:environment`` or of production, the newest first."""
PUBLISHED_OF_YEAR: Select[Any] = (
    select(STORED_REPORT, PUBLISHED_REPORT.c.published_at)
    .select_from(_published)
    .where(PUBLISHED_REPORT.c.key.in_(_newest), STORED_REPORT.c.year == bindparam("year"))
)
"""The public report of a ``:year``: the one that was published last."""


def listed() -> Select[Any]:
    """Every stored report without its content, the newest first."""
    columns = [column for column in STORED_REPORT.columns if column.name != "content"]
    return select(*columns).order_by(STORED_REPORT.c.generated_at.desc(), STORED_REPORT.c.id)


def named_like(ids: str) -> Select[Any]:
    """The ids of at most two reports that begin with this text, to tell one from several."""
    column = STORED_REPORT.c.id
    return select(column).where(column.startswith(ids, autoescape=True)).order_by(column).limit(2)

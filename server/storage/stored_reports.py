"""The statements of reports that were made and kept: they are added, never changed.

Why they are kept: an annual figure that was sent (42 CFR 422.119(f) and its parallels) must be shown, and explained, years later.
"""

from typing import Any

from sqlalchemy import Select, bindparam, insert, select

from server.storage.report_schema import StoredReport

STORED_REPORT = StoredReport.__table__  # type: ignore[attr-defined]
INSERT_REPORT = insert(STORED_REPORT)
REPORT_BY_ID: Select[Any] = select(STORED_REPORT).where(STORED_REPORT.c.id == bindparam("report"))


def listed() -> Select[Any]:
    """Every stored report without its content, the newest first."""
    columns = [column for column in STORED_REPORT.columns if column.name != "content"]
    return select(*columns).order_by(STORED_REPORT.c.generated_at.desc(), STORED_REPORT.c.id)


def named_like(ids: str) -> Select[Any]:
    """The ids of at most two reports that begin with this text, to tell one from several."""
    column = STORED_REPORT.c.id
    return select(column).where(column.startswith(ids, autoescape=True)).order_by(column).limit(2)

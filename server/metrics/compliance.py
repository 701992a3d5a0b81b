"""Where the payer stands today: both usage measures to date, clocks, refusals and the ledger's health, computed at most once a minute.

42 CFR 422.119(f) and its parallels are reported for whole years; this is the same computation for the year that is running.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from server import clock
from server.authorization.sensitivity import SensitivityPoliciesFileError
from server.metrics.ledger_health import LedgerHealth, health
from server.metrics.prior_authorization_items import ItemsFileError
from server.metrics.prior_authorization_report import prior_authorization_report
from server.metrics.refusals import SECTIONS, Refusal, refusals
from server.metrics.report_archive import listed
from server.metrics.usage_document import InconsistentReportError, UsageReport
from server.metrics.usage_report import usage_report
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger_figures import last_anchored_at, rows_behind, rows_since
from server.storage.rollups import RowsDroppedError

MINUTE = 60_000_000
"""Microseconds."""


@dataclass(frozen=True, slots=True)
class LedgerToday:
    """The ledger as it is: its health, how many rows the local day that is running has, and when its last period was anchored (0: none
    was). ``rows_not_anchored`` (a million stands for more), the oldest of them written at ``not_anchored_since``; the oldest day that is
    over and not rolled up ended at ``not_rolled_up_since``; 0 where there is none."""

    health: LedgerHealth
    rows_today: int
    anchored_at: int
    rows_not_anchored: int
    not_anchored_since: int
    not_rolled_up_since: int


@dataclass(frozen=True, slots=True)
class Compliance:
    """Everything at one moment, ``made_at``. What could not be computed is None, and ``problems`` says why, in sentences.

    ``usage``: of the year so far. ``refused``: the register of the month so far. ``clocks``: those of prior authorizations received this
    year, with their ``organisation``, ``reporting_units`` and ``outcomes`` as in the report's ``internal``. ``reports``: what is stored.
    """

    environment: str
    made_at: int
    year: int
    month: int
    usage: UsageReport | None
    refused: tuple[Refusal, ...]
    clocks: Mapping[str, Any] | None
    ledger: LedgerToday
    reports: tuple[Any, ...]
    problems: tuple[str, ...]

    @property
    def refused_by_section(self) -> Mapping[str, int]:
        """How much was refused this month, by section of the register."""
        return {slug: sum(line.count for line in self.refused if line.section == slug) for slug in SECTIONS}


def compliance(database: Database, settings: Settings) -> Compliance:
    """Compute it now; the environment is the deployment's. Raises DatabaseUnavailableError."""
    now = clock.now_microseconds()
    today = clock.from_microseconds(now).astimezone(settings.time_zone)
    midnight = clock.to_microseconds(datetime(today.year, today.month, today.day, tzinfo=settings.time_zone))
    problems: list[str] = []
    environment = settings.environment
    usage = None
    try:
        usage = usage_report(database, settings, year=today.year, environment=environment)
    except (InconsistentReportError, RowsDroppedError) as error:
        problems.append(f"The usage report of {today.year} cannot be made: {error}.")
    refused: tuple[Refusal, ...] = ()
    try:
        refused = refusals(database, settings, year=today.year, month=today.month, environment=environment)
    except SensitivityPoliciesFileError as error:
        problems.append(f"The refusal register cannot be made: {error}.")
    clocks = None
    try:
        report = prior_authorization_report(database, settings, year=today.year, environment=environment)
        clocks = report.content["internal"]
    except (InconsistentReportError, ItemsFileError) as error:
        problems.append(f"The clocks of prior authorizations cannot be read: {error}.")
    with database.reading() as transaction:
        whole = health(transaction, settings)
        rows_not_anchored, not_anchored_since = rows_behind(transaction, whole.anchored_until)
        ledger = LedgerToday(
            health=whole,
            rows_today=rows_since(transaction, midnight),
            anchored_at=last_anchored_at(transaction),
            rows_not_anchored=rows_not_anchored,
            not_anchored_since=not_anchored_since,
            not_rolled_up_since=_end_of(whole.oldest_not_rolled_up, settings),
        )
        reports = tuple(listed(transaction))
    return Compliance(
        environment=environment,
        made_at=now,
        year=today.year,
        month=today.month,
        usage=usage,
        refused=refused,
        clocks=clocks,
        ledger=ledger,
        reports=reports,
        problems=tuple(problems),
    )


def _end_of(day: str, settings: Settings) -> int:
    """The end of a local day in microseconds, 0 of none."""
    if not day:
        return 0
    after = date.fromisoformat(day) + timedelta(days=1)
    return clock.to_microseconds(datetime(after.year, after.month, after.day, tzinfo=settings.time_zone))


class LatestCompliance:
    """Keeps what was computed for a minute. One thread computes at a time; the others get what was there before, if anything was."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._lock = threading.Lock()
        self._latest: Compliance | None = None

    def get(self) -> Compliance:
        """What was computed within the last minute, or is computed now. Raises DatabaseUnavailableError."""
        latest = self._latest
        if self._is_fresh(latest) or not self._lock.acquire(blocking=latest is None):
            assert latest is not None
            return latest
        try:
            if not self._is_fresh(self._latest):
                self._latest = compliance(self._database, self._settings)
            assert self._latest is not None
            return self._latest
        finally:
            self._lock.release()

    @staticmethod
    def _is_fresh(latest: Compliance | None) -> bool:
        return latest is not None and 0 <= clock.now_microseconds() - latest.made_at < MINUTE

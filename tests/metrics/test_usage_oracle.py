"""The oracle's count of every row of random worlds is what the report says: every definition, level, month and moment of knowledge."""

import os
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import delete

from server import clock
from server.metrics.levels import AS_REQUIRED, LEVELS
from server.metrics.transfer import DEFINITIONS
from server.metrics.usage_document import UsageReport, bucket_names
from server.metrics.usage_report import Knowledge, usage_report
from server.settings import Settings
from server.storage.database import Database
from server.storage.report_schema import LedgerDay, LedgerDayBuilt
from server.storage.schema import Enrolment, LedgerRow, PersonLink, ReportingUnit
from tests.metrics.usage_oracle import Counted, count
from tests.metrics.worlds import (
    PAYER_ZONE,
    UNITS,
    Answer,
    Link,
    Spell,
    Unit,
    World,
    insert_answers,
    learn,
    roll_up,
)

PATIENTS = ("anna", "ben", "carla")
EDGES = (
    datetime(2026, 1, 1, 5, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 3, 9, 4, tzinfo=UTC),
    datetime(2026, 7, 1, 4, tzinfo=UTC),
    datetime(2026, 7, 2, 4, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 11, 2, 5, tzinfo=UTC),
    datetime(2027, 1, 1, 5, tzinfo=UTC),
)
"""Midnights of the payer, the year's ends and the changes of its clocks among them."""
SHIFTS = st.one_of(st.sampled_from((-1, 0, 1)), st.integers(-50 * 3_600_000_000, 50 * 3_600_000_000))
MOMENTS = st.builds(lambda edge, shift: edge + timedelta(microseconds=shift), st.sampled_from(EDGES), SHIFTS)
RECORDED = st.sampled_from((datetime(2025, 6, 1, tzinfo=UTC), *EDGES[1:6], datetime(2027, 2, 1, tzinfo=UTC)))
KNOWN = st.one_of(st.just(datetime(2027, 6, 1, tzinfo=UTC)), st.sampled_from(EDGES), MOMENTS)
DATES = st.sampled_from(
    ("2020-01-01", "2026-01-01", "2026-03-08", "2026-06-30", "2026-07-01", "2026-11-01", "2027-01-01")
)
ANSWERS = st.builds(
    Answer,
    at=MOMENTS,
    patient=st.sampled_from((*PATIENTS * 3, "")),
    app=st.sampled_from(("app-1", "app-2")),
    grant=st.sampled_from(("phone", "phone", "tablet", "")),
    kind=st.sampled_from(("third-party",) * 7 + ("payer", "probe", "system", "")),
    environment=st.sampled_from(("production",) * 4 + ("test",)),
    status=st.sampled_from((200,) * 5 + (206, 304, 404, 199, 299, 300)),
    resources=st.sampled_from((1, 2, 50, 0)),
    times=st.sampled_from((1, 1, 1, 2, 7)),
)
SPELLS = st.builds(
    Spell,
    patient=st.sampled_from(PATIENTS),
    unit=st.sampled_from((*UNITS, *list(UNITS)[:4] * 3, None)),
    start=DATES,
    until=st.one_of(st.just(""), DATES),
    coverage=st.sampled_from(("first", "second")),
    recorded=RECORDED,
)
LINKS = st.builds(
    Link,
    patient=st.sampled_from(PATIENTS),
    value=st.sampled_from(("P1", "P1", "P2", "")),
    recorded=RECORDED,
    system=st.sampled_from(("", "https://payer.example/person")),
)
WORLDS = st.builds(
    World,
    name=st.just("random"),
    reason=st.just(""),
    answers=st.lists(ANSWERS, max_size=16).map(tuple),
    total=st.just((0, 0)),
    units=st.just({}),
    spells=st.lists(SPELLS, max_size=6).map(tuple),
    links=st.lists(LINKS, max_size=4).map(tuple),
)
LEVEL_NAMES = st.sampled_from((AS_REQUIRED, AS_REQUIRED, *LEVELS))
DAYS = sorted({edge.astimezone(PAYER_ZONE).date() + timedelta(days=days) for edge in EDGES for days in (-1, 0, 1)})
BUILT = st.sets(st.sampled_from([day for day in DAYS if day.year == 2026]), max_size=4)
"""Days that are rolled up before the report is made."""


def begin(database: Database, world: World) -> None:
    """Empty the tables a world is made of, and fill them."""
    with database.transaction() as transaction:
        for table in (LedgerRow, PersonLink, Enrolment, ReportingUnit, LedgerDay, LedgerDayBuilt):
            transaction.execute(delete(table))
    learn(database, world.spells, world.links, with_units=True)
    insert_answers(database, world.answers)


def said(report: UsageReport) -> Counted:
    """What a report says, as the oracle says it: without what is zero."""
    found: dict[frozenset[str] | None, tuple[int, int]] = {None: report.units[-1].values}  # type: ignore[dict-item]
    for row in report.units[:-1]:
        found[merged_in(row.unit)] = row.values  # type: ignore[index, assignment]
    return Counted(
        total=report.total.values,  # type: ignore[arg-type]
        places={place: values for place, values in found.items() if any(values)},
        spread=dict(zip(bucket_names(), report.total.distribution, strict=True)),
        months={row.name: (*row.values, row.occasions) for row in report.by_month if row.occasions},  # type: ignore[misc]
        apps={row.name: (*row.values, row.occasions) for row in report.by_app},  # type: ignore[misc]
        removed={
            row.slug: (row.answers, row.patients, row.patients_not_counted) for row in report.removed if row.answers
        },
        answers=report.answers,
        transfers=report.transfers,
    )


def merged_in(texts: tuple[str, ...]) -> frozenset[str]:
    """The names of the units that agree with what a row shows."""
    return frozenset(
        name
        for name, unit in UNITS.items()
        if all(shown in ("", getattr(unit, part)) for part, shown in zip(Unit.__slots__, texts, strict=True))
    )


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_the_report_equals_a_count_of_every_row(definition: str, database: Database, settings: Settings) -> None:
    @examples(
        max_examples=50,
        deadline=None,
        derandomize=os.environ.get("CI") == "true",
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        world=WORLDS,
        environment=st.sampled_from(("production",) * 4 + ("test",)),
        month=st.sampled_from((None, None, None, 3, 7, 11, 12)),
        level=LEVEL_NAMES,
        known=KNOWN,
        built=BUILT,
    )
    def check(world: World, environment: str, month: int | None, level: str, known: datetime, built: set[date]) -> None:
        begin(database, world)
        asked = {"year": 2026, "month": month, "environment": environment, "level": level}
        knowledge, row = Knowledge.at(clock.to_microseconds(known)), DEFINITIONS[definition]
        by_row = usage_report(database, settings, **asked, definition=row, knowledge=knowledge)  # type: ignore[arg-type]
        expected = count(world, month=month, environment=environment, level=level, definition=definition, known=known)
        assert said(by_row) == expected
        roll_up(database, *built)
        by_rollup = usage_report(database, settings, **asked, definition=row, knowledge=knowledge)  # type: ignore[arg-type]
        assert by_rollup.content() == by_row.content()

    check()

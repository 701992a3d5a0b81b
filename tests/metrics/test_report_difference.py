"""Why a number changed: each factor by itself, exactly, and all together."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete

from server import clock
from server.metrics.difference_form import as_json, as_text
from server.metrics.report_difference import Difference, Step, difference, numbers
from server.metrics.transfer import DEFINITIONS
from server.metrics.usage_document import UsageReport
from server.metrics.usage_report import usage_report
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import LedgerRow
from tests.metrics.worlds import Answer, Link, Spell, World, build, learn, local, record, same

NOON = Answer(local("2026-05-04T12:00:00"))
OLD = same(NOON, at=local("2026-05-06T12:00:00"), patient="anna-old")
BEFORE = local("2026-01-05T00:00:00")
SPELLS = (Spell("anna", "H1234", recorded=BEFORE), Spell("anna-old", "H1234", recorded=BEFORE))
FIRST, SECOND = datetime(2026, 8, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
AUTUMN = local("2026-10-01T09:00:00")
MERGE = (Link("anna", "P1", recorded=AUTUMN), Link("anna-old", "P1", recorded=AUTUMN))
RETRO = Spell("anna-old", "H5678", start="2026-05-01", recorded=AUTUMN)
H1234, H5678 = "medicare-advantage, contract H1234", "medicare-advantage, contract H5678"
TOTAL = "(organisation total)"
ONE, TWO = "unique-patients", "unique-patients-more-than-once"


def made(database: Database, settings: Settings, at: datetime = FIRST, **asked: Any) -> UsageReport:
    """A report made at a moment."""
    with clock.set_to(at):
        return usage_report(database, settings, **{"year": 2026, **asked})


@pytest.fixture
def first(database: Database, settings: Settings) -> UsageReport:
    """The report of August: two patients of one contract, a day each."""
    build(database, World("", "", (NOON, OLD), (0, 0), {}, SPELLS))
    report = made(database, settings)
    assert report.total.values == (2, 0)
    return report


def explained(
    database: Database, settings: Settings, before: UsageReport, after: UsageReport | None = None
) -> Difference:
    """The difference as of February."""
    with clock.set_to(SECOND):
        return difference(database, settings, before, after)


def changed(step: Step) -> dict[tuple[str, str], tuple[int, int]]:
    """What a step changed of the measures."""
    return {(change.place, change.number): (change.before, change.after) for change in step.changes
            if change.number in (ONE, TWO)}  # fmt: skip


def test_nothing_recorded_since_changes_nothing(database: Database, settings: Settings, first: UsageReport) -> None:
    found = explained(database, settings, first)
    assert (found.changes, found.steps, found.is_explained) == ((), (), True)
    assert "Nothing changed." in as_text(found)


def test_answers_recorded_since_are_a_reason(database: Database, settings: Settings, first: UsageReport) -> None:
    record(database, [same(NOON, at=AUTUMN), same(NOON, at=AUTUMN, status=500)])
    (step,) = explained(database, settings, first).steps
    assert (step.slug, step.reason) == ("answers", "+2 answers recorded in between, +1 of them count")
    assert changed(step) == {(H1234, TWO): (0, 1), (TOTAL, TWO): (0, 1)}
    assert ("(left out) failed", "answers", 1) in [(each.place, each.number, each.delta) for each in step.changes]


def test_a_merge_recorded_since_is_a_reason(database: Database, settings: Settings, first: UsageReport) -> None:
    learn(database, (), MERGE)
    (step,) = explained(database, settings, first).steps
    assert (step.slug, step.reason) == ("persons", "2 identities (merges, unmerges, new members) recorded in between")
    assert changed(step) == {(H1234, ONE): (2, 1), (H1234, TWO): (0, 1), (TOTAL, ONE): (2, 1), (TOTAL, TWO): (0, 1)}


def test_retro_enrolment_recorded_since_is_a_reason(database: Database, settings: Settings, first: UsageReport) -> None:
    learn(database, (RETRO,), ())
    (step,) = explained(database, settings, first).steps
    assert (step.slug, step.reason) == ("enrolments", "1 enrolments and withdrawals recorded in between")
    assert changed(step) == {(H1234, ONE): (2, 1), (H5678, ONE): (0, 1)}


def test_the_steps_add_up_to_the_difference(database: Database, settings: Settings, first: UsageReport) -> None:
    learn(database, (RETRO,), MERGE)
    record(database, [same(OLD, at=AUTUMN), same(NOON, at=AUTUMN, app="app-2")])
    later = made(database, settings, SECOND, definition=DEFINITIONS["request"], level="plan", month=10)
    found = explained(database, settings, first, later)
    assert [step.slug for step in found.steps] == ["period", "answers", "persons", "enrolments", "level"]
    summed: Counter[tuple[str, str]] = Counter()
    for step in found.steps:
        for change in step.changes:
            summed[change.place, change.number] += change.delta
    assert {key: delta for key, delta in summed.items() if delta} == {
        (change.place, change.number): change.delta for change in found.changes
    }
    assert {(c.place, c.number): c.after for c in found.changes}.items() <= numbers(later).items() | {
        (key, 0) for key in numbers(first)
    }


@pytest.mark.parametrize(
    ("asked", "slug", "reason"),
    [
        ({"environment": "test"}, "environment", "environment production became test"),
        ({"definition": DEFINITIONS["request"]}, "definition", "definition app-day became request"),
        ({"month": 5}, "period", "another period: 2026 became 2026-05"),
        ({"level": "plan"}, "level", "level required became plan: the places are others"),
    ],
)
def test_what_was_asked_is_a_reason(
    database: Database, settings: Settings, first: UsageReport, asked: dict[str, Any], slug: str, reason: str
) -> None:
    record(database, [same(NOON, patient="ben", times=2), same(NOON, at=local("2026-06-04T13:00:00"))])
    before = made(database, settings)
    (step,) = explained(database, settings, before, made(database, settings, **asked)).steps
    assert (step.slug, step.reason, step.explained) == (slug, reason, True)


def test_another_time_zone_is_a_reason(database: Database, settings: Settings, first: UsageReport) -> None:
    record(database, [same(NOON, at=local("2026-05-04T21:00:00"))])  # in UTC the 5th
    before = made(database, settings)
    elsewhere = settings.model_copy(update={"payer_time_zone": "UTC"})
    (step,) = explained(database, elsewhere, before).steps
    assert (step.slug, step.reason) == ("time-zone", "time zone America/New_York became UTC")
    assert changed(step)[TOTAL, TWO] == (0, 1)


def test_rows_that_are_gone_are_no_explanation(database: Database, settings: Settings, first: UsageReport) -> None:
    with database.transaction() as transaction:
        transaction.execute(delete(LedgerRow).where(LedgerRow.patient == "anna-old"))  # type: ignore[arg-type]
    found = explained(database, settings, first)
    assert [(step.slug, step.explained) for step in found.steps] == [("earlier", False)]
    assert found.steps[0].reason == "1 rows that the report was made of are gone from the ledger"
    assert "NOT EXPLAINED: 1 rows" in as_text(found)


def test_a_row_committed_late_is_told(database: Database, settings: Settings, first: UsageReport) -> None:
    record(database, [same(NOON, at=local("2026-07-31T12:00:00"))])
    (step,) = explained(database, settings, first).steps
    assert (step.slug, step.explained) == ("earlier", True)
    assert step.reason == "1 rows dated before the report were committed after it was made"


def test_a_later_report_that_no_longer_holds_is_told(
    database: Database, settings: Settings, first: UsageReport
) -> None:
    later = made(database, settings, SECOND)
    with database.transaction() as transaction:
        transaction.execute(delete(LedgerRow))
    found = explained(database, settings, first, later)
    assert [(step.slug, step.explained) for step in found.steps] == [("earlier", False), ("later", False)]


def test_an_old_version_of_the_definition_is_a_reason(
    database: Database, settings: Settings, first: UsageReport
) -> None:
    old = replace(
        first,
        definition=replace(first.definition, version="0"),
        total=replace(first.total, values=(2, 1), distribution=(1, 1, 0, 0, 0, 0, 0)),
    )
    (step,) = explained(database, settings, old).steps
    assert (step.slug, step.reason) == ("definition", "definition app-day version 0 became app-day version 1")
    assert changed(step) == {(TOTAL, TWO): (1, 0)}


def test_the_json_of_a_difference_names_both_reports_and_every_step(
    database: Database, settings: Settings, first: UsageReport
) -> None:
    learn(database, (), MERGE)
    document = json.loads(as_json(explained(database, settings, first)))
    assert document["before"]["sha256"] == first.sha256
    assert document["before"]["known_at"] == "2026-08-01T00:00:00.000000Z"
    assert document["explained"] is True
    assert [step["reason"] for step in document["steps"]] == ["persons"]
    assert {"place": TOTAL, "number": ONE, "before": 2, "after": 1, "delta": -1} in document["changes"]


def test_the_text_of_a_difference_is_at_most_100_columns_wide(
    database: Database, settings: Settings, first: UsageReport
) -> None:
    learn(database, (RETRO,), MERGE)
    record(database, [same(NOON, at=AUTUMN)])
    text = as_text(explained(database, settings, first, made(database, settings, SECOND, level="plan-in-program")))
    assert max(map(len, text.splitlines())) <= 100
    assert "2 identities (merges, unmerges, new members) recorded in between" in text

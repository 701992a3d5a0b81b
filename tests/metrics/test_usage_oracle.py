"""A brute-force oracle: plain Python over all rows of random worlds must give what the report gives, exclusions included."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import delete

from server.metrics.usage_report import usage_report
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import Enrolment, LedgerRow, PersonLink, ReportingUnit
from tests.metrics.worlds import PAYER_ZONE, UNITS, Answer, Link, Spell, World, build

PATIENTS = ("anna", "ben", "carla", "")
EDGES = (
    datetime(2026, 1, 1, 5, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 3, 9, 4, tzinfo=UTC),
    datetime(2026, 7, 1, 4, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 11, 2, 5, tzinfo=UTC),
    datetime(2027, 1, 1, 5, tzinfo=UTC),
)
"""Midnights of the payer, the year's ends and the changes of its clocks among them."""
SHIFTS = st.one_of(
    st.sampled_from((-1, 0, 1)),
    st.integers(-50 * 3_600_000_000, 50 * 3_600_000_000),
)
DATES = st.sampled_from(("2020-01-01", "2026-01-01", "2026-03-08", "2026-06-30", "2026-07-01", "2026-11-01"))
ANSWERS = st.builds(
    Answer,
    at=st.builds(lambda edge, shift: edge + timedelta(microseconds=shift), st.sampled_from(EDGES), SHIFTS),
    patient=st.sampled_from((*PATIENTS[:3] * 3, "")),
    app=st.sampled_from(("app-1", "app-2")),
    grant=st.sampled_from(("phone", "phone", "tablet", "")),
    kind=st.sampled_from(("third-party",) * 6 + ("payer", "probe", "")),
    environment=st.sampled_from(("production",) * 4 + ("test",)),
    status=st.sampled_from((200,) * 5 + (206, 304, 404, 199, 299, 300)),
    resources=st.sampled_from((1, 2, 50, 0)),
    times=st.integers(1, 2),
)
SPELLS = st.builds(
    Spell,
    patient=st.sampled_from(PATIENTS[:3]),
    unit=st.sampled_from((*UNITS, *UNITS, None)),
    start=DATES,
    until=st.one_of(st.just(""), DATES),
    coverage=st.sampled_from(("first", "second")),
    recorded=st.integers(1, 3),
)
LINKS = st.builds(
    Link,
    patient=st.sampled_from(PATIENTS[:3]),
    value=st.sampled_from(("P1", "P2", "")),
    recorded=st.integers(1, 3),
    system=st.sampled_from(("", "https://payer.example/person")),
)
WORLDS = st.builds(
    World,
    name=st.just("random"),
    reason=st.just(""),
    answers=st.lists(ANSWERS, max_size=14).map(tuple),
    total=st.just((0, 0)),
    units=st.just({}),
    spells=st.lists(SPELLS, max_size=5).map(tuple),
    links=st.lists(LINKS, max_size=4).map(tuple),
)


def why_not(answer: Answer, environment: str) -> str:
    """The first reason why an answer does not count, or an empty text."""
    if answer.environment != environment:
        return "other-environment"
    if answer.kind != "third-party":
        return {"payer": "own-portal", "probe": "probe"}.get(answer.kind, "not-third-party")
    if not answer.grant:
        return "no-grant"
    if not answer.patient:
        return "no-patient"
    if answer.status // 100 != 2:
        return "failed"
    return "" if answer.resources else "empty"


def latest_by_key(rows: tuple, key) -> dict:
    """The row recorded last for each key; of those recorded together, the later in the list."""
    return {key(row): row for row in sorted(rows, key=lambda row: row.recorded)}


def count(world: World, environment: str) -> tuple[dict, dict]:
    """({place: (measure 1, measure 2)}, {exclusion: (answers, patients, patients not counted)}) by going through every row."""
    links = latest_by_key(world.links, lambda link: link.patient)
    spells = latest_by_key(world.spells, lambda spell: (spell.patient, spell.coverage)).values()
    occasions: dict[str, dict] = defaultdict(lambda: defaultdict(set))
    removed: Counter = Counter()
    removed_persons = defaultdict(set)
    for answer in world.answers:
        day = answer.at.astimezone(PAYER_ZONE).date()
        if day.year != 2026:
            continue
        link = links.get(answer.patient)
        person = (link.system, link.value) if link and link.value else ("", answer.patient)
        if reason := why_not(answer, environment):
            removed[reason] += answer.times
            if answer.patient:
                removed_persons[reason].add(person)
            continue
        units = {
            spell.unit
            for spell in spells
            if spell.patient == answer.patient
            and spell.unit
            and spell.start <= str(day)
            and (spell.until == "" or str(day) <= spell.until)
        }
        for place in ("total", *(units or {"(no reporting unit)"})):
            occasions[place][person].add((answer.app, day))
    values = {
        place: (len(persons), sum(len(days) > 1 for days in persons.values())) for place, persons in occasions.items()
    }
    lost = {
        reason: (number, len(removed_persons[reason]), len(removed_persons[reason] - set(occasions["total"])))
        for reason, number in removed.items()
    }
    return values, lost


def forget(database: Database) -> None:
    """Empty the tables a world is made of."""
    with database.transaction() as transaction:
        for table in (LedgerRow, PersonLink, Enrolment, ReportingUnit):
            transaction.execute(delete(table))


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=WORLDS, environment=st.sampled_from(("production", "production", "test")))
def test_the_report_equals_a_count_of_every_row(
    database: Database, settings: Settings, world: World, environment: str
) -> None:
    forget(database)
    build(database, world)
    report = usage_report(database, settings, year=2026, environment=environment)
    values, lost = count(world, environment)
    found = {row.unit[1] or row.label: row.values for row in report.units}
    assert {"total": report.total.values, **found} == {
        place: values.get(place, (0, 0)) for place in ("total", *UNITS, "(no reporting unit)")
    }
    assert {
        row.exclusion.slug: (row.answers, row.patients, row.patients_not_counted)
        for row in report.removed
        if row.answers
    } == lost

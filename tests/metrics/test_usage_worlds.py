"""Hand-computed worlds: each expected number of the usage report with the reason for it."""

import pytest

from server.metrics.usage_report import usage_report
from server.settings import Settings
from server.storage.database import Database
from tests.metrics.worlds import Answer, Link, Spell, World, build, local, same

NOON = Answer(local("2026-05-04T12:00:00"))
NEXT_DAY = Answer(local("2026-05-05T12:00:00"))
ANNA = Spell("anna", "H1234")
NOWHERE = "(no reporting unit)"


def world(
    name: str,
    reason: str,
    answers: tuple[Answer, ...],
    total: tuple[int, int],
    units: dict[str, tuple[int, int]] | None = None,
    spells: tuple[Spell, ...] = (ANNA,),
    links: tuple[Link, ...] = (),
) -> World:
    return World(name, reason, answers, total, {"H1234": total} if units is None else units, spells, links)


WORLDS = (
    world("nothing", "nobody fetched anything: zero is reported as 0 everywhere", (), (0, 0)),
    world("one sync", "40 requests of one app on one day are one occasion", (same(NOON, times=40),), (1, 0)),
    world("second app", "two apps on one day are two occasions", (NOON, same(NOON, app="app-2")), (1, 1)),
    world("next day", "one app on two days is two occasions", (NOON, NEXT_DAY), (1, 1)),
    world("two grants", "phone and tablet of one app on one day are one app", (NOON, same(NOON, grant="tablet")), (1, 0)),
    world("two members", "each patient is one; neither is a repeat", (NOON, same(NOON, patient="ben")), (2, 0),
          spells=(ANNA, Spell("ben", "H1234"))),
    world("midnight in the payer's zone", "23:59:59.999999 and 00:00 are two days there, though one in UTC",
          (Answer(local("2026-05-04T23:59:59.999999")), Answer(local("2026-05-05T00:00:00"))), (1, 1)),
    world("midnight in UTC", "19:59 and 20:01 are one day there, though two in UTC",
          (Answer(local("2026-05-04T19:59:00")), Answer(local("2026-05-04T20:01:00"))), (1, 0)),
    world("clocks go back", "1 November has 25 hours: 00:00 and 23:59 are one day, though a full day apart",
          (Answer(local("2026-11-01T00:00:00")), Answer(local("2026-11-01T23:59:59"))), (1, 0)),
    world("the hour that comes twice", "both 01:30 of 1 November are the same day",
          (Answer(local("2026-11-01T01:30:00")), Answer(local("2026-11-01T01:30:00", fold=1))), (1, 0)),
    world("clocks go forward", "in the evening of 8 March midnight comes at 04:00 UTC: 23:30 and 00:30 are two days",
          (Answer(local("2026-03-08T23:30:00")), Answer(local("2026-03-09T00:30:00"))), (1, 1)),
    world("the year's first and last moment", "both are in the year, two days",
          (Answer(local("2026-01-01T00:00:00")), Answer(local("2026-12-31T23:59:59.999999"))), (1, 1)),
    world("just outside of the year", "the moment before and the moment after belong to other years",
          (Answer(local("2025-12-31T23:59:59.999999")), Answer(local("2027-01-01T00:00:00"))), (0, 0)),
    world("two units in a year, one day each", "a patient of each contract, a repeat in neither, a repeat for the organisation",
          (NOON, Answer(local("2026-07-02T12:00:00"))), (1, 1), {"H1234": (1, 0), "H5678": (1, 0)},
          (Spell("anna", "H1234", until="2026-06-30"), Spell("anna", "H5678", start="2026-07-01", coverage="next"))),
    world("two units in a year, two days in the first", "a repeat in the first only",
          (NOON, NEXT_DAY, Answer(local("2026-07-02T12:00:00"))), (1, 1), {"H1234": (1, 1), "H5678": (1, 0)},
          (Spell("anna", "H1234", until="2026-06-30"), Spell("anna", "H5678", start="2026-07-01", coverage="next"))),
    world("last day of a spell", "the end of an enrolment is inclusive, by the payer's wall clock",
          (Answer(local("2026-06-30T23:30:00")),), (1, 0), {"H1234": (1, 0)},
          (Spell("anna", "H1234", until="2026-06-30"), Spell("anna", "H5678", start="2026-07-01", coverage="next"))),
    world("dual coverage", "two units at once count in each, and once for the organisation",
          (NOON, NEXT_DAY), (1, 1), {"H1234": (1, 1), "H5678": (1, 1)},
          (ANNA, Spell("anna", "H5678", coverage="second"))),
    world("two coverages of one unit", "still one person and one occasion a day", (NOON,), (1, 0), {"H1234": (1, 0)},
          (ANNA, Spell("anna", "H1234", coverage="second"))),
    world("representative", "a parent who fetches two children's data with one app is two patients, themself none",
          (same(NOON, patient="child-1", actor="representative"), same(NOON, patient="child-2", actor="representative")),
          (2, 0), spells=(Spell("child-1", "H1234"), Spell("child-2", "H1234"))),
    world("merged persons", "two Patient ids of one person: one person, two days",
          (NOON, same(NEXT_DAY, patient="anna-old")), (1, 1), {"H1234": (1, 1)},
          (ANNA, Spell("anna-old", "H1234")), (Link("anna", "P1"), Link("anna-old", "P1"))),
    world("merged persons, one day", "one app that reads both Patient ids on one day: one occasion",
          (NOON, same(NOON, patient="anna-old")), (1, 0), {"H1234": (1, 0)},
          (ANNA, Spell("anna-old", "H1234")), (Link("anna", "P1"), Link("anna-old", "P1"))),
    world("unmerged persons", "the row recorded last wins: they are two again",
          (NOON, same(NEXT_DAY, patient="anna-old")), (2, 0), {"H1234": (2, 0)},
          (ANNA, Spell("anna-old", "H1234")),
          (Link("anna", "P1"), Link("anna-old", "P1", recorded=1), Link("anna-old", "P2", recorded=2))),
    world("same number, other system", "a person is system and value together: two persons",
          (NOON, same(NOON, patient="ben")), (2, 0), {"H1234": (1, 0), NOWHERE: (1, 0)},
          links=(Link("anna", "P1"), Link("ben", "P1", system="https://other.example"))),
    world("test app", "a row that is not production does not count", (same(NOON, environment="test", times=40),), (0, 0)),
    world("failed and empty", "no data moved with an error, a 304 or an empty searchset",
          (same(NOON, status=500), same(NOON, status=404), same(NOON, status=304), same(NEXT_DAY, resources=0)), (0, 0)),
    world("failed on the second day", "only the first day counts", (NOON, same(NEXT_DAY, status=403, resources=0)), (1, 0)),
    world("own portal and probe", "neither is an app the patient designated",
          (same(NOON, kind="payer"), same(NEXT_DAY, kind="probe")), (0, 0)),
    world("no grant, no patient", "nobody directed it, or nobody's data moved",
          (same(NOON, grant=""), same(NOON, patient="")), (0, 0)),
    world("no enrolment", "a transfer without enrolment is shown, in a row of its own", (NOON,), (1, 0), {NOWHERE: (1, 0)}, ()),
    world("after the end of enrolment", "no unit on that day", (NOON,), (1, 0), {NOWHERE: (1, 0)},
          (Spell("anna", "H1234", until="2026-05-03"),)),
    world("retro-enrolment", "enrolment recorded later, from an earlier day, moves the transfer to its unit",
          (NOON,), (1, 0), {"H5678": (1, 0)},
          (Spell("anna", "H1234", until="2026-12-31", recorded=1), Spell("anna", "H5678", start="2026-05-01", recorded=2))),
    world("withdrawn coverage", "the last row of the Coverage withdraws it", (NOON,), (1, 0), {NOWHERE: (1, 0)},
          (ANNA, Spell("anna", None, recorded=2))),
    world("recorded at the same moment", "the later of two rows recorded together wins", (NOON,), (1, 0), {"H5678": (1, 0)},
          (ANNA, Spell("anna", "H5678"))),
)  # fmt: skip


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_the_usage_report_of_a_world_says_what_a_person_would_count(
    world: World, database: Database, settings: Settings
) -> None:
    build(database, world)
    report = usage_report(database, settings, year=2026)
    assert report.total.values == world.total, world.reason
    found = {row.unit[1] or row.label: row.values for row in report.units}
    assert found == {"H1234": (0, 0), "H5678": (0, 0), NOWHERE: (0, 0)} | world.units, world.reason

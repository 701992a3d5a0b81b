"""Hand-computed worlds: each expected number of the usage report with the reason for it."""

from collections.abc import Mapping
from typing import Any

import pytest

from server import clock
from server.metrics.transfer import DEFINITIONS
from server.metrics.usage_document import UsageReport
from server.metrics.usage_report import Knowledge, usage_report
from server.settings import Settings
from server.storage.database import Database
from tests.metrics.worlds import Answer, Link, Spell, World, build, local, roll_up, same, short

NOON = Answer(local("2026-05-04T12:00:00"))
NEXT_DAY = Answer(local("2026-05-05T12:00:00"))
ANNA = Spell("anna", "H1234")
NOWHERE = "(no reporting unit)"


def world(
    name: str,
    reason: str,
    answers: tuple[Answer, ...],
    total: tuple[int, int],
    units: Mapping[str, tuple[int, int]] | None = None,
    spells: tuple[Spell, ...] = (ANNA,),
    links: tuple[Link, ...] = (),
    spread: Mapping[str, int] | None = None,
    months: Mapping[str, int] | None = None,
    **asked: Any,
) -> World:
    expected = ({"H1234": total} if any(total) else {}) if units is None else units
    return World(name, reason, answers, total, expected, spells, links, asked, spread, months)


MERGED = (Link("anna", "P1", recorded=local("2026-01-10T00:00:00")),
          Link("anna-old", "P1", recorded=local("2026-08-01T00:00:00")))  # fmt: skip
RETRO = (Spell("anna", "H1234", recorded=local("2026-01-10T00:00:00")),
         Spell("anna", "H5678", start="2026-05-01", recorded=local("2026-09-01T00:00:00")))  # fmt: skip
IN_JULY, IN_OCTOBER = local("2026-07-15T00:00:00"), local("2026-10-15T00:00:00")
TWO_PROGRAMS = (
    Spell("anna", "adults", until="2026-06-30"),
    Spell("anna", "children", start="2026-07-01", coverage="next"),
)
SUMMER = Answer(local("2026-07-02T12:00:00"))

WORLDS = (
    world("nothing", "nobody fetched anything: zero is reported as 0 everywhere", (), (0, 0), spread={}),
    world("one sync", "40 requests of one app on one day are one occasion", (same(NOON, times=40),), (1, 0)),
    world("second app", "two apps on one day are two occasions", (NOON, same(NOON, app="app-2")), (1, 1)),
    world("next day", "one app on two days is two occasions", (NOON, NEXT_DAY), (1, 1)),
    world("two devices", "phone and tablet of one app on one day are one app", (NOON, same(NOON, grant="tablet")), (1, 0)),
    world("revoked and allowed again", "the app came back under another grant on the same day: still one app and one day",
          (NOON, same(NOON, status=401, resources=0), same(NOON, grant="second")), (1, 0)),
    world("revoked grant", "what had moved before the member stopped the app stays counted", (NOON, same(NEXT_DAY, status=401)),
          (1, 0)),
    world("two members", "each patient is one; neither is a repeat", (NOON, same(NOON, patient="ben")), (2, 0),
          spells=(ANNA, Spell("ben", "H1234"))),
    world("midnight in the payer's zone", "23:59:59.999999 and 00:00 are two days there, though one in UTC",
          (Answer(local("2026-05-04T23:59:59.999999")), Answer(local("2026-05-05T00:00:00"))), (1, 1)),
    world("midnight in UTC", "19:59 and 20:01 are one day there, though two in UTC",
          (Answer(local("2026-05-04T19:59:00")), Answer(local("2026-05-04T20:01:00"))), (1, 0)),
    world("clocks go back", "1 November has 25 hours: 00:00 and 23:59 are one day, though a full day apart",
          (Answer(local("2026-11-01T00:00:00")), Answer(local("2026-11-01T23:59:00"))), (1, 0)),
    world("the hour that comes twice", "01:30 and 01:30 an hour later are one day",
          (Answer(local("2026-11-01T01:30:00")), Answer(local("2026-11-01T01:30:00", fold=1))), (1, 0)),
    world("clocks go forward", "8 March has 23 hours: 23:30 and 00:30 of the next day are two days",
          (Answer(local("2026-03-08T23:30:00")), Answer(local("2026-03-09T00:30:00"))), (1, 1)),
    world("the year's first and last moment", "both are in the year, two days",
          (Answer(local("2026-01-01T00:00:00")), Answer(local("2026-12-31T23:59:59.999999"))), (1, 1)),
    world("just outside of the year", "the moment before and the moment after belong to other years",
          (Answer(local("2025-12-31T23:59:59.999999")), Answer(local("2027-01-01T00:00:00"))), (0, 0)),
    world("two contracts in a year, one day each", "a patient of each contract, a repeat in neither, a repeat for the organisation",
          (NOON, SUMMER), (1, 1), {"H1234": (1, 0), "H5678": (1, 0)},
          (Spell("anna", "H1234", until="2026-06-30"), Spell("anna", "H5678", start="2026-07-01", coverage="next"))),
    world("two contracts in a year, two days in the first", "a repeat in the first only",
          (NOON, NEXT_DAY, SUMMER), (1, 1), {"H1234": (1, 1), "H5678": (1, 0)},
          (Spell("anna", "H1234", until="2026-06-30"), Spell("anna", "H5678", start="2026-07-01", coverage="next"))),
    world("a new plan of one contract", "plans 001 and 002 are one contract: a patient once, and a repeat over both",
          (NOON, SUMMER), (1, 1), {"H1234": (1, 1)},
          (Spell("anna", "H1234", until="2026-06-30"), Spell("anna", "H1234-2", start="2026-07-01", coverage="next"))),
    world("the same by plan", "asked by plan, they are two plans with one day each",
          (NOON, SUMMER), (1, 1), {"H1234/001": (1, 0), "H1234/002": (1, 0)},
          (Spell("anna", "H1234", until="2026-06-30"), Spell("anna", "H1234-2", start="2026-07-01", coverage="next")), level="plan"),
    world("both plans of a contract at once", "one contract, one day: never the sum of its plans",
          (NOON,), (1, 0), {"H1234": (1, 0)}, (ANNA, Spell("anna", "H1234-2", coverage="second"))),
    world("a plan in two programs", "managed care is reported for each program of the plan",
          (NOON, SUMMER), (1, 1), {"P7/Adults/OH": (1, 0), "C7/P7/Children/OH": (1, 0)}, TWO_PROGRAMS),
    world("two contracts of a plan in a program", "the plan's number for the program is over both contracts",
          (NOON, SUMMER), (1, 1), {"P7/Adults/OH": (1, 1)},
          (Spell("anna", "adults", until="2026-06-30"), Spell("anna", "adults-2", start="2026-07-01", coverage="next"))),
    world("a program of two plans", "asked by program, the person is one, and repeats over the plans",
          (NOON, SUMMER), (1, 1), {"Adults/OH": (1, 1)},
          (Spell("anna", "adults", until="2026-06-30"), Spell("anna", "other-plan", start="2026-07-01", coverage="next")),
          level="program"),
    world("fee for service in a State", "the State is the unit, not its plans",
          (NOON, SUMMER), (1, 1), {"OH": (1, 1)},
          (Spell("anna", "medicaid", until="2026-06-30"), Spell("anna", "medicaid-2", start="2026-07-01", coverage="next"))),
    world("an issuer in two States", "the issuer is the unit: once, and a repeat over both",
          (NOON, SUMMER), (1, 1), {"48213": (1, 1)},
          (Spell("anna", "issuer", until="2026-06-30"), Spell("anna", "issuer-2", start="2026-07-01", coverage="next"))),
    world("no number of its own", "two employers' plans owe nothing and have no contract: they are not thrown together",
          (NOON, same(NOON, patient="ben")), (2, 0), {"E1": (1, 0), "E2": (1, 0)},
          (Spell("anna", "employer"), Spell("ben", "employer-2")), level="contract"),
    world("last day of a spell", "the end of an enrolment is inclusive, by the payer's wall clock",
          (Answer(local("2026-06-30T23:30:00")),), (1, 0), {"H1234": (1, 0)},
          (Spell("anna", "H1234", until="2026-06-30"), Spell("anna", "H5678", start="2026-07-01", coverage="next"))),
    world("dual coverage", "two contracts at once count in each, and once for the organisation",
          (NOON, NEXT_DAY), (1, 1), {"H1234": (1, 1), "H5678": (1, 1)},
          (ANNA, Spell("anna", "H5678", coverage="second"))),
    world("two coverages of one unit", "still one person and one occasion a day", (NOON,), (1, 0), {"H1234": (1, 0)},
          (ANNA, Spell("anna", "H1234", coverage="second"))),
    world("representative", "a parent who fetches two children's data with one app is two patients, themself none",
          (same(NOON, patient="child-1", actor="representative"), same(NOON, patient="child-2", actor="representative")),
          (2, 0), spells=(Spell("child-1", "H1234"), Spell("child-2", "H1234"))),
    world("member and representative", "both fetch the member's data with one app on one day: one patient, one occasion",
          (NOON, same(NOON, actor="representative", grant="mother")), (1, 0)),
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
    world("identity taken away", "a last row without a value: the Patient id is a person again",
          (NOON, same(NEXT_DAY, patient="anna-old")), (2, 0), {"H1234": (2, 0)}, (ANNA, Spell("anna-old", "H1234")),
          (Link("anna", "P1"), Link("anna-old", "P1", recorded=1), Link("anna-old", "", recorded=2))),
    world("same number, other system", "a person is system and value together: two persons",
          (NOON, same(NOON, patient="ben")), (2, 0), {"H1234": (1, 0), NOWHERE: (1, 0)},
          links=(Link("anna", "P1"), Link("ben", "P1", system="https://other.example"))),
    world("merged in August, known in July", "before the merge was recorded they were two persons",
          (NOON, same(NEXT_DAY, patient="anna-old")), (2, 0), {"H1234": (2, 0)}, (ANNA, Spell("anna-old", "H1234")), MERGED,
          known_at=IN_JULY),
    world("merged in August, known in October", "after it they are one",
          (NOON, same(NEXT_DAY, patient="anna-old")), (1, 1), {"H1234": (1, 1)}, (ANNA, Spell("anna-old", "H1234")), MERGED,
          known_at=IN_OCTOBER),
    world("retro-enrolment, known then", "in July the member was known in the first contract",
          (NOON,), (1, 0), {"H1234": (1, 0)}, RETRO, known_at=IN_JULY),
    world("retro-enrolment, known later", "enrolment recorded later, from an earlier day, moves the transfer to its unit",
          (NOON,), (1, 0), {"H5678": (1, 0)}, RETRO, known_at=IN_OCTOBER),
    world("answers after what is known", "a report as known in July has no answer of August",
          (NOON, Answer(local("2026-08-01T12:00:00"))), (1, 0), known_at=IN_JULY),
    world("sandbox", "a row that is not production (deployment, app or member) does not count",
          (same(NOON, environment="test", times=40),), (0, 0)),
    world("the sandbox's own report", "asked for test, the same row counts", (same(NOON, environment="test", times=40),), (1, 0),
          environment="test"),
    world("failed", "no data moved with an error, a refusal or a 304",
          (same(NOON, status=500), same(NOON, status=404), same(NOON, status=403), same(NEXT_DAY, status=304)), (0, 0)),
    world("empty", "an empty searchset, directory data only, a HEAD request: no resource of the patient moved",
          (same(NOON, resources=0), same(NOON, resources=0, interaction="read"), same(NEXT_DAY, resources=0)), (0, 0)),
    world("failed on the second day", "only the first day counts", (NOON, same(NEXT_DAY, status=403, resources=0)), (1, 0)),
    world("own portal and probe", "neither is an app the patient designated",
          (same(NOON, kind="payer"), same(NEXT_DAY, kind="probe")), (0, 0)),
    world("sibling APIs", "a client with a token of its own was designated by nobody", (same(NOON, kind="system", actor="system"),),
          (0, 0)),
    world("no grant, no patient", "nobody directed it, or nobody's data moved",
          (same(NOON, grant=""), same(NOON, patient="")), (0, 0)),
    world("bulk export by the app", "a file of the member's own export holds their resources: it is a transfer like a search",
          (same(NOON, interaction="$export", status=202, resources=0), same(NEXT_DAY, interaction="export-file", resources=90)), (1, 0)),
    world("no enrolment", "a transfer without enrolment is shown, in a row of its own", (NOON,), (1, 0), {NOWHERE: (1, 0)}, ()),
    world("after the end of enrolment", "no unit on that day", (NOON,), (1, 0), {NOWHERE: (1, 0)},
          (Spell("anna", "H1234", until="2026-05-03"),)),
    world("withdrawn coverage", "the last row of the Coverage withdraws it", (NOON,), (1, 0), {NOWHERE: (1, 0)},
          (ANNA, Spell("anna", None, recorded=2))),
    world("recorded at the same moment", "the later of two rows recorded together wins", (NOON,), (1, 0), {"H5678": (1, 0)},
          (ANNA, Spell("anna", "H5678"))),
    world("one month", "May alone: the repeat of June is not in it", (NOON, Answer(local("2026-06-01T00:00:00"))), (1, 0), month=5,
          months={"2026-05": 1}),
    world("month's last moment", "31 May 23:59:59.999999 by the payer's wall clock is May, though June in UTC",
          (Answer(local("2026-05-31T23:59:59.999999")),), (1, 0), month=5),
    world("by month", "a patient of two months is in both, and one in the year", (NOON, Answer(local("2026-06-01T00:00:00"))), (1, 1),
          months={"2026-05": 1, "2026-06": 1}),
    world("by number of transfers", "six days of one app are in the class 6-10, one day of another patient in the class 1",
          (*(same(NOON, at=local(f"2026-05-0{day}T12:00:00")) for day in range(1, 7)), same(NOON, patient="ben")), (2, 1),
          {"H1234": (1, 1), NOWHERE: (1, 0)}, spread={"1": 1, "6-10": 1}),
    world("each answer", "three requests of one sync are three occasions", (same(NOON, times=3),), (1, 1), spread={"3-5": 1},
          definition="request"),
    world("each answer, two coverages", "one answer under two Coverages of a contract is one occasion in it",
          (NOON,), (1, 0), {"H1234": (1, 0)}, (ANNA, Spell("anna", "H1234-2", coverage="second")), definition="request"),
    world("by grant, many days", "one grant is one occasion however often the app came back", (NOON, NEXT_DAY, SUMMER), (1, 0),
          definition="grant"),
    world("by grant, two devices", "phone and tablet hold a grant each", (NOON, same(NOON, grant="tablet")), (1, 1),
          definition="grant"),
    world("by grant, two contracts", "the one grant is an occasion in each contract, a repeat in none",
          (NOON, SUMMER), (1, 0), {"H1234": (1, 0), "H5678": (1, 0)},
          (Spell("anna", "H1234", until="2026-06-30"), Spell("anna", "H5678", start="2026-07-01", coverage="next")), definition="grant"),
    world("24 hours to the microsecond", "an answer exactly 24 hours after the beginning still belongs to the occasion",
          (NOON, NEXT_DAY), (1, 0), definition="rolling-24h"),
    world("24 hours and a microsecond", "one microsecond later another occasion begins",
          (NOON, Answer(local("2026-05-05T12:00:00.000001"))), (1, 1), definition="rolling-24h"),
    world("24 hours from the beginning", "20 hours apart each: the third is 40 hours from the first and begins the second occasion",
          (NOON, Answer(local("2026-05-05T08:00:00")), Answer(local("2026-05-06T04:00:00"))), (1, 1), definition="rolling-24h",
          spread={"2": 1}),
    world("a sync past midnight", "23:50 to 00:10 is one occasion of 24 hours",
          (Answer(local("2026-05-04T23:50:00")), Answer(local("2026-05-05T00:10:00"))), (1, 0), definition="rolling-24h"),
    world("24 hours and two apps", "each app has its own", (NOON, same(NOON, app="app-2")), (1, 1), definition="rolling-24h"),
    world("24 hours of a merged person", "both Patient ids are one person: one occasion of one app",
          (NOON, same(NEXT_DAY, patient="anna-old")), (1, 0), {"H1234": (1, 0)},
          (ANNA, Spell("anna-old", "H1234")), (Link("anna", "P1"), Link("anna-old", "P1")), definition="rolling-24h"),
)  # fmt: skip


def reported(database: Database, settings: Settings, asked: Mapping[str, Any]) -> UsageReport:
    """The report of 2026 as a world asks for it."""
    words = dict(asked)
    if moment := words.pop("known_at", None):
        words["knowledge"] = Knowledge.at(clock.to_microseconds(moment))
    if slug := words.pop("definition", None):
        words["definition"] = DEFINITIONS[slug]
    return usage_report(database, settings, year=2026, **words)


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_the_usage_report_of_a_world_says_what_a_person_would_count(
    world: World, database: Database, settings: Settings
) -> None:
    build(database, world)
    report = reported(database, settings, world.asked)
    assert report.total.values == world.total, world.reason
    found = {short(row.unit, row.label): row.values for row in report.units if any(row.values)}
    assert found == world.units, world.reason
    if world.spread is not None:
        spread = dict(zip(("1", "2", "3-5", "6-10"), report.total.distribution, strict=False))
        assert {name: patients for name, patients in spread.items() if patients} == world.spread, world.reason
    if world.months is not None:
        assert {row.name: row.values[0] for row in report.by_month if any(row.values)} == world.months, world.reason
    rolled_up = sorted(
        {answer.at.astimezone(NOON.at.tzinfo).date() for answer in world.answers if answer.at.year == 2026}
    )
    roll_up(database, *rolled_up[:-1])
    again = reported(database, settings, world.asked)
    assert again.sha256 == report.sha256, "from roll-ups of all days but the last"


def test_every_unit_of_every_level_is_there_with_zero(database: Database, settings: Settings) -> None:
    build(database, World("", "", (), (0, 0), {}))
    rows = {level: reported(database, settings, {"level": level}).units for level in ("required", "unit", "state")}
    assert {row.values for level in rows.values() for row in level} == {(0, 0)}
    assert [short(row.unit, row.label) for row in rows["required"]] == [
        "KY", "E1", "E2", "OH", "P7/Adults/OH", "C9/P9/Adults/OH", "C7/P7/Children/OH", "H1234", "H5678", "48213", NOWHERE,
    ]  # fmt: skip
    assert len(rows["unit"]) == 15
    assert [row.level for row in rows["state"] if row.unit[0] == "medicare-advantage"] == ["unit"] * 3

"""Hand-computed worlds: what the prior-authorization report must say of each, and why.

42 CFR 422.122(c); all moments are of the payer's wall clock. Days are of 24 hours.
"""

from datetime import UTC, datetime
from typing import Any

import pytest

from server import clock
from server.metrics.prior_authorization_report import prior_authorization_report
from server.settings import Settings
from server.storage.database import Database
from tests.metrics.authorization_worlds import Event, Shown, World, build
from tests.metrics.worlds import Spell, short

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
ASKED = Event("received", "2026-03-02T10:00")
APPROVED = Event("decided", "2026-03-05T10:00", "approved")
DENIED = Event("decided", "2026-03-05T10:00", "denied")
IN_PART = Event("decided", "2026-03-05T10:00", "partially-approved")
URGENT = Event("received", "2026-03-02T10:00", priority="expedited")
THREE_DAYS = {"standard-time": (3.0, 3.0)}
APPROVED_ONCE = {"standard-approved": 1}
SHOWN_AT_ONCE = Shown("2026-03-02T10:00", "2026-03-02T11:00")


def expedited(at: str, decision: str, **columns: Any) -> Event:
    return Event("decided", at, decision, priority="expedited", **columns)


def again(*events: Event, request: str, patient: str = "anna", **columns: Any) -> tuple[Event, ...]:
    """The same events of another request."""
    values = [
        {name: getattr(event, name) for name in Event.__slots__} | {"request": request, "patient": patient} | columns
        for event in events
    ]
    return tuple(Event(**value) for value in values)


WORLDS = (
    World("nothing", "no event: every count is 0, every percentage and time is n/a", (), (0, 0), clocks={}),
    World("approved", "one request of one: 100 percent, three times 24 hours", (ASKED, APPROVED), (1, 0), APPROVED_ONCE, THREE_DAYS),
    World("denied", "denied in full", (ASKED, DENIED), (1, 0), {"standard-denied": 1}, THREE_DAYS),
    World("approved in part", "what is denied in part is denied, and never approved", (ASKED, IN_PART), (1, 0), {"standard-denied": 1},
          THREE_DAYS),
    World("not decided yet", "received, so in what the percentages are out of; no time",
          (ASKED,), (1, 0), clocks={"decision:overdue": 1}),
    World("withdrawn", "received, neither approved nor denied; no decision is due any more",
          (ASKED, Event("cancelled", "2026-03-03T09:00")), (1, 0), clocks={}),
    World("approval taken back", "what was left of it was cancelled: it had been approved",
          (ASKED, APPROVED, Event("cancelled", "2026-04-01T09:00")), (1, 0), APPROVED_ONCE, THREE_DAYS),
    World("overturned", "denied at first and approved after appeal: counted in both, over all standard requests",
          (ASKED, DENIED, Event("appealed", "2026-03-10T09:00"), Event("appeal-decided", "2026-03-20T09:00", "approved"),
           *again(ASKED, APPROVED, request="r2")), (2, 0),
          {"standard-approved": 1, "standard-denied": 1, "standard-approved-after-appeal": 1}, THREE_DAYS),
    World("upheld", "an appeal that changes nothing is no approval",
          (ASKED, DENIED, Event("appealed", "2026-03-10T09:00"), Event("appeal-decided", "2026-03-20T09:00", "denied")), (1, 0),
          {"standard-denied": 1}, THREE_DAYS),
    World("overturned in part", "approved in part after appeal is not fully approved",
          (ASKED, DENIED, Event("appeal-decided", "2026-03-20T09:00", "partially-approved")), (1, 0), {"standard-denied": 1}, THREE_DAYS),
    World("overturned at the second level", "upheld first, approved by the next level: approved after appeal",
          (ASKED, DENIED, Event("appeal-decided", "2026-03-20T09:00", "denied"), Event("appeal-decided", "2026-05-20T09:00", "approved")),
          (1, 0), {"standard-denied": 1, "standard-approved-after-appeal": 1}, THREE_DAYS),
    World("expedited, overturned", "the measure after appeal is of standard requests only",
          (URGENT, expedited("2026-03-03T10:00", "denied"),
           Event("appeal-decided", "2026-03-04T09:00", "approved", priority="expedited")), (0, 1), {"expedited-denied": 1},
          {"expedited-time": (24.0, 24.0)}),
    World("extended and approved", "more time was taken, then all was approved: 1 of 1 of all requests; 14 days more were allowed",
          (ASKED, Event("extended", "2026-03-08T10:00"), Event("decided", "2026-03-20T10:00", "approved")), (1, 0),
          {"standard-approved": 1, "extended-approved": 1}, {"standard-time": (17.96, 17.96)}, {"decision:in-time": 1}),
    World("extended and denied", "more time was taken, and not for an approval; 10:00 EST to 10:00 EDT is an hour less",
          (ASKED, Event("extended", "2026-03-06T10:00"), Event("decided", "2026-03-12T10:00", "denied")), (1, 0),
          {"standard-denied": 1}, {"standard-time": (9.96, 9.96)}),
    World("extended of both kinds", "standard and expedited are counted together: 2 of 3",
          (ASKED, Event("extended", "2026-03-03T10:00"), APPROVED, *again(ASKED, DENIED, request="r2"),
           *again(URGENT, Event("extended", "2026-03-03T10:00", priority="expedited"), expedited("2026-03-06T10:00", "approved"),
                  request="r3")), (2, 1),
          {"standard-approved": 1, "standard-denied": 1, "expedited-approved": 1, "extended-approved": 2},
          {**THREE_DAYS, "expedited-time": (96.0, 96.0)}, {"decision:in-time": 3}),
    World("extended after the decision", "an extension that came later did not extend this review",
          (ASKED, APPROVED, Event("extended", "2026-03-06T10:00")), (1, 0), APPROVED_ONCE, THREE_DAYS),
    World("extended too late", "the extension was taken on the eighth day: the clock had run out",
          (ASKED, Event("extended", "2026-03-10T00:00"), Event("decided", "2026-03-11T10:00", "approved")), (1, 0),
          {"standard-approved": 1, "extended-approved": 1}, {"standard-time": (8.96, 8.96)}, {"decision:late": 1}),
    World("expedited", "time in hours: 30 hours and a half",
          (URGENT, expedited("2026-03-03T16:30", "approved")), (0, 1), {"expedited-approved": 1}, {"expedited-time": (30.5, 30.5)}),
    World("expedited, in exactly 72 hours", "the last moment is in time",
          (URGENT, expedited("2026-03-05T10:00", "approved")), (0, 1), {"expedited-approved": 1}, {"expedited-time": (72.0, 72.0)},
          {"decision:in-time": 1}),
    World("expedited, a minute late", "72 hours and a minute",
          (URGENT, expedited("2026-03-05T10:01", "approved")), (0, 1), {"expedited-approved": 1}, {"expedited-time": (72.02, 72.02)},
          {"decision:late": 1}),
    World("expedited over the change of clocks", "10:00 EST to 10:00 EDT three days later are 71 hours",
          (Event("received", "2026-03-06T10:00", priority="expedited"), expedited("2026-03-09T10:00", "approved")), (0, 1),
          {"expedited-approved": 1}, {"expedited-time": (71.0, 71.0)}, {"decision:in-time": 1}),
    World("standard, end of the seventh day", "calendar days: received on the 2nd, the 9th has until midnight",
          (ASKED, Event("decided", "2026-03-09T23:59", "approved")), (1, 0), APPROVED_ONCE, {"standard-time": (7.54, 7.54)},
          {"decision:in-time": 1}),
    World("standard, the eighth day", "midnight after the seventh day is too late",
          (ASKED, Event("decided", "2026-03-10T00:00", "approved")), (1, 0), APPROVED_ONCE, {"standard-time": (7.54, 7.54)},
          {"decision:late": 1}),
    World("made standard", "asked for as expedited and decided as standard: a standard request",
          (URGENT, APPROVED), (1, 0), APPROVED_ONCE, THREE_DAYS, {"decision:in-time": 1}),
    World("drug", "a medicine is in no count", (Event("received", "2026-03-02T10:00", drug=True), APPROVED), (0, 0), clocks={}),
    World("correction of the decision", "the newest instead of the old one: denied was wrong",
          (ASKED, Event("decided", "2026-03-05T10:00", "denied", id="wrong"),
           Event("decided", "2026-03-04T10:00", "approved", corrects="wrong")), (1, 0), APPROVED_ONCE, {"standard-time": (2.0, 2.0)}),
    World("correction of a correction", "whoever corrects last says what it is",
          (ASKED, Event("decided", "2026-03-05T10:00", "denied", id="first"),
           Event("decided", "2026-03-05T10:00", "partially-approved", id="second", corrects="first"),
           Event("decided", "2026-03-03T10:00", "approved", corrects="second")), (1, 0), APPROVED_ONCE, {"standard-time": (1.0, 1.0)}),
    World("decision entered in error", "it never happened: the request is open",
          (ASKED, Event("decided", "2026-03-05T10:00", "denied", id="wrong"),
           Event("entered-in-error", "2026-03-05T11:00", corrects="wrong")), (1, 0), clocks={"decision:overdue": 1}),
    World("request entered in error", "the whole request never happened",
          (Event("received", "2026-03-02T10:00", id="wrong"), Event("entered-in-error", "2026-03-02T11:00", corrects="wrong")), (0, 0)),
    World("receipt corrected into another year", "it was received in 2025 after all",
          (Event("received", "2026-01-01T10:00", id="wrong"), Event("received", "2025-12-31T10:00", corrects="wrong"),
           Event("decided", "2026-01-05T10:00", "approved")), (0, 0)),
    World("decided twice", "the first decision counts; what follows without an appeal changes nothing",
          (ASKED, DENIED, Event("decided", "2026-04-05T10:00", "approved")), (1, 0), {"standard-denied": 1}, THREE_DAYS),
    World("no receipt", "a decision without a receipt belongs to no year", (APPROVED,), (0, 0)),
    World("decided before receipt", "the decision counts; a time that runs backwards does not",
          (ASKED, Event("decided", "2026-03-01T10:00", "approved")), (1, 0), APPROVED_ONCE),
    World("the year's first and last moment", "by the payer's wall clock, both are in the year",
          (Event("received", "2026-01-01T00:00"), Event("received", "2026-12-31T23:59:59.999999", request="r2")), (2, 0),
          clocks={"decision:overdue": 2}),
    World("just outside of the year", "the moment before and the moment after, though 2026 in UTC and not in it",
          (Event("received", "2025-12-31T23:59:59.999999"), Event("received", "2027-01-01T00:00", request="r2")), (0, 0)),
    World("decided in the next year", "it belongs to the year in which it was received",
          (Event("received", "2026-12-30T10:00"), Event("decided", "2027-01-04T10:00", "approved")), (1, 0), APPROVED_ONCE,
          {"standard-time": (5.0, 5.0)}, {"decision:in-time": 1}),
    World("received in the year before", "decided in the year, and counted in the one before",
          (Event("received", "2025-12-30T10:00"), Event("decided", "2026-01-04T10:00", "approved")), (0, 0)),
    World("appeal decided in the next year", "what has become of it is counted until the day of the report",
          (Event("received", "2026-12-01T10:00"), Event("decided", "2026-12-04T10:00", "denied"),
           Event("appeal-decided", "2027-01-20T10:00", "approved")), (1, 0),
          {"standard-denied": 1, "standard-approved-after-appeal": 1}, THREE_DAYS),
    World("after the day of the report", "what is dated later has not happened",
          (ASKED, Event("decided", "2027-03-05T10:00", "approved")), (1, 0)),
    World("median of an even count", "1, 2, 3 and 10 days: the mean is 4, the median halfway between 2 and 3",
          (*again(Event("received", "2026-05-01T08:00"), Event("decided", "2026-05-02T08:00", "approved"), request="r1"),
           *again(Event("received", "2026-05-01T08:00"), Event("decided", "2026-05-03T08:00", "approved"), request="r2"),
           *again(Event("received", "2026-05-01T08:00"), Event("decided", "2026-05-04T08:00", "approved"), request="r3"),
           *again(Event("received", "2026-05-01T08:00"), Event("decided", "2026-05-11T08:00", "approved"), request="r4")), (4, 0),
          {"standard-approved": 4}, {"standard-time": (4.0, 2.5)}, {"decision:in-time": 3, "decision:late": 1}),
    World("median of an odd count", "1, 2 and 12 days: the one in the middle",
          (*again(Event("received", "2026-05-01T08:00"), Event("decided", "2026-05-02T08:00", "approved"), request="r1"),
           *again(Event("received", "2026-05-01T08:00"), Event("decided", "2026-05-03T08:00", "approved"), request="r2"),
           *again(Event("received", "2026-05-01T08:00"), Event("decided", "2026-05-13T08:00", "denied"), request="r3")), (3, 0),
          {"standard-approved": 2, "standard-denied": 1}, {"standard-time": (5.0, 2.0)}),
    World("two units", "each by the member's enrolment",
          (ASKED, APPROVED, *again(ASKED, DENIED, request="r2", patient="ben")), (2, 0),
          {"standard-approved": 1, "standard-denied": 1}, THREE_DAYS, units={"H1234": (1, 0), "H5678": (1, 0)},
          spells=(Spell("anna", "H1234"), Spell("ben", "H5678"))),
    World("two plans of a contract", "they are one unit of Medicare Advantage",
          (ASKED, APPROVED, *again(ASKED, DENIED, request="r2", patient="ben")), (2, 0),
          {"standard-approved": 1, "standard-denied": 1}, THREE_DAYS, units={"H1234": (2, 0)},
          spells=(Spell("anna", "H1234"), Spell("ben", "H1234-2"))),
    World("two coverages", "the unit is that of the Coverage under which it was asked for, not of the day",
          again(ASKED, APPROVED, request="r1", coverage="second"), (1, 0), APPROVED_ONCE, THREE_DAYS, units={"OH": (1, 0)},
          spells=(Spell("anna", "H1234"), Spell("anna", "medicaid", until="2026-01-31", coverage="second"))),
    World("explicit unit", "the unit that the event names is before that of an enrolment",
          again(ASKED, APPROVED, request="r1", unit="adults"), (1, 0), APPROVED_ONCE, THREE_DAYS, units={"P7/Adults/OH": (1, 0)}),
    World("enrolment corrected", "the latest record of the Coverage says which unit it is",
          (ASKED, APPROVED), (1, 0), APPROVED_ONCE, THREE_DAYS, units={"H5678": (1, 0)},
          spells=(Spell("anna", "H1234", recorded=1), Spell("anna", "H5678", recorded=2))),
    World("no unit", "neither the event nor a Coverage names one: counted for the organisation, in no unit",
          (ASKED, APPROVED), (1, 0), APPROVED_ONCE, THREE_DAYS, units={}, spells=()),
    World("marketplace", "an issuer has all measures and no clock for decisions",
          (ASKED, Event("decided", "2026-04-30T11:00", "approved")), (1, 0), APPROVED_ONCE, {"standard-time": (59.0, 59.0)},
          {}, {"48213": (1, 0)}, (Spell("anna", "issuer"),)),
    World("one id, two members", "an authorization is known by its id and its member",
          (ASKED, APPROVED, *again(ASKED, DENIED, request="r1", patient="ben")), (2, 0),
          {"standard-approved": 1, "standard-denied": 1}, THREE_DAYS),
    World("test member", "what test members asked for is no part of a production report",
          (ASKED, APPROVED, *again(ASKED, DENIED, request="r2", patient="ben")), (1, 0), APPROVED_ONCE, THREE_DAYS, test_members=("ben",)),
    World("of test members", "asked for, a report counts them alone",
          (ASKED, APPROVED, *again(ASKED, DENIED, request="r2", patient="ben")), (1, 0), {"standard-denied": 1}, THREE_DAYS,
          test_members=("ben",), asked={"environment": "test"}),
)  # fmt: skip


def reported(database: Database, settings: Settings, **asked: Any) -> Any:
    with clock.set_to(NOW):
        return prior_authorization_report(database, settings, **{"year": 2026, **asked}).content


@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_the_report_of_a_world_says_what_a_person_would_count(
    world: World, database: Database, settings: Settings
) -> None:
    build(database, world)
    content = reported(database, settings, **world.asked)
    total = content["organisation"]
    assert both(total) == world.received, world.reason
    found = total["measures"]
    assert {slug: row["count"] for slug, row in found.items() if row.get("count")} == world.counts, world.reason
    assert {
        slug: (row["mean"], row["median"]) for slug, row in found.items() if row.get("mean") is not None
    } == world.times, world.reason
    standard, urgent = world.received
    out_of = {slug: row["out_of"] for slug, row in found.items() if "count" in row}
    assert out_of == {
        slug: standard + urgent if slug.startswith("extended") else urgent if slug.startswith("expedited") else standard
        for slug in out_of
    }
    assert all((row["percent"] is None) == (row["out_of"] == 0) for row in found.values() if "count" in row)
    if world.clocks is not None:
        decisions = {f"decision:{outcome}": count for outcome, count in clocks(content)["decision"].items() if count}
        assert decisions == world.clocks, world.reason
    units = {short(tuple(row[name] for name in UNIT_NAMES), ""): both(row) for row in content["reporting_units"]}
    expected = world.units if world.units is not None else {"H1234": world.received} if any(world.received) else {}
    assert {name: requests for name, requests in units.items() if any(requests)} == expected, world.reason
    assert len(units) == 10 if world.units is None else len(units) >= 10, "units without requests are there too"


UNIT_NAMES = ("line_of_business", "contract", "plan", "program", "issuer", "state")


def both(figures: Any) -> tuple[int, int]:
    """Standard and expedited requests."""
    return figures["requests"]["standard"], figures["requests"]["expedited"]


def clocks(content: Any) -> Any:
    return content["internal"]["organisation"]["clocks"]


VISIBLE = (
    ("at once", "2026-03-02T10:00", Shown("2026-03-02T10:00", "2026-03-02T10:00"), "in-time"),
    ("the end of the next business day", "2026-03-02T10:00", Shown("2026-03-02T10:00", "2026-03-03T23:59"), "in-time"),
    ("the day after it", "2026-03-02T10:00", Shown("2026-03-02T10:00", "2026-03-04T00:00"), "late"),
    ("received on a Friday, shown on Monday", "2026-03-06T17:00", Shown("2026-03-06T17:00", "2026-03-09T23:59"), "in-time"),
    ("received on a Friday, shown on Tuesday", "2026-03-06T17:00", Shown("2026-03-06T17:00", "2026-03-10T00:00"), "late"),
    ("received on a Saturday, shown on Monday", "2026-03-07T09:00", Shown("2026-03-07T09:00", "2026-03-09T20:00"), "in-time"),
    ("received on a Saturday, shown on Tuesday", "2026-03-07T09:00", Shown("2026-03-07T09:00", "2026-03-10T09:00"), "late"),
    ("over Thanksgiving", "2026-11-25T12:00", Shown("2026-11-25T12:00", "2026-11-27T23:00"), "in-time"),
    ("over Independence Day, which is kept on Friday", "2026-07-02T12:00", Shown("2026-07-02T12:00", "2026-07-06T12:00"), "in-time"),
    ("over Juneteenth and a weekend", "2026-06-18T12:00", Shown("2026-06-18T12:00", "2026-06-22T12:00"), "in-time"),
    ("the weekend when clocks change", "2026-10-30T12:00", Shown("2026-10-30T12:00", "2026-11-02T23:59"), "in-time"),
    ("after Christmas", "2026-12-24T12:00", Shown("2026-12-24T12:00", "2026-12-29T00:00"), "late"),
    ("an older version only", "2026-03-02T10:00", Shown("2026-03-02T09:59", "2026-03-02T09:59"), "overdue"),
    ("another member's", "2026-03-02T10:00", Shown("2026-03-02T10:00", "2026-03-02T10:00", patient="ben"), "overdue"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "at", "shown", "outcome"), VISIBLE, ids=[row[0] for row in VISIBLE])
def test_a_request_is_visible_in_one_business_day(
    name: str, at: str, shown: Shown, outcome: str, database: Database, settings: Settings
) -> None:
    build(database, World(name, "", (Event("received", at),), (1, 0), shown=(shown,)))
    found = clocks(reported(database, settings))
    assert {key: count for key, count in found["request-visible"].items() if count} == {outcome: 1}
    assert not any(found["status-visible"].values())


def test_every_change_of_status_has_its_own_clock(database: Database, settings: Settings) -> None:
    late = Shown("2026-03-05T10:00", "2026-03-09T09:00")
    events = (ASKED, Event("information-requested", "2026-03-03T09:00"), DENIED, Event("appealed", "2027-02-26T09:00"))
    build(database, World("", "", events, (1, 0), shown=(SHOWN_AT_ONCE, late)))
    content = reported(database, settings)
    assert clocks(content)["request-visible"]["in-time"] == 1
    assert clocks(content)["status-visible"] == {"in-time": 0, "late": 2, "overdue": 0, "running": 1}
    assert [(row["event"], row["authorization_number"], row["outcome"]) for row in content["internal"]["breaches"]] == [
        ("information-requested", "AUTH-r1", "late"), ("decided", "AUTH-r1", "late"),
    ]  # fmt: skip


def test_a_clock_that_has_time_left_is_no_breach(database: Database, settings: Settings) -> None:
    build(database, World("", "", (ASKED,), (1, 0)))
    with clock.set_to(datetime(2026, 3, 3, 12, tzinfo=UTC)):
        report = prior_authorization_report(database, settings, year=2026)
    assert {name: row["running"] for name, row in clocks(report.content).items()} == {
        "decision": 1, "request-visible": 1, "status-visible": 0,
    }  # fmt: skip
    assert not report.is_of_a_complete_year
    assert report.content["internal"]["breaches"] == []


def test_what_cannot_be_counted_is_told(database: Database, settings: Settings) -> None:
    events = (
        *again(ASKED, APPROVED, request="drug", drug=True),
        *again(APPROVED, request="without receipt"),
        *again(ASKED, Event("decided", "2026-03-01T10:00", "denied"), request="backwards"),
        *again(ASKED, request="listed", codes=("A1", "B2")),
        *again(ASKED, request="nowhere", patient="carla"),
    )
    build(database, World("", "", events, (3, 0)))
    content = reported(database, settings)
    assert content["internal"]["not_counted"] == {"drug": 1, "without-receipt": 1, "decided-before-receipt": 1}
    assert [(row["code"], row["requests"]) for row in content["internal"]["requested_but_not_listed"]] == [
        ("A1", 1), ("B2", 1),
    ]  # fmt: skip
    assert content["without_reporting_unit"]["requests"] == {"standard": 1, "expedited": 0}
    assert any("without a reporting unit: 1." in note for note in content["notes"])


def test_the_digest_names_the_events_and_does_not_depend_on_their_order(
    database: Database, settings: Settings, new_database_url: Any
) -> None:
    events = (*again(ASKED, APPROVED, request="r2"), Event("received", "2026-03-02T10:00", id="x"))
    first = World("", "", (*again(ASKED, request="r1", id="a"), *again(ASKED, request="r2", id="b")), (2, 0))
    other = World("", "", tuple(reversed(first.events)), (2, 0))
    more = World("", "", (*first.events, *events), (2, 0))
    digests = []
    for world in (first, other, more):
        own = settings.model_copy(update={"database_url": new_database_url()})
        fresh = Database(own)
        build(fresh, world)
        digests.append(reported(fresh, own)["event_digest"])
        fresh.engine.dispose()
    assert digests[0] == digests[1] != digests[2]

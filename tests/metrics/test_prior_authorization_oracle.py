"""A count by hand of every event of random worlds is what the report says, at every place, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import delete

from server import clock
from server.metrics.prior_authorization_report import prior_authorization_report
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import AuthorizationEvent, Enrolment, Member, ReportingUnit, Resource, ResourceVersion
from tests.metrics.authorization_oracle import Counted, count
from tests.metrics.authorization_worlds import Event, Shown, World, build
from tests.metrics.worlds import UNITS, Spell

EDGES = (
    datetime(2026, 1, 1, 5, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 3, 9, 4, tzinfo=UTC),
    datetime(2026, 7, 2, 4, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 11, 26, 5, tzinfo=UTC),
    datetime(2027, 1, 1, 5, tzinfo=UTC),
)
"""The year's ends, changes of the clocks and days before holidays, by the payer's wall clock."""
HOURS = st.sampled_from((-24, 0, 0, 1, 24, 71, 72, 73, 7 * 24, 8 * 24, 14 * 24, 22 * 24, 40 * 24))
SHIFTS = st.sampled_from((timedelta(), timedelta(microseconds=-1), timedelta(microseconds=1), timedelta(minutes=37)))
MOMENTS = st.builds(
    lambda edge, hours, shift: edge + timedelta(hours=hours) + shift, st.sampled_from(EDGES), HOURS, SHIFTS
)
TYPES = (
    "received",
    *("decided",) * 4,
    *("extended",) * 3,
    "appealed",
    "appeal-decided",
    "cancelled",
    "information-requested",
)
IDS = (("r1", "anna"), ("r2", "anna"), ("r3", "ben"), ("r1", "ben"), ("r4", "carla"))
REQUESTS = st.sampled_from(IDS)
DECISIONS = st.sampled_from(("approved", "approved", "partially-approved", "denied"))


@st.composite
def events(draw: st.DrawFn) -> tuple[Event, ...]:
    """Events of a few requests in the order of recording; some put right an earlier one of the same request."""
    found: list[Event] = []
    for request, patient in draw(st.sets(REQUESTS, min_size=2)):
        start, ids = draw(MOMENTS), [f"{request}-{patient}-{number}" for number in range(draw(st.integers(2, 6)))]
        priority = draw(st.sampled_from(("standard", "standard", "expedited")))
        for number, id in enumerate(ids):
            type = draw(st.sampled_from(TYPES)) if number else draw(st.sampled_from(("received",) * 9 + ("decided",)))
            event = Event(
                type,
                start + timedelta(hours=draw(HOURS)) * bool(number) + draw(SHIFTS),
                draw(DECISIONS) if type in ("decided", "appeal-decided") else "",
                request,
                draw(st.sampled_from((priority,) * 9 + ("standard",))),
                draw(st.sampled_from((False,) * 29 + (True,))),
                draw(st.sampled_from((None, None, None, *UNITS))),
                draw(st.sampled_from(("first", "first", "second"))),
                patient,
                id,
            )
            if number and draw(st.integers(0, 4)) == 0:
                changed = draw(st.sampled_from((type, type, "entered-in-error")))
                decision = "" if changed == "entered-in-error" else event.decision
                event = replace(event, type=changed, decision=decision, corrects=draw(st.sampled_from(ids[:number])))
            found.append(event)
    return tuple(found)


SPELLS = st.builds(
    Spell,
    patient=st.sampled_from(("anna", "ben")),
    unit=st.sampled_from((*UNITS, None)),
    coverage=st.sampled_from(("first", "second")),
    recorded=st.sampled_from((1, 2, 3)),
)
SHOWN = st.builds(
    lambda request, updated, later: Shown(updated, updated + timedelta(hours=later), *request),
    REQUESTS,
    MOMENTS,
    st.sampled_from((0, 1, 24, 48, 96, 120)),
)


def one_member_a_resource(shown: list[Shown]) -> tuple[Shown, ...]:
    """A resource is of one member: that of its first version here."""
    owner: dict[str, str] = {}
    return tuple(replace(one, patient=owner.setdefault(one.request, one.patient)) for one in shown)


WORLDS = st.builds(
    World,
    name=st.just("random"),
    reason=st.just(""),
    events=events(),
    received=st.just((0, 0)),
    spells=st.lists(SPELLS, max_size=5).map(tuple),
    shown=st.lists(SHOWN, max_size=5).map(one_member_a_resource),
    test_members=st.sampled_from(((), (), ("ben",))),
)
LATER = st.just(datetime(2027, 6, 1, tzinfo=UTC))
KNOWN = st.one_of(LATER, LATER, LATER, MOMENTS)


def begin(database: Database, world: World) -> None:
    """Empty the tables a world is made of, and fill them."""
    with database.transaction() as transaction:
        for table in (AuthorizationEvent, Enrolment, Member, ReportingUnit, Resource, ResourceVersion):
            transaction.execute(delete(table))
    build(database, world)


def said(figures: Any, clocks: Any) -> dict[str, Any]:
    """What a report says of a place, as the oracle says it: without what is zero."""
    measures = figures["measures"]
    found = {name: measures[f"{name}-time"] for name in ("standard", "expedited")}
    return {
        "received": {name: requests for name, requests in figures["requests"].items() if requests},
        "counts": {slug: row["count"] for slug, row in measures.items() if row.get("count")},
        "times": {name: (row["out_of"], row["mean"], row["median"]) for name, row in found.items() if row["out_of"]},
        "clocks": {
            f"{name}:{outcome}": number
            for name, outcomes in clocks["clocks"].items()
            for outcome, number in (outcomes or {}).items()
            if number
        },
    }


def test_the_report_equals_a_count_of_every_event(database: Database, settings: Settings) -> None:
    counted: list[int] = []

    @examples(
        max_examples=200,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(world=WORLDS, environment=st.sampled_from(("production",) * 4 + ("test",)), known=KNOWN)
    def check(world: World, environment: str, known: datetime) -> None:
        begin(database, world)
        with clock.set_to(known):
            content = prior_authorization_report(database, settings, year=2026, environment=environment).content
        expected = count(world, environment, known)
        internal = content["internal"]
        total = said(content["organisation"], internal["organisation"])
        assert total == expected[None]
        nowhere = said(content["without_reporting_unit"], internal["without_reporting_unit"])
        assert nowhere == expected.get("", Counted().said())
        found = dict(
            zip(PLACES, zip(content["reporting_units"], internal["reporting_units"], strict=True), strict=True)
        )
        for place, names in PLACES.items():
            if len(names) == 1:
                assert said(*found[place]) == expected.get(names[0], Counted().said()), place
            requests = sum(expected.get(name, Counted().said())["received"].get("standard", 0) for name in names)
            assert found[place][0]["requests"]["standard"] == requests
        counted.append(sum(total["received"].values()))

    check()
    assert len(counted) >= 100
    assert sum(counted) > 100, "random worlds have requests of the year"


PLACES = {
    "KY": ["chip"],
    "E1": ["employer"],
    "E2": ["employer-2"],
    "OH": ["medicaid", "medicaid-2"],
    "P7/Adults": ["adults", "adults-2"],
    "P9/Adults": ["other-plan"],
    "P7/Children": ["children"],
    "H1234": ["H1234", "H1234-2"],
    "H5678": ["H5678"],
    "48213": ["issuer", "issuer-2"],
}
"""The rows of the report, in its order, and the units merged in each."""

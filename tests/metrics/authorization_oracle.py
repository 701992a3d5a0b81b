"""The prior-authorization report counted by hand in plain Python, from docs/prior-authorization-report.md and nothing of the server's.

It looks at every event of a world for every number, with dates and exact fractions, and shares no code with what it checks.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from tests.metrics.authorization_worlds import Event, World
from tests.metrics.worlds import PAYER_ZONE, UNITS, local, microseconds

HOLIDAYS = {
    *(date(2025, 12, 25), date(2026, 1, 1), date(2026, 1, 19), date(2026, 2, 16), date(2026, 5, 25), date(2026, 6, 19)),
    *(date(2026, 7, 3), date(2026, 9, 7), date(2026, 10, 12), date(2026, 11, 11), date(2026, 11, 26), date(2026, 12, 25)),
    *(date(2027, 1, 1), date(2027, 1, 18), date(2027, 2, 15)),
}  # fmt: skip
"""Those of the federal government as observed, from its calendar."""


@dataclass(slots=True)
class Counted:
    """Of a place: requests by priority, counts by measure, (decided, mean, median) by measure, clocks by name and outcome."""

    received: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[timedelta]] = field(default_factory=lambda: {"standard": [], "expedited": []})
    clocks: Counter[str] = field(default_factory=Counter)

    def said(self) -> dict[str, Any]:
        """As the test reads it from a report."""
        return {
            "received": dict(+self.received),
            "counts": dict(+self.counts),
            "times": {name: _mean_and_median(name, found) for name, found in self.times.items() if found},
            "clocks": dict(+self.clocks),
        }


def count(world: World, environment: str, known: datetime) -> dict[str | None, dict[str, Any]]:
    """What a report of 2026 says: for the organisation (None), by the name of the unit, and '' without one."""
    places: dict[str | None, Counted] = {None: Counted()}
    for request in {(event.request, event.patient) for event in world.events}:
        happened = sorted(_standing(world, request), key=_when)
        happened = [event for event in happened if _when(event) <= known]
        received = [event for event in happened if event.type == "received"]
        mark = "test" if request[1] in world.test_members else "production"
        if mark != environment or not received or any(event.drug for event in happened):
            continue
        if _local(_when(received[0])).year != 2026:
            continue
        decided = [event for event in happened if event.type == "decided"]
        unit = _unit(world, decided[0] if decided else happened[-1])
        for place in (None, unit):
            _count(places.setdefault(place, Counted()), world, happened, unit, known)
    return {name: counted.said() for name, counted in places.items()}


def _standing(world: World, request: tuple[str, str]) -> Iterable[Event]:
    """Each mistake replaced by what was recorded last in its place."""
    numbered = [(event.id or f"e{number}", event) for number, event in enumerate(world.events, 1)]
    own = [(id, event) for id, event in numbered if (event.request, event.patient) == request]
    slots: list[list[tuple[str, Event]]] = []
    for id, event in own:
        slot = next((slot for slot in slots if any(event.corrects == before for before, _ in slot)), None)
        if slot is None:
            slots.append([(id, event)])
        else:
            slot.append((id, event))
    return [slot[-1][1] for slot in slots if slot[-1][1].type != "entered-in-error"]


def _count(into: Counted, world: World, happened: list[Event], unit: str, known: datetime) -> None:
    received = next(event for event in happened if event.type == "received")
    decided = next((event for event in happened if event.type == "decided"), None)
    priority = (decided or happened[-1]).priority
    into.received[priority] += 1
    extensions = [
        event for event in happened if event.type == "extended" and (decided is None or _when(event) <= _when(decided))
    ]
    if decided is not None:
        fully = decided.decision == "approved"
        into.counts[f"{priority}-{'approved' if fully else 'denied'}"] += 1
        if fully and extensions:
            into.counts["extended-approved"] += 1
        later = [event for event in happened if event.type == "appeal-decided" and _when(event) >= _when(decided)]
        if priority == "standard" and not fully and "approved" in {event.decision for event in later}:
            into.counts["standard-approved-after-appeal"] += 1
        if _when(decided) >= _when(received):
            into.times[priority].append(_when(decided) - _when(received))
    withdrawn = decided is None and any(event.type == "cancelled" for event in happened)
    if not withdrawn and not (unit and UNITS[unit].line_of_business in ("qhp", "commercial")):
        into.clocks["decision:" + _decision(received, decided, priority, extensions, known)] += 1
    for event in happened:
        name = "request-visible" if event.type == "received" else "status-visible"
        into.clocks[f"{name}:{_visible(world, event, known)}"] += 1


def _decision(received: Event, decided: Event | None, priority: str, extensions: list[Event], known: datetime) -> str:
    def is_over(at: datetime, extended: bool) -> bool:
        day = _local(_when(received)).date() + timedelta(days=7)
        if priority == "expedited":
            day = _local(_when(received) + timedelta(hours=72)).date()
            if not extended:
                return at - _when(received) > timedelta(hours=72)
        return _local(at).date() > day + timedelta(days=14 if extended else 0)

    extended = bool(extensions) and not is_over(_when(extensions[0]), False)
    over = is_over(known if decided is None else _when(decided), extended)
    return ("overdue" if over else "running") if decided is None else ("late" if over else "in-time")


def _visible(world: World, event: Event, known: datetime) -> str:
    seen = [
        _as_datetime(shown.loaded)
        for shown in world.shown
        if (shown.request, shown.patient) == (event.request, event.patient)
        and _as_datetime(shown.updated) >= _when(event)
    ]
    seen = [at for at in seen if at <= known and at == min(seen)]
    day = _local(_when(event)).date() + timedelta(days=1)
    while day.weekday() in (5, 6) or day in HOLIDAYS:
        day += timedelta(days=1)
    over = _local(min(seen) if seen else known).date() > day
    return ("late" if over else "in-time") if seen else ("overdue" if over else "running")


def _unit(world: World, event: Event) -> str:
    """The name of the unit; '' none."""
    if event.unit is not None:
        return event.unit
    spells = [spell for spell in world.spells if (spell.patient, spell.coverage) == (event.patient, event.coverage)]
    latest = max(enumerate(spells), key=lambda one: (microseconds(one[1].recorded), one[0]), default=(0, None))[1]
    return (latest and latest.unit) or ""


def _mean_and_median(priority: str, times: list[timedelta]) -> tuple[int, float, float]:
    unit = timedelta(days=1) if priority == "standard" else timedelta(hours=1)
    exact = sorted(Fraction(time // timedelta(microseconds=1), unit // timedelta(microseconds=1)) for time in times)
    half = len(exact) // 2
    median = exact[half] if len(exact) % 2 else (exact[half - 1] + exact[half]) / 2
    return len(exact), _two_decimals(sum(exact, Fraction()) / len(exact)), _two_decimals(median)


def _two_decimals(value: Fraction) -> float:
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return float(exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))


def _as_datetime(moment: str | datetime) -> datetime:
    """In UTC: datetimes of one time zone are subtracted by the wall clock, not by the time that passed."""
    return (moment if isinstance(moment, datetime) else local(moment)).astimezone(UTC)


def _when(event: Event) -> datetime:
    return _as_datetime(event.at)


def _local(moment: datetime) -> datetime:
    return moment.astimezone(PAYER_ZONE)

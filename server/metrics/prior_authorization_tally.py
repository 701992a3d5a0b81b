"""The figures of one place, added up request by request: counts, times, clocks and what broke them.

Rounding: two decimals, halves up, from exact whole microseconds. 42 CFR 422.122(c): aggregated for all items and services.
"""

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from server import clock
from server.metrics.prior_authorization_clocks import BREACHES, CLOCKS, DECISION, OUTCOMES, readings
from server.metrics.prior_authorization_measures import EXPEDITED, MEASURES, STANDARD, Duration, Share
from server.metrics.prior_authorization_requests import Request

_HUNDREDTH = Decimal("0.01")


class Tally:
    """What was counted at a place; ``decides``: the times for decisions apply to its payer."""

    def __init__(self, decides: bool) -> None:
        self.decides = decides
        self.requests = 0
        self.breaches: list[dict[str, Any]] = []
        self._received: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._times: dict[str, list[int]] = {STANDARD: [], EXPEDITED: []}
        self._clocks: Counter[tuple[str, str]] = Counter()
        self._pending: Counter[tuple[str, str]] = Counter()

    def add(self, request: Request, zone: ZoneInfo, known_at: int, *, decides: bool | None = None) -> None:
        """Count a request. ``decides``: as of its own payer, where places are added up."""
        self.requests += 1
        self._received[request.priority] += 1
        for measure in MEASURES:
            if isinstance(measure, Share) and request.priority in measure.priorities and measure.counts(request):
                self._counts[measure.slug] += 1
        if request.took is not None:
            self._times[request.priority].append(request.took)
        if request.decided is None:
            self._pending[request.priority, "open" if request.withdrawn is None else "withdrawn"] += 1
        for reading in readings(request, zone, known_at, decides=self.decides if decides is None else decides):
            self._clocks[reading.clock, reading.outcome] += 1
            if reading.outcome in BREACHES:
                self.breaches.append(
                    {
                        "clock": reading.clock,
                        "outcome": reading.outcome,
                        "authorization": request.authorization,
                        "authorization_number": request.number,
                        "event": reading.event_type,
                        "priority": request.priority,
                        "started": clock.instant(reading.started),
                        "due_before": clock.instant(reading.due),
                        "stopped": None if reading.stopped is None else clock.instant(reading.stopped),
                    }
                )

    def figures(self) -> dict[str, Any]:
        """``requests`` by priority, and ``measures`` by slug: count, out_of and percent, or out_of, mean and median (None: of none)."""
        measures: dict[str, Any] = {}
        for measure in MEASURES:
            if isinstance(measure, Duration):
                measures[measure.slug] = _spread(self._times[measure.priority], measure.unit)
            else:
                out_of = sum(self._received[priority] for priority in measure.priorities)
                measures[measure.slug] = _share(self._counts[measure.slug], out_of)
        received = {name: self._received[name] for name in (STANDARD, EXPEDITED)}
        return {"requests": received, "measures": measures}

    def clocks(self) -> dict[str, Any]:
        """How each clock ran, by outcome (the decisions' None where no time applies), and what is not decided, by priority."""
        clocks: dict[str, Any] = {
            name: {outcome: self._clocks[name, outcome] for outcome in OUTCOMES} for name in CLOCKS
        }
        if not self.decides:
            clocks[DECISION] = None
        undecided = {
            what: {name: self._pending[name, what] for name in (STANDARD, EXPEDITED)} for what in ("open", "withdrawn")
        }
        return {"clocks": clocks, "undecided": undecided}


def is_inconsistent(tally: Tally) -> bool:
    """Whether decided and undecided requests are not all requests, or a part is more than the whole."""
    figures, pending = tally.figures(), tally.clocks()["undecided"]
    for priority, received in figures["requests"].items():
        decided = sum(figures["measures"][f"{priority}-{what}"]["count"] for what in ("approved", "denied"))
        if decided + sum(pending[what][priority] for what in pending) != received:
            return True
    return any(row.get("count", 0) > row["out_of"] for row in figures["measures"].values())


def rounded(value: Fraction) -> float:
    """Two decimals, halves up."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return float(exact.quantize(_HUNDREDTH, ROUND_HALF_UP))


def _share(count: int, out_of: int) -> dict[str, Any]:
    return {"count": count, "out_of": out_of, "percent": rounded(Fraction(100 * count, out_of)) if out_of else None}


def _spread(times: list[int], unit: int) -> dict[str, Any]:
    """``times`` in microseconds."""
    if not times:
        return {"out_of": 0, "mean": None, "median": None}
    times.sort()
    middle = times[(len(times) - 1) // 2] + times[len(times) // 2]
    mean = Fraction(sum(times), len(times) * unit)
    return {"out_of": len(times), "mean": rounded(mean), "median": rounded(Fraction(middle, 2 * unit))}

"""A usage report as a value: figures, distributions, exclusions and what they were made of; as JSON and back again.

42 CFR 431.60(f) and its parallels. A stored report is read back to the same value, so that every form can be written from it again.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from server import clock
from server.metrics.levels import UNIT_COLUMNS
from server.metrics.measures import Measure

KIND = "patient-access-usage"
BUCKETS = ((1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (21, 50), (51, None))
"""The classes of the frequency distribution: occasions of a person from, to (both inside)."""
UNHASHED = ("known_at", "generated_at", "sha256")
"""What the hash leaves out: the same figures known at another moment have the same hash."""


class InconsistentReportError(Exception):
    """The figures contradict each other, or what they are made of does; the report must not be used."""


@dataclass(frozen=True, slots=True)
class DefinitionText:
    """The definition of a transfer as it was printed."""

    slug: str
    title: str
    version: str
    text: str
    citation: str


@dataclass(frozen=True, slots=True)
class Figures:
    """The values of the measures, in their order, for a place: reporting units merged at a ``level`` (see ``levels``), transfers on
    days without enrolment (``none``) or all (``organisation``). ``unit`` holds the texts of UNIT_COLUMNS, empty where they do not
    apply; ``distribution`` the persons by number of occasions, in the classes BUCKETS; ``occasions`` those of all of them."""

    level: str
    unit: tuple[str, ...]
    values: tuple[int, ...]
    distribution: tuple[int, ...]
    occasions: int

    @property
    def label(self) -> str:
        """The place as people read it, e.g. ``medicare-advantage, contract H1234``."""
        if self.level == "organisation":
            return "(organisation total)"
        if self.level == "none":
            return "(no reporting unit)"
        named = zip(UNIT_COLUMNS[1:], self.unit[1:], strict=True)
        return ", ".join([*self.unit[:1], *(f"{name} {text}" for name, text in named if text)])


@dataclass(frozen=True, slots=True)
class Share:
    """The organisation's figures of one month (``2026-05``), or of one app (its client id): persons and occasions in it."""

    name: str
    values: tuple[int, ...]
    occasions: int


@dataclass(frozen=True, slots=True)
class Removed:
    """What an exclusion removed: answers, the persons they were about, and those of them whom no other answer made count."""

    slug: str
    title: str
    reason: str
    predicate: str
    answers: int
    patients: int
    patients_not_counted: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """A usage report. Times are microseconds since 1970 UTC; ``ends`` is the first moment after the period; ``known_at`` the moment
    whose knowledge it used. ``answers`` of ``ledger_rows`` are answers, ``transfers`` of those count; ``ledger_digest`` names the
    rows. ``by_app`` is for the payer's own eyes.

    Raises InconsistentReportError when made of figures that contradict each other.
    """

    payer: str
    year: int
    month: int | None
    environment: str
    level: str
    time_zone: str
    starts: int
    ends: int
    definition: DefinitionText
    measures: tuple[Measure, ...]
    ledger_rows: int
    ledger_digest: str
    answers: int
    transfers: int
    total: Figures
    units: tuple[Figures, ...]
    by_month: tuple[Share, ...]
    by_app: tuple[Share, ...]
    removed: tuple[Removed, ...]
    notes: tuple[str, ...]
    known_at: int
    generated_at: int

    def __post_init__(self) -> None:
        if self.transfers + sum(removed.answers for removed in self.removed) != self.answers:
            raise InconsistentReportError("the answers counted and the answers left out are not all the answers")
        for figures in (self.total, *self.units):
            _check(figures.label, figures.values, self.total.values)
            if (figures.values[0], figures.values[0] - figures.distribution[0]) != figures.values[:2]:
                raise InconsistentReportError(f"more than once is not all but those with one transfer: {figures}")
            if sum(figures.distribution) != figures.values[0]:
                raise InconsistentReportError(f"the distribution is not of all persons: {figures}")
        for share in (*self.by_month, *self.by_app):
            _check(share.name, share.values, self.total.values)

    @property
    def period(self) -> str:
        """The year, or the year and month."""
        return f"{self.year}" if self.month is None else f"{self.year}-{self.month:02d}"

    @property
    def in_progress(self) -> bool:
        """Whether the period was not over at the moment whose knowledge was used."""
        return self.known_at < self.ends

    def content(self) -> dict[str, Any]:
        """The report as JSON, without UNHASHED: the same ledger and the same knowledge always give the same content."""
        return {
            "report": KIND,
            "payer": self.payer,
            "year": self.year,
            "month": self.month,
            "environment": self.environment,
            "level": self.level,
            "time_zone": self.time_zone,
            "starts": clock.instant(self.starts),
            "ends_before": clock.instant(self.ends),
            "definition": asdict(self.definition),
            "measures": [asdict(measure) for measure in self.measures],
            "ledger_rows": self.ledger_rows,
            "ledger_digest": self.ledger_digest,
            "answers": self.answers,
            "transfers": self.transfers,
            "organisation": self._figures(self.total),
            "reporting_units": [
                {
                    "reporting_unit": row.label,
                    "level": row.level,
                    **dict(zip(UNIT_COLUMNS, row.unit, strict=True)),
                    **self._figures(row),
                }
                for row in self.units
            ],
            "by_month": [{"month": row.name, **self._share(row)} for row in self.by_month],
            "internal": {
                "note": "For the payer's own use: the rule does not ask for figures by app.",
                "by_app": [{"client_id": row.name, **self._share(row)} for row in self.by_app],
            },
            "excluded": [asdict(row) for row in self.removed],
            "notes": list(self.notes),
        }

    def document(self) -> dict[str, Any]:
        """The whole report as JSON."""
        return {
            **self.content(),
            "known_at": precisely(self.known_at),
            "generated_at": precisely(self.generated_at),
            "sha256": self.sha256,
        }

    @property
    def sha256(self) -> str:
        """SHA-256 of the content."""
        return content_hash(self.content())

    def _values(self, values: tuple[int, ...]) -> dict[str, int]:
        return {measure.slug: value for measure, value in zip(self.measures, values, strict=True)}

    def _share(self, share: Share) -> dict[str, Any]:
        return {"measures": self._values(share.values), "occasions": share.occasions}

    def _figures(self, figures: Figures) -> dict[str, Any]:
        return {
            "measures": self._values(figures.values),
            "occasions": figures.occasions,
            "distribution": dict(zip(bucket_names(), figures.distribution, strict=True)),
        }


def _check(name: str, values: tuple[int, ...], total: tuple[int, ...]) -> None:
    if list(values) != sorted(values, reverse=True):
        raise InconsistentReportError(f"a later measure exceeds an earlier one: {name} {values}")
    if any(value > most for value, most in zip(values, total, strict=True)):
        raise InconsistentReportError(f"a part exceeds the organisation: {name} {values}, in all {total}")


def bucket_names() -> list[str]:
    """The classes as people read them: ``1``, ``3-5``, ``51 or more``."""
    return [f"{low} or more" if high is None else f"{low}" if low == high else f"{low}-{high}" for low, high in BUCKETS]


def precisely(moment: int) -> str:
    """Microseconds since 1970 UTC as an instant that loses nothing."""
    return clock.from_microseconds(moment).isoformat(timespec="microseconds").replace("+00:00", "Z")


def canonical(content: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces, as it is hashed and stored."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(document: dict[str, Any]) -> str:
    """SHA-256 (hex) of a report's JSON without UNHASHED, with sorted keys, no spaces, UTF-8."""
    content = {name: value for name, value in document.items() if name not in UNHASHED}
    return sha256(canonical(content).encode()).hexdigest()

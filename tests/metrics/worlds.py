"""Small worlds for the reports: who fetched what when, which persons and enrolments are known, and what must be reported."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import insert

from server import clock
from server.metrics.local_days import local_days
from server.storage import rollups
from server.storage.database import Database
from server.storage.ledger import AnswerLedger, LedgerEvent
from server.storage.schema import Enrolment, LedgerRow, PersonLink, ReportingUnit

PAYER_ZONE = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class Unit:
    """A reporting unit; the key is its place in UNITS, counted from one."""

    line_of_business: str
    contract: str = ""
    plan: str = ""
    program: str = ""
    issuer: str = ""
    state: str = ""


UNITS: dict[str, Unit] = {
    "H1234": Unit("medicare-advantage", contract="H1234", plan="001"),
    "H1234-2": Unit("medicare-advantage", contract="H1234", plan="002"),
    "H5678": Unit("medicare-advantage", contract="H5678"),
    "adults": Unit("medicaid-managed-care", contract="C7", plan="P7", program="Adults", state="OH"),
    "adults-2": Unit("medicaid-managed-care", contract="C8", plan="P7", program="Adults", state="OH"),
    "children": Unit("medicaid-managed-care", contract="C7", plan="P7", program="Children", state="OH"),
    "other-plan": Unit("medicaid-managed-care", contract="C9", plan="P9", program="Adults", state="OH"),
    "medicaid": Unit("medicaid-ffs", plan="FFS", state="OH"),
    "medicaid-2": Unit("medicaid-ffs", plan="PCCM", state="OH"),
    "chip": Unit("chip-ffs", state="KY"),
    "issuer": Unit("qhp", plan="silver", issuer="48213", state="OH"),
    "issuer-2": Unit("qhp", plan="gold", issuer="48213", state="KY"),
    "employer": Unit("commercial", plan="E1"),
    "employer-2": Unit("commercial", plan="E2"),
}
"""Every world has them all, with members or without."""
KEY = {name: key for key, name in enumerate(UNITS, start=1)}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the FHIR API at a moment, by default one that counts."""

    at: datetime
    patient: str = "anna"
    app: str = "app-1"
    grant: str = "grant"
    kind: str = "third-party"
    environment: str = "production"
    status: int = 200
    resources: int = 1
    actor: str = "self"
    interaction: str = "search-type"
    times: int = 1

    @property
    def event(self) -> LedgerEvent:
        """The ledger row to be."""
        return LedgerEvent(
            kind="answer",
            request_id="request",
            environment=self.environment,
            client_id=self.app,
            client_kind=self.kind,
            grant_id=self.grant,
            patient=self.patient,
            actor=self.actor,
            interaction=self.interaction,
            resource_type="ExplanationOfBenefit",
            status=self.status,
            resources=self.resources,
        )


@dataclass(frozen=True, slots=True)
class Spell:
    """An enrolment row; without a unit it withdraws the Coverage. ``recorded`` orders the rows: a number, or a moment."""

    patient: str
    unit: str | None
    start: str = "2020-01-01"
    until: str = ""
    coverage: str = "coverage"
    recorded: int | datetime = 1


@dataclass(frozen=True, slots=True)
class Link:
    """A person row: the enterprise identity of a Patient id."""

    patient: str
    value: str
    recorded: int | datetime = 1
    system: str = "https://payer.example/person"


@dataclass(frozen=True, slots=True)
class World:
    """What happened, and what has to be reported: (measure 1, measure 2) in total and per place (all else zero).

    ``asked``: how the report was asked for, ``usage_report``'s own words; ``spread``: patients by occasions, where it matters;
    ``months``: patients by month, where it matters.
    """

    name: str
    reason: str
    answers: tuple[Answer, ...]
    total: tuple[int, int]
    units: Mapping[str, tuple[int, int]]
    spells: tuple[Spell, ...] = ()
    links: tuple[Link, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)
    spread: Mapping[str, int] | None = None
    months: Mapping[str, int] | None = None

    def __str__(self) -> str:
        return self.name


def local(text: str, fold: int = 0) -> datetime:
    """A moment of the payer's wall clock; ``fold`` 1 is the second of two equal ones."""
    return datetime.fromisoformat(text).replace(tzinfo=PAYER_ZONE, fold=fold)


def same(answer: Answer, **changes: object) -> Answer:
    """The same answer with something changed."""
    return replace(answer, **changes)  # type: ignore[arg-type]


def microseconds(recorded: int | datetime) -> int:
    """When a row was recorded, as the database keeps it."""
    return recorded if isinstance(recorded, int) else clock.to_microseconds(recorded)


def record(database: Database, answers: Iterable[Answer]) -> None:
    """Write answers through the FHIR API's ledger, each at its own time."""

    async def run() -> None:
        await database.open()
        ledger = AnswerLedger(database)
        for answer in answers:
            with clock.set_to(answer.at.astimezone(UTC)):
                await asyncio.gather(*[ledger.record(answer.event) for _ in range(answer.times)])
        await database.close()

    asyncio.run(run())


def build(database: Database, world: World) -> None:
    """Make a world: its reporting units, enrolments, persons and answers."""
    learn(database, world.spells, world.links, with_units=True)
    record(database, world.answers)


def learn(database: Database, spells: Iterable[Spell], links: Iterable[Link], *, with_units: bool = False) -> None:
    """Record enrolments and persons."""
    enrolments = [
        {
            "patient": spell.patient,
            "coverage_id": spell.coverage,
            "unit": spell.unit and KEY[spell.unit],
            "start": spell.start,
            "until": spell.until,
            "recorded_at": microseconds(spell.recorded),
        }
        for spell in spells
    ]
    persons = [
        {
            "patient": link.patient,
            "system": link.system,
            "value": link.value,
            "recorded_at": microseconds(link.recorded),
        }
        for link in links
    ]
    with database.transaction() as transaction:
        if with_units:
            rows = [
                {"key": KEY[name], **{part: getattr(unit, part) for part in Unit.__slots__}}
                for name, unit in UNITS.items()
            ]
            transaction.execute(insert(ReportingUnit), rows)
        for table, rows in ((Enrolment, enrolments), (PersonLink, persons)):
            if rows:
                transaction.execute(insert(table), rows)


def insert_answers(database: Database, answers: Iterable[Answer], writer: str = "w") -> None:
    """Write answers straight into the table, many at once and unchained: for what only counts rows."""
    rows = []
    for answer in answers:
        for _ in range(answer.times):
            event = answer.event._asdict()
            at = clock.to_microseconds(answer.at)
            rows.append({**event, "writer": writer, "sequence": len(rows) + 1, "at": at, "hash": b""})
    if rows:
        with database.transaction() as transaction:
            transaction.execute(insert(LedgerRow), rows)


def roll_up(database: Database, *dates: date, zone: ZoneInfo = PAYER_ZONE) -> None:
    """Build the daily roll-ups of local days of 2026."""
    days = {day.date: day for day in local_days(zone, 2026)}
    for each in dates:
        with database.transaction() as transaction:
            rollups.build(transaction, each.isoformat(), days[each].spans, zone.key)


def short(unit: tuple[str, ...], label: str) -> str:
    """A place of a report in a word: what follows the line of business, e.g. ``H1234`` or ``C7/P7/Children/OH``."""
    return "/".join(part for part in unit[1:] if part) or label

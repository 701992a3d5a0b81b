"""Small worlds for the reports: who fetched what when, which persons and enrolments are known, and what must be reported."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import insert

from server import clock
from server.storage.database import Database
from server.storage.ledger import AnswerLedger, LedgerEvent
from server.storage.schema import Enrolment, PersonLink, ReportingUnit

PAYER_ZONE = ZoneInfo("America/New_York")
UNITS = ("H1234", "H5678")
"""Contracts; each is a reporting unit of every world, with the key of its place, counted from one."""


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
            interaction="search-type",
            resource_type="ExplanationOfBenefit",
            status=self.status,
            resources=self.resources,
        )


@dataclass(frozen=True, slots=True)
class Spell:
    """An enrolment row; without a unit it withdraws the Coverage. ``recorded`` orders the rows."""

    patient: str
    unit: str | None
    start: str = "2020-01-01"
    until: str = ""
    coverage: str = "coverage"
    recorded: int = 1


@dataclass(frozen=True, slots=True)
class Link:
    """A person row: the enterprise identity of a Patient id."""

    patient: str
    value: str
    recorded: int = 1
    system: str = "https://payer.example/person"


@dataclass(frozen=True, slots=True)
class World:
    """What happened, and what has to be reported: (measure 1, measure 2) in total and per reporting unit (all else zero)."""

    name: str
    reason: str
    answers: tuple[Answer, ...]
    total: tuple[int, int]
    units: dict[str, tuple[int, int]]
    spells: tuple[Spell, ...] = ()
    links: tuple[Link, ...] = ()

    def __str__(self) -> str:
        return self.name


def local(text: str, fold: int = 0) -> datetime:
    """A moment of the payer's wall clock; ``fold`` 1 is the second of two equal ones."""
    return datetime.fromisoformat(text).replace(tzinfo=PAYER_ZONE, fold=fold)


def same(answer: Answer, **changes: object) -> Answer:
    """The same answer with something changed."""
    return replace(answer, **changes)  # type: ignore[arg-type]


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
    with database.transaction() as transaction:
        for key, contract in enumerate(UNITS, start=1):
            values = {"key": key, "line_of_business": "medicare-advantage", "contract": contract}
            transaction.execute(insert(ReportingUnit), values)
        for spell in world.spells:
            transaction.execute(
                insert(Enrolment),
                {
                    "patient": spell.patient,
                    "coverage_id": spell.coverage,
                    "unit": spell.unit and UNITS.index(spell.unit) + 1,
                    "start": spell.start,
                    "until": spell.until,
                    "recorded_at": spell.recorded,
                },
            )
        for link in world.links:
            transaction.execute(
                insert(PersonLink),
                {
                    "patient": link.patient,
                    "system": link.system,
                    "value": link.value,
                    "recorded_at": link.recorded,
                },
            )
    record(database, world.answers)

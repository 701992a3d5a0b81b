"""Append-only histories that reports are joined with: who is enrolled in which reporting unit, and the person behind a Patient.

42 CFR 422.119(f) and 45 CFR 156.221: measures are counted per contract, plan, program, State or issuer.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, select, update

from server.storage.database import Transaction
from server.storage.schema import Enrolment, Member, PersonLink, ReportingUnit

ENROLMENT: Any = Enrolment.__table__  # type: ignore[attr-defined]
MEMBER: Any = Member.__table__  # type: ignore[attr-defined]
PERSON: Any = PersonLink.__table__  # type: ignore[attr-defined]
UNIT: Any = ReportingUnit.__table__  # type: ignore[attr-defined]
_AT_ONCE = 500
_WITHDRAWN = "withdrawn|0000"


@dataclass(frozen=True, slots=True)
class Unit:
    """What CMS counts by; parts that do not apply are ''."""

    line_of_business: str
    contract: str = ""
    plan: str = ""
    program: str = ""
    issuer: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Spell:
    """A member's time in a unit by one Coverage: ISO dates, ``until`` inclusive, '' open. ``unit`` None: withdrawn."""

    patient: str
    coverage_id: str
    unit: Unit | None
    start: str = ""
    until: str = ""


_PATIENTS: Any = bindparam("patients", expanding=True)
_last_enrolment = (
    select(func.max(ENROLMENT.c.key))
    .where(ENROLMENT.c.patient.in_(_PATIENTS))
    .group_by(ENROLMENT.c.patient, ENROLMENT.c.coverage_id)
)
_LATEST_SPELLS = (
    select(
        ENROLMENT.c.patient,
        ENROLMENT.c.coverage_id,
        ENROLMENT.c.start,
        ENROLMENT.c.until,
        ENROLMENT.c.unit,
        *[UNIT.c[name] for name in Unit.__slots__],
    )
    .join_from(ENROLMENT, UNIT, UNIT.c.key == ENROLMENT.c.unit, isouter=True)
    .where(ENROLMENT.c.key.in_(_last_enrolment))
)
_LATEST_PERSONS = select(PERSON.c.patient, PERSON.c.system, PERSON.c.value).where(
    PERSON.c.key.in_(select(func.max(PERSON.c.key)).where(PERSON.c.patient.in_(_PATIENTS)).group_by(PERSON.c.patient))
)
_KNOWN_MEMBERS = select(MEMBER.c.patient).where(MEMBER.c.patient.in_(_PATIENTS))
_SET_ENROLLED = update(MEMBER).where(MEMBER.c.patient == bindparam("member")).values(enrolled=bindparam("words"))
_UNIT_KEY = select(UNIT.c.key).where(and_(*[UNIT.c[name] == bindparam(name) for name in Unit.__slots__]))


def latest_spells(transaction: Transaction, patients: Collection[str]) -> dict[tuple[str, str], Spell]:
    """Each member's latest spell by Coverage id, keyed (patient, coverage id)."""
    found = {}
    for row in _of_patients(transaction, _LATEST_SPELLS, patients):
        unit = None if row.unit is None else Unit(*[getattr(row, name) for name in Unit.__slots__])
        found[row.patient, row.coverage_id] = Spell(row.patient, row.coverage_id, unit, row.start, row.until)
    return found


def append_spells(transaction: Transaction, spells: Collection[Spell], recorded_at: int) -> None:
    """Append these spells; they are the latest of their Coverages from now on. Units are made when they are new.

    ``member.enrolled`` follows in the same transaction.
    """
    keys = {unit: unit_key(transaction, unit) for unit in {spell.unit for spell in spells} if unit is not None}
    rows = [
        {
            "patient": spell.patient,
            "coverage_id": spell.coverage_id,
            "unit": None if spell.unit is None else keys[spell.unit],
            "start": spell.start,
            "until": spell.until,
            "recorded_at": recorded_at,
        }
        for spell in spells
    ]
    if rows:
        transaction.execute(insert(ENROLMENT), rows)
        _repeat_for_members(transaction, {spell.patient for spell in spells})


def _repeat_for_members(transaction: Transaction, patients: Collection[str]) -> None:
    """Write the latest spells of members where the token check reads them, as words ``line-of-business|until``."""
    words: dict[str, set[str]] = {}
    for (patient, _), spell in latest_spells(transaction, patients).items():
        word = _WITHDRAWN if spell.unit is None else f"{spell.unit.line_of_business}|{spell.until}"
        words.setdefault(patient, set()).add(word)
    known = {row.patient for row in _of_patients(transaction, _KNOWN_MEMBERS, words)}
    for patient, its in words.items():
        enrolled = " ".join(sorted(its))
        if patient in known:
            transaction.execute(_SET_ENROLLED, {"member": patient, "words": enrolled})
        else:
            transaction.execute(insert(MEMBER), {"patient": patient, "environment": "production", "enrolled": enrolled})


def latest_persons(transaction: Transaction, patients: Collection[str]) -> dict[str, tuple[str, str]]:
    """The person (system, value) behind each Patient id, as linked last."""
    return {row.patient: (row.system, row.value) for row in _of_patients(transaction, _LATEST_PERSONS, patients)}


def append_persons(transaction: Transaction, persons: Mapping[str, tuple[str, str]], recorded_at: int) -> None:
    """Link Patient ids to persons (system, value) from now on."""
    rows = [
        {"patient": patient, "system": system, "value": value, "recorded_at": recorded_at}
        for patient, (system, value) in persons.items()
    ]
    if rows:
        transaction.execute(insert(PERSON), rows)


def unit_key(transaction: Transaction, unit: Unit) -> int:
    """The key of a reporting unit, which is made when it is new."""
    values = asdict(unit)
    if transaction.scalar(_UNIT_KEY, values) is None:
        transaction.execute(insert(UNIT), values)
    return int(transaction.scalar(_UNIT_KEY, values))


def _of_patients(transaction: Transaction, statement: Any, patients: Collection[str]) -> list[Any]:
    listed = sorted(set(patients))
    portions = (listed[start : start + _AT_ONCE] for start in range(0, len(listed), _AT_ONCE))
    return [row for portion in portions for row in transaction.all(statement, {"patients": portion})]

"""From Coverage to reporting unit, by the rows of a settings file; from Patient to the person behind it.

42 CFR 422.119(f) counts per contract; https://hl7.org/fhir/R4/coverage.html and https://hl7.org/fhir/R4/patient.html#Patient.identifier
"""

import re
import tomllib
from calendar import monthrange
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.fhir.indexing import tokens
from server.ingest.membership import named
from server.settings import Settings
from server.storage import enrolment as store
from server.storage.database import Transaction
from server.storage.enrolment import Spell, Unit
from server.storage.resource_lookup import Identity, identifiers
from server.storage.resource_writer import ResourceWriter
from server.storage.schema import UNASSIGNED

COVERAGE, PATIENT, ORGANIZATION = "Coverage", "Patient", "Organization"
PAYOR_PARAMETER = "payor"
IN_FORCE = "active"
_CONDITIONS = ("payor", "class", "extension")
_FROM_CLASS = re.compile(r"\{class:([^}]+)\}")

_LINE_OF_BUSINESS = re.compile(r"[A-Za-z0-9._-]+")

Pair = tuple[str, str]


class ReportingUnitsFileError(ValueError):
    """The file of reporting units cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One ``[[unit]]``: what must match (as far as given), and the unit; a value may be ``{class:plan}``."""

    conditions: Mapping[str, Pair]
    unit: Unit


def read_unit_rows(path: Path) -> tuple[UnitRow, ...]:
    """The rows of a reporting units file. Raises ReportingUnitsFileError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ReportingUnitsFileError(f"{path}: {error}") from error
    rows = document.get("unit", [])
    if not isinstance(rows, list) or document.keys() - {"unit"}:
        raise ReportingUnitsFileError(f"{path}: it holds [[unit]] tables and nothing else")
    return tuple(_unit_row(f"{path}: unit {number}", row) for number, row in enumerate(rows, 1))


def _unit_row(where: str, row: Mapping[str, Any]) -> UnitRow:
    allowed = (*_CONDITIONS, *Unit.__slots__)
    for name, value in row.items():
        if name not in allowed:
            raise ReportingUnitsFileError(f"{where}: {name!r} is none of {', '.join(allowed)}")
        if not isinstance(value, str):
            raise ReportingUnitsFileError(f"{where}: {name} must be a string")
        if name in _CONDITIONS and not all(value.rpartition("|")[::2]):
            raise ReportingUnitsFileError(f"{where}: {name} must have the form a|b")
    if not row.get("line_of_business"):
        raise ReportingUnitsFileError(f"{where}: line_of_business is missing")
    if not _LINE_OF_BUSINESS.fullmatch(row["line_of_business"]):
        raise ReportingUnitsFileError(f"{where}: line_of_business is one word of letters, digits, - _ and .")
    conditions = {
        name: (row[name].rpartition("|")[0], row[name].rpartition("|")[2]) for name in _CONDITIONS if name in row
    }
    return UnitRow(conditions, Unit(**{name: row[name] for name in Unit.__slots__ if name in row}))


def payors(coverage: Mapping[str, Any], base: str) -> set[Identity]:
    """The Organizations that a Coverage names as payors by literal reference."""
    found = {named(reference, base) for reference in _listed(coverage.get("payor"))}
    return {identity for identity in found if identity is not None and identity[0] == ORGANIZATION}


@dataclass(frozen=True, slots=True)
class SeenCoverage:
    """A Coverage that came by: its member, its id and its content (None: retracted, or no longer this member's)."""

    patient: str
    id: str
    resource: Mapping[str, Any] | None


class Enrolments:
    """Keeps the append-only histories in step with Coverage and Patient; appends only what differs from the latest row."""

    def __init__(self, settings: Settings) -> None:
        """Raises ReportingUnitsFileError."""
        path = settings.reporting_units_file
        self.rows = read_unit_rows(path) if path is not None else ()
        self._base = settings.fhir_base
        self._codes = settings.person_identifiers

    @property
    def payor_identifiers(self) -> frozenset[Pair]:
        """The identifiers by which rows know payors."""
        return frozenset(row.conditions["payor"] for row in self.rows if "payor" in row.conditions)

    def record(
        self,
        transaction: Transaction,
        writer: ResourceWriter,
        coverages: Sequence[SeenCoverage],
        patients: Sequence[Any],
    ) -> None:
        """Append what these Coverages and Patients (id and content) change."""
        self._record_spells(transaction, writer, [seen for seen in coverages if seen.patient != UNASSIGNED])
        persons = {id: self.person(id, patient) for id, patient in patients}
        latest = store.latest_persons(transaction, persons)
        changed = {id: person for id, person in persons.items() if latest.get(id) != person}
        if changed:
            store.append_persons(transaction, changed, writer.loaded_at)

    def _record_spells(
        self, transaction: Transaction, writer: ResourceWriter, coverages: Sequence[SeenCoverage]
    ) -> None:
        latest = store.latest_spells(transaction, {seen.patient for seen in coverages})
        organizations = {
            id for seen in coverages if seen.resource is not None for _, id in payors(seen.resource, self._base)
        }
        known = identifiers(transaction, ORGANIZATION, organizations)
        appended: list[Spell] = []
        for seen in coverages:
            spell, before = self.spell(seen, known), latest.get((seen.patient, seen.id))
            if spell != before and (spell.unit is not None or (before is not None and before.unit is not None)):
                latest[seen.patient, seen.id] = spell
                appended.append(spell)
        if appended:
            store.append_spells(transaction, appended, writer.loaded_at)

    def spell(self, seen: SeenCoverage, organizations: Mapping[str, Collection[Pair]]) -> Spell:
        """The member's spell by a Coverage; ``organizations`` has the identifiers of payors by id."""
        coverage = seen.resource
        unit = None
        if coverage is not None and coverage.get("status") == IN_FORCE:
            unit = self._unit(coverage, self._payor_identifiers(coverage, organizations))
        if coverage is None or unit is None:
            return Spell(seen.patient, seen.id, None)
        period = coverage.get("period")
        period = period if isinstance(period, Mapping) else {}
        return Spell(seen.patient, seen.id, unit, _first_day(period.get("start")), _last_day(period.get("end")))

    def _payor_identifiers(
        self, coverage: Mapping[str, Any], organizations: Mapping[str, Collection[Pair]]
    ) -> set[Pair]:
        found: set[Pair] = set()
        contained = {item.get("id"): item for item in _listed(coverage.get("contained"))}
        for payor in _listed(coverage.get("payor")):
            found.update(tokens(payor.get("identifier")))
            inside = contained.get(str(payor.get("reference", "")).removeprefix("#"), {})
            found.update(token for item in _listed(inside.get("identifier")) for token in tokens(item))
        for _, id in payors(coverage, self._base):
            found.update(organizations.get(id, ()))
        return found

    def _unit(self, coverage: Mapping[str, Any], payor_identifiers: Collection[Pair]) -> Unit | None:
        classes = [
            (code, str(item.get("value", "")))
            for item in _listed(coverage.get("class"))
            for _, code in tokens(item.get("type"))
        ]
        facts: dict[str, Collection[Pair]] = {
            "payor": payor_identifiers,
            "class": classes,
            "extension": _extensions(coverage),
        }
        for row in self.rows:
            if all(wanted in facts[name] for name, wanted in row.conditions.items()):
                unit = _filled_in(row.unit, dict(reversed(classes)))
                if unit is not None:
                    return unit
        return None

    def person(self, id: str, patient: Mapping[str, Any]) -> Pair:
        """The enterprise identity behind a Patient: its first identifier of the first type configured, else its own id."""
        for code in self._codes:
            for identifier in _listed(patient.get("identifier")):
                if any(code == its for _, its in tokens(identifier.get("type"))):
                    for token in tokens({**identifier, "type": None}):
                        return token
        return "", id


def _filled_in(unit: Unit, classes: Mapping[str, str]) -> Unit | None:
    """The unit with ``{class:…}`` replaced; None when the Coverage has no such class."""
    values = {name: getattr(unit, name) for name in Unit.__slots__}
    for name, value in values.items():
        if any(code not in classes for code in _FROM_CLASS.findall(value)):
            return None
        values[name] = _FROM_CLASS.sub(lambda match: classes[match[1]], value)
    return Unit(**values)


def _extensions(coverage: Mapping[str, Any]) -> set[Pair]:
    found: set[Pair] = set()
    for extension in _listed(coverage.get("extension")):
        url = str(extension.get("url", ""))
        for name, value in extension.items():
            if name.startswith("value"):
                found.update((url, code) for _, code in tokens(value))
                if isinstance(value, int) and not isinstance(value, bool):
                    found.add((url, str(value)))
    return found


def _listed(value: Any) -> list[Any]:
    """The objects of a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _first_day(date: Any) -> str:
    """The first day of a FHIR date of any precision, '' if there is none."""
    return (date + "-01-01"[len(date) - 4 :])[:10] if isinstance(date, str) else ""


def _last_day(date: Any) -> str:
    """The last day of a FHIR date of any precision, '' if there is none."""
    if not isinstance(date, str):
        return ""
    if len(date) == 4:
        return date + "-12-31"
    if len(date) == 7:
        return f"{date}-{monthrange(int(date[:4]), int(date[5:]))[1]:02d}"
    return date[:10]

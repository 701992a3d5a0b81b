"""What became of every record of a load, for people and as JSON.

Outcomes: created, updated, unchanged, retracted, unsupported (a type without a row), rejected. Records are named, never quoted.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

LISTED = 10_000
"""Rejections and warnings that a report lists; what is beyond is counted."""


class Outcome(StrEnum):
    """How a record ended."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    RETRACTED = "retracted"
    UNSUPPORTED = "unsupported"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: the file, and the line or Bundle entry in it ('' for the whole file)."""

    file: str
    position: str = ""

    def __str__(self) -> str:
        return f"{self.file}, {self.position}" if self.position else self.file


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """How one record ended; a rejected one with the element's path, the reason, and how to put it right."""

    outcome: Outcome
    place: Place
    type: str = ""
    id: str = ""
    path: str = ""
    reason: str = ""
    fix: str = ""

    def __str__(self) -> str:
        named = f"{self.type}/{self.id}" if self.id else self.type
        named = "" if named == str(self.place) else named
        return ": ".join(part for part in (str(self.place), named, f"{self.path} {self.reason}".strip()) if part) + (
            f" -> {self.fix}" if self.fix else ""
        )


@dataclass(slots=True)
class LoadReport:
    """Counts per (type, outcome), what was rejected, and what an operator should know. Shared by everything in one load."""

    counts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    rejected: list[RecordOutcome] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    not_loaded: list[str] = field(default_factory=list)
    files: int = 0
    records: int = 0
    ids_assigned: int = 0
    versions_assigned: int = 0
    versions_renumbered: int = 0
    last_updated_replaced: int = 0
    references_resolved: int = 0
    references_awaited: int = 0
    references_dangling: int = 0
    resources_waiting: int = 0

    def add(self, outcome: RecordOutcome) -> None:
        """Count an outcome; list it if it is a rejection."""
        self.counts[outcome.type, outcome.outcome] += 1
        if outcome.outcome is Outcome.REJECTED and len(self.rejected) < LISTED:
            self.rejected.append(outcome)

    def warn(self, warning: str) -> None:
        """Tell the operator of something that is loaded but not as it should be; once is enough."""
        if len(self.warnings) < LISTED:
            self.warnings[warning] = None

    def merge(self, other: "LoadReport") -> None:
        """Add what another report tells of other records."""
        self.counts.update(other.counts)
        self.rejected += other.rejected[: LISTED - len(self.rejected)]
        for warning in other.warnings:
            self.warn(warning)
        for name in _COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def total(self, outcome: Outcome) -> int:
        """Records of all types that ended so."""
        return sum(count for (_, its), count in self.counts.items() if its is outcome)

    @property
    def exit_code(self) -> int:
        """0: everything is stored. 1: a record was rejected, or a batch not stored. 2: there was nothing to read."""
        if self.records == 0:
            return 2
        return 1 if self.total(Outcome.REJECTED) or self.not_loaded else 0

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        by_type: dict[str, dict[str, int]] = {}
        for (type_name, outcome), count in sorted(self.counts.items()):
            by_type.setdefault(type_name or "(no type)", {})[outcome.value] = count
        plain = {name: getattr(self, name) for name in self.__slots__ if name not in ("counts", "rejected", "warnings")}
        listed = [asdict(outcome) | {"place": str(outcome.place)} for outcome in self.rejected]
        return (
            {"outcomes": by_type, "exit_code": self.exit_code}
            | plain
            | {"warnings": list(self.warnings), "rejected": listed}
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{_counted(self.records, 'record')} in {_counted(self.files, 'file')}"
        types = sorted({type_name for type_name, _ in self.counts})
        columns = [outcome for outcome in Outcome if self.total(outcome)]
        if columns:
            width = max(12, *(len(type_name) for type_name in types))
            yield " " * width + "".join(f"{outcome.value:>13}" for outcome in columns)
            for type_name in types:
                cells = "".join(f"{self.counts[type_name, outcome] or '':>13}" for outcome in columns)
                yield f"{type_name or '(no type)':<{width}}{cells}"
        for count, words in (
            (self.ids_assigned, "records came without an id and were given one made from their content"),
            (self.versions_assigned, "versions came without a version id and were numbered"),
            (self.versions_renumbered, "version ids were in use by other content and were renumbered"),
            (
                self.last_updated_replaced,
                "resources had no lastUpdated or one in the future: the time of the load is used",
            ),
            (self.references_resolved, "conditional references were resolved"),
            (self.references_awaited, "conditional references wait for their target as logical references"),
            (self.references_dangling, "urn: references lead nowhere: what they name was not in the same Bundle"),
            (self.resources_waiting, "resources are not served yet: what names their member has not arrived"),
        ):
            if count > 0:
                yield f"{count} {words}"
        yield from (f"Note: {note}" for note in self.notes)
        yield from (f"Warning: {warning}" for warning in self.warnings)
        yield from (f"Not loaded: {place}" for place in self.not_loaded)
        yield from (f"Rejected: {outcome}" for outcome in self.rejected)
        beyond = self.total(Outcome.REJECTED) - len(self.rejected)
        if beyond > 0:
            yield f"Rejected: {beyond} more"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


_COUNTERS = tuple(item.name for item in fields(LoadReport) if item.type is int)

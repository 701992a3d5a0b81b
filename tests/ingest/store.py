"""What tests of ingest work with: a way to load records, and a look at what is stored then."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select

from server.ingest.load import load, retract
from server.ingest.report import LoadReport
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA
from tests.factories import Record

NPI = "http://hl7.org/fhir/sid/us-npi"


@dataclass(frozen=True, slots=True)
class Store:
    """A database, and a folder to load from."""

    database: Database
    settings: Settings
    folder: Path

    def set(self, **settings: Any) -> "Store":
        """The same store under other settings."""
        return replace(self, settings=self.settings.model_copy(update=settings))

    def load(self, *records: Any) -> LoadReport:
        """Load records as one NDJSON file."""
        return self.load_text("\n".join(json.dumps(record) for record in records))

    def load_text(self, text: str | bytes, name: str = "input.json") -> LoadReport:
        """Load a file of this content."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.load_paths(path)

    def load_paths(self, *paths: Path) -> LoadReport:
        """Load files and directories."""
        return load(self.database, self.settings, paths)

    def retract(self, *references: str) -> LoadReport:
        """Retract resources."""
        return retract(self.database, self.settings, references)

    def rows(self, table: str, **columns: Any) -> list[Any]:
        """The rows of a table with these values, in the order of its key."""
        selected = METADATA.tables[table]
        statement = select(selected).order_by(*selected.primary_key.columns)
        for name, value in columns.items():
            statement = statement.where(selected.c[name] == value)
        with self.database.reading() as transaction:
            return list(transaction.all(statement))

    def row(self, reference: str) -> Any:
        """The current version's row of ``Type/id``."""
        type_name, id = reference.split("/")
        (row,) = self.rows("resource", type=type_name, id=id)
        return row

    def body(self, reference: str) -> Any:
        """The current version's body."""
        return json.loads(self.row(reference).body)

    def history(self, reference: str) -> list[Any]:
        """The superseded versions' rows."""
        type_name, id = reference.split("/")
        return self.rows("resource_version", type=type_name, id=id)

    def snapshot(self) -> dict[str, list[Any]]:
        """Every row that loading can write."""
        tables = ("resource", "resource_version", "token_index", "reference_index", "date_index", "string_index")
        return {
            table: [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in self.rows(table)]
            for table in (*tables, "awaited_reference", "enrolment", "person_link", "reporting_unit", "load_clock")
        }


def outcomes(report: LoadReport) -> dict[str, int]:
    """How many records ended how."""
    counted: Counter[str] = Counter()
    for (_, outcome), count in report.counts.items():
        counted[outcome.value] += count
    return dict(counted)


def bundle(*entries: Record, type: str = "transaction") -> str:
    """A Bundle as JSON."""
    return json.dumps({"resourceType": "Bundle", "type": type, "entry": list(entries)})


def post(resource: Record, full_url: str = "") -> Record:
    """An entry that creates a resource."""
    entry = {"resource": resource, "request": {"method": "POST", "url": resource.get("resourceType", "")}}
    return entry | ({"fullUrl": full_url} if full_url else {})


def delete(reference: str) -> Record:
    """An entry that deletes a resource."""
    return {"request": {"method": "DELETE", "url": reference}}


def conditional(type_name: str, value: str, system: str = NPI, **elements: Any) -> Record:
    """A conditional reference by identifier."""
    return {"reference": f"{type_name}?identifier={system}|{value}", **elements}


def without(resource: Record, *names: str) -> Record:
    """A resource without some of its elements."""
    return {name: value for name, value in resource.items() if name not in names}


def reasons(report: LoadReport) -> Sequence[str]:
    """What was rejected, as people read it."""
    return [str(outcome) for outcome in report.rejected]

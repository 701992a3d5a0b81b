"""What tests put into a database: small valid resources, and an app, an account, a grant and a token straight into the tables.

https://hl7.org/fhir/R4/resourcelist.html
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import insert, select

from seed_data.ndjson import write_lines
from server import clock
from server.ingest.load import load
from server.settings import Settings
from server.storage.database import Database
from server.storage.schema import METADATA, LedgerRow

Record = dict[str, Any]
IDENTIFIERS = "https://payer.example/identifiers"
CLAIM_TYPE = "http://terminology.hl7.org/CodeSystem/claim-type"
LAST_UPDATED = "2026-10-01T08:30:00.000+00:00"
EVERYTHING = "launch/patient openid fhirUser offline_access patient/*.rs"
DAY = 86_400_000_000
LEDGER = LedgerRow.__table__  # type: ignore[attr-defined]


def store(database: Database, settings: Settings, records: Iterable[Record]) -> None:
    """Load records by the command every payer uses; all of them must be taken."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "records.ndjson"
        write_lines(path, records)
        report = load(database, settings, [path])
    assert report.exit_code == 0, str(report)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and what stands behind it."""

    text: str
    patient: str
    client_id: str
    grant_id: str


def client(database: Database, client_id: str, **columns: Any) -> None:
    """Register a public app; ``columns`` replace the defaults of the table's row."""
    row = {
        "id": client_id,
        "name": f"The app {client_id}",
        "kind": "third-party",
        "environment": "production",
        "status": "active",
        "authentication": "none",
        "secret_hash": None,
        "redirect_uris": "http://127.0.0.1:9/callback",
        "scope": "",
        "created_at": clock.now_microseconds(),
        "suspended_reason": "",
    }
    with database.transaction() as transaction:
        table = METADATA.tables["client"]
        if transaction.first(select(table.c.id).where(table.c.id == client_id)) is None:
            transaction.execute(insert(table), row | columns)


def token(database: Database, patient: str, scope: str = EVERYTHING, client_id: str = "app", **columns: Any) -> Token:
    """A live grant and access token for a member; ``columns`` replace defaults of the grant's or the token's row."""
    client(database, client_id)
    now = clock.now_microseconds()
    text, grant_id = secrets.token_urlsafe(32), secrets.token_hex(8)
    grant = {
        "id": grant_id,
        "client_id": client_id,
        "account": f"account-of-{patient}",
        "patient": patient,
        "actor": "self",
        "fhir_user": f"Patient/{patient}",
        "scope": scope,
        "created_at": now,
        "expires_at": now + 400 * DAY,
        "ended_at": None,
        "ended_reason": "",
    }
    access = {
        "hash": sha256(text.encode()).digest(),
        "grant_id": grant_id,
        "client_id": client_id,
        "scope": scope,
        "issued_at": now,
        "expires_at": now + 400 * DAY,
        "revoked_at": None,
    }
    for row, prefix in ((grant, "grant_"), (access, "token_")):
        row |= {name.removeprefix(prefix): value for name, value in columns.items() if name.startswith(prefix)}
    with database.transaction() as transaction:
        transaction.execute(insert(METADATA.tables["grant"]), grant)
        transaction.execute(insert(METADATA.tables["access_token"]), access)
    return Token(text, patient, client_id, grant_id)


def ledger_rows(database: Database, **columns: Any) -> list[Any]:
    """Ledger rows with these values, in the order of their writers."""
    statement = select(LEDGER).order_by(LEDGER.c.writer, LEDGER.c.sequence)
    for name, value in columns.items():
        statement = statement.where(LEDGER.c[name] == value)
    with database.reading() as transaction:
        return list(transaction.all(statement))


# -- resources -------------------------------------------------------------------------------------------------------


def concept(system: str, code: str) -> Record:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


def record(type: str, id: str, /, **elements: Any) -> Record:
    """A resource with an id and the payer's own ``lastUpdated``."""
    meta = {"lastUpdated": LAST_UPDATED} | elements.pop("meta", {})
    return {"resourceType": type, "id": id, "meta": meta, **elements}


def reference(target: Record | str) -> Record:
    """A literal reference to a resource."""
    return {"reference": target if isinstance(target, str) else f"{target['resourceType']}/{target['id']}"}


def identifier(value: str, system: str = IDENTIFIERS) -> Record:
    """A business identifier."""
    return {"system": system, "value": value}


def patient(id: str = "anna", **elements: Any) -> Record:
    """A member."""
    defaults = {
        "identifier": [identifier(f"member-{id}")],
        "name": [{"family": "Müller", "given": ["Anna", "Maria"]}],
        "gender": "female",
        "birthDate": "1980-05-17",
    }
    return record("Patient", id, **defaults | elements)


def organization(id: str = "hospital", **elements: Any) -> Record:
    """A provider or a payer."""
    defaults = {"identifier": [identifier(f"npi-{id}")], "active": True, "name": f"The {id} of Springfield"}
    return record("Organization", id, **defaults | elements)


def practitioner(id: str = "doctor", **elements: Any) -> Record:
    """A clinician."""
    defaults = {"identifier": [identifier(f"npi-{id}")], "name": [{"family": "Healer", "given": ["Hanna"]}]}
    return record("Practitioner", id, **defaults | elements)


def coverage(id: str, patient: Record, payor: Record | str = "Organization/payer", **elements: Any) -> Record:
    """A member's coverage."""
    defaults = {"status": "active", "beneficiary": reference(patient), "payor": [reference(payor)]}
    return record("Coverage", id, **defaults | elements)


def explanation_of_benefit(id: str, patient: Record | str, **elements: Any) -> Record:
    """A claim of a member, as small as R4 allows."""
    defaults = {
        "identifier": [identifier(f"claim-{id}")],
        "status": "active",
        "type": concept(CLAIM_TYPE, "professional"),
        "use": "claim",
        "patient": reference(patient),
        "billablePeriod": {"start": "2026-03-10", "end": "2026-03-12"},
        "created": "2026-03-20",
        "insurer": reference("Organization/payer"),
        "provider": reference("Organization/hospital"),
        "outcome": "complete",
        "insurance": [{"focal": True, "coverage": reference("Coverage/none")}],
    }
    return record("ExplanationOfBenefit", id, **defaults | elements)


def provenance(id: str, *targets: Record | str, **elements: Any) -> Record:
    """Where records came from."""
    defaults = {
        "target": [reference(target) for target in targets],
        "recorded": "2026-10-01T08:30:00Z",
        "agent": [{"who": reference("Organization/payer")}],
    }
    return record("Provenance", id, **defaults | elements)

"""What the official validator is shown: every persona's records, generated members, and the answers of the running server.

https://hl7.org/fhir/R4/http.html - the answers are Bundles, the CapabilityStatement and OperationOutcomes, as an app gets them.
"""

import itertools
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from seed_data.generate import AS_OF, write_ndjson
from server.settings import Settings
from server.specification.definitional import DEFINITION_TYPES
from server.specification.registry import RESOURCES
from server.storage import migrate
from server.storage.database import Database
from tests.asgi import Reply, served
from tests.factories import store, token
from tests.lasting import settings_of
from tests.serving import COMMAND, environment

Record = dict[str, Any]
ANSWERED_MEMBERS = 6
PAGE = 10
OUTCOMES = (
    ("unknown type", "Unicorn", 404),
    ("unknown id", "Patient/nobody-knows", 404),
    ("bad date", "ExplanationOfBenefit?service-date=yesterday", 400),
    ("unknown parameter", "Patient?shoe-size=9", 400),
    ("bad count", "Coverage?_count=many", 400),
)
SAME_SHAPE = 12
"""Of one member's records of one shape, so many are shown unless all are asked for; 5,000 claims are of few shapes."""


def personas() -> list[Record]:
    """The records of every persona and of the directory, as written for a loader."""
    with tempfile.TemporaryDirectory() as directory:
        return list(_read(write_ndjson(Path(directory))))


def generated(members: int, seed: int) -> list[Record]:
    """The records of generated members, as ``patient-access generate`` writes them; their directory included."""
    if not members:
        return []
    with tempfile.TemporaryDirectory() as directory:
        options = ["--members", str(members), "--seed", str(seed), "--output", directory, "--as-of", AS_OF.isoformat()]
        own = environment("sqlite://", "http://127.0.0.1:1")
        done = subprocess.run([*COMMAND, "generate", *options], check=False, env=own, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return list(_read(sorted(Path(directory).rglob("*.ndjson"))))


def _read(paths: Sequence[Path]) -> Iterator[Record]:
    for path in paths:
        for line in path.read_bytes().splitlines():
            row = orjson.loads(line)
            if "resourceType" in row:
                yield row


def of_each_shape(records: Sequence[Record]) -> list[Record]:
    """The records without those that differ from many others of their member in values alone."""
    seen: Counter[tuple[str, bytes]] = Counter()
    found = []
    for record in records:
        owner = record.get("patient") or record.get("subject") or record.get("beneficiary") or {}
        key = (str(owner.get("reference")), orjson.dumps([record["resourceType"], _shape(record)]))
        seen[key] += 1
        if seen[key] <= SAME_SHAPE or not owner:
            found.append(record)
    return found


def _shape(value: Any) -> Any:
    """The names of a value's elements, and its codes."""
    if isinstance(value, dict):
        return {name: child if name in {"code", "system", "url"} else _shape(child) for name, child in value.items()}
    if isinstance(value, list):
        return [shape for shape, _ in itertools.groupby(_shape(child) for child in value)]
    return type(value).__name__


def answers(records: Sequence[Record]) -> list[tuple[str, Record]]:
    """(name, resource) of what the running server answers to some members' apps about these records."""
    with tempfile.TemporaryDirectory() as directory:
        settings = settings_of(f"sqlite:///{directory}/answers.db")
        database = Database(settings)
        migrate.upgrade(database)
        store(database, settings, records)
        found = list(_answers(database, settings, records))
        database.engine.dispose()
    return found


def _answers(database: Database, settings: Settings, records: Sequence[Record]) -> Iterator[tuple[str, Record]]:
    members = [record["id"] for record in records if record["resourceType"] == "Patient"]
    owned = Counter(_member(record) for record in records)
    members.sort(key=lambda id: (-owned[f"Patient/{id}"], id))
    with served(settings) as server:
        yield "CapabilityStatement", _answer(server.get("metadata"), 200)
        for type in DEFINITION_TYPES:
            for found in server.get(type).entries():
                yield f"{type}/{found['id']}", found
        for member in members[:ANSWERED_MEMBERS]:
            access = token(database, member).text
            for type in RESOURCES:
                target = "&".join(
                    [f"{type}?_count={PAGE}", *(f"_revinclude={name}" for name in RESOURCES[type].revincludes)]
                )
                yield f"searchset {type} of {member}", _answer(server.get(target, access), 200)
        for name, target, status in OUTCOMES:
            yield f"OperationOutcome {name}", _answer(server.get(target, access, prefer="handling=strict"), status)
        yield "OperationOutcome without a token", _answer(server.get("Patient"), 401)


def _member(record: Record) -> str:
    owner = record.get("patient") or record.get("subject") or record.get("beneficiary") or {}
    return str(owner.get("reference"))


def _answer(reply: Reply, status: int) -> Record:
    assert reply.status == status, (reply.status, reply.body)
    return dict(reply.json)

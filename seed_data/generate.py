"""The way in to the synthetic payer: every record of every seeded member, always the same for the same seed and date.

https://hl7.org/fhir/us/carin-bb/ and https://hl7.org/fhir/us/davinci-pdex/ say what the records have to be."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from seed_data.clinical.generate import TYPES, medications
from seed_data.datatypes import Record
from seed_data.directory import directory
from seed_data.members import Member
from seed_data.ndjson import write_lines
from seed_data.personas import EVERYONE, LOGINS, MEMBERS, Login
from seed_data.records import authorization_event_lines, records

__all__ = [
    "AS_OF",
    "EVERYONE",
    "LOGINS",
    "MEMBERS",
    "SEED",
    "Login",
    "resources",
    "write_authorization_events",
    "write_ndjson",
]

SEED = 2026
AS_OF = date(2026, 11, 1)
EVENTS = "authorization_events.ndjson"
LOADING_ORDER = (  # what is referred to before what refers to it
    "Organization",
    "Endpoint",
    "Location",
    "Practitioner",
    "PractitionerRole",
    "Patient",
    "RelatedPerson",
    "Coverage",
    *TYPES,
    "ExplanationOfBenefit",
    "Provenance",
)


def resources(
    seed: int = SEED, as_of: date = AS_OF, members: Sequence[Member] = MEMBERS
) -> Iterator[dict[str, object]]:
    """Every resource: the directory first, then persona by persona."""
    yield from shared_records()
    for member in members:
        yield from records(member, seed, as_of)


def shared_records() -> Iterator[Record]:
    """What belongs to no one member: the directory, and the Medications that prescriptions name."""
    yield from directory()
    yield from medications()


def write_ndjson(
    output: Path, seed: int = SEED, as_of: date = AS_OF, members: Sequence[Member] = MEMBERS
) -> list[Path]:
    """Writes `<ResourceType>.ndjson` files into `output` (made if absent) and returns them, in loading order."""
    output.mkdir(parents=True, exist_ok=True)
    by_type: dict[str, list[dict[str, object]]] = {resource_type: [] for resource_type in LOADING_ORDER}
    for record in resources(seed, as_of, members):
        by_type[str(record["resourceType"])].append(record)
    paths = [output / f"{resource_type}.ndjson" for resource_type in by_type]
    for path, lines in zip(paths, by_type.values(), strict=True):
        write_lines(path, lines)
    return paths


def write_authorization_events(output: Path, seed: int = SEED, as_of: date = AS_OF) -> Path:
    """Writes what happened to the personas' prior authorizations into `output`, a line for each event, and returns the file."""
    path = output / EVENTS
    write_lines(path, (line for member in MEMBERS for line in authorization_event_lines(member, seed, as_of)))
    return path

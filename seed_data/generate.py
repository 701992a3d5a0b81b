"""The way in to the synthetic payer: every record of every seeded member, always the same for the same seed and date.

https://hl7.org/fhir/us/carin-bb/ and https://hl7.org/fhir/us/davinci-pdex/ say what the records have to be."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from random import Random

from seed_data.authorization_events import cases
from seed_data.claim import Setting
from seed_data.clinical.generate import TYPES, clinical, medications
from seed_data.coverage import coverages
from seed_data.datatypes import Record
from seed_data.directory import directory
from seed_data.institutional import institutional
from seed_data.members import ClaimKind, Member
from seed_data.ndjson import write_lines
from seed_data.oral import oral
from seed_data.patients import patient, related_person
from seed_data.personas import LOGINS, MEMBERS, Login
from seed_data.pharmacy import pharmacy
from seed_data.prior_authorizations import prior_authorizations
from seed_data.professional import professional
from seed_data.provenance import provenance

__all__ = ["AS_OF", "LOGINS", "SEED", "Login", "resources", "write_ndjson"]

SEED = 2026
AS_OF = date(2026, 11, 1)
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

CLAIMS: dict[ClaimKind, Callable[[Setting, Random], Record]] = {
    "inpatient": institutional,
    "outpatient": institutional,
    "professional": professional,
    "oral": oral,
    "pharmacy": pharmacy,
}


def resources(seed: int = SEED, as_of: date = AS_OF) -> Iterator[dict[str, object]]:
    """Every resource: the directory first, then member by member, each Patient before what refers to it.

    A member's records depend on the seed, the as-of date and the member alone, not on who came before."""
    yield from directory()
    yield from medications()
    for member in MEMBERS:
        yield from _member(member, seed, as_of)
        yield from clinical(member, seed, as_of)


def _member(member: Member, seed: int, as_of: date) -> Iterator[Record]:
    draw = Random(f"{seed} {member.key}")
    person = patient(member, draw, as_of)
    guardian = related_person(member, draw, as_of) if member.guardian else None
    covered = coverages(member, draw, as_of)
    claims: dict[str, list[Record]] = {}
    for number, claim in enumerate(member.claims, 1):
        setting = Setting(member, tuple(covered), guardian, as_of, claim, number)
        claims.setdefault(claim.kind, []).append(CLAIMS[claim.kind](setting, draw))
    administrative = [person, *([guardian] if guardian else []), *covered]
    batches = {"enrolment": administrative, **claims}
    payer = covered[-1]["payor"][0]
    for name, batch in batches.items():
        yield from batch
        if batch:
            yield provenance(f"{member.key}-{name}", batch, payer)
    yield from prior_authorizations(list(cases(member, covered, seed, as_of)), as_of)


def write_ndjson(output: Path, seed: int = SEED, as_of: date = AS_OF) -> list[Path]:
    """Writes `<ResourceType>.ndjson` files into `output` (made if absent) and returns them, in loading order."""
    output.mkdir(parents=True, exist_ok=True)
    by_type: dict[str, list[dict[str, object]]] = {resource_type: [] for resource_type in LOADING_ORDER}
    for record in resources(seed, as_of):
        by_type[str(record["resourceType"])].append(record)
    paths = [output / f"{resource_type}.ndjson" for resource_type in by_type]
    for path, records in zip(paths, by_type.values(), strict=True):
        write_lines(path, records)
    return paths

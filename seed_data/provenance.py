"""Provenance: who wrote a batch of a member's records, and that the payer passes them on.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-provenance.html"""

from seed_data.datatypes import US_CORE, Record, concept, named_reference, reference, us_core_profiles
from seed_data.directory import ORGANIZATION, PRACTITIONER, PRACTITIONER_ROLE, WORKPLACE

AUTHOR = concept("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "author")
TRANSMITTER = concept(f"{US_CORE}/CodeSystem/us-core-provenance-participant-type", "transmitter")

_BY_REFERENCE: dict[str, Record] = {
    **{reference(organization)["reference"]: organization for organization in ORGANIZATION.values()},
    **{reference(PRACTITIONER[key])["reference"]: place for key, place in WORKPLACE.items()},
    **{reference(PRACTITIONER_ROLE[key])["reference"]: place for key, place in WORKPLACE.items()},
}


def provenance(identity: str, targets: list[Record], payer: Record) -> Record:
    """One Provenance over records of a single member: their providers as authors (else the payer), the payer as
    transmitter, recorded when the last of them was written."""
    authors: dict[str, Record] = {}
    for target in targets:
        if "provider" in target:
            organization = _BY_REFERENCE[target["provider"]["reference"]]
            authors[organization["id"]] = named_reference(organization)
    recorded = max((target["meta"]["lastUpdated"] for target in targets), key=lambda moment: str(moment)[:10])
    return {
        "resourceType": "Provenance",
        "id": f"provenance-{identity}",
        "meta": {"lastUpdated": recorded, "profile": us_core_profiles("us-core-provenance")},
        "target": [reference(target) for target in targets],
        "recorded": recorded,
        "agent": [
            *({"type": AUTHOR, "who": who, "onBehalfOf": who} for who in authors.values() or [payer]),
            {"type": TRANSMITTER, "who": payer, "onBehalfOf": payer},
        ],
    }

"""Provenance of clinical records: who wrote them, in what form the payer got them, and that it passes them on.

https://hl7.org/fhir/us/davinci-pdex/STU2/StructureDefinition-pdex-provenance.html"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from seed_data.clinical.chart import PDEX, profiles
from seed_data.datatypes import Record, concept, named_reference, reference
from seed_data.directory import ORGANIZATION, PRACTITIONER, WORKPLACE
from seed_data.provenance import AUTHOR, TRANSMITTER

SOURCE_FORMAT = f"{PDEX}/StructureDefinition/ProvenanceSourceFrom"
SOURCE_FORMATS = f"{PDEX}/CodeSystem/ProvenancePayerDataSource"
FORMAT_OF = {  # the form in which a type of record reached the payer; the others came as documents
    "Observation": "hl7v2oru",
    "DiagnosticReport": "hl7v2oru",
    "Specimen": "hl7v2oru",
    "MedicationRequest": "script",
    "MedicationDispense": "ncpdp",
    "Immunization": "hl7v2vxu",
    "QuestionnaireResponse": "hl7fhirr4",
    "DocumentReference": "unstructured",
}
WRITERS = ("author", "recorder", "requester", "performer", "participant", "expressedBy")
WORKPLACE_OF = {f"Practitioner/practitioner-{key}": named_reference(place) for key, place in WORKPLACE.items()}
NAME_OF = {
    **{reference(record)["reference"]: named_reference(record) for record in PRACTITIONER.values()},
    **{reference(record)["reference"]: named_reference(record) for record in ORGANIZATION.values()},
}


def _author(record: Record) -> str:
    """Who wrote a record, as far as it says: its first author, recorder, requester, performer or participant."""
    for element in WRITERS:
        found = record.get(element)
        first = found[0] if isinstance(found, list) else found
        if isinstance(first, dict):
            who = first.get("actor") or first.get("individual") or first.get("member") or first
            if who.get("reference") in NAME_OF:
                return str(who["reference"])
    return ""


def _agent(author: str, payer: Record) -> Record:
    if not author:
        return {"type": AUTHOR, "who": payer, "onBehalfOf": payer}
    name = NAME_OF[author]
    return {"type": AUTHOR, "who": name, "onBehalfOf": WORKPLACE_OF.get(author, name)}


def sources(key: str, records: Iterable[Record], payer: Record) -> Iterator[Record]:
    """One Provenance for all records of a type that one author wrote about one member.

    A Medication has none: it may belong to two members, and a Provenance to one alone. A Binary is told of by that of its document."""
    batches: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record["resourceType"] != "Binary":
            batches.setdefault((record["resourceType"], _author(record)), []).append(record)
    for (resource_type, author), targets in batches.items():
        writer = author.partition("-")[2] or "payer"
        recorded = max((target["meta"]["lastUpdated"] for target in targets), key=datetime.fromisoformat)
        source = concept(SOURCE_FORMATS, FORMAT_OF.get(resource_type, "hl7ccda"))
        yield {
            "resourceType": "Provenance",
            "id": f"provenance-{key}-{resource_type.lower()}-{writer}",
            "meta": {
                "lastUpdated": recorded,
                "profile": [*profiles("us-core-provenance"), f"{PDEX}/StructureDefinition/pdex-provenance|2.0.0"],
            },
            "target": [reference(target) for target in targets],
            "recorded": recorded,
            "agent": [_agent(author, payer), {"type": TRANSMITTER, "who": payer, "onBehalfOf": payer}],
            "entity": [
                {
                    "extension": [{"url": SOURCE_FORMAT, "valueCodeableConcept": source}],
                    "role": "source",
                    "what": {"display": "What the payer received"},
                }
            ],
        }

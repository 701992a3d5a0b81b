"""Endpoint: where a provider organization's own FHIR server or mailbox is; a PractitionerRole refers to it.

https://hl7.org/fhir/R4/endpoint.html"""

from seed_data.datatypes import Record, coding, concept, named_reference, reference

CONNECTION_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
PAYLOAD_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"


def endpoint(organization: Record) -> Record:
    """The FHIR endpoint of a provider organization, its address under the reserved domain `example`."""
    key = str(organization["id"]).removeprefix("organization-")
    return {
        "resourceType": "Endpoint",
        "id": f"endpoint-{key}",
        "meta": {"lastUpdated": "2024-01-15T08:03:00-05:00"},
        "status": "active",
        "connectionType": coding(CONNECTION_TYPE, "hl7-fhir-rest"),
        "name": f"FHIR server of {organization['name']}",
        "managingOrganization": named_reference(organization),
        "contact": organization["telecom"],
        "payloadType": [concept(PAYLOAD_TYPE, "any", "Any record")],
        "payloadMimeType": ["application/fhir+json"],
        "address": f"https://{key}.example/fhir",
    }


def with_endpoint(role: Record, found: Record) -> Record:
    """A PractitionerRole that refers to the endpoint of its organization."""
    return {**role, "endpoint": [reference(found)]}

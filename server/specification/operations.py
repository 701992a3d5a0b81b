"""The operations served, as rows: what their definitions are called and which parameters they take.

https://hl7.org/fhir/R4/operations.html, https://hl7.org/fhir/R4/patient-operation-everything.html, US Core $docref and Bulk Data $export
"""

from server.specification.definition import Operation, OperationParameter
from server.specification.standards import US_CORE

COUNT = OperationParameter("_count", "integer", "Resources on a page.")

EVERYTHING = Operation(
    "everything",
    "http://hl7.org/fhir/OperationDefinition/Patient-everything",
    "Everything of the member that the token may see, page by page, with what it refers to",
    (
        OperationParameter(
            "_since", "instant", "Only what was loaded after this moment, e.g. meta.lastUpdated of an earlier answer."
        ),
        OperationParameter("_type", "code", "Only resources of these types, separated by commas."),
        COUNT,
    ),
    on_instance=True,
    on_type=True,
)
DOCREF = Operation(
    "docref",
    f"{US_CORE.canonical}/OperationDefinition/docref",
    "The member's documents of a type or a time, or the current one",
    (
        OperationParameter("patient", "id", "The member.", required=True),
        OperationParameter("start", "dateTime", "Documents about care at or after this."),
        OperationParameter("end", "dateTime", "Documents about care at or before this."),
        OperationParameter("type", "CodeableConcept", "The kind of document, as system|code."),
        OperationParameter("on-demand", "boolean", "Only documents that are stored are found, whatever is sent."),
        OperationParameter("profile", "canonical", "Not looked at."),
        COUNT,
    ),
    on_type=True,
)
EXPORT = Operation(
    "export",
    "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export",
    "Everything of the member that the token may see, as NDJSON files made in the background",
    (
        OperationParameter(
            "_since", "instant", "Only what was loaded after this moment, e.g. transactionTime of an earlier export."
        ),
        OperationParameter("_type", "string", "Only resources of these types, separated by commas."),
        OperationParameter("_outputFormat", "string", "application/fhir+ndjson, which is what there is."),
    ),
    on_instance=True,
    returns="",
)
EXPORT_PATH = "_export"
"""Below the FHIR base, in front of an export's id: where its status and files are."""

"""The searches by several parameters at once that the guides name: the CapabilityStatement tells them of every type.

https://hl7.org/fhir/R4/extension-capabilitystatement-search-parameter-combination.html - any other combination is answered as well.
"""

from server.specification.definition import ResourceDefinition

COMBINATIONS: dict[str, str] = {
    "Patient": "name+gender name+birthdate family+gender family+birthdate family+death-date",
    "RelatedPerson": "patient+name",
    "AllergyIntolerance": "patient patient+clinical-status",
    "CarePlan": "patient+category patient+category+date patient+category+status patient+category+date+status",
    "CareTeam": "patient+role patient+status",
    "Condition": (
        "patient+_lastUpdated patient+category patient+clinical-status patient+code patient+onset-date "
        "patient+abatement-date patient+asserted-date patient+recorded-date patient+category+clinical-status "
        "patient+category+encounter"
    ),
    "Device": "patient+type patient+status",
    "DiagnosticReport": (
        "patient+category patient+code patient+status patient+_lastUpdated+category patient+category+date "
        "patient+code+date"
    ),
    "DocumentReference": (
        "patient+category patient+status patient+type patient+category+date patient+period+type"
    ),
    "Encounter": (
        "patient+_lastUpdated patient+class patient+date patient+discharge-disposition patient+location "
        "patient+status patient+type"
    ),
    "Goal": "patient+description patient+lifecycle-status patient+target-date",
    "Immunization": "patient+date patient+status",
    "MedicationRequest": "patient+intent patient+authoredon+intent patient+encounter+intent patient+intent+status",
    "MedicationDispense": "patient+status patient+status+type",
    "Observation": (
        "patient+category patient+code patient+_lastUpdated+category patient+category+date patient+category+status "
        "patient+code+date"
    ),
    "Procedure": "patient+date patient+status patient+code+date",
    "QuestionnaireResponse": "patient+authored patient+questionnaire patient+status",
    "ServiceRequest": (
        "patient+category patient+code patient+status patient+authored+category patient+authored+code"
    ),
}  # fmt: skip
"""Type to its combinations, separated by spaces; ``a+b``: both together."""


def combinations(row: ResourceDefinition) -> tuple[tuple[str, ...], ...]:
    """The combinations of a type, each the codes of its parameters. Raises ValueError for a code that the row has not got."""
    found = tuple(tuple(each.split("+")) for each in COMBINATIONS.get(row.type, "").split())
    unknown = {code for each in found for code in each if row.parameter(code) is None}
    if unknown:
        raise ValueError(f"{row.type}: a combination names {', '.join(sorted(unknown))}, which the row has not got")
    return found

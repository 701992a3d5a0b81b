"""Summary and mandatory elements of the served types, as R4 declares them: what ``_summary`` and ``_elements`` keep.

https://hl7.org/fhir/R4/search.html#summary - ``id``, ``meta``, ``implicitRules`` and ``modifierExtension`` are kept in every type and not repeated here.
"""

SUMMARY: dict[str, str] = {
    "Patient": (
        "identifier active name telecom gender birthDate deceased[x] address managingOrganization link(other type)"
    ),
    "RelatedPerson": "identifier active patient relationship name telecom gender birthDate address",
    "Organization": "identifier active type name partOf",
    "Practitioner": "identifier active name telecom address gender birthDate",
    "PractitionerRole": "identifier active period practitioner organization code specialty location telecom",
    "Location": "identifier status operationalStatus name description mode type physicalType managingOrganization",
    "Endpoint": "identifier status connectionType name managingOrganization period payloadType payloadMimeType address",
    "Provenance": "target recorded",
    "Coverage": (
        "identifier status type policyHolder subscriber subscriberId beneficiary dependent period payor order network"
    ),
    "ExplanationOfBenefit": (
        "status type use patient billablePeriod created insurer provider outcome insurance(focal coverage) "
        "total(category amount)"
    ),
    "AllergyIntolerance": "identifier clinicalStatus verificationStatus type category criticality code patient asserter",
    "CarePlan": (
        "identifier instantiatesCanonical instantiatesUri basedOn replaces partOf status intent category title "
        "description subject encounter period created author addresses"
    ),
    "CareTeam": "identifier status category name subject encounter period managingOrganization",
    "Condition": (
        "identifier clinicalStatus verificationStatus code bodySite subject encounter onset[x] recordedDate "
        "recorder asserter"
    ),
    "Device": "udiCarrier(deviceIdentifier carrierAIDC carrierHRF) status safety",
    "DiagnosticReport": (
        "identifier status category code subject encounter effective[x] issued performer resultsInterpreter media(link)"
    ),
    "DocumentReference": (
        "masterIdentifier identifier status docStatus type category subject date author relatesTo(code target) "
        "description securityLabel content(attachment format) context(period)"
    ),
    "Encounter": (
        "identifier status class type serviceType subject episodeOfCare participant(type individual) appointment "
        "reasonCode reasonReference diagnosis(condition)"
    ),
    "Goal": "lifecycleStatus achievementStatus category priority description subject start[x] statusDate expressedBy",
    "Immunization": "status vaccineCode patient occurrence[x] primarySource performer(function actor) note isSubpotent",
    "MedicationRequest": (
        "status intent priority doNotPerform reported[x] medication[x] subject authoredOn requester performerType "
        "instantiatesCanonical instantiatesUri basedOn groupIdentifier"
    ),
    "MedicationDispense": "status medication[x] subject whenPrepared",
    "Observation": (
        "identifier basedOn partOf status code subject focus encounter effective[x] issued performer value[x] "
        "hasMember derivedFrom component(code value[x])"
    ),
    "Procedure": (
        "identifier instantiatesCanonical instantiatesUri basedOn partOf status statusReason category code "
        "subject encounter performed[x] recorder asserter performer(function actor) location reasonCode "
        "reasonReference bodySite outcome"
    ),
    "QuestionnaireResponse": "identifier basedOn partOf questionnaire status subject encounter authored author source",
    "ServiceRequest": (
        "identifier instantiatesCanonical instantiatesUri basedOn replaces requisition status intent category "
        "priority doNotPerform code orderDetail quantity[x] subject encounter occurrence[x] asNeeded[x] "
        "authoredOn requester performerType performer locationCode locationReference reasonCode reasonReference "
        "specimen bodySite patientInstruction"
    ),
    "Specimen": "identifier accessionIdentifier status type subject receivedTime condition",
    "Medication": "identifier code status manufacturer amount",
    "Binary": "contentType securityContext url",
    "CapabilityStatement": (
        "url version name title status experimental date publisher contact useContext jurisdiction kind "
        "instantiates imports software(name version releaseDate) implementation(description url custodian) "
        "fhirVersion format patchFormat implementationGuide rest(mode security resource operation) "
        "messaging(supportedMessage) document(mode profile)"
    ),
    "SearchParameter": (
        "url version name status experimental date publisher contact description useContext jurisdiction code base type"
    ),
    "OperationDefinition": (
        "url version name title status kind experimental date publisher contact useContext jurisdiction "
        "affectsState code base resource system type instance"
    ),
    "CompartmentDefinition": (
        "url version name status experimental date publisher contact useContext code search resource(code param)"
    ),
}
"""Type to its elements marked as summary, separated by spaces; ``element(child …)``: of a backbone element only these children.
``value[x]``: whatever type was chosen."""

MANDATORY: dict[str, str] = {
    "Patient": "",
    "RelatedPerson": "patient",
    "Organization": "",
    "Practitioner": "",
    "PractitionerRole": "",
    "Location": "",
    "Endpoint": "status connectionType payloadType address",
    "Provenance": "target recorded agent",
    "Coverage": "status beneficiary payor",
    "ExplanationOfBenefit": "status type use patient created insurer provider outcome insurance",
    "AllergyIntolerance": "patient",
    "CarePlan": "status intent subject",
    "CareTeam": "",
    "Condition": "subject",
    "Device": "",
    "DiagnosticReport": "status code",
    "DocumentReference": "status content",
    "Encounter": "status class",
    "Goal": "lifecycleStatus description subject",
    "Immunization": "status vaccineCode patient occurrence[x]",
    "MedicationRequest": "status intent medication[x] subject",
    "MedicationDispense": "status medication[x]",
    "Observation": "status code",
    "Procedure": "status subject",
    "QuestionnaireResponse": "status",
    "ServiceRequest": "status intent subject",
    "Specimen": "",
    "Medication": "",
    "Binary": "contentType",
    "CapabilityStatement": "status date kind fhirVersion format",
    "SearchParameter": "url name status description code base type",
    "OperationDefinition": "name status kind code system type instance",
    "CompartmentDefinition": "url name status code search",
}
"""Type to its elements with a minimum cardinality of 1."""

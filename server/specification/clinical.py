"""Rows for clinical records: the US Core resource types, and MedicationDispense and Device of PDex.

https://hl7.org/fhir/us/core/STU6.1/CapabilityStatement-us-core-server.html and https://hl7.org/fhir/us/core/STU7/
"""

from dataclasses import replace

from server.specification.administrative import EVERY_TYPE, PROVENANCE
from server.specification.definition import (
    CORE,
    CategoryPart,
    Operation,
    ResourceDefinition,
    SearchParameter,
    SearchType,
    named_by,
    path,
)
from server.specification.operations import DOCREF
from server.specification.standards import PDEX, US_CORE, pdex, r4, us_core

TOKEN, REFERENCE, DATE, STRING = SearchType.TOKEN, SearchType.REFERENCE, SearchType.DATE, SearchType.STRING
US = f"{US_CORE.canonical}/SearchParameter/us-core-"
US_CODES = f"{US_CORE.canonical}/CodeSystem/"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"


def _categories(**codes: tuple[str, ...]) -> tuple[str, ...]:
    """The queries of finer-grained scopes by category."""
    systems = {
        "condition": TERMINOLOGY + "condition-category",
        "condition_us": US_CODES + "condition-category",
        "document": US_CODES + "us-core-documentreference-category",
        "loinc": "http://loinc.org",
        "observation": TERMINOLOGY + "observation-category",
        "service": TERMINOLOGY + "v2-0074",
        "snomed": "http://snomed.info/sct",
        "us": US_CODES + "us-core-category",
    }
    return tuple(f"category={systems[name]}|{code}" for name, of_system in codes.items() for code in of_system)


def _patient(type: str, element: str, also: tuple[str, ...] = ()) -> SearchParameter:
    """The ``patient`` parameter of a type whose ``subject`` may be something else than a Patient, or whose ``patient`` may not."""
    expression = f"{type}.{element}" + (".where(resolve() is Patient)" if element == "subject" else "")
    return SearchParameter(
        "patient", REFERENCE, expression, f"{US}{type.lower()}-patient", targets=("Patient",), also=also
    )


def _us(
    type: str, code: str, kind: SearchType, expression: str, *targets: str, also: tuple[str, ...] = ()
) -> SearchParameter:
    """A US Core parameter: canonical and expression named by convention."""
    return SearchParameter(code, kind, f"{type}.{expression}", f"{US}{type.lower()}-{code}", targets=targets, also=also)


def _row(
    type: str,
    title: str,
    element: str,
    profiles: tuple[str, ...],
    *parameters: SearchParameter,
    narrowed_includes: tuple[str, ...] = (),
    pdex_profiles: tuple[str, ...] = (),
    core_profiles: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    category: str,
    granular: tuple[str, ...] = (),
    operations: tuple[Operation, ...] = (),
) -> ResourceDefinition:
    return ResourceDefinition(
        type=type,
        title=title,
        membership=path(element),
        profiles=us_core(*profiles) + pdex(*pdex_profiles) + r4(*core_profiles),
        search_parameters=(*EVERY_TYPE, _patient(type, element, also), *parameters),
        narrowed_includes=narrowed_includes,
        revincludes=PROVENANCE,
        categories=(CategoryPart(category),),
        granular=granular,
        operations=operations,
    )


ROWS = (
    _row(
        "AllergyIntolerance",
        "Your allergies",
        "patient",
        ("us-core-allergyintolerance",),
        _us("AllergyIntolerance", "clinical-status", TOKEN, "clinicalStatus"),
        category="allergies",
    ),
    _row(
        "CarePlan",
        "Your care plans",
        "subject",
        ("us-core-careplan",),
        _us("CarePlan", "category", TOKEN, "category"),
        _us("CarePlan", "date", DATE, "period"),
        _us("CarePlan", "status", TOKEN, "status"),
        category="care-plans-and-team",
    ),
    _row(
        "CareTeam",
        "The people who care for you",
        "subject",
        ("us-core-careteam",),
        _us("CareTeam", "role", TOKEN, "participant.role"),
        _us("CareTeam", "status", TOKEN, "status"),
        SearchParameter(
            "participant",
            REFERENCE,
            "CareTeam.participant.member",
            CORE + "CareTeam-participant",
            targets=("Practitioner", "Organization", "CareTeam", "Patient", "PractitionerRole", "RelatedPerson"),
        ),
        narrowed_includes=(
            "CareTeam:participant:PractitionerRole",
            "CareTeam:participant:Practitioner",
            "CareTeam:participant:Patient",
            "CareTeam:participant:RelatedPerson",
        ),
        category="care-plans-and-team",
    ),
    _row(
        "Condition",
        "Your health problems and diagnoses",
        "subject",
        ("us-core-condition-encounter-diagnosis", "us-core-condition-problems-health-concerns", "us-core-condition"),
        _us("Condition", "category", TOKEN, "category"),
        _us("Condition", "clinical-status", TOKEN, "clinicalStatus"),
        _us("Condition", "code", TOKEN, "code"),
        _us("Condition", "encounter", REFERENCE, "encounter", "Encounter"),
        SearchParameter(
            "onset-date",
            DATE,
            "Condition.onset.as(dateTime)|Condition.onset.as(Period)",
            US + "condition-onset-date",
        ),
        SearchParameter(
            "abatement-date",
            DATE,
            "Condition.abatement.as(dateTime)|Condition.abatement.as(Period)",
            US + "condition-abatement-date",
        ),
        SearchParameter(
            "asserted-date",
            DATE,
            "Condition.extension.where(url = 'http://hl7.org/fhir/StructureDefinition/condition-assertedDate').value",
            US + "condition-asserted-date",
        ),
        _us("Condition", "recorded-date", DATE, "recordedDate"),
        category="conditions",
        granular=_categories(condition=("encounter-diagnosis", "problem-list-item"), condition_us=("health-concern",)),
    ),
    _row(
        "Device",
        "Devices implanted in you or given to you",
        "patient",
        ("us-core-implantable-device",),
        _us("Device", "type", TOKEN, "type"),
        _us("Device", "status", TOKEN, "status"),
        pdex_profiles=("pdex-device",),
        category="procedures-and-devices",
    ),
    _row(
        "DiagnosticReport",
        "Reports of your tests and examinations",
        "subject",
        ("us-core-diagnosticreport-lab", "us-core-diagnosticreport-note"),
        _us("DiagnosticReport", "category", TOKEN, "category"),
        _us("DiagnosticReport", "code", TOKEN, "code"),
        _us("DiagnosticReport", "date", DATE, "effective"),
        _us("DiagnosticReport", "status", TOKEN, "status"),
        category="test-results-and-vital-signs",
        granular=_categories(loinc=("LP29684-5", "LP29708-2", "LP7839-6"), service=("LAB",)),
    ),
    _row(
        "DocumentReference",
        "Notes and documents about your care",
        "subject",
        ("us-core-documentreference",),
        _us("DocumentReference", "category", TOKEN, "category"),
        SearchParameter("date", DATE, "DocumentReference.date", US + "documentreference-date", instant=True),
        _us("DocumentReference", "period", DATE, "context.period"),
        _us("DocumentReference", "status", TOKEN, "status"),
        _us("DocumentReference", "type", TOKEN, "type"),
        category="notes-and-documents",
        granular=_categories(document=("clinical-note",)),
        operations=(DOCREF,),
    ),
    _row(
        "Encounter",
        "Your visits and hospital stays",
        "subject",
        ("us-core-encounter",),
        _us("Encounter", "class", TOKEN, "class"),
        _us("Encounter", "date", DATE, "period"),
        _us("Encounter", "discharge-disposition", TOKEN, "hospitalization.dischargeDisposition"),
        _us("Encounter", "identifier", TOKEN, "identifier"),
        _us("Encounter", "location", REFERENCE, "location.location", "Location"),
        _us("Encounter", "status", TOKEN, "status"),
        _us("Encounter", "type", TOKEN, "type"),
        category="visits",
    ),
    _row(
        "Goal",
        "Your health goals",
        "subject",
        ("us-core-goal",),
        _us("Goal", "description", TOKEN, "description"),
        _us("Goal", "lifecycle-status", TOKEN, "lifecycleStatus"),
        SearchParameter("target-date", DATE, "(Goal.target.due as date)", US + "goal-target-date"),
        category="care-plans-and-team",
    ),
    _row(
        "Immunization",
        "Your vaccinations",
        "patient",
        ("us-core-immunization",),
        _us("Immunization", "date", DATE, "occurrence"),
        _us("Immunization", "status", TOKEN, "status"),
        category="immunizations",
    ),
    _row(
        "MedicationRequest",
        "Medicines prescribed to you",
        "subject",
        ("us-core-medicationrequest",),
        _us("MedicationRequest", "authoredon", DATE, "authoredOn"),
        _us("MedicationRequest", "encounter", REFERENCE, "encounter", "Encounter"),
        _us("MedicationRequest", "intent", TOKEN, "intent"),
        _us("MedicationRequest", "status", TOKEN, "status"),
        SearchParameter(
            "medication",
            REFERENCE,
            "(MedicationRequest.medication as Reference)",
            CORE + "medications-medication",
            targets=("Medication",),
        ),
        category="medications",
    ),
    _row(
        "MedicationDispense",
        "Medicines dispensed to you",
        "subject",
        ("us-core-medicationdispense",),
        _us(
            "MedicationDispense",
            "status",
            TOKEN,
            "status",
            also=(f"{PDEX.canonical}/SearchParameter/pdex-medicationdispense-status",),
        ),
        _us("MedicationDispense", "type", TOKEN, "type"),
        SearchParameter(
            "medication",
            REFERENCE,
            "(MedicationDispense.medication as Reference)",
            CORE + "medications-medication",
            targets=("Medication",),
        ),
        pdex_profiles=("pdex-medicationdispense",),
        also=(f"{PDEX.canonical}/SearchParameter/pdex-medicationdispense-patient",),
        category="medications",
    ),
    _row(
        "Observation",
        "Your test results, vital signs and answers about your health",
        "subject",
        (
            "us-core-observation-lab",
            "us-core-observation-clinical-result",
            "us-core-observation-screening-assessment",
            "us-core-simple-observation",
            "us-core-vital-signs",
            "us-core-blood-pressure",
            "us-core-bmi",
            "us-core-body-height",
            "us-core-body-temperature",
            "us-core-body-weight",
            "us-core-head-circumference",
            "us-core-heart-rate",
            "us-core-pulse-oximetry",
            "us-core-respiratory-rate",
            "us-core-smokingstatus",
            "us-core-observation-occupation",
            "us-core-observation-pregnancyintent",
            "us-core-observation-pregnancystatus",
            "us-core-observation-sexual-orientation",
            "pediatric-bmi-for-age",
            "pediatric-weight-for-height",
            "head-occipital-frontal-circumference-percentile",
            "us-core-average-blood-pressure",
            "us-core-care-experience-preference",
            "us-core-treatment-intervention-preference",
        ),
        _us("Observation", "category", TOKEN, "category"),
        _us("Observation", "code", TOKEN, "code"),
        _us("Observation", "date", DATE, "effective"),
        _us("Observation", "status", TOKEN, "status"),
        core_profiles=("vitalsigns",),
        category="test-results-and-vital-signs",
        granular=_categories(
            observation=("laboratory", "social-history", "vital-signs", "survey", "imaging", "procedure"),
            us=("sdoh", "treatment-intervention-preference", "care-experience-preference"),
        ),
    ),
    _row(
        "Procedure",
        "Procedures done to you",
        "subject",
        ("us-core-procedure",),
        _us("Procedure", "code", TOKEN, "code"),
        _us("Procedure", "date", DATE, "performed"),
        _us("Procedure", "status", TOKEN, "status"),
        category="procedures-and-devices",
    ),
    _row(
        "QuestionnaireResponse",
        "Questionnaires you answered",
        "subject",
        ("us-core-questionnaireresponse",),
        _us("QuestionnaireResponse", "authored", DATE, "authored"),
        replace(
            _us("QuestionnaireResponse", "questionnaire", REFERENCE, "questionnaire", "Questionnaire"),
            is_canonical=True,
        ),
        _us("QuestionnaireResponse", "status", TOKEN, "status"),
        category="notes-and-documents",
    ),
    _row(
        "ServiceRequest",
        "Services ordered for you",
        "subject",
        ("us-core-servicerequest",),
        SearchParameter("authored", DATE, "ServiceRequest.authoredOn", US + "servicerequest-authored"),
        _us("ServiceRequest", "category", TOKEN, "category"),
        _us("ServiceRequest", "code", TOKEN, "code"),
        _us("ServiceRequest", "status", TOKEN, "status"),
        category="procedures-and-devices",
        granular=_categories(us=("sdoh", "functional-status"), snomed=("387713003",)),
    ),
    _row(
        "Specimen",
        "Samples taken from you",
        "subject",
        ("us-core-specimen",),
        category="test-results-and-vital-signs",
    ),
    ResourceDefinition(
        type="Medication",
        title="What your medicines are",
        membership=named_by("MedicationRequest.medication", "MedicationDispense.medication"),
        profiles=us_core("us-core-medication"),
        search_parameters=EVERY_TYPE,
        revincludes=PROVENANCE,
        categories=(CategoryPart("medications"),),
    ),
    ResourceDefinition(
        type="Binary",
        title="The contents of your documents",
        membership=named_by("DocumentReference.content.attachment.url", "DiagnosticReport.presentedForm.url"),
        profiles=(),
        search_parameters=EVERY_TYPE,
        revincludes=PROVENANCE,
        categories=(CategoryPart("notes-and-documents"),),
    ),
)

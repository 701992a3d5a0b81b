"""Rows for coverage, claims and prior authorizations.

https://hl7.org/fhir/us/carin-bb/STU2.1/CapabilityStatement-c4bb.html and https://hl7.org/fhir/us/davinci-pdex/STU2/CapabilityStatement-pdex-server.html
"""

from server.specification.administrative import EVERY_TYPE, PROVENANCE
from server.specification.definition import CORE, CategoryPart, ResourceDefinition, SearchParameter, SearchType, path
from server.specification.standards import CARIN, PDEX, US_CORE, carin, hrex, pdex, us_core

TOKEN, REFERENCE, DATE = SearchType.TOKEN, SearchType.REFERENCE, SearchType.DATE
C4BB = f"{CARIN.canonical}/SearchParameter/"
C4BB_EOB = C4BB + "explanationofbenefit-"
PDEX_EOB = f"{PDEX.canonical}/SearchParameter/explanationofbenefit-"
PROVIDERS = ("Practitioner", "PractitionerRole", "Organization")

COVERAGE = ResourceDefinition(
    type="Coverage",
    title="Your health plan coverage",
    membership=path("beneficiary"),
    profiles=carin("C4BB-Coverage") + us_core("us-core-coverage") + hrex("hrex-coverage"),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter(
            "patient",
            REFERENCE,
            "Coverage.beneficiary",
            f"{US_CORE.canonical}/SearchParameter/us-core-coverage-patient",
            targets=("Patient",),
            also=(CORE + "Coverage-patient",),
        ),
        SearchParameter(
            "beneficiary", REFERENCE, "Coverage.beneficiary", CORE + "Coverage-beneficiary", targets=("Patient",)
        ),
        SearchParameter(
            "payor",
            REFERENCE,
            "Coverage.payor",
            C4BB + "coverage-payor",
            targets=("Organization", "Patient", "RelatedPerson"),
        ),
    ),
    revincludes=PROVENANCE,
    categories=(CategoryPart("coverage"),),
)

EXPLANATION_OF_BENEFIT = ResourceDefinition(
    type="ExplanationOfBenefit",
    title="Your claims, what they cost, and your prior authorizations",
    membership=path("patient"),
    profiles=carin(
        "C4BB-ExplanationOfBenefit",
        "C4BB-ExplanationOfBenefit-Inpatient-Institutional",
        "C4BB-ExplanationOfBenefit-Outpatient-Institutional",
        "C4BB-ExplanationOfBenefit-Professional-NonClinician",
        "C4BB-ExplanationOfBenefit-Oral",
        "C4BB-ExplanationOfBenefit-Pharmacy",
    )
    + pdex("pdex-priorauthorization"),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter(
            "patient",
            REFERENCE,
            "ExplanationOfBenefit.patient",
            C4BB_EOB + "patient",
            targets=("Patient",),
            also=(PDEX_EOB + "patient",),
        ),
        SearchParameter("type", TOKEN, "ExplanationOfBenefit.type", C4BB_EOB + "type", also=(PDEX_EOB + "type",)),
        SearchParameter("use", TOKEN, "ExplanationOfBenefit.use", PDEX_EOB + "use"),
        SearchParameter(
            "identifier",
            TOKEN,
            "ExplanationOfBenefit.identifier",
            C4BB_EOB + "identifier",
            also=(PDEX_EOB + "identifier",),
        ),
        SearchParameter(
            "service-date",
            DATE,
            "ExplanationOfBenefit.billablePeriod | ExplanationOfBenefit.item.serviced",
            C4BB_EOB + "service-date",
            also=(PDEX_EOB + "service-date",),
        ),
        SearchParameter(
            "service-start-date",
            DATE,
            "ExplanationOfBenefit.billablePeriod.start | ExplanationOfBenefit.item.serviced.ofType(date)"
            " | ExplanationOfBenefit.item.serviced.ofType(Period).start",
            C4BB_EOB + "service-start-date",
        ),
        SearchParameter(
            "billable-period-start",
            DATE,
            "ExplanationOfBenefit.billablePeriod.start",
            C4BB_EOB + "billable-period-start",
        ),
        SearchParameter(
            "provider", REFERENCE, "ExplanationOfBenefit.provider", C4BB_EOB + "provider", targets=PROVIDERS
        ),
        SearchParameter(
            "care-team", REFERENCE, "ExplanationOfBenefit.careTeam.provider", C4BB_EOB + "care-team", targets=PROVIDERS
        ),
        SearchParameter(
            "coverage",
            REFERENCE,
            "ExplanationOfBenefit.insurance.coverage",
            C4BB_EOB + "coverage",
            targets=("Coverage",),
        ),
        SearchParameter(
            "insurer", REFERENCE, "ExplanationOfBenefit.insurer", C4BB_EOB + "insurer", targets=("Organization",)
        ),
        SearchParameter(
            "payee",
            REFERENCE,
            "ExplanationOfBenefit.payee.party",
            CORE + "ExplanationOfBenefit-payee",
            targets=(*PROVIDERS, "Patient", "RelatedPerson"),
        ),
    ),
    revincludes=PROVENANCE,
    categories=(CategoryPart("claims", "use=claim"), CategoryPart("prior-authorizations", "use=preauthorization")),
)

ROWS = (COVERAGE, EXPLANATION_OF_BENEFIT)

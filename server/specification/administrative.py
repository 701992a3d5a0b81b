"""Rows for people, organizations and the origin of records.

https://hl7.org/fhir/us/core/STU6.1/CapabilityStatement-us-core-server.html
"""

from server.specification.definition import (
    ANY_TYPE,
    CORE,
    DIRECTORY,
    SELF,
    CategoryPart,
    ResourceDefinition,
    SearchParameter,
    SearchType,
    path,
    via,
)
from server.specification.operations import EVERYTHING, EXPORT
from server.specification.standards import CARIN, DEMOGRAPHICS, US_CORE, carin, pdex, us_core

TOKEN, REFERENCE, DATE, STRING = SearchType.TOKEN, SearchType.REFERENCE, SearchType.DATE, SearchType.STRING
US = f"{US_CORE.canonical}/SearchParameter/us-core-"
C4BB = f"{CARIN.canonical}/SearchParameter/"
PROVENANCE = ("Provenance:target",)

ID = SearchParameter("_id", TOKEN, "Resource.id", CORE + "Resource-id")
LAST_UPDATED = SearchParameter(
    "_lastUpdated", DATE, "Resource.meta.lastUpdated", CORE + "Resource-lastUpdated", instant=True
)
SECURITY = SearchParameter("_security", TOKEN, "Resource.meta.security", CORE + "Resource-security")
EVERY_TYPE = (ID, LAST_UPDATED, SECURITY)
"""Parameters of every row: https://hl7.org/fhir/R4/search.html#all"""

PATIENT = ResourceDefinition(
    type="Patient",
    title="Your name, birth date, contact details and member numbers",
    membership=SELF,
    profiles=carin("C4BB-Patient") + us_core("us-core-patient"),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter("identifier", TOKEN, "Patient.identifier", US + "patient-identifier"),
        SearchParameter("name", STRING, "Patient.name", US + "patient-name"),
        SearchParameter("family", STRING, "Patient.name.family", US + "patient-family"),
        SearchParameter("given", STRING, "Patient.name.given", US + "patient-given"),
        SearchParameter("gender", TOKEN, "Patient.gender", US + "patient-gender"),
        SearchParameter("birthdate", DATE, "Patient.birthDate", US + "patient-birthdate"),
        SearchParameter("death-date", DATE, "(Patient.deceased as dateTime)", US + "patient-death-date"),
    ),
    revincludes=PROVENANCE,
    categories=(CategoryPart(DEMOGRAPHICS),),
    operations=(EVERYTHING, EXPORT),
)

RELATED_PERSON = ResourceDefinition(
    type="RelatedPerson",
    title="People related to you, such as a parent, guardian or spouse",
    membership=path("patient"),
    profiles=carin("C4BB-RelatedPerson") + us_core("us-core-relatedperson"),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter(
            "patient", REFERENCE, "RelatedPerson.patient", US + "relatedperson-patient", targets=("Patient",)
        ),
        SearchParameter("name", STRING, "RelatedPerson.name", US + "relatedperson-name"),
    ),
    revincludes=PROVENANCE,
    categories=(CategoryPart(DEMOGRAPHICS),),
)

ORGANIZATION = ResourceDefinition(
    type="Organization",
    title="Health plans, hospitals, clinics and pharmacies",
    membership=DIRECTORY,
    profiles=carin("C4BB-Organization") + us_core("us-core-organization"),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter("identifier", TOKEN, "Organization.identifier", CORE + "Organization-identifier"),
        SearchParameter("name", STRING, "Organization.name|Organization.alias", US + "organization-name"),
        SearchParameter("address", STRING, "Organization.address", US + "organization-address"),
    ),
    revincludes=PROVENANCE,
)

PRACTITIONER = ResourceDefinition(
    type="Practitioner",
    title="Doctors and other people who gave care",
    membership=DIRECTORY,
    profiles=carin("C4BB-Practitioner") + us_core("us-core-practitioner"),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter("identifier", TOKEN, "Practitioner.identifier", US + "practitioner-identifier"),
        SearchParameter("name", STRING, "Practitioner.name", US + "practitioner-name"),
        SearchParameter("address", STRING, "Practitioner.address", CORE + "individual-address"),
    ),
    revincludes=PROVENANCE,
)

PRACTITIONER_ROLE = ResourceDefinition(
    type="PractitionerRole",
    title="Where doctors and other people work, and what they do there",
    membership=DIRECTORY,
    profiles=us_core("us-core-practitionerrole"),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter(
            "practitioner",
            REFERENCE,
            "PractitionerRole.practitioner",
            US + "practitionerrole-practitioner",
            targets=("Practitioner",),
            also=(C4BB + "practitionerrole-practitioner",),
        ),
        SearchParameter(
            "organization",
            REFERENCE,
            "PractitionerRole.organization",
            C4BB + "practitionerrole-organization",
            targets=("Organization",),
        ),
        SearchParameter("identifier", TOKEN, "PractitionerRole.identifier", CORE + "PractitionerRole-identifier"),
        SearchParameter("specialty", TOKEN, "PractitionerRole.specialty", US + "practitionerrole-specialty"),
        SearchParameter(
            "endpoint",
            REFERENCE,
            "PractitionerRole.endpoint",
            CORE + "PractitionerRole-endpoint",
            targets=("Endpoint",),
        ),
    ),
    revincludes=PROVENANCE,
)

LOCATION = ResourceDefinition(
    type="Location",
    title="Places where care was given",
    membership=DIRECTORY,
    profiles=us_core("us-core-location"),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter("identifier", TOKEN, "Location.identifier", CORE + "Location-identifier"),
        SearchParameter("name", STRING, "Location.name|Location.alias", US + "location-name"),
        SearchParameter("address", STRING, "Location.address", US + "location-address"),
        SearchParameter("address-city", STRING, "Location.address.city", US + "location-address-city"),
        SearchParameter("address-state", STRING, "Location.address.state", US + "location-address-state"),
        SearchParameter(
            "address-postalcode", STRING, "Location.address.postalCode", US + "location-address-postalcode"
        ),
    ),
    revincludes=PROVENANCE,
)

ENDPOINT = ResourceDefinition(
    type="Endpoint",
    title="Electronic addresses of doctors and clinics",
    membership=DIRECTORY,
    profiles=(),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter("identifier", TOKEN, "Endpoint.identifier", CORE + "Endpoint-identifier"),
        SearchParameter("name", STRING, "Endpoint.name", CORE + "Endpoint-name"),
    ),
    revincludes=PROVENANCE,
)

PROVENANCE_ROW = ResourceDefinition(
    type="Provenance",
    title="Where each of your records came from",
    membership=via("target"),
    profiles=us_core("us-core-provenance") + pdex("pdex-provenance"),
    search_parameters=(
        *EVERY_TYPE,
        SearchParameter("target", REFERENCE, "Provenance.target", CORE + "Provenance-target", targets=(ANY_TYPE,)),
    ),
)

ROWS = (PATIENT, RELATED_PERSON, ORGANIZATION, PRACTITIONER, PRACTITIONER_ROLE, LOCATION, ENDPOINT, PROVENANCE_ROW)

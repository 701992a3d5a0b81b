"""What the guides' CapabilityStatements name and this server does not do, each with its reason; the README's table is made of it.

https://hl7.org/fhir/R4/capabilitystatement.html - everything else that they name, SHALL, SHOULD or MAY, is served. An exception that no
guide names any more fails the test that compares them.
"""

from dataclasses import dataclass
from enum import StrEnum

from server.specification.standards import CARIN, PDEX, US_CORE


class Named(StrEnum):
    """What part of a CapabilityStatement is meant."""

    INTERACTION = "interaction"
    SYSTEM_INTERACTION = "interaction of the whole system"
    FORMAT = "format"
    PATCH_FORMAT = "patch format"
    TYPE = "resource type"
    OPERATION = "operation"
    PARAMETER_TYPE = "type of a search parameter"
    COMBINATION = "search by several parameters"


@dataclass(frozen=True, slots=True)
class GuideException:
    """``names`` of a part (of these ``types`` only; none: of any) that the packages ``guides`` name, and why they are not served."""

    part: Named
    names: tuple[str, ...]
    guides: tuple[str, ...]
    reason: str
    types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.names or not self.guides or not self.reason:
            raise ValueError(f"exception {self.part}: it needs names, guides and a reason")


READ_ONLY = "The API reads; the payer loads records from its own systems, and no app can change them."
PAYER_TO_PAYER = "Between payers and providers, not between a member and an app of the member's choice."

EXCEPTIONS = (
    GuideException(
        Named.INTERACTION, ("create", "update", "patch", "delete"), (US_CORE.package, PDEX.package), READ_ONLY
    ),
    GuideException(
        Named.SYSTEM_INTERACTION, ("transaction", "batch"), (US_CORE.package, PDEX.package), READ_ONLY
    ),
    GuideException(Named.PATCH_FORMAT, ("application/json-patch+json",), (US_CORE.package, PDEX.package), READ_ONLY),
    GuideException(
        Named.SYSTEM_INTERACTION,
        ("search-system",),
        (US_CORE.package, PDEX.package),
        "A search names one type. Patient/$everything and system history answer for all types at once.",
    ),
    GuideException(
        Named.FORMAT,
        ("xml",),
        (CARIN.package, US_CORE.package, PDEX.package),
        "JSON only, as every guide obliges; records are sent in the bytes they were loaded in. XML gets 406.",
    ),
    GuideException(
        Named.TYPE,
        ("ValueSet",),
        (US_CORE.package, PDEX.package),
        "For $expand: the larger code systems are licensed by their owners, and expanding them is not the payer's to do.",
    ),
    GuideException(
        Named.TYPE,
        ("HealthcareService", "Media", "Questionnaire"),
        (US_CORE.package, PDEX.package),
        "A payer keeps no such records; where other records refer to one, the reference stays as it was loaded.",
    ),
    GuideException(Named.TYPE, ("Consent", "Group"), (PDEX.package,), PAYER_TO_PAYER),
    GuideException(Named.OPERATION, ("member-match",), (PDEX.package,), PAYER_TO_PAYER, types=("Patient",)),
    GuideException(
        Named.PARAMETER_TYPE,
        ("_id string",),
        (PDEX.package,),
        "FHIR defines _id as a token; a value is sent in the same way.",
        types=("Coverage",),
    ),
    GuideException(
        Named.COMBINATION,
        ("patient+intent", "patient+intent+status"),
        (PDEX.package,),
        "FHIR R4 has no such element in this type, and no guide a search parameter for it.",
        types=("MedicationDispense",),
    ),
    GuideException(
        Named.COMBINATION,
        ("patient+type",),
        (PDEX.package,),
        "FHIR R4 has no such element in this type, and no guide a search parameter for it.",
        types=("DiagnosticReport",),
    ),
)  # fmt: skip

"""Visits and rides that professionals and non-clinicians bill: what is done, for what, at what price, by whom.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit-Professional-NonClinician.html"""

from dataclasses import dataclass

from seed_data.datatypes import CARE_TEAM_ROLE, CLAIM_CARE_TEAM_ROLE, CPT, HCPCS


@dataclass(frozen=True, slots=True)
class Service:
    code: tuple[str, str]  # system, code
    text: str
    price: str
    units: int = 1
    modifier: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    provider: str
    diagnoses: tuple[tuple[str, str], ...]
    services: tuple[Service, ...]
    care_team: tuple[tuple[str, str, str], ...]  # practitioner, role, system of the role
    place: str = "11"
    type: str = "professional"
    transport: bool = False


VISITS = {
    "office": Visit(
        "lakeshore", (("E11.9", "Type 2 diabetes"), ("I10", "High blood pressure")),
        (
            Service((CPT, "99214"), "Office visit", "245.00", modifier=(CPT, "25")),
            Service((CPT, "83036"), "Blood sugar test", "42.00"),
        ),
        (("okafor", "rendering", CARE_TEAM_ROLE), ("okafor", "primary", CLAIM_CARE_TEAM_ROLE)),
    ),
    "cardiology": Visit(
        "lakeshore", (("I25.10", "Heart artery disease"),),
        (
            Service((CPT, "99204"), "First visit to a heart doctor", "390.00"),
            Service((CPT, "93000"), "Heart tracing", "118.00"),
            Service((CPT, "93306"), "Heart ultrasound", "870.00"),
        ),
        (("petrakis", "rendering", CARE_TEAM_ROLE), ("okafor", "referring", CARE_TEAM_ROLE)),
    ),
    "fracture": Visit(
        "lakeshore", (("S52.501A", "Broken right forearm"),),
        (
            Service((CPT, "25600"), "Setting a broken arm", "780.00", modifier=(HCPCS, "RT")),
            Service((CPT, "73110"), "X-ray of the wrist", "96.00"),
        ),
        (("nakashima", "rendering", CARE_TEAM_ROLE),),
    ),
    "checkup": Visit(
        "lakeshore", (("Z00.129", "Child's yearly check-up"),),
        (
            Service((CPT, "99393"), "Yearly check-up", "205.00"),
            Service((CPT, "90460"), "Giving a vaccine", "34.00", 2),
        ),
        (("nakashima", "rendering", CARE_TEAM_ROLE),),
    ),
    "ambulance": Visit(
        "swiftline", (("R07.9", "Chest pain"),),
        (
            Service((HCPCS, "A0427"), "Ambulance ride", "1150.00"),
            Service((HCPCS, "A0425"), "Ambulance miles", "17.50", 12),
        ),
        (("ibarra", "rendering", CARE_TEAM_ROLE),), "41", transport=True,
    ),
    "vision": Visit(
        "lakeshore", (("H52.13", "Short-sightedness"),),
        (Service((HCPCS, "V2020"), "Frames", "160.00"), Service((HCPCS, "V2100"), "Lenses", "74.00", 2)),
        (("okafor", "rendering", CARE_TEAM_ROLE),), type="vision",
    ),
}  # fmt: skip

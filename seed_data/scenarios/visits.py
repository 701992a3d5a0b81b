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
    """`benefit` names the copay of the plan that takes the place of deductible and coinsurance ("": there is none)."""

    provider: str
    diagnoses: tuple[tuple[str, str], ...]
    services: tuple[Service, ...]
    care_team: tuple[tuple[str, str, str], ...]  # practitioner, role, system of the role
    place: str = "11"
    type: str = "professional"
    transport: bool = False
    benefit: str = ""


VISITS = {
    "office": Visit(
        "lakeshore", (("E11.9", "Type 2 diabetes"), ("I10", "High blood pressure")),
        (
            Service((CPT, "99214"), "Office visit", "245.00", modifier=(CPT, "25")),
            Service((CPT, "83036"), "Blood sugar test", "42.00"),
        ),
        (("okafor", "rendering", CARE_TEAM_ROLE), ("okafor", "primary", CLAIM_CARE_TEAM_ROLE)),
        benefit="visit",
    ),
    "follow-up": Visit(
        "lakeshore", (("I10", "High blood pressure"),),
        (Service((CPT, "99213"), "Office visit", "168.00"),),
        (("okafor", "rendering", CARE_TEAM_ROLE), ("okafor", "primary", CLAIM_CARE_TEAM_ROLE)),
        benefit="visit",
    ),
    "telehealth": Visit(
        "lakeshore", (("J06.9", "A cold"),),
        (Service((CPT, "99212"), "Video visit", "96.00", modifier=(CPT, "95")),),
        (("okafor", "rendering", CARE_TEAM_ROLE),), "10", benefit="visit",
    ),
    "annual": Visit(
        "lakeshore", (("Z00.00", "Yearly check-up"),),
        (
            Service((CPT, "99396"), "Yearly check-up", "262.00"),
            Service((CPT, "96160"), "Questions about health", "18.00"),
        ),
        (("okafor", "rendering", CARE_TEAM_ROLE), ("okafor", "primary", CLAIM_CARE_TEAM_ROLE)),
        benefit="preventive",
    ),
    "cardiology": Visit(
        "lakeshore", (("I25.10", "Heart artery disease"),),
        (
            Service((CPT, "99204"), "First visit to a heart doctor", "390.00"),
            Service((CPT, "93000"), "Heart tracing", "118.00"),
            Service((CPT, "93306"), "Heart ultrasound", "870.00"),
        ),
        (("petrakis", "rendering", CARE_TEAM_ROLE), ("okafor", "referring", CARE_TEAM_ROLE)),
        benefit="specialist",
    ),
    "bones": Visit(
        "hollow-creek", (("M54.50", "Low back pain"),),
        (Service((CPT, "99203"), "First visit to a bone and joint doctor", "295.00"),),
        (("delacroix", "rendering", CARE_TEAM_ROLE), ("okafor", "referring", CARE_TEAM_ROLE)),
        benefit="specialist",
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
        benefit="preventive",
    ),
    "laboratory": Visit(
        "bellwether", (("Z00.00", "Yearly check-up"),),
        (
            Service((CPT, "80053"), "Blood chemistry", "58.00"),
            Service((CPT, "36415"), "Blood draw", "22.00"),
        ),
        (("pritchard", "rendering", CARE_TEAM_ROLE), ("okafor", "referring", CARE_TEAM_ROLE)), "81",
    ),
    "therapy": Visit(
        "motion", (("M54.50", "Low back pain"),),
        (
            Service((CPT, "97110"), "Exercises with a therapist", "74.00", 2, (CPT, "59")),
            Service((CPT, "97140"), "Hands-on therapy", "68.00"),
        ),
        (("marsh", "rendering", CARE_TEAM_ROLE), ("okafor", "referring", CARE_TEAM_ROLE)),
        benefit="therapy",
    ),
    "counseling": Visit(
        "quiet-harbor", (("F32.A", "Depression"),),
        (Service((CPT, "90834"), "Talking therapy", "155.00"),),
        (("adeyemi", "rendering", CARE_TEAM_ROLE),),
        benefit="visit",
    ),
    "substance-use": Visit(
        "quiet-harbor", (("F10.20", "Alcohol use"),),
        (Service((HCPCS, "H0004"), "Counseling about alcohol", "48.00", 4),),
        (("adeyemi", "rendering", CARE_TEAM_ROLE),), "57", benefit="visit",
    ),
    "equipment": Visit(
        "steady-supply", (("G47.33", "Sleep apnea"),),
        (
            Service((HCPCS, "E0601"), "Breathing machine for the night", "940.00", modifier=(HCPCS, "NU")),
            Service((HCPCS, "A7034"), "Mask", "118.00"),
        ),
        (("okafor", "referring", CARE_TEAM_ROLE),), "12",
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
    "eye-test": Visit(
        "sunray-optical", (("H52.13", "Short-sightedness"),),
        (Service((CPT, "92014"), "Eye test", "148.00"), Service((CPT, "92015"), "Measuring for glasses", "32.00")),
        (("fairclough", "rendering", CARE_TEAM_ROLE),), type="vision", benefit="specialist",
    ),
}  # fmt: skip

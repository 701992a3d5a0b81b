"""Stays and visits that hospitals and outpatient centers bill: what is done, for what, at what price, by whom.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit-Inpatient-Institutional.html"""

from dataclasses import dataclass

from seed_data.datatypes import CPT, HCPCS


@dataclass(frozen=True, slots=True)
class RevenueLine:
    revenue: str
    code: tuple[str, str]  # system, code
    text: str
    price: str
    units: int = 1
    modifier: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A hospital stay or visit. `header`: the payer decided the claim as a whole, not line by line; `benefit` names the copay of
    the plan that takes the place of deductible and coinsurance ("": there is none)."""

    provider: str
    days: int
    bill: str
    diagnoses: tuple[tuple[str, str], ...]  # ICD-10-CM code and our own words
    lines: tuple[RevenueLine, ...]
    care_team: tuple[tuple[str, str], ...]  # practitioner, role
    drg: str = ""
    procedures: tuple[tuple[str, str], ...] = ()
    admission_type: str = "3"
    discharge: str = "01"
    header: bool = False
    benefit: str = ""
    origin: str = "1"  # point of origin; of a newborn (admission type 4) by a list of its own


INPATIENT = {
    "heart": Case(
        "northgate", 4, "0111", (("I21.4", "Heart attack"), ("I10", "High blood pressure")),
        (
            RevenueLine("0120", (CPT, "99223"), "Hospital room and care", "3120.00", 4),
            RevenueLine("0481", (CPT, "92928"), "Heart procedure", "18450.00", modifier=(HCPCS, "LD")),
            RevenueLine("0300", (CPT, "80053"), "Blood tests", "412.50", 3),
        ),
        (("lindqvist", "attending"), ("amador", "operating"), ("petrakis", "referring")), "247",
        (("027034Z", "Opening of a narrowed heart artery with a stent"), ("B2111ZZ", "Imaging of the heart arteries")),
        "1",
    ),
    "knee": Case(
        "northgate", 2, "0111", (("M17.11", "Worn right knee"),),
        (
            RevenueLine("0120", (CPT, "99222"), "Hospital room and care", "2980.00", 2),
            RevenueLine("0278", (HCPCS, "C1776"), "Implant", "7200.00"),
            RevenueLine("0360", (CPT, "27447"), "Operating room", "14300.00", modifier=(HCPCS, "RT")),
        ),
        (("amador", "attending"), ("amador", "operating")), "470", (("0SRC0J9", "New right knee joint"),),
    ),
    "lungs": Case(
        "northgate", 6, "0111", (("J18.9", "Pneumonia"), ("J44.9", "Chronic lung disease")),
        (
            RevenueLine("0120", (CPT, "99223"), "Hospital room and care", "3050.00", 6),
            RevenueLine("0410", (CPT, "94640"), "Breathing treatment", "265.00", 12),
        ),
        (("lindqvist", "attending"),), "194", admission_type="1", discharge="06", header=True,
    ),
    "birth": Case(
        "northgate", 2, "0111", (("O80", "Giving birth"), ("Z37.0", "One child, born alive")),
        (
            RevenueLine("0122", (CPT, "99222"), "Hospital room and care", "2740.00", 2),
            RevenueLine("0720", (CPT, "59409"), "Delivery room", "4380.00"),
            RevenueLine("0250", (HCPCS, "J2590"), "Medicine during birth", "86.00", 2),
        ),
        (("lindqvist", "attending"),), "807", (("10E0XZZ", "Help with the birth"),),
    ),
    "newborn": Case(
        "northgate", 2, "0111", (("Z38.00", "Newborn child"),),
        (
            RevenueLine("0170", (CPT, "99460"), "Care of a newborn", "1180.00", 2),
            RevenueLine("0300", (CPT, "82247"), "Blood test", "41.00"),
        ),
        (("lindqvist", "attending"),), "795", admission_type="4", origin="5",
    ),
}  # fmt: skip

OUTPATIENT = {
    "imaging": Case(
        "riverbend", 0, "0131", (("M54.50", "Low back pain"),),
        (
            RevenueLine("0612", (CPT, "72148"), "Scan of the lower back", "1640.00", modifier=(HCPCS, "TC")),
            RevenueLine("0300", (CPT, "36415"), "Blood draw", "38.00"),
        ),
        (("whitcombe", "attending"), ("okafor", "referring")),
    ),
    "clinic": Case(
        "hollow-creek", 0, "0131", (("M25.561", "Pain in the right knee"), ("M17.11", "Worn right knee")),
        (
            RevenueLine("0510", (CPT, "99214"), "Clinic visit", "310.00", modifier=(CPT, "25")),
            RevenueLine("0361", (CPT, "20610"), "Injection into the knee", "420.00", modifier=(HCPCS, "RT")),
        ),
        (("delacroix", "attending"),),
    ),
    "emergency": Case(
        "northgate", 0, "0131", (("S61.411A", "Cut on the right hand"),),
        (
            RevenueLine("0450", (CPT, "99283"), "Emergency room visit", "980.00"),
            RevenueLine("0450", (CPT, "12002"), "Stitches", "540.00"),
        ),
        (("lindqvist", "attending"),), admission_type="1", header=True, benefit="emergency",
    ),
    "day-surgery": Case(
        "northgate", 0, "0131", (("M17.11", "Worn right knee"),),
        (
            RevenueLine("0360", (CPT, "29881"), "Operating room", "6120.00", modifier=(HCPCS, "RT")),
            RevenueLine("0370", (CPT, "01400"), "Anesthesia", "890.00"),
            RevenueLine("0710", (CPT, "99218"), "Recovery room", "640.00"),
        ),
        (("amador", "attending"), ("amador", "operating"), ("okafor", "referring")),
    ),
    "mammogram": Case(
        "riverbend", 0, "0131", (("Z12.31", "Screening for breast cancer"),),
        (RevenueLine("0403", (CPT, "77067"), "Breast X-ray", "312.00"),),
        (("whitcombe", "attending"), ("okafor", "referring")), benefit="preventive",
    ),
}  # fmt: skip

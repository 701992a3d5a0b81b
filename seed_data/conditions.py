"""The conditions that drawn lives have: their codes, how long they last, and the medicines, tests and visits they lead to.

ICD-10-CM (https://www.cdc.gov/nchs/icd/icd-10-cm/) and SNOMED CT codes, with our own plain words."""

from dataclasses import dataclass
from typing import Literal

Course = Literal["chronic", "acute"]


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """A condition. `drugs` are rows of DRUGS (`seed_data.scenarios.drugs`), `panels` rows of PANELS (`seed_data.clinical.laboratory`),
    `specialist` a NUCC provider taxonomy code, `ages` the years of life it is met in, `percent` of whom of that age have it."""

    code: str  # ICD-10-CM
    text: str
    snomed: str
    course: Course = "chronic"
    days: int = 0  # that an acute one lasts
    drugs: tuple[str, ...] = ()
    panels: tuple[str, ...] = ()
    specialist: str = ""
    ages: tuple[int, int] = (18, 120)
    percent: int = 5
    gender: str = ""  # female | male, when only they have it
    security: str = ""  # v3-ActCode of a sensitive matter

    @property
    def diagnosis(self) -> tuple[str, str]:
        return self.code, self.text


CONDITIONS: dict[str, ConditionRow] = {
    "hypertension": ConditionRow(
        "I10", "High blood pressure", "38341003", drugs=("lisinopril", "amlodipine"), panels=("metabolic",), ages=(30, 120),
        percent=38,
    ),
    "diabetes": ConditionRow(
        "E11.9", "Type 2 diabetes", "44054006", drugs=("metformin", "insulin"), panels=("a1c", "metabolic"), ages=(30, 120),
        percent=18,
    ),
    "cholesterol": ConditionRow(
        "E78.5", "High cholesterol", "55822004", drugs=("atorvastatin",), panels=("lipids",), ages=(35, 120), percent=30,
    ),
    "heart-artery": ConditionRow(
        "I25.10", "Heart artery disease", "53741008", drugs=("clopidogrel", "metoprolol"), panels=("lipids",),
        specialist="207RC0000X", ages=(50, 120), percent=14,
    ),
    "lung": ConditionRow(
        "J44.9", "Chronic lung disease", "13645005", drugs=("tiotropium", "albuterol"), panels=("count",), ages=(50, 120),
        percent=9,
    ),
    "asthma": ConditionRow("J45.909", "Asthma", "195967001", drugs=("albuterol",), ages=(4, 65), percent=9),
    "thyroid": ConditionRow(
        "E03.9", "Underactive thyroid", "40930008", drugs=("levothyroxine",), panels=("thyroid",), ages=(25, 120), percent=8,
    ),
    "reflux": ConditionRow("K21.9", "Acid reflux", "235595009", drugs=("omeprazole",), ages=(25, 120), percent=12),
    "back-pain": ConditionRow("M54.50", "Low back pain", "279039007", specialist="207X00000X", ages=(25, 90), percent=14),
    "knee": ConditionRow("M17.11", "Worn right knee", "239873007", specialist="207X00000X", ages=(50, 95), percent=12),
    "depression": ConditionRow(
        "F32.A", "Depression", "35489007", drugs=("sertraline",), ages=(15, 90), percent=9, security="BH",
    ),
    "sleep-apnea": ConditionRow("G47.33", "Sleep apnea", "78275009", ages=(35, 90), percent=6),
    "eczema": ConditionRow("L20.9", "Eczema", "24079001", drugs=("compound",), ages=(1, 40), percent=7),
    "cold": ConditionRow("J06.9", "A cold", "54150009", "acute", 8, ages=(0, 120), percent=30),
    "ear-infection": ConditionRow("H66.90", "Ear infection", "65363002", "acute", 10, ("amoxicillin",), ages=(0, 12), percent=30),
    "sore-throat": ConditionRow("J02.9", "Sore throat", "405737000", "acute", 7, ("amoxicillin",), ages=(3, 60), percent=15),
    "bladder-infection": ConditionRow(
        "N39.0", "Bladder infection", "68566005", "acute", 9, ("amoxicillin",), ages=(16, 110), percent=12, gender="female",
    ),
    "sprain": ConditionRow("S93.401A", "Sprained right ankle", "44465007", "acute", 24, ages=(6, 80), percent=9),
    "cut": ConditionRow("S61.411A", "Cut on the right hand", "283545005", "acute", 12, ages=(4, 90), percent=6),
    "chest-pain": ConditionRow("R07.9", "Chest pain", "29857009", "acute", 1, ages=(40, 110), percent=5),
    "pneumonia": ConditionRow("J18.9", "Pneumonia", "233604007", "acute", 21, ("amoxicillin",), ages=(55, 120), percent=3),
    "heart-attack": ConditionRow(
        "I21.4", "Heart attack", "22298006", "acute", 28, specialist="207RC0000X", ages=(50, 110), percent=2,
    ),
}  # fmt: skip

SENSITIVE = {row.code: row.security for row in CONDITIONS.values() if row.security} | {"F10.20": "ETH"}
"""Diagnoses (ICD-10-CM) whose records are labelled, and with what (v3-ActCode)."""

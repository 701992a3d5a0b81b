"""Sittings that dentists bill: what is done to which tooth, for what, at what price.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit-Oral.html"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Treatment:
    code: str  # CDT
    text: str
    price: str
    tooth: str = ""
    surface: str = ""
    modifier: str = ""


@dataclass(frozen=True, slots=True)
class Sitting:
    diagnosis: tuple[str, str]
    treatments: tuple[Treatment, ...]
    other_teeth: tuple[str, ...] = ()  # further teeth of the first treatment
    missing: tuple[str, ...] = ()
    braces_months: int = 0
    replaces_prosthesis: bool | None = None
    benefit: str = ""


SITTINGS = {
    "cleaning": Sitting(
        ("Z01.20", "Dental check-up"),
        (Treatment("D0120", "Check-up", "58.00"), Treatment("D1110", "Cleaning", "104.00")),
        benefit="preventive",
    ),
    "crown": Sitting(
        ("K02.63", "Deep tooth decay"),
        (
            Treatment("D2740", "Crown", "1180.00", "3"),
            Treatment("D2392", "Filling", "212.00", "14", "O", modifier="59"),
        ),
        missing=("17", "32"),
        replaces_prosthesis=False,
    ),
    "braces": Sitting(
        ("M26.4", "Uneven bite"),
        (Treatment("D8090", "Braces", "4860.00", "8"), Treatment("D0330", "X-ray of all teeth", "118.00")),
        other_teeth=("9", "10"),
        braces_months=24,
    ),
    "filling": Sitting(
        ("K02.52", "Tooth decay"),
        (Treatment("D2391", "Filling", "188.00", "19", "O"), Treatment("D0220", "X-ray of one tooth", "31.00", "19")),
    ),
    "root-canal": Sitting(
        ("K04.01", "Inflamed tooth nerve"),
        (Treatment("D3330", "Root canal", "1240.00", "30"), Treatment("D0220", "X-ray of one tooth", "31.00", "30")),
    ),
    "denture": Sitting(
        ("K08.109", "Missing teeth"),
        (Treatment("D5213", "Partial denture", "1710.00"),),
        missing=("2", "4", "5", "13"),
        replaces_prosthesis=True,
    ),
}

"""Medicines that pharmacies hand over: what is in the box, for how many days, at what price.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit-Pharmacy.html"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drug:
    ndc: str  # eleven digits
    text: str
    price: str
    units: int
    days: int
    refill: int = 0
    refills_authorized: int = 3
    generic: bool = True
    dispensed_as_written: str = "0"
    ingredients: tuple[tuple[str, str, int], ...] = ()  # NDC, our own words, units
    standing_order: bool = False  # ordered by the pharmacy itself, with no prescriber of its own


DRUGS = {
    "generic": Drug("68180098003", "Lisinopril 10 mg tablets", "38.40", 90, 90, 1),
    "brand": Drug("00071015523", "Cholesterol tablets, brand", "412.75", 30, 30, 2, 5, generic=False, dispensed_as_written="1"),
    "compound": Drug(
        "", "Skin cream mixed for you", "146.20", 60, 30,
        ingredients=(("00168004146", "Cream base", 50), ("51552000704", "Active ingredient", 10)),
    ),
    "standing-order": Drug("49281042150", "Flu vaccine", "72.00", 1, 1, refills_authorized=0, standing_order=True),
    "refused": Drug("00088222033", "Insulin", "318.90", 10, 28, generic=False),
}  # fmt: skip

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
    rxnorm: str = ""
    dose: str = "TAB"  # what one takes: TAB | CAP | PUFF | APPLICATION | mL | [iU]
    times: int = 1  # a day
    origin: str = "3"  # NCPDP prescription origin code: 1 written, 2 telephone, 3 electronic
    preventive: bool = False

    @property
    def benefit(self) -> str:
        return "preventive" if self.preventive else "generic" if self.generic else "brand"


DRUGS = {
    "generic": Drug("68180098003", "Lisinopril 10 mg tablets", "38.40", 90, 90, 1, rxnorm="314076"),
    "brand": Drug(
        "00071015523", "Cholesterol tablets, brand", "412.75", 30, 30, 2, 5, generic=False, dispensed_as_written="1",
        rxnorm="617312",
    ),
    "compound": Drug(
        "", "Skin cream mixed for you", "146.20", 60, 30, dose="APPLICATION", times=2,
        ingredients=(("00168004146", "Cream base", 50), ("51552000704", "Active ingredient", 10)),
    ),
    "standing-order": Drug(
        "49281042150", "Flu vaccine", "72.00", 1, 1, refills_authorized=0, standing_order=True, dose="mL", origin="5",
        preventive=True,
    ),
    "refused": Drug("00088222033", "Insulin", "318.90", 10, 28, generic=False, rxnorm="285018", dose="[iU]"),
    "lisinopril": Drug("68180098003", "Lisinopril 10 mg tablets", "38.40", 90, 90, rxnorm="314076"),
    "amlodipine": Drug("68382012316", "Amlodipine 5 mg tablets", "31.75", 90, 90, rxnorm="197361"),
    "metformin": Drug("65862000801", "Metformin 500 mg tablets", "24.60", 180, 90, rxnorm="861007", times=2),
    "insulin": Drug("00088222033", "Insulin", "318.90", 10, 28, generic=False, rxnorm="285018", dose="[iU]", refills_authorized=11),
    "atorvastatin": Drug("60505257809", "Atorvastatin 10 mg tablets", "42.10", 90, 90, rxnorm="617312"),
    "clopidogrel": Drug("55111019690", "Clopidogrel 75 mg tablets", "46.85", 90, 90, rxnorm="309362"),
    "metoprolol": Drug("00378001801", "Metoprolol 25 mg tablets", "19.90", 180, 90, rxnorm="866924", times=2),
    "tiotropium": Drug(
        "00597007541", "Breathing medicine", "548.30", 30, 30, generic=False, rxnorm="1487514", dose="PUFF", refills_authorized=5,
    ),
    "albuterol": Drug("00093317431", "Asthma inhaler", "58.45", 1, 30, rxnorm="745679", dose="PUFF", times=4, refills_authorized=2),
    "levothyroxine": Drug("00378180310", "Levothyroxine 50 mcg tablets", "33.25", 90, 90, rxnorm="966247"),
    "omeprazole": Drug("62175011837", "Omeprazole 20 mg capsules", "27.15", 90, 90, rxnorm="198051", dose="CAP"),
    "sertraline": Drug("16714061204", "Sertraline 50 mg tablets", "22.80", 30, 30, rxnorm="312941", refills_authorized=5),
    "amoxicillin": Drug(
        "65862001705", "Amoxicillin 500 mg capsules", "16.35", 21, 7, refills_authorized=0, rxnorm="308191", dose="CAP", times=3,
        origin="2",
    ),
}  # fmt: skip

"""Personas whose story is a claim: one of each type, denied, corrected, taken back, shared between payers, by the thousand.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit.html"""

from datetime import date

from seed_data.members import Authorization, Claim, Diagnosed, Member, Spell
from seed_data.personas.first import ASIAN, BLACK, WHITE

CLAIM_STORIES = (
    Member(
        25, "oakhurst", ("Prudence",), "Oakhurst", "female", date(1951, 4, 11),
        "A single claim: one hospital stay.", ("advantage-001",), WHITE, "14 Bramble Lane", "Delaware", "43015",
        claims=(Claim("inpatient", "knee", 88),),
    ),
    Member(
        26, "pomeroy", ("Alistair",), "Pomeroy", "male", date(1988, 9, 30),
        "A single claim: one outpatient scan.", ("marketplace",), WHITE, "620 Garnet Street", "Columbus", "43212",
        claims=(Claim("outpatient", "imaging", 64),),
    ),
    Member(
        27, "bielecki", ("Kamila",), "Bielecki", "female", date(1995, 6, 17),
        "A single claim: one video visit.", ("medicaid",), WHITE, "2200 Summit Street", "Columbus", "43211",
        claims=(Claim("professional", "telehealth", 33),),
    ),
    Member(
        28, "van-der-meer", ("Joris",), "van der Meer", "male", date(1983, 1, 25),
        "A single claim: one filling. The family name begins with small letters.", ("marketplace",), WHITE, "71 Canal Row",
        "Dublin", "43017", claims=(Claim("oral", "filling", 47),),
    ),
    Member(
        29, "gutierrez-lim", ("Paloma",), "Gutierrez-Lim", "female", date(1971, 10, 8),
        "A single claim: one prescription filled.", ("medicaid",), ASIAN, "38 Orchard Court", "Columbus", "43231", hispanic=True,
        claims=(Claim("pharmacy", "metformin", 21),), conditions=(Diagnosed("diabetes", 900),),
    ),
    Member(
        30, "marchetti", ("Giuliana",), "Marchetti", "female", date(1946, 2, 14),
        "Medicare Advantage and Medicaid at once: Medicare pays first, Medicaid pays what that left.", ("medicaid",), WHITE,
        "5 Fountain Square", "Columbus", "43206", spells=(Spell("advantage-001", 1000), Spell("medicaid", 700)),
        claims=(
            Claim("professional", "cardiology", 150),
            Claim("professional", "cardiology", 150, primary=1),
            Claim("inpatient", "lungs", 95),
            Claim("inpatient", "lungs", 95, primary=3),
            Claim("pharmacy", "brand", 40),
        ),
    ),
    Member(
        31, "beaumont-cruz", ("Raoul",), "Beaumont-Cruz", "male", date(1957, 12, 1),
        "Still works: the employer's plan, of another insurer, pays first.", ("advantage-002",), WHITE, "19 Lantern Street",
        "Columbus", "43215", hispanic=True,
        claims=(
            Claim("professional", "cardiology", 130, other_payer="brightwater"),
            Claim("outpatient", "day-surgery", 75, other_payer="brightwater"),
        ),
    ),
    Member(
        32, "vandermolen", ("Hendrika",), "Vandermolen", "female", date(1954, 8, 23),
        "One visit, six versions of its claim: only the last one counts.", ("advantage-001",), WHITE, "88 Windmill Road",
        "Westerville", "43082",
        claims=(
            Claim("professional", "cardiology", 200, "denied", replaced_by=2),
            Claim("professional", "cardiology", 200, "partiallypaid", replaces=1, replaced_by=3),
            Claim("professional", "cardiology", 200, "denied", replaces=2, replaced_by=4, refusal="18"),
            Claim("professional", "cardiology", 200, "partiallypaid", replaces=3, replaced_by=5),
            Claim("professional", "cardiology", 200, "paid", replaces=4, replaced_by=6),
            Claim("professional", "cardiology", 200, "paid", replaces=5),
        ),
    ),
    Member(
        33, "stavros", ("Kyriaki",), "Stavros", "female", date(1960, 5, 19),
        "The practice has a monthly fee: the plan pays nothing for the visits, and nothing is owed but copays.", ("advantage-001",),
        WHITE, "402 Olive Terrace", "Gahanna", "43230",
        claims=(
            Claim("professional", "office", 160, capitated=True),
            Claim("professional", "follow-up", 110, capitated=True),
            Claim("professional", "annual", 61, capitated=True),
        ),
    ),
    Member(
        34, "bannister", ("Clive",), "Bannister", "male", date(1978, 3, 4),
        "Denied claims: no prior authorization, billed too late, billed twice.", ("marketplace",), WHITE, "1530 Harding Way",
        "Grove City", "43123",
        claims=(
            Claim("outpatient", "day-surgery", 140, "denied", refusal="197"),
            Claim("professional", "office", 300, "denied", refusal="29"),
            Claim("professional", "follow-up", 52),
            Claim("professional", "follow-up", 52, "denied", refusal="18"),
        ),
    ),
    Member(
        35, "delaney", ("Maeve",), "Delaney", "female", date(1992, 11, 11),
        "A prescription that nobody collected: the claim was taken back, and a later fill stands.", ("medicaid",), WHITE,
        "63 Shannon Place", "Columbus", "43204",
        claims=(Claim("pharmacy", "sertraline", 70, reversed=True), Claim("pharmacy", "sertraline", 55)),
    ),
    Member(
        36, "rourke-hayes", ("Tiernan",), "Rourke-Hayes", "male", date(1966, 7, 7),
        "An ambulance ride to the emergency room.", ("marketplace",), WHITE, "2750 Clover Ridge", "Hilliard", "43026",
        claims=(Claim("professional", "ambulance", 83), Claim("outpatient", "emergency", 83)),
    ),
    Member(
        37, "ashdown", ("Felicity",), "Ashdown", "female", date(2001, 8, 15),
        "An eye test and a pair of glasses: vision claims.", ("marketplace",), WHITE, "9 Primrose Hill", "Columbus", "43214",
        claims=(Claim("professional", "eye-test", 58), Claim("professional", "vision", 50)),
    ),
    Member(
        38, "temple", ("Ephraim",), "Temple", "male", date(1989, 2, 2),
        "A medicine the pharmacy mixes: a compound of two ingredients.", ("medicaid",), BLACK, "77 Myrtle Avenue", "Columbus",
        "43211", claims=(Claim("pharmacy", "compound", 28), Claim("professional", "office", 31, conditions=("eczema",))),
        conditions=(Diagnosed("eczema", 1200),),
    ),
    Member(
        39, "ferrante", ("Livia",), "Ferrante", "female", date(1975, 4, 27),
        "Care outside the network: nothing was agreed, and the plan pays the member.", ("marketplace",), WHITE, "310 Amber Court",
        "Columbus", "43235",
        claims=(
            Claim("professional", "bones", 118, in_network=False),
            Claim("oral", "root-canal", 92, in_network=False),
            Claim("outpatient", "imaging", 66, in_network=False),
        ),
    ),
    Member(
        40, "yoon", ("Sung-min",), "Yoon", "male", date(1969, 1, 31),
        "A high deductible met in one stay; after the yearly limit the plan pays everything.", ("marketplace-bronze",), ASIAN,
        "450 Juniper Way", "Dublin", "43016",
        claims=(
            Claim("professional", "office", 280),
            Claim("inpatient", "heart", 210),
            Claim("professional", "cardiology", 180),
            Claim("outpatient", "imaging", 120),
            Claim("pharmacy", "brand", 45),
        ),
        conditions=(Diagnosed("heart-artery", 210), Diagnosed("hypertension", 1500)),
    ),
    Member(
        41, "mercer-quinn", ("Avery",), "Mercer-Quinn", "female", date(1993, 9, 9),
        "Records of sensitive matters, labelled so: talking therapy, alcohol, a medicine, an authorization.", ("medicaid",), WHITE,
        "1208 Linden Street", "Columbus", "43201",
        claims=(
            Claim("professional", "counseling", 96),
            Claim("professional", "counseling", 82),
            Claim("professional", "substance-use", 60),
            Claim("pharmacy", "sertraline", 80, conditions=("depression",), security="BH"),
            Claim("professional", "telehealth", 30),
        ),
        authorizations=(Authorization("approved", "counselling", 104, used=2),),
        conditions=(Diagnosed("depression", 400),),
    ),
)  # fmt: skip

FIVE_THOUSAND = Member(
    60, "overbrook", ("Bartholomew",), "Overbrook", "male", date(1947, 6, 1),
    "Five thousand claims in six years, and no clinical records: pages and pages.", ("advantage-002",), WHITE,
    "1 Overbrook Terrace", "Columbus", "43221", spells=(Spell("advantage-002", 2400),), charted=False,
    claims=tuple(
        (
            Claim("pharmacy", ("generic", "brand", "metformin", "omeprazole")[number % 4], 3 + number * 2190 // 5000)
            if number % 4
            else Claim("professional", ("therapy", "follow-up", "laboratory")[number % 3], 3 + number * 2190 // 5000)
        )
        for number in range(5000)
    ),
)  # fmt: skip
"""Heavy: tests and the validator leave it out unless they ask for it."""

"""The personas that many others are measured by: every claim type, pages of them, a household, a death, letters beyond ASCII.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-Patient.html"""

from datetime import date

from seed_data.members import Authorization, Claim, ClaimKind, Member, Payment

WHITE = ("2106-3", "White")
BLACK = ("2054-5", "Black or African American")
ASIAN = ("2028-9", "Asian")


def _chain(kind: ClaimKind, scenario: str, days_ago: int, first: int) -> tuple[Claim, Claim]:
    """A claim first decided wrongly, and the one that replaced it; `first` is the number of the earlier."""
    mistaken: Payment = "paid" if kind == "pharmacy" else "partiallypaid"
    return (
        Claim(kind, scenario, days_ago, mistaken, replaced_by=first + 1),
        Claim(kind, scenario, days_ago, replaces=first),
    )


BEATRIZ = Member(
    8, "castellanos", ("Beatriz",), "Castellanos", "female", date(1986, 4, 28),
    "A member herself, and the parent who acts for two children.", ("marketplace",), WHITE, "402 Alder Street",
    "Columbus", "43202", hispanic=True, language="es",
    claims=(Claim("professional", "office", 140), Claim("pharmacy", "generic", 85)),
)  # fmt: skip

FIRST = (
    Member(
        1, "vantongeren", ("Marisol", "Jane"), "Vantongeren", "female", date(1955, 3, 9),
        "Every claim type and two prior authorizations, one approved and one denied.",
        ("advantage-001",), WHITE, "118 Wisteria Court", "Columbus", "43214", hispanic=True, language="es",
        claims=(
            Claim("professional", "office", 320),
            Claim("inpatient", "heart", 240),
            Claim("outpatient", "imaging", 210),
            Claim("oral", "crown", 180),
            Claim("pharmacy", "generic", 150),
            *_chain("professional", "cardiology", 120, 6),
            Claim("professional", "ambulance", 239),
            Claim("professional", "vision", 90, "denied"),
            Claim("pharmacy", "refused", 60, "denied"),
            Claim("outpatient", "clinic", 40, "partiallypaid", in_network=False),
        ),
        authorizations=(Authorization("approved", "therapy", 100), Authorization("denied", "imaging", 45)),
    ),
    Member(
        2, "holloway", ("Desmond",), "Holloway", "male", date(1948, 11, 30),
        "Hospital stays only.", ("advantage-002",), BLACK, "9 Tamarack Lane", "Columbus", "43219",
        claims=(
            Claim("inpatient", "heart", 300),
            *_chain("inpatient", "knee", 190, 2),
            Claim("inpatient", "lungs", 70, "denied"),
        ),
    ),
    Member(
        3, "szabo", ("Ilona",), "Szabo", "female", date(1979, 7, 21),
        "Outpatient hospital visits only.", ("marketplace",), WHITE, "34 Quarry Street", "Dublin", "43017",
        claims=(
            Claim("outpatient", "imaging", 280),
            *_chain("outpatient", "clinic", 160, 2),
            Claim("outpatient", "emergency", 80),
            Claim("outpatient", "imaging", 30, "denied"),
        ),
    ),
    Member(
        4, "oyelaran", ("Temitope",), "Oyelaran", "male", date(1990, 1, 17),
        "Doctor visits, an ambulance ride and glasses: professional claims only.", ("medicaid",), BLACK,
        "501 Prospect Row", "Columbus", "43205",
        claims=(
            Claim("professional", "office", 260),
            *_chain("professional", "cardiology", 170, 2),
            Claim("professional", "ambulance", 110),
            Claim("professional", "vision", 75),
            Claim("professional", "office", 35, "denied"),
        ),
    ),
    Member(
        5, "tran-whitley", ("Minh", "Anh"), "Tran-Whitley", "female", date(1984, 5, 5),
        "Dental claims only.", ("marketplace",), ASIAN, "77 Larkspur Drive", "Westerville", "43081",
        claims=(
            Claim("oral", "cleaning", 330),
            Claim("oral", "crown", 200),
            *_chain("oral", "braces", 130, 3),
            Claim("oral", "cleaning", 50, "denied"),
        ),
    ),
    Member(
        6, "gallagher-ruiz", ("Fergus",), "Gallagher-Ruiz", "male", date(1952, 9, 2),
        "Pharmacy claims only; moved from one plan of the contract to the other at the new year.",
        ("advantage-001", "advantage-002"), WHITE, "260 Sycamore Bend", "Worthington", "43085",
        claims=(
            Claim("pharmacy", "generic", 380),
            Claim("pharmacy", "brand", 220),
            *_chain("pharmacy", "generic", 140, 3),
            Claim("pharmacy", "compound", 95),
            Claim("pharmacy", "standing-order", 42),
            Claim("pharmacy", "refused", 20, "denied"),
        ),
    ),
    Member(
        7, "abernathy", ("Loretta",), "Abernathy", "female", date(1968, 12, 12),
        "Prior authorizations only: approved, denied, pended and partly approved.", ("medicaid",), BLACK,
        "15 Foundry Place", "Columbus", "43203",
        authorizations=(
            Authorization("approved", "equipment", 150), Authorization("denied", "imaging", 90),
            Authorization("partial", "therapy", 60), Authorization("pended", "surgery", 5),
        ),
    ),
    BEATRIZ,
    Member(
        9, "castellanos-mateo", ("Mateo",), "Castellanos", "male", date(2012, 8, 14),
        "The elder child: broken arm, claims paid back to the parent.", ("chip",), WHITE, "402 Alder Street",
        "Columbus", "43202", hispanic=True, language="es", guardian=BEATRIZ,
        claims=(Claim("professional", "fracture", 190), Claim("oral", "cleaning", 100), Claim("pharmacy", "generic", 55)),
    ),
    Member(
        10, "castellanos-inez", ("Inez",), "Castellanos", "female", date(2018, 2, 3),
        "The younger child: check-ups.", ("chip",), WHITE, "402 Alder Street", "Columbus", "43202", hispanic=True,
        guardian=BEATRIZ, claims=(Claim("professional", "checkup", 175), Claim("oral", "cleaning", 101)),
    ),
    Member(
        11, "orsted", ("Zoë", "Åse"), "Ørsted-Núñez", "female", date(2000, 2, 29),
        "Letters beyond ASCII in name, street and member number; born on a leap day.", ("marketplace",), WHITE,
        "8 Rue de l'Écluse", "Columbus", "43215", member_id="MHP-Ñ-000011",
        claims=(Claim("professional", "office", 125), Claim("oral", "cleaning", 65, in_network=False)),
    ),
    Member(
        12, "quillfeather", ("Ambrose",), "Quillfeather", "male", date(1957, 6, 6),
        "Enrolled, and has never had a claim.", ("advantage-001",), WHITE, "3 Meadowlark Circle", "Dublin", "43016",
    ),
    Member(
        13, "mbeki-larsen", ("Thandiwe",), "Mbeki-Larsen", "female", date(1950, 10, 19),
        "Seventy-two claims: more than one page of them.", ("advantage-002",), BLACK, "940 Kestrel Way", "Columbus",
        "43230",
        claims=(
            *(Claim("pharmacy", ("generic", "brand")[month % 2], 20 + 15 * month) for month in range(36)),
            *(Claim("professional", ("office", "cardiology")[visit % 2], 26 + 20 * visit) for visit in range(24)),
            *(Claim("outpatient", "imaging", 33 + 40 * visit) for visit in range(12)),
        ),
    ),
    Member(
        14, "fairweather", ("Cornelius",), "Fairweather", "male", date(1939, 3, 27),
        "Died; the coverage ended that day and the last claims came after.", ("medicaid",), WHITE, "61 Elmhurst Road",
        "Columbus", "43207", died_days_ago=130,
        claims=(
            Claim("professional", "office", 220),
            Claim("inpatient", "lungs", 138),
            Claim("professional", "ambulance", 138),
        ),
    ),
)  # fmt: skip

"""Personas whose story is who they are: families, who acts for whom, names, and enrolment that begins, moves and ends.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-Coverage.html. Birth dates are meant for the usual as-of date."""

from datetime import date

from seed_data.members import Claim, Diagnosed, Member, Representative, Spell
from seed_data.personas.first import ASIAN, BLACK, WHITE

SILVA_ROWE = Member(
    48, "silva-rowe", ("Catarina",), "Silva-Rowe", "female", date(1998, 3, 19),
    "Gave birth three weeks ago; acts for the child.", ("medicaid",), WHITE, "530 Cradle Street", "Columbus", "43205",
    hispanic=True, claims=(Claim("inpatient", "birth", 22), Claim("professional", "follow-up", 6)),
)  # fmt: skip

OKONJO_HALE = Member(
    901, "okonjo-hale", ("Gideon",), "Okonjo-Hale", "male", date(1984, 4, 4), "Guardian of three children, and no member.", (),
    BLACK, "1701 Sparrow Lane", "Columbus", "43227",
)  # fmt: skip
PETROV = Member(
    902, "petrov", ("Yelena",), "Petrov", "female", date(1980, 5, 9), "Acts for a son who is about to come of age; no member.", (),
    WHITE, "94 Chestnut Row", "Columbus", "43230",
)  # fmt: skip
WHITLOCK_DARA = Member(
    903, "whitlock-dara", ("Dara",), "Whitlock", "female", date(1967, 1, 12), "Acts for her mother by consent; no member.", (),
    BLACK, "412 Riverside Drive", "Columbus", "43221",
)  # fmt: skip

LIFE_STORIES = (
    SILVA_ROWE,
    Member(
        49, "silva-rowe-luz", ("Luz",), "Silva-Rowe", "female", date(2026, 10, 10),
        "A newborn, three weeks old: one stay, enrolled from birth.", ("chip",), WHITE, "530 Cradle Street", "Columbus", "43205",
        hispanic=True, guardian=SILVA_ROWE, spells=(Spell("chip", 22),), claims=(Claim("inpatient", "newborn", 22),),
    ),
    Member(
        50, "okonjo-amara", ("Amara",), "Okonjo-Hale", "female", date(2011, 9, 1),
        "The eldest of three children whose guardian is no member.", ("chip",), BLACK, "1701 Sparrow Lane", "Columbus", "43227",
        guardian=OKONJO_HALE, claims=(Claim("professional", "checkup", 150), Claim("oral", "braces", 70)),
    ),
    Member(
        51, "okonjo-kofi", ("Kofi",), "Okonjo-Hale", "male", date(2015, 5, 28),
        "The second of three: asthma.", ("chip",), BLACK, "1701 Sparrow Lane", "Columbus", "43227", guardian=OKONJO_HALE,
        claims=(Claim("professional", "checkup", 149), Claim("pharmacy", "albuterol", 44)), conditions=(Diagnosed("asthma", 800),),
    ),
    Member(
        52, "okonjo-esi", ("Esi",), "Okonjo-Hale", "female", date(2020, 12, 24),
        "The youngest of three: a cut hand.", ("chip",), BLACK, "1701 Sparrow Lane", "Columbus", "43227", guardian=OKONJO_HALE,
        claims=(Claim("outpatient", "emergency", 37),),
    ),
    Member(
        53, "petrov-niko", ("Niko",), "Petrov", "male", date(2008, 12, 13),
        "Turns 18 six weeks after as-of: on that day the parent's authority ends. A visit of a sensitive matter.", ("medicaid",),
        WHITE, "94 Chestnut Row", "Columbus", "43230", guardian=PETROV,
        claims=(Claim("professional", "checkup", 171), Claim("professional", "counseling", 43)),
    ),
    Member(
        54, "whitlock", ("Eudora",), "Whitlock", "female", date(1942, 7, 29),
        "Her daughter acts for her, by consent.", ("advantage-001",), BLACK, "27 Willow Walk", "Columbus", "43219",
        claims=(
            Claim("professional", "office", 99, conditions=("diabetes", "hypertension")),
            Claim("pharmacy", "insulin", 25),
            Claim("pharmacy", "lisinopril", 25),
        ),
        conditions=(Diagnosed("diabetes", 3000), Diagnosed("hypertension", 4000)),
        representatives=(Representative(WHITLOCK_DARA, "daughter", "DAU", "consent", date(2036, 12, 31)),),
    ),
    Member(
        55, "hallorann", ("Dexter",), "Hallorann", "male", date(1987, 10, 31),
        "Disenrolled the day before as-of: apps are refused.", ("marketplace",), BLACK, "237 Overlook Road", "Columbus", "43214",
        spells=(Spell("marketplace", 700, 1),),
        claims=(Claim("professional", "follow-up", 88), Claim("pharmacy", "lisinopril", 87)),
    ),
    Member(
        56, "ibanez-moor", ("Soledad",), "Ibáñez-Moor", "female", date(1961, 7, 2),
        "Turned 65 and moved from the marketplace to Medicare Advantage on July 1: two contracts in one year.", ("advantage-001",),
        WHITE, "86 Turnpike Road", "Worthington", "43085", hispanic=True,
        spells=(Spell("marketplace", 1000, 124), Spell("advantage-001", 123)),
        claims=(
            Claim("professional", "office", 230),
            Claim("outpatient", "imaging", 190),
            Claim("professional", "office", 100),
            Claim("outpatient", "imaging", 50),
        ),
    ),
    Member(
        57, "falk", ("Ansel",), "Falk", "male", date(1982, 1, 23),
        "Enrolled after the fact: the payer was told 140 days late.", ("medicaid",), WHITE, "301 Backdate Street", "Columbus",
        "43223", spells=(Spell("medicaid", 200, learned=60),), claims=(Claim("professional", "follow-up", 180),),
    ),
    Member(
        58, "novak", ("Tereza",), "Novak", "female", date(1990, 12, 8),
        "A gap: not enrolled for 149 days between two spells in the same plan.", ("medicaid",), WHITE, "14 Gap Road", "Columbus",
        "43222", spells=(Spell("medicaid", 800, 400), Spell("medicaid", 250)),
        claims=(Claim("professional", "follow-up", 500), Claim("professional", "follow-up", 120)),
    ),
    Member(
        59, "li", ("晓明",), "李", "male", date(1974, 2, 16),
        "A name in Chinese characters.", ("marketplace",), ASIAN, "1 Peony Lane", "Columbus", "43210", language="zh",
        claims=(Claim("professional", "annual", 77),),
    ),
    Member(
        61, "santos-first", ("Maria",), "Santos", "female", date(1979, 3, 3),
        "Shares name and birth date with another member: two people, never to be mixed.", ("marketplace",), WHITE, "9 Elm Street",
        "Columbus", "43202", hispanic=True, claims=(Claim("professional", "office", 71), Claim("pharmacy", "lisinopril", 70)),
    ),
    Member(
        62, "santos-second", ("Maria",), "Santos", "female", date(1979, 3, 3),
        "Shares name and birth date with another member: two people, never to be mixed.", ("medicaid",), WHITE, "210 Oak Street",
        "Gahanna", "43230", hispanic=True, claims=(Claim("professional", "telehealth", 40),),
    ),
)  # fmt: skip

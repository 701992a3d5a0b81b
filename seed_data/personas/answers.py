"""The answer key: what a correct app shows of each persona, written by hand from its story and never computed from its records.

https://hl7.org/fhir/us/davinci-pdex/STU2/StructureDefinition-pdex-priorauthorization.html. It holds for the usual seed and as-of date."""

from dataclasses import dataclass
from typing import Literal

Decision = Literal["approved", "partially-approved", "denied", "pended", "cancelled", "none"]
Section = Literal["Start here", "Prior authorizations", "Claims", "Families", "Enrolment", "People"]
Units = tuple[int, int, int]  # asked for, approved, used

UNITS = {
    "H1234-001": "H1234",
    "H1234-002": "H1234",
    "OH-MMC-07": "OH-MMC",
    "OH-CHIP-03": "OH-CHIP",
    "48213OH0010004": "48213",
    "48213OH0010009": "48213",
}
"""The group that a plan belongs to: the contract, the program or the issuer that it is reported under."""

SIMPLER = ("0K", "The plan's policy asks for a simpler test first, and no result of one was sent")
EIGHT = ("0K", "The plan's policy allows eight visits before it is seen how much they help")
NOT_SHOWN = ("0K", "What was sent did not show that this service is needed")
NOTES = ("0U", "More information asked for: the notes of the last visit")
NO_REASON = ("", "")
OVER = "The member's coverage has ended"


@dataclass(frozen=True, slots=True)
class Decided:
    """A prior authorization as an app shows it: its number, the answer and why, the units of each line, the last day of an approval."""

    number: str
    what: str
    decision: Decision
    units: tuple[Units, ...]
    reason: tuple[str, str] = NO_REASON  # code of https://codesystem.x12.org/external/886, and words
    expires: str = ""
    expired: bool = False
    priority: Literal["standard", "expedited"] = "standard"


@dataclass(frozen=True, slots=True)
class Answer:
    """`current`: the plans in force on as-of. `seen_by`: username, relationship, last day ('' open). `shows`: in words."""

    section: Section
    current: tuple[str, ...]
    shows: str
    authorizations: tuple[Decided, ...] = ()
    seen_by: tuple[tuple[str, str, str], ...] = ()  # (): the member alone
    refused: str = ""


CLASSIC, PLUS, MEDICAID, KIDS = ("H1234-001",), ("H1234-002",), ("OH-MMC-07",), ("OH-CHIP-03",)
SILVER, BRONZE = ("48213OH0010004",), ("48213OH0010009",)

ANSWERS: dict[str, Answer] = {
    "vantongeren": Answer(
        "Start here", CLASSIC, "Eleven claims of every type, one of them corrected; the correction counts, the mistake does not.",
        (
            Decided("AUTH0001001", "Physical therapy visits", "approved", ((12, 12, 0),), expires="2027-01-24"),
            Decided("AUTH0001002", "Heart scan", "denied", ((1, 0, 0),), SIMPLER),
        ),
    ),
    "castellanos": Answer(
        "Families", SILVER, "A choice of three members at launch: herself and two children. Each choice shows that one alone.",
    ),
    "castellanos-mateo": Answer(
        "Families", KIDS, "Claims paid back to the parent: paid to patient, not to provider.",
        seen_by=(("castellanos-mateo", "self", ""), ("castellanos", "parent", "2030-08-13")),
    ),
    "castellanos-inez": Answer(
        "Families", KIDS, "Check-ups without cost.",
        seen_by=(("castellanos-inez", "self", ""), ("castellanos", "parent", "2036-02-02")),
    ),
    "gallagher-ruiz": Answer(
        "Claims", PLUS, "Medicines only; one compound, one flu vaccine, one refusal at the counter. Two spells of one contract.",
    ),
    "abernathy": Answer(
        "Prior authorizations", MEDICAID, "Four prior authorizations, four answers, and no claim.",
        (
            Decided("AUTH0007001", "Breathing machine for the night", "approved", ((1, 1, 0),), expires="2026-09-06", expired=True),
            Decided("AUTH0007002", "Heart scan", "denied", ((1, 0, 0),), SIMPLER),
            Decided("AUTH0007003", "Physical therapy visits", "partially-approved", ((12, 8, 0),), EIGHT, "2027-03-05"),
            Decided("AUTH0007004", "New knee joint", "pended", ((1, 0, 0), (8, 0, 0)), NOTES, priority="expedited"),
        ),
    ),
    "holloway": Answer("Claims", PLUS, "Hospital stays only: paid, corrected, denied."),
    "szabo": Answer("Claims", SILVER, "Outpatient visits only; the emergency room is decided as a whole, the others line by line."),
    "oyelaran": Answer("Claims", MEDICAID, "Doctor visits, an ambulance ride and glasses, all professional claims."),
    "tran-whitley": Answer("Claims", SILVER, "Dental claims only, braces among them."),
    "orsted": Answer("People", SILVER, "Zoë Ørsted-Núñez, born on February 29, 2000; member number with an Ñ."),
    "quillfeather": Answer("People", CLASSIC, "A friendly empty page: enrolled, and nothing has happened yet."),
    "mbeki-larsen": Answer("Claims", PLUS, "Seventy-two claims: all pages of them, none twice."),
    "fairweather": Answer(
        "Enrolment", (), "Nothing: the member has died, and the coverage ended that day.", refused=OVER,
    ),
    "ravensworth": Answer(
        "Prior authorizations", CLASSIC, "Denied, why, and how to appeal.",
        (Decided("AUTH0015001", "Heart scan", "denied", ((1, 0, 0),), SIMPLER),),
    ),
    "mwale": Answer(
        "Prior authorizations", SILVER, "Six of twelve visits used, six left; each used one has its claim.",
        (Decided("AUTH0016001", "Physical therapy visits", "approved", ((12, 12, 6),), expires="2027-01-24"),),
    ),
    "kowalczyk": Answer(
        "Prior authorizations", MEDICAID, "Expired: approved, not used, and over.",
        (Decided("AUTH0017001", "Breathing machine for the night", "approved", ((1, 1, 0),), expires="2026-09-06", expired=True),),
    ),
    "huang": Answer(
        "Prior authorizations", SILVER, "Asked for, and not answered yet: no decision to show.",
        (Decided("AUTH0018001", "Scan of the lower back", "none", ((1, 0, 0),)),),
    ),
    "osei-bonsu": Answer(
        "Prior authorizations", MEDICAID, "Pended, and what the plan is waiting for.",
        (Decided("AUTH0019001", "Physical therapy visits", "pended", ((12, 0, 0),), NOTES),),
    ),
    "delgado-price": Answer(
        "Prior authorizations", PLUS, "Pended, and that the plan has taken up to 14 more days.",
        (Decided("AUTH0020001", "Scan of the lower back", "pended", ((1, 0, 0),), NOTES),),
    ),
    "lindholm": Answer(
        "Prior authorizations", SILVER, "Eight of twelve visits approved, and why not all.",
        (Decided("AUTH0021001", "Physical therapy visits", "partially-approved", ((12, 8, 0),), EIGHT, "2027-03-05"),),
    ),
    "fitzwilliam": Answer(
        "Prior authorizations", CLASSIC, "Approved after an appeal: the denial is history.",
        (Decided("AUTH0042001", "Physical therapy visits", "approved", ((12, 12, 0),), expires="2027-03-06"),),
    ),
    "sorensen-diaz": Answer(
        "Prior authorizations", MEDICAID, "Denied again after an appeal, with another reason; a review outside the plan is left.",
        (Decided("AUTH0043001", "Scan of the lower back", "denied", ((1, 0, 0),), NOT_SHOWN),),
    ),
    "nakagawa": Answer(
        "Prior authorizations", CLASSIC, "Approved after an extension; five of twenty visits used, the last day is near.",
        (Decided("AUTH0044001", "Nurse at home", "approved", ((20, 20, 5),), expires="2026-11-30", priority="expedited"),),
    ),
    "tremblay": Answer(
        "Prior authorizations", SILVER, "Cancelled: nothing can be used.",
        (Decided("AUTH0045001", "Scan of the lower back", "cancelled", ((1, 0, 0),)),),
    ),
    "abara": Answer(
        "Prior authorizations", MEDICAID, "Two authorizations: one used up and over, one in force with nine visits left.",
        (
            Decided("AUTH0046001", "Physical therapy visits", "approved", ((12, 12, 12),), expires="2026-09-26", expired=True),
            Decided("AUTH0046002", "Physical therapy visits", "approved", ((12, 12, 3),), expires="2027-03-05"),
        ),
    ),
    "winterbourne": Answer(
        "Prior authorizations", PLUS, "Two lines, both approved at once; expedited.",
        (Decided("AUTH0047001", "New knee joint", "approved", ((1, 1, 0), (8, 8, 0)), expires="2026-12-29", priority="expedited"),),
    ),
    "oakhurst": Answer("Claims", CLASSIC, "One hospital stay."),
    "pomeroy": Answer("Claims", SILVER, "One outpatient scan."),
    "bielecki": Answer("Claims", MEDICAID, "One video visit."),
    "van-der-meer": Answer("Claims", SILVER, "One filling; sorted by a family name that begins with small letters."),
    "gutierrez-lim": Answer("Claims", MEDICAID, "One prescription filled."),
    "marchetti": Answer(
        "Enrolment", (*CLASSIC, *MEDICAID), "Two cards. Each visit has two claims: what Medicare left, Medicaid paid. Bills are not added twice.",
    ),
    "beaumont-cruz": Answer(
        "Enrolment", (*PLUS, "EMPLOYER-1"), "An employer's plan, of another insurer, paid first: its share stands on each claim.",
    ),
    "vandermolen": Answer("Claims", CLASSIC, "One visit: six versions of its claim, of which the last one counts."),
    "stavros": Answer("Claims", CLASSIC, "Visits that the plan paid nothing for, and that are no denials: a monthly fee covers them."),
    "bannister": Answer("Claims", SILVER, "Three denied claims with three reasons, and one that was paid."),
    "delaney": Answer("Claims", MEDICAID, "One fill that counts; the other one was taken back."),
    "rourke-hayes": Answer("Claims", SILVER, "A ride from home to hospital and the emergency room of that day."),
    "ashdown": Answer("Claims", SILVER, "An eye test and glasses: claims of type vision."),
    "temple": Answer("Claims", MEDICAID, "A mixed medicine with its two ingredients."),
    "ferrante": Answer("Claims", SILVER, "Out of network: no discount, and the plan's share goes to the member."),
    "yoon": Answer("Claims", BRONZE, "Deductible and yearly limit reached in one stay; nothing owed afterwards."),
    "mercer-quinn": Answer(
        "Claims", MEDICAID, "Records labelled sensitive (meta.security): an app asks before it shows or shares them.",
        (Decided("AUTH0041001", "Talking therapy", "approved", ((16, 16, 2),), expires="2027-01-20"),),
    ),
    "overbrook": Answer("Claims", PLUS, "Five thousand claims: the app stays quick, and shows them all."),
    "silva-rowe": Answer("Families", MEDICAID, "A stay to give birth; a choice of two members at launch."),
    "silva-rowe-luz": Answer(
        "Families", KIDS, "Three weeks old: age in days, one stay.", seen_by=(("silva-rowe", "parent", "2044-10-09"),),
    ),
    "okonjo-amara": Answer(
        "Families", KIDS, "Braces of a child; the account that sees them has no records of its own.",
        seen_by=(("okonjo-hale", "parent", "2029-08-31"),),
    ),
    "okonjo-kofi": Answer(
        "Families", KIDS, "Asthma, and an inhaler for it.", seen_by=(("okonjo-hale", "parent", "2033-05-27"),),
    ),
    "okonjo-esi": Answer(
        "Families", KIDS, "A visit to the emergency room.", seen_by=(("okonjo-hale", "parent", "2038-12-23"),),
    ),
    "petrov-niko": Answer(
        "Families", MEDICAID, "Sees the records himself; the parent does until the day before he turns 18.",
        seen_by=(("petrov-niko", "self", ""), ("petrov", "parent", "2026-12-12")),
    ),
    "whitlock": Answer(
        "Families", CLASSIC, "Seen by herself and by the daughter she allowed to.",
        seen_by=(("whitlock", "self", ""), ("whitlock-dara", "daughter", "2036-12-31")),
    ),
    "hallorann": Answer("Enrolment", (), "Nothing: apps are refused since the coverage ended.", refused=OVER),
    "ibanez-moor": Answer("Enrolment", CLASSIC, "Two plans in a year, each with a deductible of its own; one is over."),
    "falk": Answer("Enrolment", MEDICAID, "A claim of a day on which nobody knew yet that the member was enrolled."),
    "novak": Answer("Enrolment", MEDICAID, "Two spells with 149 days between them: not one."),
    "li": Answer("People", SILVER, "李 晓明: the family name as it is written."),
    "santos-first": Answer("People", SILVER, "Maria Santos of Columbus, two claims, and never the other one's."),
    "santos-second": Answer("People", MEDICAID, "Maria Santos of Gahanna, one claim, and never the other one's."),
}  # fmt: skip

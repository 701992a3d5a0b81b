"""Personas whose story is a prior authorization: one for each thing that can become of a request.

https://hl7.org/fhir/us/davinci-pdex/STU2/StructureDefinition-pdex-priorauthorization.html"""

from datetime import date

from seed_data.members import Authorization, Claim, Member
from seed_data.personas.first import ASIAN, BLACK, WHITE

AUTHORIZATION_STORIES = (
    Member(
        15, "ravensworth", ("Imogen",), "Ravensworth", "female", date(1953, 5, 22),
        "Denied, with the reason: a simpler test comes first.", ("advantage-001",), WHITE, "230 Raven Street", "Columbus", "43215",
        authorizations=(Authorization("denied", "imaging", 45),),
    ),
    Member(
        16, "mwale", ("Chisomo",), "Mwale", "male", date(1981, 12, 3),
        "Half used: six of twelve therapy visits, each with its claim.", ("marketplace",), BLACK, "57 Baobab Court", "Columbus",
        "43229",
        claims=tuple(Claim("professional", "therapy", day, authorization=1) for day in (90, 83, 76, 62, 48, 34)),
        authorizations=(Authorization("approved", "therapy", 100),),
    ),
    Member(
        17, "kowalczyk", ("Bronisław",), "Kowalczyk", "male", date(1959, 2, 18),
        "Expired: approved, and not used in time.", ("medicaid",), WHITE, "904 Steelworks Road", "Columbus", "43207",
        authorizations=(Authorization("approved", "equipment", 150),),
    ),
    Member(
        18, "huang", ("Mei-Lin",), "Huang", "female", date(1985, 7, 14),
        "Requested yesterday week, and no answer yet.", ("marketplace",), ASIAN, "16 Jasmine Court", "Dublin", "43017",
        authorizations=(Authorization("requested", "back-scan", 8),),
    ),
    Member(
        19, "osei-bonsu", ("Kwabena",), "Osei-Bonsu", "male", date(1962, 3, 30),
        "Pended: more information was asked for.", ("medicaid",), BLACK, "711 Cocoa Lane", "Columbus", "43224",
        authorizations=(Authorization("pended", "therapy", 9),),
    ),
    Member(
        20, "delgado-price", ("Ximena",), "Delgado-Price", "female", date(1949, 9, 12),
        "Pended, and the time to decide was extended.", ("advantage-002",), WHITE, "2 Marigold Street", "Columbus", "43206",
        hispanic=True, language="es", authorizations=(Authorization("in-extension", "back-scan", 12),),
    ),
    Member(
        21, "lindholm", ("Sven",), "Lindholm", "male", date(1977, 8, 6),
        "Approved in part: eight of twelve visits.", ("marketplace",), WHITE, "45 Birch Avenue", "Westerville", "43081",
        authorizations=(Authorization("partial", "therapy", 60),),
    ),
    Member(
        42, "fitzwilliam", ("Rosamund",), "Fitzwilliam", "female", date(1950, 1, 5),
        "Denied, appealed and overturned: approved in the end.", ("advantage-001",), WHITE, "12 Manor Park", "Dublin", "43016",
        authorizations=(Authorization("overturned", "therapy", 80),),
    ),
    Member(
        43, "sorensen-diaz", ("Freja",), "Sorensen-Diaz", "female", date(1968, 6, 26),
        "Denied, appealed, and denied again.", ("medicaid",), WHITE, "660 Harbor View", "Columbus", "43203", hispanic=True,
        authorizations=(Authorization("upheld", "back-scan", 75),),
    ),
    Member(
        44, "nakagawa", ("Haruto",), "Nakagawa", "male", date(1945, 11, 28),
        "Expedited, its time extended, then approved: a nurse at home.", ("advantage-001",), ASIAN, "31 Maple Leaf Drive",
        "Columbus", "43220", authorizations=(Authorization("extended", "home-nursing", 40, used=5),),
    ),
    Member(
        45, "tremblay", ("Élodie",), "Tremblay", "female", date(1991, 4, 16),
        "Approved, then cancelled by the doctor who had asked.", ("marketplace",), WHITE, "88 Rue Principale", "Columbus", "43215",
        authorizations=(Authorization("cancelled", "back-scan", 50),),
    ),
    Member(
        46, "abara", ("Nkiru",), "Abara", "female", date(1973, 10, 2),
        "Renewed: all visits of the first authorization used, and a second one follows it.", ("medicaid",), BLACK, "19 Palm Court",
        "Columbus", "43232",
        authorizations=(
            Authorization("approved", "therapy", 220, used=12),
            Authorization("approved", "therapy", 60, used=3, renews=1),
        ),
    ),
    Member(
        47, "winterbourne", ("Lucian",), "Winterbourne", "male", date(1943, 2, 9),
        "Expedited: answered within a day and a half, the operation and the therapy after it.",
        ("advantage-002",), WHITE, "7 Icehouse Lane", "Delaware", "43015",
        authorizations=(Authorization("approved", "surgery", 33),),
    ),
)  # fmt: skip

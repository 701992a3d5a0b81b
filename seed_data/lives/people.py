"""Who a drawn member is: name, sex, birth date, address, race and language, all made up.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-patient.html"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Literal, TypeVar

Segment = Literal["medicare", "medicaid", "chip", "marketplace"]

GIVEN = {
    "female": (
        "Adelina", "Amara", "Beatrix", "Bronwen", "Camila", "Celeste", "Dalia", "Dorothea", "Elif", "Esperanza", "Fatuma", "Freya",
        "Giselle", "Greta", "Hana", "Henrietta", "Imani", "Ingrid", "Jacinta", "Joy", "Kamala", "Kerstin", "Leilani", "Lucía", "Mabel",
        "Minh", "Nadia", "Noémie", "Odessa", "Ottoline", "Paloma", "Priscilla", "Quyên", "Renata", "Rosa", "Saoirse", "Sunniva", "Tamar",
        "Thea", "Ursula", "Valentina", "Verity", "Winifred", "Xiomara", "Yara", "Zainab",
    ),
    "male": (
        "Abel", "Amadou", "Anselm", "Bashir", "Benedikt", "Casper", "Cedric", "Darius", "Dimitri", "Elijah", "Emeka", "Ezra", "Felipe",
        "Florian", "Gideon", "Hamza", "Hector", "Ignacio", "Ilya", "Jamal", "Jun", "Kofi", "Kristof", "Lars", "Leopold", "Magnus",
        "Mateus", "Nathaniel", "Néstor", "Obadiah", "Osman", "Percival", "Phúc", "Quentin", "Raúl", "Rufus", "Samir", "Søren", "Tariq",
        "Theodore", "Ulrich", "Vikram", "Wendell", "Xavier", "Yusuf", "Zoltan",
    ),
}  # fmt: skip
FAMILY = (
    "Abbott-Reyes", "Achterhof", "Adeyinka", "Ahlström", "Balogun", "Barrowclough", "Bautista", "Birkeland", "Calloway", "Cárdenas",
    "Chowdhury", "Corrigan", "Delgado", "Demetriou", "Dunwoody", "Eastwick", "Ekström", "Espinoza", "Fairbairn", "Faulkner", "Ferrante",
    "Gbadamosi", "Greenhalgh", "Guzmán", "Haddad", "Hawthorne", "Hirano", "Ibrahim", "Iglesias", "Ironside", "Jankowski", "Jovanović",
    "Kaczmarek", "Kirkbride", "Kwarteng", "Lachance", "Lindholm", "Lockridge", "Mahoney", "Marchetti", "Mukherjee", "Nakagawa",
    "Nieuwenhuis", "Northcott", "Obi", "Okonjo", "Olofsson", "Pemberton", "Petrov", "Pham", "Quintero", "Radcliffe", "Rasmussen",
    "Saldívar", "Sandhu", "Szymański", "Tamayo", "Thistlewood", "Tremblay", "Umarov", "Underhill", "Vandermeer", "Villanueva", "Wakefield",
    "Whitlock", "Wójcik", "Yarborough", "Yilmaz", "Zamora", "Zielke",
)  # fmt: skip
STREETS = (
    "Alder", "Birchwood", "Canal", "Dogwood", "Elderberry", "Foundry", "Garnet", "Hawthorn", "Iris", "Juniper", "Kiln", "Larkspur", "Mill",
    "Nettle", "Orchard", "Primrose", "Quarry", "Rosehip", "Sycamore", "Thistle", "Union", "Vine", "Willow", "Yarrow",
)  # fmt: skip
WAYS = ("Street", "Avenue", "Lane", "Road", "Court", "Drive", "Way")
CITIES = (
    ("Columbus", "43201"), ("Columbus", "43206"), ("Columbus", "43214"), ("Columbus", "43229"), ("Dublin", "43017"), ("Westerville", "43081"),
    ("Worthington", "43085"), ("Delaware", "43015"), ("Gahanna", "43230"), ("Grove City", "43123"), ("Hilliard", "43026"),
    ("Cleveland", "44106"), ("Cleveland", "44113"), ("Dayton", "45402"), ("Dayton", "45419"), ("Toledo", "43604"),
)  # fmt: skip
RACES = (  # OMB category code and its name, and how many in a hundred
    (("2106-3", "White"), 62),
    (("2054-5", "Black or African American"), 22),
    (("2028-9", "Asian"), 11),
    (("1002-5", "American Indian or Alaska Native"), 3),
    (("2076-8", "Native Hawaiian or Other Pacific Islander"), 2),
)
AGES: dict[Segment, tuple[int, int]] = {
    "medicare": (65, 94),
    "medicaid": (19, 64),
    "chip": (0, 18),
    "marketplace": (19, 64),
}


@dataclass(frozen=True, slots=True)
class Person:
    given: tuple[str, ...]
    family: str
    gender: Literal["female", "male"]
    birth_date: date
    race: tuple[str, str]
    hispanic: bool
    language: str
    line: str
    city: str
    postal_code: str

    def age(self, as_of: date) -> int:
        """In whole years."""
        had_birthday = (as_of.month, as_of.day) >= (self.birth_date.month, self.birth_date.day)
        return as_of.year - self.birth_date.year - (not had_birthday)


Row = TypeVar("Row")


def choose(draw: Random, rows: Sequence[Row]) -> Row:
    return rows[draw.randrange(len(rows))]


def person(draw: Random, segment: Segment, as_of: date) -> Person:
    """A new person of the age that the segment's plans are for."""
    gender: Literal["female", "male"] = "female" if draw.randrange(100) < 53 else "male"
    youngest, oldest = AGES[segment]
    days = 30 + youngest * 366 + draw.randrange((oldest - youngest) * 365)
    hispanic = draw.randrange(100) < 12
    language = (
        "es"
        if hispanic and draw.randrange(3)
        else ("so", "vi", "ar", "zh")[draw.randrange(4)]
        if draw.randrange(25) == 0
        else "en"
    )
    city, postal_code = choose(draw, CITIES)
    given: tuple[str, ...] = (choose(draw, GIVEN[gender]),)
    if draw.randrange(3) == 0:
        given = (*given, choose(draw, GIVEN[gender]))
    return Person(
        given,
        choose(draw, FAMILY),
        gender,
        as_of - timedelta(days=days),
        _race(draw),
        hispanic,
        language,
        f"{1 + draw.randrange(989)} {choose(draw, STREETS)} {choose(draw, WAYS)}",
        city,
        postal_code,
    )


def _race(draw: Random) -> tuple[str, str]:
    number = draw.randrange(100)
    for race, percent in RACES:
        number -= percent
        if number < 0:
            return race
    return RACES[0][0]

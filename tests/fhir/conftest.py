"""The world that tests of the FHIR API ask about: Anna's few records in detail, Carla's many, Ben who is somebody else.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from server.ingest.load import retract
from tests.factories import (
    CLAIM_TYPE,
    IDENTIFIERS,
    Record,
    concept,
    coverage,
    explanation_of_benefit,
    identifier,
    organization,
    patient,
    practitioner,
    provenance,
    record,
    reference,
    store,
)
from tests.lasting import FHIR_BASE, World, lasting_world

ANNA, BEN, CARLA = patient("anna"), patient("ben"), patient("carla")
MOTHER = record("RelatedPerson", "mother", patient=reference(ANNA), name=[{"text": "Käthe O'Brien"}])
PAYER, HOSPITAL, CLINIC = organization("payer"), organization("hospital"), organization("clinic")
DOCTOR = practitioner("doctor")
ROLE = record(
    "PractitionerRole",
    "role",
    practitioner=reference(DOCTOR),
    organization=reference(CLINIC),
    specialty=[concept("http://nucc.org/provider-taxonomy", "207Q00000X")],
)
PLACE = record(
    "Location",
    "place",
    name="Outpatient wing",
    alias=["The Annex"],
    address={"line": ["1 Elm Street"], "city": "Springfield", "state": "IL", "postalCode": "62701"},
)
COVERAGE = coverage("gold", ANNA)
MOTHERS_COVERAGE = coverage("silver", ANNA, MOTHER)

JANUARY = explanation_of_benefit(
    "january",
    ANNA,
    meta={"lastUpdated": "2026-01-20T10:00:00.000+00:00", "versionId": "1"},
    identifier=[identifier("claim-1")],
    billablePeriod={"start": "2026-01-05", "end": "2026-01-05"},
    insurance=[{"focal": True, "coverage": reference(COVERAGE)}],
    item=[
        {
            "sequence": 1,
            "productOrService": concept("https://payer.example/codes", "one"),
            "servicedDate": "2026-01-05",
            "net": {"value": Decimal("0.00"), "currency": "USD"},
        }
    ],
    total=[{"category": concept("https://payer.example/codes", "net"), "amount": {"value": Decimal("120.50")}}],
)
FEBRUARY = explanation_of_benefit(
    "february",
    ANNA,
    meta={"lastUpdated": "2026-02-25T23:30:00-05:00"},
    identifier=[identifier("claim-2"), {"value": "bare"}],
    type=concept(CLAIM_TYPE, "oral"),
    billablePeriod={"start": "2026-02-10", "end": "2026-02-20"},
    insurance=[{"focal": True, "coverage": reference(COVERAGE)}],
    provider=reference(CLINIC),
)
MARCH = explanation_of_benefit(
    "march",
    ANNA,
    meta={"lastUpdated": "2026-03-20T08:30:00.123Z"},
    identifier=[identifier("claim,3")],
    type=concept(CLAIM_TYPE, "pharmacy"),
    billablePeriod={"start": "2026-03-15"},
    item=[
        {
            "sequence": 1,
            "productOrService": concept("https://payer.example/codes", "two"),
            "servicedDate": "2026-03-15",
        }
    ],
)
APRIL = explanation_of_benefit(
    "april",
    ANNA,
    meta={"lastUpdated": "2026-04-02T00:00:00Z"},
    identifier=[identifier("claim-1", "https://other.example")],
    use="preauthorization",
    billablePeriod={"start": "2026-04-01", "end": "2026-04-03"},
    provider=reference(f"{FHIR_BASE}/Practitioner/doctor"),
    careTeam=[{"sequence": 1, "provider": reference(ROLE)}, {"sequence": 2, "provider": reference(DOCTOR)}],
    insurance=[
        {"focal": True, "coverage": reference(MOTHERS_COVERAGE)},
        {"focal": False, "coverage": reference(COVERAGE)},
    ],
    payee={"party": reference(MOTHER)},
)
CLAIMS = [JANUARY, FEBRUARY, MARCH, APRIL]
PROVENANCES = [provenance("of-claims", JANUARY, FEBRUARY), provenance("of-anna", ANNA)]
RETRACTED = explanation_of_benefit("mistake", ANNA)
MANY = [explanation_of_benefit(f"claim-{number:02d}", CARLA) for number in range(1, 24)]
DIRECTORY = [PAYER, HOSPITAL, CLINIC, DOCTOR, ROLE, PLACE]
WORLD: list[Record] = [
    *DIRECTORY,
    *(ANNA, BEN, CARLA, MOTHER, COVERAGE, MOTHERS_COVERAGE),
    *CLAIMS,
    *PROVENANCES,
    RETRACTED,
    *MANY,
    explanation_of_benefit("bens", BEN),
]
JANUARY_CORRECTED = JANUARY | {"disposition": "corrected", "meta": {"lastUpdated": "2026-01-25T10:00:00.000+00:00"}}


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """That world; tests only read it. Identifiers of the world's records are below ``IDENTIFIERS``."""
    assert IDENTIFIERS
    with lasting_world(request.param, request, WORLD) as world:
        store(world.database, world.settings, [JANUARY_CORRECTED])
        assert retract(world.database, world.settings, ["ExplanationOfBenefit/mistake"]).exit_code == 0
        yield world

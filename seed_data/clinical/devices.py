"""Device: what was implanted in a member or given to them, with what its label says.

https://hl7.org/fhir/us/core/STU6.1/StructureDefinition-us-core-implantable-device.html"""

from base64 import b64encode
from dataclasses import dataclass, replace
from datetime import timedelta

from seed_data.clinical.chart import PDEX, SNOMED, Chart, profiles
from seed_data.datatypes import Record, concept


@dataclass(frozen=True, slots=True)
class Implant:
    """A device: SNOMED CT type, what its label says, and whether it is inside the member."""

    name: str
    scenario: str  # of the visit at which it was given, or ""
    type: tuple[str, str]
    item: str  # thirteen digits of the device identifier
    lot: str
    serial: str
    implanted: bool = True
    status: str = "active"
    days_ago: int = 0


IMPLANTS: dict[str, tuple[Implant, ...]] = {
    "vantongeren": (Implant("stent", "heart", ("65818007", "Heart stent"), "0081999900101", "L2207", "ST-48213"),),
    "holloway": (
        Implant("knee", "knee", ("109228008", "Artificial knee joint"), "0081999900102", "K1190", "KN-77002"),
        Implant("pacemaker", "", ("14106009", "Pacemaker"), "0081999900103", "P0044", "PM-10955", status="inactive", days_ago=2400),
    ),
    "abernathy": (
        Implant("breathing", "", ("702172008", "Breathing machine for the night"), "0081999900104", "C5521", "CP-30018",
                implanted=False, days_ago=140),
    ),
}  # fmt: skip


def check_digit(stem: str) -> str:
    """The device identifier that a stem of thirteen digits begins: itself and its GS1 check digit."""
    total = sum(int(digit) * (3 if position % 2 == 0 else 1) for position, digit in enumerate(stem))
    return f"{stem}{-total % 10}"


GIVEN = {  # what a drawn member is given at a visit of a scenario
    "heart": Implant("stent", "heart", ("65818007", "Heart stent"), "0081999900101", "L2207", "ST"),
    "knee": Implant("knee", "knee", ("109228008", "Artificial knee joint"), "0081999900102", "K1190", "KN"),
    "equipment": Implant(
        "breathing", "equipment", ("702172008", "Breathing machine for the night"), "0081999900104", "C5521", "CP",
        implanted=False,
    ),
}  # fmt: skip


def implants(chart: Chart) -> tuple[Implant, ...]:
    """The member's devices; a drawn member's are those of the visits, with serial numbers of their own."""
    if chart.member.key in IMPLANTS or not chart.is_drawn:
        return IMPLANTS.get(chart.member.key, ())
    scenarios = dict.fromkeys(visit.scenario for visit in chart.visits if visit.scenario in GIVEN)
    return tuple(replace(GIVEN[name], serial=f"{GIVEN[name].serial}-{chart.member.serial}") for name in scenarios)


def devices(chart: Chart) -> list[Record]:
    return [_device(chart, row) for row in implants(chart)]


def _device(chart: Chart, row: Implant) -> Record:
    given = next((visit.start for visit in chart.visits if visit.scenario == row.scenario), chart.day(row.days_ago))
    made, expires = given - timedelta(days=200), given + timedelta(days=900)
    identity = check_digit(row.item)
    label = f"(01){identity}(11){made:%y%m%d}(17){expires:%y%m%d}(10){row.lot}(21){row.serial}"
    names = profiles("us-core-implantable-device") if row.implanted else []
    return chart.record(
        "Device",
        row.name,
        given,
        [*names, f"{PDEX}/StructureDefinition/pdex-device|2.0.0"],
        udiCarrier=[
            {
                "deviceIdentifier": identity,
                "issuer": "http://hl7.org/fhir/NamingSystem/gs1",
                "jurisdiction": "http://hl7.org/fhir/NamingSystem/fda-udi",
                "carrierAIDC": b64encode(label.encode()).decode(),
                "carrierHRF": label,
                "entryType": "barcode",
            }
        ],
        status=row.status,
        distinctIdentifier=f"{row.serial}-D",
        manufacturer="Tessel Devices",
        manufactureDate=made.isoformat(),
        expirationDate=expires.isoformat(),
        lotNumber=row.lot,
        serialNumber=row.serial,
        type=concept(SNOMED, *row.type),
        patient=chart.patient,
        url="https://devices.example/instructions",
    )

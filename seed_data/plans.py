"""The plans members are enrolled in, and what each makes a member pay: copays, deductible, coinsurance, the most in a year.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-Coverage.html"""

from dataclasses import dataclass

from seed_data.members import Plan


@dataclass(frozen=True, slots=True)
class Benefits:
    """Cost sharing, in cents and percent. `copays`: benefit (a scenario's `benefit`) to the fixed sum that takes the place of
    deductible and coinsurance. `out_of_pocket` bounds deductible, coinsurance and copays of a calendar year together."""

    deductible: int
    out_of_pocket: int
    coinsurance: int
    copays: dict[str, int]
    out_of_network_coinsurance: int = 45


@dataclass(frozen=True, slots=True)
class PlanRow:
    payor: str
    type: str  # code of the Source of Payment Typology
    type_text: str
    group: str
    group_name: str
    plan: str
    plan_name: str
    benefits: Benefits


PLANS: dict[Plan, PlanRow] = {
    "advantage-001": PlanRow(
        "meridale", "111", "Medicare health plan", "H1234", "Meridale Advantage", "H1234-001", "Meridale Advantage Classic",
        Benefits(250_00, 4900_00, 20, {
            "visit": 10_00, "specialist": 40_00, "emergency": 120_00, "urgent": 45_00, "generic": 5_00, "brand": 47_00,
            "therapy": 30_00, "preventive": 0,
        }),
    ),
    "advantage-002": PlanRow(
        "meridale", "111", "Medicare health plan", "H1234", "Meridale Advantage", "H1234-002", "Meridale Advantage Plus",
        Benefits(0, 3400_00, 15, {
            "visit": 0, "specialist": 25_00, "emergency": 90_00, "urgent": 30_00, "generic": 0, "brand": 40_00, "therapy": 20_00,
            "preventive": 0,
        }),
    ),
    "medicaid": PlanRow(
        "meridale-community", "211", "Medicaid health plan", "OH-MMC", "Meridale Community Medicaid", "OH-MMC-07",
        "Meridale Community Complete",
        Benefits(0, 200_00, 0, {"visit": 0, "specialist": 2_00, "emergency": 3_00, "generic": 1_00, "brand": 3_00, "preventive": 0}),
    ),
    "chip": PlanRow(
        "meridale-community", "23", "Children's health plan", "OH-CHIP", "Meridale Community Children", "OH-CHIP-03",
        "Meridale Community Kids",
        Benefits(0, 500_00, 5, {"visit": 5_00, "specialist": 10_00, "emergency": 25_00, "generic": 3_00, "brand": 10_00, "preventive": 0}),
    ),
    "marketplace": PlanRow(
        "meridale", "512", "Marketplace health plan", "48213", "Meridale Marketplace", "48213OH0010004", "Meridale Silver 4500",
        Benefits(4500_00, 9100_00, 30, {"visit": 35_00, "specialist": 70_00, "urgent": 60_00, "generic": 15_00, "preventive": 0}),
    ),
    "marketplace-bronze": PlanRow(
        "meridale", "512", "Marketplace health plan", "48213", "Meridale Marketplace", "48213OH0010009", "Meridale Bronze 7500",
        Benefits(7500_00, 9450_00, 40, {"visit": 45_00, "generic": 25_00, "preventive": 0}, 60),
    ),
}  # fmt: skip

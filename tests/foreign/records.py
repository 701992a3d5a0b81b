"""The foreign payer's handful of invented members: each has a coverage and some claims.

https://hl7.org/fhir/R4/explanationofbenefit.html - plain FHIR, no profile.
"""

from typing import Any

MEMBERS = {"ana": "f-ana", "bela": "f-bela", "chidi": "f-chidi"}
"""Sign-in name to Patient id."""
CLAIMS_EACH = 7
SYSTEM = "https://payer.invalid/claims"
CLAIM_TYPES = "http://terminology.hl7.org/CodeSystem/claim-type"


def records() -> list[dict[str, Any]]:
    """Everything the foreign payer has."""
    found: list[dict[str, Any]] = []
    for name, id in MEMBERS.items():
        member = {"reference": f"Patient/{id}"}
        insurer = {"display": "A foreign payer"}
        coverage = {"reference": f"Coverage/{id}-coverage"}
        found.append({"resourceType": "Patient", "id": id, "name": [{"given": [name.title()], "family": "Foreign"}]})
        found.append(
            {
                "resourceType": "Coverage",
                "id": f"{id}-coverage",
                "status": "active",
                "beneficiary": member,
                "payor": [insurer],
            }
        )
        found += [
            {
                "resourceType": "ExplanationOfBenefit",
                "id": f"{id}-claim-{number}",
                "identifier": [{"system": SYSTEM, "value": f"{id}-{number}"}],
                "status": "active",
                "type": {"coding": [{"system": CLAIM_TYPES, "code": ("professional", "pharmacy")[number % 2]}]},
                "use": "claim",
                "patient": member,
                "created": f"2026-0{number + 1}-01",
                "insurer": insurer,
                "provider": {"display": "Somebody"},
                "outcome": "complete",
                "insurance": [{"focal": True, "coverage": coverage}],
            }
            for number in range(CLAIMS_EACH)
        ]
    return found

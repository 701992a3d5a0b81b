"""Members with claims of a given size, as NDJSON: enough of one kind to measure with, where the seed data tells stories.

https://hl7.org/fhir/R4/explanationofbenefit.html - made from numbers alone, so that the same numbers give the same bytes. Amounts,
codes and identifiers differ from line to line so that a page shrinks under gzip as a payer's does, to about a tenth.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

FIRST_DAY = date(2026, 1, 5)
LAST_UPDATED = "2026-06-01T12:00:00.000Z"
NAMES = ("Adeyemi", "Bianchi", "Cortez", "Dubois", "Eriksen", "Farouk", "Greene", "Hosseini", "Ivanova", "Jansen")
CLAIM_TYPE = "http://terminology.hl7.org/CodeSystem/claim-type"
CARE_TEAM_ROLE = "http://terminology.hl7.org/CodeSystem/claimcareteamrole"
ADJUDICATION = "http://terminology.hl7.org/CodeSystem/adjudication"
DIAGNOSIS = "http://hl7.org/fhir/sid/icd-10-cm"
ORGANIZATION, PRACTITIONER = "hot-path-plan", "hot-path-practitioner"

Record = dict[str, Any]


def patient_id(member: int) -> str:
    """The Patient id of a member, 0, 1, 2, …"""
    return f"hot-path-{member:04d}"


def claim_id(member: int, claim: int) -> str:
    """The id of a member's claim, 0, 1, 2, …"""
    return f"{patient_id(member)}-{claim:03d}"


def write_ndjson(folder: Path, members: int, claims: int | Sequence[int], size: int) -> list[Path]:
    """Write members with that many ExplanationOfBenefits (each, or by member) of ``size`` bytes: one file per type, directory first."""
    everyone = range(members)
    counts = [claims] * members if isinstance(claims, int) else claims
    files = {
        "Organization": [_organization()],
        "Practitioner": [_practitioner()],
        "Patient": [_patient(member) for member in everyone],
        "Coverage": [_coverage(member) for member in everyone],
        "ExplanationOfBenefit": (
            explanation_of_benefit(m, claim, size) for m in everyone for claim in range(counts[m])
        ),
    }
    paths = []
    for number, (name, records) in enumerate(files.items()):
        path = folder / f"{number}-{name}.ndjson"
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(compact(record) + "\n" for record in records)
        paths.append(path)
    return paths


def compact(record: Record) -> str:
    """JSON without spaces."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def explanation_of_benefit(member: int, claim: int, size: int) -> Record:
    """A professional claim of ``size`` bytes as compact JSON: as many lines as fit, the rest in a note to the member.

    Raises ValueError when not even one line fits.
    """
    record = _claim(member, claim)
    lines = _lines(claim, Random(claim_id(member, claim)))
    record["item"] = [next(lines)]
    space = size - len(compact(record).encode()) - len(compact({"processNote": [{"text": ""}]})) + 1
    if space < 1:
        raise ValueError(f"a claim does not fit in {size} bytes")
    for line in lines:
        needed = len(compact(line)) + 1
        if needed >= space:
            break
        record["item"].append(line)
        space -= needed
    record["processNote"] = [{"text": _words(space)}]
    return record


def _words(length: int) -> str:
    sentence = "This claim was made up to measure a server and tells nothing about anybody. "
    text = (sentence * (length // len(sentence) + 1))[:length]
    return text[:-1] + "." if text.endswith(" ") else text


def _claim(member: int, claim: int) -> Record:
    day = (FIRST_DAY + timedelta(days=3 * claim)).isoformat()
    return {
        "resourceType": "ExplanationOfBenefit",
        "id": claim_id(member, claim),
        "meta": {"versionId": "1", "lastUpdated": LAST_UPDATED},
        "identifier": [{"system": "https://plan.example/claims", "value": f"{member:04d}{claim:03d}"}],
        "status": "active",
        "type": {"coding": [{"system": CLAIM_TYPE, "code": "professional"}]},
        "use": "claim",
        "patient": {"reference": f"Patient/{patient_id(member)}"},
        "billablePeriod": {"start": day, "end": day},
        "created": f"{day}T09:30:00Z",
        "insurer": {"reference": f"Organization/{ORGANIZATION}"},
        "provider": {"reference": f"Practitioner/{PRACTITIONER}"},
        "outcome": "complete",
        "careTeam": [
            {
                "sequence": 1,
                "provider": {"reference": f"Practitioner/{PRACTITIONER}"},
                "role": {"coding": [{"system": CARE_TEAM_ROLE, "code": "primary"}]},
            }
        ],
        "diagnosis": [
            {
                "sequence": 1,
                "diagnosisCodeableConcept": {"coding": [{"system": DIAGNOSIS, "code": f"J{claim % 40:02d}.9"}]},
            }
        ],
        "insurance": [{"focal": True, "coverage": {"reference": f"Coverage/{patient_id(member)}-coverage"}}],
        "total": [{"category": _adjudication("submitted"), "amount": _money(40.5 + claim)}],
    }


def _lines(claim: int, random: Random) -> Iterator[Record]:
    sequence = 0
    while True:
        sequence += 1
        billed, eligible, copay = (random.randrange(limit) / 100 for limit in (90_000, 40_000, 4_000))
        yield {
            "id": f"{random.getrandbits(128):032x}",
            "sequence": sequence,
            "diagnosisSequence": [1],
            "productOrService": {"text": f"Service {random.getrandbits(128):032x}"},
            "servicedDate": (FIRST_DAY + timedelta(days=3 * claim + random.randrange(3))).isoformat(),
            "quantity": {"value": random.randrange(1, 30)},
            "net": _money(billed),
            "adjudication": [
                {"category": _adjudication(category), "amount": _money(amount)}
                for category, amount in (
                    ("submitted", billed),
                    ("eligible", eligible),
                    ("copay", copay),
                    ("benefit", random.randrange(30_000) / 100),
                    ("deductible", random.randrange(9_000) / 100),
                )
            ],
        }


def _adjudication(code: str) -> Record:
    return {"coding": [{"system": ADJUDICATION, "code": code}]}


def _money(amount: float) -> Record:
    return {"value": amount, "currency": "USD"}


def _organization() -> Record:
    return {"resourceType": "Organization", "id": ORGANIZATION, "active": True, "name": "Hot Path Health Plan"}


def _practitioner() -> Record:
    name = [{"family": "Okonkwo", "given": ["Ada"]}]
    return {"resourceType": "Practitioner", "id": PRACTITIONER, "active": True, "name": name}


def _patient(member: int) -> Record:
    return {
        "resourceType": "Patient",
        "id": patient_id(member),
        "identifier": [{"system": "https://plan.example/members", "value": f"{member:06d}"}],
        "name": [{"family": NAMES[member % len(NAMES)], "given": ["Sam"]}],
        "gender": "unknown",
        "birthDate": (date(1950, 1, 1) + timedelta(days=37 * member)).isoformat(),
    }


def _coverage(member: int) -> Record:
    return {
        "resourceType": "Coverage",
        "id": f"{patient_id(member)}-coverage",
        "status": "active",
        "beneficiary": {"reference": f"Patient/{patient_id(member)}"},
        "subscriberId": f"{member:06d}",
        "period": {"start": "2026-01-01"},
        "payor": [{"reference": f"Organization/{ORGANIZATION}"}],
    }

"""A member's clinical records for the isolation tests: every clinical row, every search parameter and reference of it.

https://hl7.org/fhir/us/core/STU6.1/ - some refer to another member's records, which are held and never resolved.
"""

from base64 import b64encode
from typing import Any

from tests.conformance.household import Household
from tests.factories import Record, concept, record, reference

SHARED_MEDICATION = record(
    "Medication", "shared", code=concept("http://www.nlm.nih.gov/research/umls/rxnorm", "314076")
)
"""A Medication that every member's prescription names: each of them sees it, and nobody sees who else does."""
ASSERTED = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"


def clinical_records(own: Household, other: Household, wording: str) -> list[Record]:
    """A member's clinical records; ``wording`` makes a later version of each."""
    day, moment = f"{own.month}-11", f"{own.month}-11T10:30:00+01:00"
    period = {"start": f"{own.month}-10T08:00:00Z", "end": f"{own.month}-12T17:00:00Z"}
    subject, encounter = {"subject": own.reference}, reference(f"Encounter/{own.named('visit')}")
    others_encounter = reference(f"Encounter/{other.named('visit')}")

    def code(word: str) -> Record:
        return concept(own.system, f"{own.mark}-{word}")

    def mine(type: str, id: str, /, **elements: Any) -> Record:
        return record(type, own.named(id), **own.identified(id) | own.text(f"{wording} {id}") | elements)

    def document(id: str, *, binary: str) -> Record:
        return mine(
            "DocumentReference",
            id,
            **subject,
            status="current",
            type=code("note"),
            category=[code("notes")],
            date=moment,
            content=[{"attachment": {"url": f"Binary/{own.named(binary)}"}}],
            context={"period": period},
        )

    def prescription(id: str, medication: str, **elements: Any) -> Record:
        request = {"status": "active", "intent": "order", "authoredOn": day, "encounter": encounter}
        named = {"medicationReference": reference(f"Medication/{medication}")}
        return mine("MedicationRequest", id, **subject | request | named | elements)

    participants = ["Practitioner/doctor", "PractitionerRole/role", "Organization/hospital"]
    participants += [f"Patient/{own.member}", f"RelatedPerson/{own.named('kin')}"]
    participants += [
        f"Patient/{other.member}",
        f"RelatedPerson/{other.named('kin')}",
        f"CareTeam/{other.named('team')}",
    ]
    content = b64encode(f"{own.mark} {wording}".encode()).decode()
    return [
        mine("AllergyIntolerance", "allergy", patient=own.reference, clinicalStatus=code("active")),
        mine("CarePlan", "plan", **subject, status="active", intent="plan", category=[code("plan")], period=period),
        mine(
            "CareTeam",
            "team",
            **subject,
            status="active",
            participant=[{"role": [code("role")], "member": reference(name)} for name in participants],
        ),
        _condition(own, wording, "problem", encounter),
        _condition(own, wording, "of-others-encounter", others_encounter),
        mine("Device", "device", patient=own.reference, status="active", type=code("device")),
        mine(
            "DiagnosticReport",
            "report",
            **subject,
            status="final",
            category=[code("laboratory")],
            code=code("panel"),
            effectiveDateTime=moment,
            presentedForm=[{"url": f"Binary/{own.named('form')}"}],
        ),
        document("note", binary="note"),
        mine(
            "Encounter",
            "visit",
            **subject,
            status="finished",
            **{"class": code("class")["coding"][0]},
            type=[code("visit")],
            period=period,
            hospitalization={"dischargeDisposition": code("home")},
            location=[{"location": reference("Location/place")}],
        ),
        mine(
            "Goal",
            "goal",
            **subject,
            lifecycleStatus="active",
            description=code("goal"),
            target=[{"measure": code("measure"), "dueDate": day}],
        ),
        mine(
            "Immunization",
            "shot",
            patient=own.reference,
            status="completed",
            vaccineCode=code("vaccine"),
            occurrenceDateTime=day,
        ),
        prescription("own", own.named("medicine")),
        prescription("shared", SHARED_MEDICATION["id"], encounter=others_encounter),
        prescription("wrong", own.named("mistaken")),
        mine(
            "MedicationDispense",
            "dispense",
            **subject,
            status="completed",
            type=code("fill"),
            medicationReference=reference(f"Medication/{own.named('dispensed')}"),
        ),
        *(
            mine(
                "Observation",
                id,
                **subject,
                status="final",
                category=[code("laboratory")],
                code=code(id),
                effectiveDateTime=moment,
            )
            for id in ("result", "mistaken")
        ),
        mine("Procedure", "procedure", **subject, status="completed", code=code("procedure"), performedPeriod=period),
        mine(
            "QuestionnaireResponse",
            "answers",
            **subject,
            identifier=own.identified("answers")["identifier"][0],
            questionnaire=f"{own.system}/Questionnaire/phq",
            status="completed",
            authored=moment,
        ),
        mine(
            "ServiceRequest",
            "order",
            **subject,
            status="active",
            intent="order",
            category=[code("category")],
            code=code("service"),
            authoredOn=day,
        ),
        mine("Specimen", "blood", **subject, type=code("blood")),
        *(mine("Medication", id, code=code(id)) for id in ("medicine", "dispensed", "mistaken")),
        *(record("Binary", own.named(id), contentType="text/plain", data=content) for id in ("note", "form")),
    ]


def _condition(own: Household, wording: str, id: str, encounter: Record) -> Record:
    return record(
        "Condition",
        own.named(id),
        **own.identified(id),
        **own.text(f"{wording} {id}"),
        extension=[{"url": ASSERTED, "valueDateTime": f"{own.month}-09"}],
        subject=own.reference,
        encounter=encounter,
        clinicalStatus=concept(own.system, f"{own.mark}-active"),
        category=[concept(own.system, f"{own.mark}-problem-list-item")],
        code=concept(own.system, f"{own.mark}-{id}"),
        onsetPeriod={"start": f"{own.month}-01"},
        abatementDateTime=f"{own.month}-20",
        recordedDate=f"{own.month}-09",
    )

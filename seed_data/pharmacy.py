"""Pharmacy claims: one filled prescription each, a compound with its ingredients, or a refusal at the counter.

https://hl7.org/fhir/us/carin-bb/StructureDefinition-C4BB-ExplanationOfBenefit-Pharmacy.html"""

from random import Random

from seed_data.adjudication import DISCRIMINATOR, Amounts, amount_elements, network_statuses
from seed_data.claim import Body, Setting, care_team_member, explanation_of_benefit, information
from seed_data.datatypes import CARE_TEAM_ROLE, CARIN, NDC, Record, concept, named_reference, quantity
from seed_data.directory import ORGANIZATION
from seed_data.scenarios.drugs import DRUGS, Drug

NCPDP = "http://terminology.hl7.org/CodeSystem/NCPDP"
COMPOUND = f"{CARIN}/CodeSystem/C4BBCompoundLiteral"


def _supporting_info(drug: Drug, refill: int | None) -> list[Record]:
    """The four rows every filled prescription has, then how it was prescribed and mixed."""
    return [
        information(2, "dayssupply", valueQuantity=quantity(drug.days)),
        information(
            3, "dawcode", code=concept(f"{NCPDP}DispensedAsWrittenOrProductSelectionCode", drug.dispensed_as_written)
        ),
        information(4, "refillnum", valueQuantity=quantity(drug.refill if refill is None else refill)),
        information(5, "refillsauthorized", valueQuantity=quantity(drug.refills_authorized)),
        information(
            6, "brandgenericindicator", code=concept(f"{NCPDP}BrandGenericIndicator", "2" if drug.generic else "1")
        ),
        information(7, "rxorigincode", code=concept(f"{NCPDP}PrescriptionOriginCode", drug.origin)),
        information(8, "compoundcode", code=concept(f"{NCPDP}CompoundCode", "2" if drug.ingredients else "1")),
    ]


def _item(drug: Drug, amounts: Amounts, setting: Setting) -> Record:
    item: Record = {
        "sequence": 1,
        "productOrService": concept(COMPOUND, "compound", drug.text)
        if drug.ingredients
        else concept(NDC, drug.ndc, drug.text),
        "servicedDate": setting.start.isoformat(),
        "quantity": quantity(drug.units),
        "noteNumber": [1],
        "adjudication": amount_elements(amounts, setting.paid_to, is_drug=True),
    }
    if setting.claim.payment == "denied":
        reason = concept(f"{NCPDP}RejectCode", "79", "Too early to refill")
        item["adjudication"].append({"category": concept(DISCRIMINATOR, "rejectreason"), "reason": reason})
    if drug.ingredients:
        item["detail"] = [
            {"sequence": number, "productOrService": concept(NDC, ndc, text), "quantity": quantity(units)}
            for number, (ndc, text, units) in enumerate(drug.ingredients, 1)
        ]
    return item


def _prescriber(drug: Drug, setting: Setting) -> Record:
    if not drug.standing_order:
        return care_team_member(1, setting.event.practitioner, "prescribing")
    return {
        "sequence": 1,
        "provider": named_reference(ORGANIZATION[setting.event.provider]),
        "role": concept(CARE_TEAM_ROLE, "prescribing"),
    }


def pharmacy(setting: Setting, draw: Random) -> Record:
    """A pharmacy's claim.

    CARIN 2.1.0 wants the prescriber to be an organization (2.2.0 took that back), so a prescription by a person
    claims 2.0.0 alone; one under the pharmacy's standing order claims both."""
    drug = DRUGS[setting.claim.scenario]
    body = Body(
        profile="Pharmacy",
        type="pharmacy",
        end=setting.start,
        provider=ORGANIZATION[setting.event.provider],
        care_team=[_prescriber(drug, setting)],
        supporting_info=_supporting_info(drug, setting.claim.refill),
        diagnosis=[],
        item=[_item(drug, setting.amounts[0], setting)],
        adjudication=network_statuses(setting.claim.in_network, "billingnetworkstatus", "benefitpaymentstatus"),
        versions=("2.0.0", "2.1.0") if drug.standing_order else ("2.0.0",),
    )
    return explanation_of_benefit(setting, body, draw)

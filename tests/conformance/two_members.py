"""Two members with everything the registry knows, and the requests one makes to get at the other: generated from the rows.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from server.fhir.dates import interval
from server.fhir.fhir_path import compile_expression
from server.specification.definition import (
    DATE_COMPARATORS,
    ResourceDefinition,
    SearchParameter,
    SearchType,
)
from server.specification.registry import RESOURCES
from tests.conformance.clinical_records import SHARED_MEDICATION, clinical_records
from tests.conformance.household import Household
from tests.factories import (
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
)
from tests.lasting import FHIR_BASE

BASE = FHIR_BASE
_SHARED: list[Record] = [
    organization("payer", address=[{"city": "Springfield"}]),
    organization("hospital", alias=["The Spital"]),
    practitioner("doctor", address=[{"city": "Springfield", "state": "IL"}]),
    record(
        "PractitionerRole",
        "role",
        identifier=[identifier("role")],
        practitioner=reference("Practitioner/doctor"),
        organization=reference("Organization/hospital"),
        specialty=[concept("http://nucc.org/provider-taxonomy", "207Q00000X")],
        endpoint=[reference("Endpoint/exchange")],
    ),
    record(
        "Endpoint",
        "exchange",
        identifier=[identifier("exchange")],
        name="Exchange of the hospital",
        status="active",
        connectionType={
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "hl7-fhir-rest",
        },
        payloadType=[concept("http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "any")],
        address="https://hospital.example/fhir",
    ),
    record(
        "Location",
        "place",
        identifier=[identifier("place")],
        name="Outpatient wing",
        address={"line": ["1 Elm Street"], "city": "Springfield", "state": "IL", "postalCode": "62701"},
    ),
    provenance("of-the-directory", "Organization/payer", "Organization/hospital"),
    SHARED_MEDICATION,
]


DIRECTORY: list[Record] = [
    each | {"meta": each["meta"] | {"security": [{"system": f"{BASE}/labels", "code": "shared"}]}} for each in _SHARED
]


def versions(own: Household, other: Household) -> Iterator[list[Record]]:
    """A member's records in two loads, so that each claim has an earlier version; some refer to the other member's records."""
    yield _records(own, other, "first")
    yield [each for each in _records(own, other, "second") if each["resourceType"] != "Patient"]


def _records(own: Household, other: Household, wording: str) -> list[Record]:
    system, mine = own.system, own.identified
    display = f"{own.mark} {wording}"

    def claim(id: str, **elements: Any) -> Record:
        return explanation_of_benefit(
            own.named(id),
            patient(own.member),
            **mine(id)
            | own.text(f"{wording} {id}")
            | {
                "type": concept(system, f"{own.mark}-{id}"),
                "meta": {"lastUpdated": f"{own.month}-20T08:30:00.000+00:00"},
                "billablePeriod": {"start": f"{own.month}-10", "end": f"{own.month}-12"},
                "disposition": display,
                "item": [
                    {"sequence": 1, "productOrService": concept(system, own.mark), "servicedDate": f"{own.month}-11"}
                ],
                "provider": reference("Practitioner/doctor"),
                "careTeam": [{"sequence": 1, "provider": reference("PractitionerRole/role")}],
                "insurance": [{"focal": True, "coverage": reference(f"Coverage/{own.named('gold')}")}],
                "payee": {"party": reference(f"RelatedPerson/{own.named('kin')}")},
            }
            | elements,
        )

    member = patient(
        own.member,
        name=[{"family": f"{own.mark}son", "given": [f"{own.mark}ine"]}],
        gender=own.gender,
        birthDate=own.born,
        deceasedDateTime=f"{own.month}-28",
        **mine("member"),
    )
    kin = record(
        "RelatedPerson",
        own.named("kin"),
        patient=own.reference,
        name=[{"text": f"{own.mark} kin {wording}"}],
        **mine("kin"),
    )
    coverages = [
        coverage(own.named("gold"), member, subscriberId=f"{own.mark}{wording}"),
        coverage(own.named("paid-by-kin"), member, kin, subscriberId=own.mark),
        coverage(own.named("self-paid"), member, member, subscriberId=own.mark),
        # What one member's record may say of another: held, never resolved.
        coverage(own.named("paid-by-other"), member, f"Patient/{other.member}", subscriberId=own.mark),
        coverage(own.named("paid-by-others-kin"), member, f"RelatedPerson/{other.named('kin')}"),
        coverage(own.named("mistaken"), member, subscriberId=own.mark),
    ]
    claims = [
        claim("one"),
        claim(
            "two", use="preauthorization", payee={"party": own.reference}, provider=reference("Organization/hospital")
        ),
        claim(
            "of-others-coverage", insurance=[{"focal": True, "coverage": reference(f"Coverage/{other.named('gold')}")}]
        ),
        claim("paid-to-other", payee={"party": reference(f"Patient/{other.member}")}),
        claim("paid-to-others-kin", payee={"party": reference(f"RelatedPerson/{other.named('kin')}")}),
        claim("mistaken"),
    ]
    clinical = clinical_records(own, other, wording)
    origins = [
        provenance(own.named("of-everything"), member, kin, *coverages, *claims, *clinical, SHARED_MEDICATION),
        provenance(own.named("of-one"), claims[0], "Organization/payer"),
        provenance(own.named("mistaken"), claims[1]),
    ]
    return labelled([member, kin, *coverages, *claims, *clinical, *origins], system, own.mark)


def labelled(records: Iterable[Record], system: str, code: str) -> list[Record]:
    """The records with a security label each."""
    label = {"system": system, "code": f"{code}-label"}
    return [each | {"meta": each["meta"] | {"security": [label]}} for each in records]


RETRACTED = ("Coverage", "ExplanationOfBenefit", "Observation", "Medication", "Provenance")
"""The types of which each member has a ``mistaken`` record, retracted."""


# -- the requests ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Probe:
    """A request by which a member might learn of another, and the part of the registry that it tries."""

    part: tuple[str, ...]
    target: str
    form: tuple[tuple[str, str], ...] | None = None


def values(row: ResourceDefinition, parameter: SearchParameter, records: list[Record]) -> list[Any]:
    """What these records have for a search parameter, as FHIRPath finds it."""
    found = []
    for each in records:
        if each["resourceType"] == row.type:
            found += compile_expression(parameter.expression)(each)
    return found


def search_values(row: ResourceDefinition, parameter: SearchParameter, records: list[Record]) -> list[str]:
    """Every form in which the records' values can be searched, without doubles."""
    spelled = [form for value in values(row, parameter, records) for form in _forms(parameter, value)]
    return list(dict.fromkeys(spelled))


def _forms(parameter: SearchParameter, value: Any) -> Iterator[str]:
    match parameter.type:
        case SearchType.TOKEN:
            yield from _token_forms(value)
        case SearchType.REFERENCE:
            if isinstance(value, str):  # a canonical
                yield value
                return
            type, id = value["reference"].split("/")
            yield from (id, f"{type}/{id}", f"{BASE}/{type}/{id}")
        case SearchType.DATE:
            for text in _dates(value):
                interval(text)
                yield from (text, *(f"{prefix}{text}" for prefix in DATE_COMPARATORS), text[:4])
        case SearchType.STRING:
            for text in _texts(value):
                yield from (text, text[:3].lower())


def _token_forms(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for coding in value.get("coding", [value]):
            code, system = coding.get("code", coding.get("value")), coding["system"]
            yield from (code, f"{system}|{code}", f"{system}|", f"|{code}")
    else:
        yield from (value, f"|{value}")


def _dates(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [value[end] for end in ("start", "end") if end in value]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = [value.get(part, []) for part in ("text", "family", "given", "line", "city", "state", "postalCode")]
    return [text for part in parts for text in ([part] if isinstance(part, str) else part)]


def identities(records: list[Record]) -> list[str]:
    """``Type/id`` of the records, without doubles."""
    return list(dict.fromkeys(f"{each['resourceType']}/{each['id']}" for each in records))


def ids(row: ResourceDefinition, records: list[Record]) -> list[str]:
    """The ids of a row's records."""
    return [name.partition("/")[2] for name in identities(records) if name.startswith(f"{row.type}/")]


def _query(*pairs: tuple[str, str]) -> str:
    return "&".join(f"{quote(name, safe=':')}={quote(value, safe='/:,|')}" for name, value in pairs)


def probes(row: ResourceDefinition, own: list[Record], others: list[Record]) -> Iterator[Probe]:
    """Every request on a type by which somebody with their own records might learn of others' records."""
    for target in _reads(row, others):
        yield Probe((row.type, "read"), target)
    for parameter in row.search_parameters:
        part: tuple[str, ...] = (row.type, "search", parameter.code)
        for number, pairs in enumerate(_searches(row, parameter, own, others)):
            yield Probe(part, f"{row.type}?{_query(*pairs)}")
            if number == 0 or len(pairs) > 1 or "," in pairs[0][1]:  # these do not depend on the value
                yield Probe(part, f"{row.type}?{_query(*pairs, ('_count', '0'))}")
                yield Probe(part, f"{row.type}?{_query(*pairs, ('_count', '1'))}")
                yield Probe(part, f"{row.type}/_search", pairs)
    everybody = ",".join([*ids(row, own), *ids(row, others)])
    for part, added in _inclusions(row):
        yield Probe(part, f"{row.type}?{_query(('_id', everybody), *added)}")
        if len(added) > 1:
            yield Probe(part, f"{row.type}?{_query(*added, ('_count', '2'))}")
            yield Probe(part, f"{row.type}/_search", (("_id", everybody), *added))


def _reads(row: ResourceDefinition, others: list[Record]) -> Iterator[str]:
    for id in [*ids(row, others), "unknown"]:
        yield f"{row.type}/{id}"
        yield from (f"{row.type}/{id}/_history/{version}" for version in (1, 2, 3, 4))


def _searches(
    row: ResourceDefinition, parameter: SearchParameter, own: list[Record], others: list[Record]
) -> Iterator[tuple[tuple[str, str], ...]]:
    mine, theirs = search_values(row, parameter, own), search_values(row, parameter, others)
    if parameter.code == "_id":
        mine, theirs = ids(row, own), ids(row, others)
    for value in theirs:
        yield ((parameter.code, value),)
    if theirs:
        yield ((parameter.code, ",".join(theirs[:100])),)
        if mine:
            yield ((parameter.code, f"{mine[0]},{theirs[0]}"),)
            yield ((parameter.code, f"{theirs[-1]},{mine[-1]}"),)
            yield (parameter.code, mine[0]), (parameter.code, theirs[0])
    if parameter.type is SearchType.REFERENCE:
        for value in theirs:
            if "://" not in value and "/" in value:
                yield ((f"{parameter.code}:{value.partition('/')[0]}", value.partition("/")[2]),)


def references(row: ResourceDefinition) -> list[SearchParameter]:
    """A row's reference parameters."""
    return [parameter for parameter in row.search_parameters if parameter.type is SearchType.REFERENCE]


def _inclusions(row: ResourceDefinition) -> Iterator[tuple[tuple[str, ...], tuple[tuple[str, str], ...]]]:
    """Every include and reverse include that is offered, alone and with iteration from everywhere to everywhere."""
    onward = tuple(("_include:iterate", include) for any in RESOURCES.values() for include in any.includes)
    back = tuple(
        ("_revinclude:iterate", reverse) for reverse in sorted({r for x in RESOURCES.values() for r in x.revincludes})
    )
    for include in row.includes:
        yield (row.type, "_include", include.split(":")[1]), (("_include", include),)
    for parameter in row.references:
        for target in RESOURCES if "Resource" in parameter.targets else parameter.targets:
            if target in RESOURCES:
                narrowed = f"{row.type}:{parameter.code}:{target}"
                yield (row.type, "_include", parameter.code), (("_include", narrowed),)
    if row.includes:
        yield (row.type, "_include", "*"), (("_include", "*"), *onward)
    yield (row.type, "_include:iterate", "*"), onward
    yield (row.type, "_include:iterate", "*"), (*onward, *back)
    for name, value in (*onward, *back):
        yield (row.type, name, value), ((name, value),)
    for reverse in row.revincludes:
        yield (row.type, "_revinclude", reverse), (("_revinclude", reverse),)
        yield (row.type, "_revinclude", "all"), (("_revinclude", reverse), *onward)

"""What each kind of search parameter finds, and nothing else: token, date, string, reference, ``_id``, ``_lastUpdated``.

https://hl7.org/fhir/R4/search.html#ptypes
"""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from server import clock
from server.fhir.search_parameters import MAXIMUM_PARAMETERS, MAXIMUM_VALUES
from tests.factories import CLAIM_TYPE, IDENTIFIERS
from tests.lasting import FHIR_BASE, World

ALL = ["april", "february", "january", "march"]

TOKENS = {
    "a code is found in any system": ("type=professional", ["april", "january"]),
    "system and code": (f"type={CLAIM_TYPE}|oral", ["february"]),
    "any code of a system": (f"type={CLAIM_TYPE}|", ALL),
    "a code with another system": ("type=https://other.example|oral", []),
    "a code without a system": ("identifier=|bare", ["february"]),
    "a code that has a system is not without one": ("type=|oral", []),
    "a list finds any of its codes": ("type=oral,pharmacy", ["february", "march"]),
    "a list may mix forms": (f"type={CLAIM_TYPE}|oral,pharmacy,|professional", ["february", "march"]),
    "empty places of a list are nothing": ("type=oral,,", ["february"]),
    "parameters together narrow": ("type=professional&use=claim", ["january"]),
    "the same parameter twice narrows": ("type=oral&type=pharmacy", []),
    "case matters": ("type=ORAL", []),
    "a code is not found by its beginning": ("type=ora", []),
    "an identifier's value": ("identifier=claim-1", ["april", "january"]),
    "an identifier's system and value": (f"identifier={IDENTIFIERS}|claim-1", ["january"]),
    "an escaped comma belongs to the value": (r"identifier=claim\,3", ["march"]),
    "an escaped comma behind a system": (rf"identifier={IDENTIFIERS}|claim\,3,nothing", ["march"]),
    "a bare comma separates": ("identifier=claim,3", []),
    "an escaped bar belongs to the value": (r"identifier=a\|b", []),
    "use": ("use=preauthorization", ["april"]),
    "an empty parameter is ignored": ("type=&use=preauthorization", ["april"]),
}
STARTS = {
    "a day": ("2026-02-10", ["february"]),
    "eq": ("eq2026-02-10", ["february"]),
    "a month holds its days": ("2026-02", ["february"]),
    "a year holds them all": ("2026", ALL),
    "ne": ("ne2026-02-10", ["april", "january", "march"]),
    "gt": ("gt2026-02-10", ["april", "march"]),
    "ge": ("ge2026-02-10", ["april", "february", "march"]),
    "lt": ("lt2026-02-10", ["january"]),
    "le": ("le2026-02-10", ["february", "january"]),
    "sa": ("sa2026-02-10", ["april", "march"]),
    "eb": ("eb2026-02-10", ["january"]),
    "ap": ("ap2026-02-12", ["february"]),
    "gt a month": ("gt2026-02", ["april", "march"]),
    "ge a month": ("ge2026-02", ["april", "february", "march"]),
    "gt a moment the evening before, elsewhere": ("gt2026-02-09T23:30:00-05:00", ["april", "february", "march"]),
    "a list of days": ("2026-01-05,2026-03-15", ["january", "march"]),
    "a list with prefixes": ("lt2026-01-06,sa2026-03-15", ["april", "january"]),
    "between, by two parameters": ("ge2026-02-01&billable-period-start=lt2026-03-16", ["february", "march"]),
}
SERVICE_DATES = {
    "a period is not equal to a day in it": ("2026-02-15", []),
    "a period is equal to a month that holds it": ("2026-02", ["february"]),
    "a period may reach beyond a day": ("gt2026-02-15", ["april", "february", "march"]),
    "a period may begin before a day": ("lt2026-02-15", ["february", "january"]),
    "a period that has begun does not start after": ("sa2026-02-15", ["april", "march"]),
    "a period has ended before": ("eb2026-02-21", ["february", "january"]),
    "an open period has not ended": ("eb2030&type=pharmacy&billable-period-start=lt2026", []),
    "a line's day counts too": ("2026-03-15", ["march"]),
}
LAST_UPDATED = {
    "the exact instant": ("2026-01-25T10:00:00.000+00:00", ["january"]),
    "the same instant elsewhere": ("2026-02-26T04:30:00Z", ["february"]),
    "with its own offset": ("2026-02-25T23:30:00-05:00", ["february"]),
    "milliseconds": ("2026-03-20T08:30:00.123Z", ["march"]),
    "a second holds its milliseconds": ("2026-03-20T08:30:00Z", ["march"]),
    "other milliseconds": ("2026-03-20T08:30:00.124Z", []),
    "a day in UTC": ("2026-02-26", ["february"]),
    "ge": ("ge2026-03-20", ["april", "march"]),
}
REFERENCES = {
    "by id": ("payee=mother", ["april"]),
    "by type and id": ("payee=RelatedPerson/mother", ["april"]),
    "by absolute URL": (f"payee={FHIR_BASE}/RelatedPerson/mother", ["april"]),
    "by a typed modifier": ("payee:RelatedPerson=mother", ["april"]),
    "of another type": ("payee=Patient/mother", []),
    "of another server": ("payee=https://other.example/fhir/RelatedPerson/mother", []),
    "as a URN": ("payee=urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8", []),
    "an absolute reference in the record is the same": ("provider=Practitioner/doctor", ["april"]),
    "any of a list": ("provider=Organization/clinic,Practitioner/doctor", ["april", "february"]),
    "any of several references of a record": ("care-team=Practitioner/doctor", ["april"]),
    "coverage": ("coverage=gold", ["april", "february", "january"]),
    "insurer": ("insurer=Organization/payer", ALL),
    "the member by id": ("patient=anna", ALL),
    "the member by type and id": ("patient=Patient/anna", ALL),
    "the member by absolute URL": (f"patient={FHIR_BASE}/Patient/anna", ALL),
    "the member by a typed modifier": ("patient:Patient=anna", ALL),
    "the member among others": ("patient=anna,ben", ALL),
    "another member": ("patient=ben", []),
    "another member by absolute URL": (f"patient={FHIR_BASE}/Patient/ben", []),
    "a member nobody knows": ("patient=nobody", []),
    "the member's id as another type": ("patient=https://other.example/fhir/Patient/anna", []),
    "the member and more": ("patient=anna&type=oral", ["february"]),
}
IDS = {
    "one": ("_id=january", ["january"]),
    "several": ("_id=january,april", ["april", "january"]),
    "unknown": ("_id=nothing", []),
    "another member's": ("_id=bens", []),
    "retracted": ("_id=mistake", []),
    "what cannot be an id": ("_id=no id at all", []),
    "with the member": ("_id=january&patient=anna", ["january"]),
}
OTHER_TYPES = {
    "a family name by its beginning": ("Patient?family=mull", ["anna"]),
    "accents and case do not matter": ("Patient?family=MÜLLER", ["anna"]),
    "the middle of a name is not found": ("Patient?family=ller", []),
    "any given name": ("Patient?given=maria", ["anna"]),
    "any part of a name": ("Patient?name=anna", ["anna"]),
    "any of a list of names": ("Patient?family=smith,müll", ["anna"]),
    "gender": ("Patient?gender=female", ["anna"]),
    "birthdate": ("Patient?birthdate=1980-05-17", ["anna"]),
    "birthdate before": ("Patient?birthdate=lt1980", []),
    "no death date": ("Patient?death-date=gt1900", []),
    "a member's number": (f"Patient?identifier={IDENTIFIERS}|member-anna", ["anna"]),
    "another member's number": (f"Patient?identifier={IDENTIFIERS}|member-ben", []),
    "no parameter at all": ("Patient", ["anna"]),
    "an apostrophe in a name": ("RelatedPerson?name=kathe obrien", ["mother"]),
    "related to the member": ("RelatedPerson?patient=anna", ["mother"]),
    "coverage of the patient": ("Coverage?patient=anna", ["gold", "silver"]),
    "coverage of the beneficiary": ("Coverage?beneficiary=Patient/anna", ["gold", "silver"]),
    "coverage of another beneficiary": ("Coverage?beneficiary=ben", []),
    "coverage by payor": ("Coverage?payor=RelatedPerson/mother", ["silver"]),
    "an organization's name": ("Organization?name=the hospital", ["hospital"]),
    "an organization's identifier": ("Organization?identifier=npi-clinic", ["clinic"]),
    "a practitioner's name": ("Practitioner?name=hanna", ["doctor"]),
    "a role by practitioner": ("PractitionerRole?practitioner=Practitioner/doctor", ["role"]),
    "a role by organization": ("PractitionerRole?organization=clinic", ["role"]),
    "a role by specialty": ("PractitionerRole?specialty=207Q00000X", ["role"]),
    "a place's alias": ("Location?name=the annex", ["place"]),
    "a place's street": ("Location?address=1 elm", ["place"]),
    "a place's city": ("Location?address-city=spring", ["place"]),
    "a place's state": ("Location?address-state=IL", ["place"]),
    "a place's postal code": ("Location?address-postalcode=62701", ["place"]),
    "a city is not a state": ("Location?address-state=springfield", []),
    "provenance of a record": ("Provenance?target=ExplanationOfBenefit/january", ["of-claims"]),
    "provenance by absolute URL": (f"Provenance?target={FHIR_BASE}/Patient/anna", ["of-anna"]),
    "provenance of another member's record": ("Provenance?target=ExplanationOfBenefit/bens", []),
}


def query(text: str) -> str:
    """A query as an app would encode it."""
    return quote(text, safe="=&?/:,|")


def table(cases: dict[str, tuple[str, list[str]]]) -> pytest.MarkDecorator:
    """Cases by their names."""
    return pytest.mark.parametrize(("asked", "expected"), cases.values(), ids=cases)


@table(TOKENS | IDS | REFERENCES)
def test_a_token_an_id_or_a_reference_finds_what_it_names(world: World, asked: str, expected: list[str]) -> None:
    assert world.found("anna", f"ExplanationOfBenefit?{query(asked)}") == expected


@table(STARTS)
def test_a_prefix_compares_dates_as_intervals(world: World, asked: str, expected: list[str]) -> None:
    with clock.set_to(datetime(2026, 4, 11, tzinfo=UTC)):
        assert world.found("anna", f"ExplanationOfBenefit?billable-period-start={query(asked)}") == expected


@table(SERVICE_DATES)
def test_a_prefix_compares_periods_as_intervals(world: World, asked: str, expected: list[str]) -> None:
    assert world.found("anna", f"ExplanationOfBenefit?service-date={query(asked)}") == expected


@table(LAST_UPDATED)
def test_last_updated_is_the_payers_own_instant(world: World, asked: str, expected: list[str]) -> None:
    assert world.found("anna", f"ExplanationOfBenefit?_lastUpdated={quote(asked)}") == expected


def test_a_plus_sign_that_was_not_encoded_is_understood(world: World) -> None:
    assert world.found("anna", "ExplanationOfBenefit?_lastUpdated=2026-01-25T10:00:00.000+00:00") == ["january"]


@table(OTHER_TYPES)
def test_every_other_type_is_found_by_its_parameters(world: World, asked: str, expected: list[str]) -> None:
    assert world.found("anna", query(asked)) == expected


WRONG = {
    "a month that does not exist": "service-date=2026-13",
    "words for a date": "service-date=yesterday",
    "a prefix alone": "_lastUpdated=ge",
    "a date with a prefix nobody knows": "service-date=xx2026",
    "a reference with spaces": "coverage=not a reference",
    "a reference with too many parts": "coverage=a/b/c",
    "a bar alone": "type=|",
    "a modifier of a token": "type:text=oral",
    "a modifier of a date": "service-date:exact=2026",
    "missing neither true nor false": "service-date:missing=yes",
    "a typed modifier of a type it never refers to": "coverage:Patient=anna",
    "a chain that ends nowhere": "patient.colour=anna",
    "a count in words": "_count=ten",
    "a negative count": "_count=-1",
    "an include of nothing": "_include=ExplanationOfBenefit:nothing",
    "an include of what is no reference": "_include=ExplanationOfBenefit:type",
    "an include of an unknown type": "_include=Nothing:patient",
    "an include from another type": "_include=Coverage:payor",
    "a reverse include that does not refer here": "_revinclude=Coverage:payor",
    "a reverse include of an unknown type": "_revinclude=Nothing:target",
}


@pytest.mark.parametrize("asked", WRONG.values(), ids=WRONG)
def test_what_cannot_be_used_is_a_bad_request_that_names_the_parameter(world: World, asked: str) -> None:
    if asked.startswith("patient."):
        reply = world.get("anna", f"ExplanationOfBenefit?{query(asked)}", prefer="handling=strict")
    else:
        reply = world.get("anna", f"ExplanationOfBenefit?{query(asked)}")
    assert reply.status == 400
    issue = reply.json["issue"][0]
    assert issue["severity"] == "error"
    assert asked.partition("=")[0].partition(":")[0] in issue["diagnostics"]
    assert issue["expression"] == [f"http.{asked.partition('=')[0].partition(':')[0]}"] or "patient." in asked


def test_an_unknown_parameter_is_refused_when_the_app_is_strict(world: World) -> None:
    reply = world.get("anna", "ExplanationOfBenefit?colour=red", prefer="handling=strict")
    assert reply.status == 400
    assert "colour" in reply.json["issue"][0]["diagnostics"]
    assert "service-date" in reply.json["issue"][0]["diagnostics"]


@pytest.mark.parametrize("prefer", ["handling=lenient", "return=minimal", ""])
def test_an_unknown_parameter_is_ignored_left_out_of_the_self_link_and_told(world: World, prefer: str) -> None:
    reply = world.get("anna", "ExplanationOfBenefit?colour=red&type=oral&size=9&size=10", prefer=prefer)
    assert reply.status == 200
    assert reply.ids() == ["ExplanationOfBenefit/february"]
    assert reply.json["total"] == 1
    assert reply.links["self"] == f"{FHIR_BASE}/ExplanationOfBenefit?type=oral"
    (outcome,) = reply.entries("outcome")
    assert outcome["resourceType"] == "OperationOutcome"
    assert [issue["severity"] for issue in outcome["issue"]] == ["warning", "warning"]
    assert "colour" in outcome["issue"][0]["diagnostics"]


def test_a_search_by_post_is_the_same_as_by_get(world: World) -> None:
    by_get = world.get("anna", f"ExplanationOfBenefit?type={CLAIM_TYPE}|oral,pharmacy&_include=ExplanationOfBenefit:*")
    form = [("type", f"{CLAIM_TYPE}|oral,pharmacy"), ("_include", "ExplanationOfBenefit:*")]
    by_post = world.served.post("ExplanationOfBenefit/_search", world.token("anna"), form)
    half = world.served.post(
        f"ExplanationOfBenefit/_search?type={CLAIM_TYPE}|oral,pharmacy", world.token("anna"), form[1:]
    )
    assert by_post.status == by_get.status == half.status == 200
    assert len(by_get.ids()) == 2
    for reply in (by_post, half):
        assert reply.json | {"id": ""} == by_get.json | {"id": ""}


def test_a_post_without_a_body_finds_everything(world: World) -> None:
    reply = world.served.send("POST", "ExplanationOfBenefit/_search", world.token("anna"))
    assert reply.status == 200
    assert reply.json["total"] == 4


def test_thousands_of_values_are_a_bad_request_and_no_failure(world: World) -> None:
    for parameter in ("identifier", "_id", "service-date", "coverage"):
        form = [(parameter, ",".join(f"20{n:02d}" for n in range(10, 99)) + ",2020" * 8000)]
        reply = world.served.post("ExplanationOfBenefit/_search", world.token("anna"), form)
        assert reply.status == 400, (parameter, reply.status)
    form = [("type", "oral")] * 3000
    assert world.served.post("ExplanationOfBenefit/_search", world.token("anna"), form).status == 400


@pytest.mark.parametrize(
    ("parameter", "first", "expected"),
    [("_id", "january", "january"), ("identifier", "bare", "february"), ("payee", "mother", "april")],
)
def test_a_list_may_be_as_long_as_the_limit(world: World, parameter: str, first: str, expected: str) -> None:
    values = ",".join([first, *(f"id-{n}" for n in range(MAXIMUM_VALUES - 1))])
    assert world.found("anna", f"ExplanationOfBenefit?{parameter}={values}") == [expected]
    assert world.get("anna", f"ExplanationOfBenefit?{parameter}={values},one-more").status == 400


def test_as_many_parameters_as_the_limit_allows_are_answered(world: World) -> None:
    form = [("service-date", f"ge{1990 + year}") for year in range(MAXIMUM_PARAMETERS)]
    repeated = form + [("service-date", "ge1990")] * 100
    reply = world.served.post("ExplanationOfBenefit/_search", world.token("anna"), repeated)
    assert reply.status == 200
    assert reply.json["total"] == 4
    one_more = [*form, ("type", "oral")]
    assert world.served.post("ExplanationOfBenefit/_search", world.token("anna"), one_more).status == 400

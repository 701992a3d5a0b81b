"""What a resource is found by: https://hl7.org/fhir/R4/search.html"""

from typing import Any

import pytest

from server.fhir.dates import interval
from server.fhir.indexing import LiteralReference, fold, index_entries, literal_reference
from server.specification.definition import CORE, DIRECTORY, ResourceDefinition, SearchParameter, SearchType
from server.specification.registry import RESOURCES
from server.storage.query import FOREVER, Date, IndexEntries, Reference, String, Token


def entries_of(type: SearchType, element: Any, targets: tuple[str, ...] = (), base: str = "") -> IndexEntries:
    """The entries of one parameter 'p' on the element 'e' of a resource."""
    parameter = SearchParameter("p", type, "Basic.e", CORE + "p", targets=targets)
    row = ResourceDefinition("Basic", "", DIRECTORY, (), (parameter,))
    return index_entries(row, {"resourceType": "Basic", "e": element}, base)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Müller", "muller"),
        ("MÜLLER", "muller"),
        ("Straße", "strasse"),
        ("O'Brien", "obrien"),
        ("O’Brien", "obrien"),  # noqa: RUF001
        ("Smith-Jones", "smith jones"),
        ("St. Mary's  Hospital", "st marys hospital"),
        ("  Łódź ", "lodz"),
        ("Ærøskøbing", "aeroskobing"),
        ("山田", "山田"),
        ("10-B", "10 b"),
        ("--", ""),
        ("", ""),
    ],
)
def test_strings_are_folded_for_search(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(folded) == folded


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("Patient/1", ("", "Patient", "1", "")),
        ("Patient/a-b.C/_history/3", ("", "Patient", "a-b.C", "3")),
        ("https://x.example/fhir/Patient/1", ("https://x.example/fhir", "Patient", "1", "")),
        ("http://x.example/a/b/Patient/1/_history/2", ("http://x.example/a/b", "Patient", "1", "2")),
    ],
)
def test_a_literal_reference_is_taken_apart(reference: str, parts: tuple[str, str, str, str]) -> None:
    assert literal_reference(reference) == LiteralReference(*parts)


@pytest.mark.parametrize(
    "reference",
    ["#1", "urn:uuid:1", "Patient?identifier=1", "Patient", "Patient/", "patient/1", "Patient/a_b", "Patient/1/2", ""],
)
def test_what_is_not_a_literal_reference_is_none(reference: str) -> None:
    assert literal_reference(reference) is None


@pytest.mark.parametrize(
    ("element", "tokens"),
    [
        ("claim", {("", "claim")}),
        (True, {("", "true")}),
        (["a", "b", None], {("", "a"), ("", "b")}),
        ({"system": "s", "code": "c"}, {("s", "c")}),
        (
            {"coding": [{"system": "s", "code": "c"}, {"code": "d"}, {"display": "no code"}], "text": "t"},
            {("s", "c"), ("", "d")},
        ),
        (
            [{"system": "s", "value": "1", "type": {"coding": [{"code": "MB"}]}}, {"value": "2"}],
            {("s", "1"), ("", "2")},
        ),
        ({"system": "phone", "value": "555", "use": "home"}, {("phone", "555")}),
    ],
)
def test_a_token_is_its_system_and_code(element: Any, tokens: set[tuple[str, str]]) -> None:
    assert entries_of(SearchType.TOKEN, element).tokens == {Token("p", *token) for token in tokens}


@pytest.mark.parametrize(
    "element", [{"text": "only text"}, {"system": "s"}, {"coding": [{"display": "d"}]}, "x" * 5000]
)
def test_a_value_without_a_code_is_found_only_as_being_there(element: Any) -> None:
    assert entries_of(SearchType.TOKEN, element).tokens == {Token("p:present", "", "true")}


@pytest.mark.parametrize(
    ("reference", "targets", "expected"),
    [
        ("Patient/1", ("Patient",), Reference("p", "Patient", "1")),
        ("Patient/1/_history/2", ("Patient",), Reference("p", "Patient", "1", "2")),
        ("Patient/1", ("Resource",), Reference("p", "Patient", "1")),
        ("Group/1", ("Patient",), None),
        ("https://own.example/fhir/Patient/1", ("Patient",), Reference("p", "Patient", "1")),
        (
            "https://other.example/fhir/Patient/1",
            ("Patient",),
            Reference("p", "", "https://other.example/fhir/Patient/1"),
        ),
        ("#contained", ("Patient",), None),
        ("urn:uuid:5b1e2c1e-6f8a-4f6e-9b6e-0d1f7a3a9f10", ("Patient",), None),
    ],
)
def test_a_reference_is_found_by_its_target(
    reference: str, targets: tuple[str, ...], expected: Reference | None
) -> None:
    found = entries_of(SearchType.REFERENCE, {"reference": reference}, targets, "https://own.example/fhir")
    assert found.references == ({expected} if expected else set())
    assert found.tokens == (set() if expected else {Token("p:present", "", "true")})


def test_a_canonical_is_found_with_and_without_its_version() -> None:
    found = entries_of(SearchType.REFERENCE, "https://x.example/Questionnaire/phq|2", ("Questionnaire",))
    assert {(entry.type, entry.id) for entry in found.references} == {
        ("", "https://x.example/Questionnaire/phq|2"),
        ("", "https://x.example/Questionnaire/phq"),
    }


def test_a_logical_reference_is_found_by_its_identifier() -> None:
    found = entries_of(SearchType.REFERENCE, [{"identifier": {"system": "s", "value": "1"}}], ("Organization",))
    assert found == IndexEntries(tokens=frozenset({Token("p:identifier", "s", "1")}))


def test_every_resource_is_found_by_its_identifiers() -> None:
    location = {"resourceType": "Location", "identifier": [{"system": "s", "value": "1"}]}
    assert index_entries(RESOURCES["Location"], location).tokens == {Token("identifier", "s", "1")}


def test_a_name_and_an_address_are_found_by_each_of_their_parts() -> None:
    name = {"use": "official", "text": "Dr Ann Lee", "family": "Lee", "given": ["Ann", "B."], "suffix": ["PhD"]}
    assert entries_of(SearchType.STRING, [name]).strings == {
        String("p", "Dr Ann Lee", "dr ann lee"),
        String("p", "Lee", "lee"),
        String("p", "Ann", "ann"),
        String("p", "B.", "b"),
        String("p", "PhD", "phd"),
    }
    address = {
        "use": "home",
        "type": "both",
        "line": ["1 Main St", "Apt. 2"],
        "city": "Élan",
        "state": "OH",
        "postalCode": "43",
    }
    assert {entry.folded for entry in entries_of(SearchType.STRING, address).strings} == {
        "1 main st",
        "apt 2",
        "elan",
        "oh",
        "43",
    }


def test_a_long_string_is_indexed_by_its_beginning() -> None:
    (entry,) = entries_of(SearchType.STRING, "é" * 9999).strings
    assert entry.folded == "e" * 255


def test_dates_and_periods_are_intervals() -> None:
    assert entries_of(SearchType.DATE, ["2026-01", {"start": "2026"}]).dates == {
        Date("p", *interval("2026-01")),
        Date("p", interval("2026")[0], FOREVER),
    }


def test_a_malformed_date_names_its_element_and_does_not_quote_the_record() -> None:
    with pytest.raises(ValueError, match=r"^Basic\.e: is not a FHIR date$"):
        entries_of(SearchType.DATE, "2026-02-30")
    with pytest.raises(ValueError, match=r"^Basic\.e: ends before it starts$"):
        entries_of(SearchType.DATE, {"start": "2026", "end": "2025"})


def test_a_claim_is_found_by_everything_its_row_declares() -> None:
    claim = {
        "resourceType": "ExplanationOfBenefit",
        "id": "c1",
        "meta": {"lastUpdated": "2026-01-01T00:00:00Z"},
        "identifier": [{"system": "s", "value": "1"}],
        "type": {"coding": [{"system": "t", "code": "oral"}]},
        "use": "claim",
        "patient": {"reference": "Patient/p1"},
        "billablePeriod": {"start": "2026-01-01", "end": "2026-01-02"},
        "insurer": {"reference": "Organization/o1"},
        "provider": {"reference": "#here"},
        "insurance": [{"focal": True, "coverage": {"reference": "Coverage/v1"}}],
        "item": [{"sequence": 1, "servicedDate": "2026-01-02"}],
    }
    first, second = interval("2026-01-01"), interval("2026-01-02")
    assert index_entries(RESOURCES["ExplanationOfBenefit"], claim) == IndexEntries(
        tokens=frozenset(
            {
                Token("identifier", "s", "1"),
                Token("type", "t", "oral"),
                Token("use", "", "claim"),
                Token("provider:present", "", "true"),
            }
        ),
        references=frozenset(
            {
                Reference("patient", "Patient", "p1"),
                Reference("insurer", "Organization", "o1"),
                Reference("coverage", "Coverage", "v1"),
            }
        ),
        dates=frozenset(
            {
                Date("service-date", first[0], second[1]),
                Date("service-date", *second),
                Date("service-start-date", *first),
                Date("service-start-date", *second),
                Date("billable-period-start", *first),
            }
        ),
    )

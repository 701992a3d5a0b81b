"""From Coverage to reporting unit, and from Patient to person: append-only, the latest row wins.

42 CFR 422.119(f) and https://hl7.org/fhir/R4/coverage.html
"""

from pathlib import Path
from typing import Any

import pytest

from server.ingest.enrolment import ReportingUnitsFileError, read_unit_rows
from tests.factories import concept, coverage, identifier, organization, patient
from tests.ingest.store import Store, conditional, outcomes

ANNA, BERT = patient("anna"), patient("bert")
PAYER = organization("payer", identifier=[identifier("11111", "https://p.example/payer")])
UNITS = """
[[unit]]
payor = "https://p.example/payer|11111"
class = "group|H1234"
line_of_business = "medicare-advantage"
contract = "H1234"
plan = "{class:plan}"

[[unit]]
payor = "https://p.example/payer|11111"
line_of_business = "medicaid-managed-care"
state = "OH"

[[unit]]
extension = "https://p.example/program|chip"
line_of_business = "chip-managed-care"
program = "Kids"
"""
CLASS_TYPE = "http://terminology.hl7.org/CodeSystem/coverage-class"
GROUP = {"type": concept(CLASS_TYPE, "group"), "value": "H1234"}
PLAN = {"type": concept(CLASS_TYPE, "plan"), "value": "001"}
PERIOD = {"start": "2026-01-01", "end": "2026-06"}


@pytest.fixture
def store(store: Store, tmp_path: Path) -> Store:
    """A store with rows for reporting units."""
    path = tmp_path / "units.toml"
    path.write_text(UNITS)
    return store.set(reporting_units_file=path)


def enrolments(store: Store) -> list[tuple[Any, ...]]:
    """(patient, coverage, line of business, contract, plan, start, until), oldest first; None for no unit."""
    units = {unit.key: (unit.line_of_business, unit.contract, unit.plan) for unit in store.rows("reporting_unit")}
    return [
        (row.patient, row.coverage_id, *(units[row.unit] if row.unit is not None else (None,)), row.start, row.until)
        for row in store.rows("enrolment")
    ]


IN_H1234 = ("anna", "v1", "medicare-advantage", "H1234", "001", "2026-01-01", "2026-06-30")


def covered(**elements: Any) -> dict[str, Any]:
    return coverage("v1", ANNA) | {"class": [GROUP, PLAN], "period": PERIOD} | elements


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_coverage_enrols_its_member_once_its_payor_is_known(store: Store, order: tuple[int, ...]) -> None:
    records = (PAYER, ANNA, covered())
    for number in order:
        store.load(records[number])
    assert enrolments(store) == [IN_H1234]


def test_the_first_row_that_matches_wins(store: Store) -> None:
    store.load(PAYER, ANNA, coverage("v1", ANNA))
    assert enrolments(store) == [("anna", "v1", "medicaid-managed-care", "", "", "", "")]


def test_a_unit_whose_class_value_is_missing_does_not_match(store: Store) -> None:
    store.load(PAYER, ANNA, coverage("v1", ANNA) | {"class": [GROUP]})
    assert enrolments(store)[0][2] == "medicaid-managed-care"


@pytest.mark.parametrize(
    "payor",
    [
        {"identifier": identifier("11111", "https://p.example/payer")},
        {"reference": "#payer"},
        conditional("Organization", "11111", "https://p.example/payer"),
    ],
)
def test_a_payor_may_be_logical_contained_or_conditional(store: Store, payor: dict[str, Any]) -> None:
    contained = [{"resourceType": "Organization", "id": "payer", "name": "P", "identifier": PAYER["identifier"]}]
    store.load(ANNA, covered(payor=[payor], contained=contained))
    assert enrolments(store) == [IN_H1234]
    before = store.snapshot()
    store.load(ANNA, covered(payor=[payor], contained=contained))
    assert store.snapshot() == before


def test_a_row_may_ask_for_an_extension(store: Store) -> None:
    marked = [{"url": "https://p.example/program", "valueCode": "chip"}]
    store.load(ANNA, coverage("v1", ANNA, "Organization/unknown", extension=marked))
    assert enrolments(store)[0][2] == "chip-managed-care"


def test_a_coverage_that_no_row_matches_enrols_nobody(store: Store) -> None:
    store.load(ANNA, coverage("v1", ANNA))
    assert enrolments(store) == []


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error", "draft"])
def test_a_coverage_that_is_not_in_force_is_withdrawn(store: Store, status: str) -> None:
    store.load(PAYER, ANNA, covered())
    store.load(covered(status=status))
    assert enrolments(store) == [IN_H1234, ("anna", "v1", None, "", "")]
    store.load(covered())
    assert len(enrolments(store)) == 3


def test_a_retracted_coverage_is_withdrawn_once(store: Store) -> None:
    store.load(PAYER, ANNA, covered())
    store.retract("Coverage/v1")
    store.retract("Coverage/v1")
    assert enrolments(store) == [IN_H1234, ("anna", "v1", None, "", "")]


def test_a_change_appends_and_the_same_again_does_not(store: Store) -> None:
    store.load(PAYER, ANNA, covered())
    store.load(covered(subscriberId="x"))
    assert enrolments(store) == [IN_H1234]
    store.load(covered(period={"start": "2026"}))
    first, second = store.rows("enrolment")
    assert (second.start, second.until) == ("2026-01-01", "")
    assert second.recorded_at > first.recorded_at
    assert len(store.rows("reporting_unit")) == 1


def test_a_coverage_that_moves_is_withdrawn_from_its_former_member(store: Store) -> None:
    store.load(PAYER, ANNA, BERT, covered())
    store.load(covered() | {"beneficiary": {"reference": "Patient/bert"}})
    assert sorted(enrolments(store)[1:]) == [("anna", "v1", None, "", ""), ("bert", *IN_H1234[1:])]


def test_a_payor_that_changes_its_identifier_changes_enrolments(store: Store) -> None:
    store.load(PAYER, ANNA, covered())
    store.load(organization("payer"))
    assert enrolments(store) == [IN_H1234, ("anna", "v1", None, "", "")]
    store.load(PAYER)
    assert enrolments(store)[2:] == [IN_H1234]


def test_loading_again_under_other_settings_derives_anew(store: Store, tmp_path: Path) -> None:
    store.load(PAYER, ANNA, covered())
    other = tmp_path / "other.toml"
    other.write_text('[[unit]]\nclass = "plan|001"\nline_of_business = "qhp"\nissuer = "5"\n')
    report = store.set(reporting_units_file=other).load(PAYER, ANNA, covered())
    assert outcomes(report) == {"unchanged": 3}
    assert [row[2] for row in enrolments(store)] == ["medicare-advantage", "qhp"]


def test_without_a_file_nobody_is_enrolled_and_the_report_says_so(store: Store) -> None:
    report = store.set(reporting_units_file=None).load(PAYER, ANNA, covered())
    assert enrolments(store) == []
    assert any("REPORTING_UNITS_FILE" in note for note in report.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[unit]]\ncontract = 'H1'", "unit 1: line_of_business is missing"),
        ("[[unit]]\nline_of_business = 'x'\npayer = 'a|b'", "unit 1: 'payer' is none of payor, class"),
        (
            "[[unit]]\nline_of_business = 'x'\n[[unit]]\nline_of_business = 'x'\nclass = 'H1'",
            "unit 2: class must have the form",
        ),
        ("[[unit]]\nline_of_business = 5", "line_of_business must be a string"),
        ("[unit]\nline_of_business = 'x'", "it holds"),
        ("[[units]]\nline_of_business = 'x'", "it holds"),
        ("[[unit]\n", "Expected"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_load_with_a_word(
    store: Store, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(ReportingUnitsFileError, match=r"bad\.toml"):
        read_unit_rows(path)
    report = store.set(reporting_units_file=path).load(ANNA)
    assert report.exit_code == 2
    assert message in str(report)
    assert store.rows("resource") == []


def persons(store: Store) -> list[tuple[str, str, str]]:
    """(patient, system, value), oldest first."""
    return [(row.patient, row.system, row.value) for row in store.rows("person_link")]


def typed(code: str, value: str, **elements: Any) -> dict[str, Any]:
    return {"type": concept("http://t.example", code), "system": f"s-{code}", "value": value} | elements


@pytest.mark.parametrize(
    ("identifiers", "person"),
    [
        ([typed("MR", "1"), typed("MB", "2"), typed("um", "3")], ("s-um", "3")),
        ([typed("MR", "1"), typed("MB", "2"), typed("MB", "4")], ("s-MB", "2")),
        ([typed("um", "5") | {"system": None}], ("", "anna")),
        ([typed("MR", "1")], ("", "anna")),
        ([], ("", "anna")),
    ],
)
def test_the_person_is_the_first_identifier_of_the_first_type_configured(
    store: Store, identifiers: list[dict[str, Any]], person: tuple[str, str]
) -> None:
    kept = [{name: value for name, value in item.items() if value is not None} for item in identifiers]
    if kept != identifiers:
        person = ("", "5")
    elements = {"identifier": kept} if kept else {}
    record = {name: value for name, value in ANNA.items() if name != "identifier"} | elements
    store.load(record)
    assert persons(store) == [("anna", *person)]


def test_a_merge_is_a_new_row_and_the_same_again_is_none(store: Store) -> None:
    store.load(patient("anna", identifier=[typed("um", "1")]))
    store.load(patient("anna", identifier=[typed("um", "1")], gender="other"))
    store.load(patient("anna", identifier=[typed("um", "2")]))
    assert persons(store) == [("anna", "s-um", "1"), ("anna", "s-um", "2")]
    first, second = store.rows("person_link")
    assert second.recorded_at > first.recorded_at

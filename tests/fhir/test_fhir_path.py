"""The FHIRPath of search parameters: https://hl7.org/fhir/R4/searchparameter.html"""

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from server.fhir.fhir_path import compile_expression
from server.specification.registry import RESOURCES

SHARED = Path(os.environ.get("SHARED") or Path(__file__).parents[2].parent / "shared")
GUIDES = ("hl7.fhir.us.core-", "hl7.fhir.us.carin-bb-", "hl7.fhir.us.davinci-pdex-")

CLAIM: dict[str, Any] = {
    "resourceType": "ExplanationOfBenefit",
    "id": "1",
    "contained": [{"resourceType": "Patient", "id": "p"}],
    "patient": {"reference": "Patient/1"},
    "billablePeriod": {"start": "2026-01-01", "end": "2026-01-31"},
    "item": [
        {"sequence": 1, "servicedDate": "2026-01-02"},
        {"sequence": 2, "servicedPeriod": {"start": "2026-01-03"}},
        {"sequence": 3, "servicedBy": "not a datatype"},
    ],
    "careTeam": [
        {"provider": {"reference": "Practitioner/1"}},
        {"provider": {"reference": "https://other.example/fhir/Organization/2/_history/1"}},
        {"provider": {"reference": "#p"}},
        {"provider": {"type": "Practitioner", "identifier": {"value": "3"}}},
    ],
    "extension": [
        {"url": "a", "valueCode": "x"},
        {"url": "b", "valueDateTime": "2026", "extension": [{"url": "c", "valueCoding": {"code": "y"}}]},
    ],
    "note": [None, {"text": "kept"}],
}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("ExplanationOfBenefit.patient.reference", ["Patient/1"]),
        ("Resource.id", ["1"]),
        ("DomainResource.id", ["1"]),
        ("id", ["1"]),
        ("Patient.id", []),
        ("ExplanationOfBenefit.item.sequence", [1, 2, 3]),
        ("ExplanationOfBenefit.item.serviced", ["2026-01-02", {"start": "2026-01-03"}]),
        ("ExplanationOfBenefit.item.servicedDate", ["2026-01-02"]),
        ("ExplanationOfBenefit.item.serviced.ofType(Period).start", ["2026-01-03"]),
        ("ExplanationOfBenefit.item.serviced.as(date)", ["2026-01-02"]),
        ("(ExplanationOfBenefit.item.serviced as date)", ["2026-01-02"]),
        ("(ExplanationOfBenefit.item.serviced as Period).start | ExplanationOfBenefit.id", ["2026-01-03", "1"]),
        (
            "ExplanationOfBenefit.billablePeriod.start|ExplanationOfBenefit.billablePeriod.end",
            ["2026-01-01", "2026-01-31"],
        ),
        ("ExplanationOfBenefit.id | ExplanationOfBenefit.id", ["1"]),
        ("ExplanationOfBenefit.extension.where(url = 'a').value", ["x"]),
        ("ExplanationOfBenefit.extension.where(url='b').extension.value.code", ["y"]),
        ("ExplanationOfBenefit.extension.where(url='b').valueDateTime", ["2026"]),
        ("ExplanationOfBenefit.note.text", ["kept"]),
        ("ExplanationOfBenefit.id.text", []),
        (
            "ExplanationOfBenefit.careTeam.provider.where(resolve() is Practitioner)",
            [CLAIM["careTeam"][0]["provider"], CLAIM["careTeam"][3]["provider"]],
        ),
        ("ExplanationOfBenefit.careTeam.provider.where(resolve() is Patient).reference", ["#p"]),
        ("ExplanationOfBenefit.contained.ofType(Patient).id", ["p"]),
        (
            "ExplanationOfBenefit.careTeam.provider.where(resolve() is Organization).reference",
            ["https://other.example/fhir/Organization/2/_history/1"],
        ),
    ],
)
def test_an_expression_finds_its_values(expression: str, values: list[Any]) -> None:
    assert compile_expression(expression)(CLAIM) == values


@pytest.mark.parametrize(
    ("expression", "piece"),
    [
        ("Patient.name.first()", "first()"),
        ("Patient.name[0]", "[0]"),
        ("Patient.", "ends too early"),
        ("Patient.name.where(use != 'old')", "!="),
        ("Patient.name.where(use = 5)", "5"),
        ("Patient.name family", "family"),
        ("Patient.where(active = true).ofType(Patient)", "Patient here"),
        ("", "ends too early"),
        ("Patient.name.where(resolve() = 'x')", "'='"),
    ],
)
def test_what_is_not_supported_is_named_when_it_is_compiled(expression: str, piece: str) -> None:
    with pytest.raises(ValueError, match="FHIRPath expression") as raised:
        compile_expression(expression)
    assert piece in str(raised.value)


def test_every_expression_of_the_registry_compiles() -> None:
    for row in RESOURCES.values():
        for parameter in row.search_parameters:
            compile_expression(parameter.expression)


def _published() -> list[tuple[str, str]]:
    packages = sorted(
        package for guide in GUIDES for package in (SHARED / "implementation-guides").glob(f"{guide}*.tgz")
    )
    found = []
    for package in packages:
        with tarfile.open(package) as archive:
            for member in archive:
                if Path(member.name).name.startswith("SearchParameter") and (file := archive.extractfile(member)):
                    resource = json.load(file)
                    if "expression" in resource:
                        found.append((resource["url"], resource["expression"]))
    return found


def test_every_search_parameter_of_the_published_guides_compiles() -> None:
    published = _published()
    if not published:
        pytest.skip("the guides' packages are not here: name their folder's parent in the environment variable SHARED")
    assert len(published) > 200
    for _, expression in published:
        compile_expression(expression)

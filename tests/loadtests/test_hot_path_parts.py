"""What the hot path is measured with: claims of a given size that are valid, constants of given sizes, forms that are found.

https://hl7.org/fhir/R4/explanationofbenefit.html
"""

import asyncio
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.explanationofbenefit import ExplanationOfBenefit

from loadtests import bare
from loadtests.cases import CASES, COMPRESSED
from loadtests.claims import compact, explanation_of_benefit, write_ndjson
from loadtests.evidence import Conditions, Result, render
from loadtests.forms import Button, forms
from loadtests.load_generator import Figures


@pytest.mark.parametrize("size", [2500, 4096, 8192, 8193, 20_000])
def test_a_claim_has_the_size_asked_for_and_is_valid(size: int) -> None:
    record = explanation_of_benefit(7, 3, size)
    assert len(compact(record).encode()) == size
    ExplanationOfBenefit.model_validate(record)


def test_a_claim_that_cannot_be_so_small_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        explanation_of_benefit(0, 0, 500)


def test_the_same_numbers_give_the_same_bytes_and_other_ids_for_each(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        write_ndjson(folder, members=3, claims=4, size=4096)
    assert [path.read_bytes() for path in sorted(first.iterdir())] == [p.read_bytes() for p in sorted(second.iterdir())]
    lines = [json.loads(line) for path in first.iterdir() for line in path.read_text().splitlines()]
    assert len({(line["resourceType"], line["id"]) for line in lines}) == len(lines) == 2 + 3 + 3 + 12


def test_the_bare_application_sends_a_constant_with_two_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    monkeypatch.setattr(bare, "_ANSWERS", {"/read": bare._answer(8192)})
    asyncio.run(bare.application({"type": "http", "path": "/read"}, receive, send))
    assert [name for name, _ in sent[0]["headers"]] == [b"content-type", b"content-length"]
    assert len(sent[1]["body"]) == 8192 == int(dict(sent[0]["headers"])[b"content-length"])


def test_forms_are_found_with_their_fields_choices_and_buttons() -> None:
    page = """<form action="/out"><input type="hidden" name="csrf" value="1"><button>Sign out</button></form>
    <input name="nowhere"><form method="post" action="/in?a=1&amp;b=2"><input name="username" value="&lt;ada&gt;">
    <input type="radio" name="patient" value="a"><input type="radio" name="patient" value="b" checked>
    <input type="checkbox" name="c" value="1"><button name="decision" value="allow">Allow</button></form>"""
    out, inside = forms(page)
    assert (out.action, out.fields, out.buttons) == ("/out", {"csrf": "1"}, [Button("", "", "Sign out")])
    assert (inside.action, inside.method) == ("/in?a=1&b=2", "POST")
    assert inside.fields == {"username": "<ada>", "patient": "b"}
    assert inside.choices == {"patient": ["a", "b"]}
    assert inside.buttons == [Button("decision", "allow", "Allow")]


def test_the_evidence_says_which_goals_were_reached() -> None:
    bare_figures = Figures(1000.0, 1.0, 2.0, 3000)
    results = [
        Result(case, case.goal(postgresql=False), 8192, Figures(rate, 3.0, 4.0, 600), bare_figures)
        for case, rate in zip(CASES, (350.0, 170.0, 600.0), strict=True)
    ]
    compressed = Result(COMPRESSED, 0.6, 4096, Figures(650.0, 3.0, 4.0, 600), bare_figures)
    conditions = Conditions("command", "wrk 4", 64, 2, 5, 3, "SQLite", 100, 5000, 8, 1800, 1900, 120.0)
    page = render(results, compressed, conditions)
    assert [result.is_reached for result in results] == [True, False, True]
    assert "| read | 8,192 | 350 | 3.00 / 4.00 | 1,000 | 1.00 / 2.00 | **0.350** | 0.35 | reached |" in page
    assert "**0.170** | 0.26 | missed |" in page
    assert "**0.650** | 0.6 | reached |" in page


def test_goals_are_the_database_s_own() -> None:
    assert [case.goal(postgresql=False) for case in CASES] == [0.35, 0.26, 0.35]
    assert [case.goal(postgresql=True) for case in CASES] == [0.14, 0.09, 0.14]

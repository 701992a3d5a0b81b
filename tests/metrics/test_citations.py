"""What a compliance officer signs or publishes cites sections of the rules, and a paragraph only where its letter was checked against the rule.

https://www.ecfr.gov/current/title-42: paragraphs are lettered anew when rules are amended.
"""

import re
from pathlib import Path

import pytest

import server
from server.metrics import measures, prior_authorization_measures, refusals

HOUSE = Path(server.__file__).parent
CHECKED = {"422.119(a)", "431.60(f)"}
PRINTED = [
    *(
        HOUSE.parent / "docs" / f"{name}.md"
        for name in ("compliance", "ledger", "prior-authorization-report", "report-forms", "usage-report")
    ),
    HOUSE / "pages/templates/compliance.html",
    HOUSE / "pages/templates/prior_authorization_year.html",
]


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.name)
def test_no_unchecked_paragraph_is_cited_on_a_page(path: Path) -> None:
    assert _paragraphs(path.read_text("utf-8")) <= CHECKED


def test_no_unchecked_paragraph_is_cited_in_a_report() -> None:
    citations = [prior_authorization_measures.CITATION, *(measure.citation for measure in measures.MEASURES)]
    assert _paragraphs(" ".join(citations)) <= CHECKED


def test_the_metrics_of_medicaid_fee_for_service_are_cited_where_they_are_asked_for() -> None:
    assert "440.230 (Medicaid fee for service)" in prior_authorization_measures.CITATION


def test_no_unchecked_paragraph_is_the_basis_of_a_refused_request() -> None:
    source = Path(refusals.__file__).read_text("utf-8").split('"""', 2)[2]
    assert _paragraphs(source) <= CHECKED


def _paragraphs(text: str) -> set[str]:
    return set(re.findall(r"\b\d{3}\.\d+\([a-z]\)(?:\([0-9a-z]+\))*", text))

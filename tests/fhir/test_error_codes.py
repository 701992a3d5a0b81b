"""Every error has its row, every row its errors, and every OperationOutcome says which one it is.

https://hl7.org/fhir/R4/operationoutcome-definitions.html#OperationOutcome.issue.details
"""

import ast
import re
from urllib.parse import urlsplit

import orjson
import pytest

from server.fhir import error_codes
from server.fhir.application import TOKEN_REFUSED
from server.fhir.error_codes import ERROR_CODES, ErrorCode
from server.fhir.outcomes import FHIRError, Outcomes
from server.fhir.validation import validate
from server.settings import Settings
from tests import factories
from tests.conformance.source_code import modules, tree
from tests.lasting import World

ROWS = {name: row for name, row in vars(error_codes).items() if isinstance(row, ErrorCode)}
SOURCES = {name: path for name, path in modules("server").items() if name != "server.fhir.error_codes"}
# https://hl7.org/fhir/R4/codesystem-issue-type.html
ISSUE_TYPES = frozenset(
    (
        *("invalid", "structure", "required", "value", "invariant"),
        *("security", "login", "unknown", "expired", "forbidden", "suppressed"),
        *("processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long"),
        *("code-invalid", "extension", "too-costly", "business-rule", "conflict"),
        *("transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled", "informational"),
    )
)


def names_in(node: ast.AST) -> set[str]:
    return {
        n.attr if isinstance(n, ast.Attribute) else n.id
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute | ast.Name)
    }


def test_every_error_that_is_raised_is_one_of_the_rows() -> None:
    calls = [
        (name, node)
        for name, path in SOURCES.items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and names_in(node.func) == {"FHIRError"}
    ]
    assert calls
    for name, call in calls:
        assert names_in(call.args[0]) & {*ROWS, "TOKEN_REFUSED"}, f"{name}:{call.lineno}"


@pytest.mark.parametrize("name", ROWS)
def test_every_row_is_raised_somewhere(name: str) -> None:
    assert [module for module, path in SOURCES.items() if name in names_in(tree(path)) and module != "server.pages"]


@pytest.mark.parametrize("row", ERROR_CODES.values(), ids=ERROR_CODES)
def test_a_row_is_well_formed(row: ErrorCode) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row.code)
    assert row.issue_type in ISSUE_TYPES
    assert (row.severity == "error") == (row.status >= 400)
    assert len(row.meaning) > 40
    assert row.remedy.endswith(".")
    assert not row.title.endswith(".")


def test_all_rows_are_listed_once() -> None:
    assert list(ERROR_CODES.values()) == list(ROWS.values())
    assert len({row.title for row in ROWS.values()}) == len(ROWS)


@pytest.mark.parametrize("row", ERROR_CODES.values(), ids=ERROR_CODES)
def test_an_outcome_is_valid_and_links_to_its_page(row: ErrorCode) -> None:
    body = Outcomes(Settings(base_url="https://api.example")).of(
        FHIRError(row, "What, where, how.", expression="http.x")
    )
    assert validate(orjson.loads(body), body) == []
    (issue,) = orjson.loads(body)["issue"]
    (coding,) = issue["details"]["coding"]
    assert coding == {"system": "https://api.example/docs/errors", "code": row.code, "display": row.title}
    assert issue["details"]["text"].endswith(f": https://api.example/docs/errors/{row.code}")
    assert issue["code"] == row.issue_type


ANSWERS = {
    "Nothing": "type-not-served",
    "Patient/unknown": "resource-not-found",
    "Patient/anna/$unknown": "path-unknown",
    "Patient?_count=many": "parameter-invalid",
    "Patient?_cursor=x": "cursor-invalid",
    "Patient?_format=xml": "format-not-supported",
    "Patient?_id=" + "x," * 400: "search-too-large",
    "ExplanationOfBenefit/mistake": "resource-deleted",
}


@pytest.mark.parametrize(("target", "code"), ANSWERS.items(), ids=ANSWERS.values())
def test_answers_name_their_code_and_the_page_is_there(world: World, target: str, code: str) -> None:
    (issue,) = world.get("anna", target).json["issue"]
    assert issue["details"]["coding"][0]["code"] == code
    page = urlsplit(issue["details"]["text"].rpartition(" ")[2]).path
    assert world.served.get(page).status == 200


def test_an_ignored_parameter_is_a_warning_with_its_code(world: World) -> None:
    (outcome,) = world.get("anna", "Patient?shoe-size=42").entries("outcome")
    (issue,) = outcome["issue"]
    assert (issue["severity"], issue["expression"]) == ("warning", ["http.shoe-size"])
    assert issue["details"]["coding"][0]["code"] == "parameter-ignored"
    assert (
        world.get("anna", "Patient?shoe-size=42", prefer="handling=strict").json["issue"][0]["details"]["coding"][0][
            "code"
        ]
        == "parameter-unknown"
    )


REASONS = {
    "token-unknown": None,
    "token-expired": {"token_expires_at": 1},
    "token-revoked": {"grant_ended_at": 1},
}


@pytest.mark.parametrize(("code", "columns"), REASONS.items(), ids=REASONS)
def test_a_refused_token_says_why(world: World, code: str, columns: dict[str, int] | None) -> None:
    token = "nonsense" if columns is None else factories.token(world.database, "anna", **columns).text  # type: ignore[arg-type]
    assert code in world.served.get("Patient", token).body.decode()
    assert code in {row.code for row in TOKEN_REFUSED.values()}

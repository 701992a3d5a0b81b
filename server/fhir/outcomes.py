"""The FHIR error vocabulary: FHIRError is the only exception this floor answers with, always as an OperationOutcome.

https://hl7.org/fhir/R4/operationoutcome.html and https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from collections.abc import Mapping
from typing import Any

import orjson


class FHIRError(Exception):
    """An answer that is not a success: HTTP status, issue type code, and diagnostics that say what, where and how to mend it."""

    def __init__(
        self, status: int, code: str, diagnostics: str, headers: Mapping[str, str] | None = None, expression: str = ""
    ) -> None:
        super().__init__(diagnostics)
        self.status = status
        self.code = code
        self.diagnostics = diagnostics
        self.headers = dict(headers or {})
        self.expression = expression


def issue(severity: str, code: str, diagnostics: str, expression: str = "") -> dict[str, Any]:
    """One OperationOutcome.issue."""
    found: dict[str, Any] = {"severity": severity, "code": code, "diagnostics": diagnostics}
    if expression:
        found["expression"] = [expression]
    return found


def operation_outcome(*issues: dict[str, Any]) -> dict[str, Any]:
    """An OperationOutcome of these issues."""
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def outcome_of(error: FHIRError) -> bytes:
    """The OperationOutcome of an error as JSON bytes."""
    return orjson.dumps(operation_outcome(issue("error", error.code, error.diagnostics, error.expression)))


def bad_parameter(name: str, diagnostics: str) -> FHIRError:
    """400 for a search parameter whose value or modifier cannot be used."""
    return FHIRError(400, "value", f"Search parameter '{name}': {diagnostics}", expression=f"http.{name}")


def not_found(type: str, id: str) -> FHIRError:
    """404: the same words for an id that does not exist and for one of another member."""
    return FHIRError(404, "not-found", f"{type}/{id} was not found.")


def gone(type: str, id: str) -> FHIRError:
    """410: the resource was retracted, or is no longer this member's."""
    return FHIRError(410, "deleted", f"{type}/{id} was deleted.")

"""The FHIR error vocabulary: FHIRError is the only exception this floor answers with, always as an OperationOutcome.

https://hl7.org/fhir/R4/operationoutcome.html - every issue names its row of ``error_codes`` and the page that explains it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import orjson

from server.fhir import error_codes
from server.fhir.error_codes import ErrorCode
from server.settings import Settings


class FHIRError(Exception):
    """An answer that is not a success: which error it is, and diagnostics that say what, where and how to mend it."""

    def __init__(
        self, error: ErrorCode, diagnostics: str, headers: Mapping[str, str] | None = None, expression: str = ""
    ) -> None:
        super().__init__(diagnostics)
        self.error = error
        self.diagnostics = diagnostics
        self.headers = dict(headers or {})
        self.expression = expression
        self.withheld: Mapping[str, int] = {}

    def but_for(self, withheld: Mapping[str, int]) -> Self:
        """The same, with what sensitivity policies withheld, by policy: for the ledger alone."""
        self.withheld = withheld
        return self

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.error.status


class Outcomes:
    """Writes OperationOutcomes whose links lead to this server's own pages."""

    def __init__(self, settings: Settings) -> None:
        self._base_url = settings.base_url

    def of(self, error: FHIRError) -> bytes:
        """The OperationOutcome of an error as JSON bytes."""
        return _outcome([self._issue(error.error, error.diagnostics, error.expression)])

    def ignored(self, names: Sequence[str]) -> bytes:
        """The OperationOutcome that warns of search parameters that were ignored, as JSON bytes."""
        text = "Search parameter '{}' is not supported here and was ignored."
        row = error_codes.PARAMETER_IGNORED
        return _outcome([self._issue(row, text.format(name), f"http.{name}") for name in names])

    def _issue(self, error: ErrorCode, diagnostics: str, expression: str) -> dict[str, Any]:
        issue: dict[str, Any] = {
            "severity": error.severity,
            "code": error.issue_type,
            "details": {
                "coding": [
                    {"system": self._base_url + error_codes.PATH, "code": error.code, "display": error.title},
                ],
                "text": f"{error.title}: {self._base_url}{error.page}",
            },
            "diagnostics": diagnostics,
        }
        if expression:
            issue["expression"] = [expression]
        return issue


def _outcome(issues: Sequence[dict[str, Any]]) -> bytes:
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": issues})


def bad_parameter(name: str, diagnostics: str) -> FHIRError:
    """400 for a search parameter whose value or modifier cannot be used."""
    text = f"Search parameter '{name}': {diagnostics}"
    return FHIRError(error_codes.PARAMETER_INVALID, text, expression=f"http.{name}")


def not_found(type: str, id: str) -> FHIRError:
    """404: the same words for an id that does not exist and for one of another member."""
    return FHIRError(error_codes.RESOURCE_NOT_FOUND, f"{type}/{id} was not found.")


def gone(type: str, id: str) -> FHIRError:
    """410: the resource was retracted, or is no longer this member's."""
    return FHIRError(error_codes.RESOURCE_DELETED, f"{type}/{id} was deleted.")

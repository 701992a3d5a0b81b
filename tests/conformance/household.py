"""A member of the isolation tests: an id prefix, a mark in all that is theirs, and values that tell them from another.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from dataclasses import dataclass
from typing import Any

from tests.factories import Record, identifier, reference


@dataclass(frozen=True, slots=True)
class Household:
    """A member's id prefix, the mark in all that is theirs, and what tells their values from another's."""

    member: str
    mark: str
    gender: str
    born: str
    month: str

    def named(self, id: str) -> str:
        """An id of this member's."""
        return f"{self.member}-{id}"

    @property
    def reference(self) -> Record:
        """The reference to this member."""
        return reference(f"Patient/{self.member}")

    @property
    def system(self) -> str:
        """The system of this member's identifiers and codes."""
        return f"https://{self.mark.lower()}.example"

    def identified(self, id: str) -> dict[str, Any]:
        """The ``identifier`` of one of this member's records."""
        return {"identifier": [identifier(f"{self.mark}-{id}", self.system)]}

    def text(self, wording: str) -> dict[str, Any]:
        """A narrative with this member's mark in it."""
        div = f'<div xmlns="http://www.w3.org/1999/xhtml">{self.mark} {wording}</div>'
        return {"text": {"status": "generated", "div": div}}


ANNA = Household("anna", "ALPACA", "female", "1980-05-17", "2026-03")
BORIS = Household("boris", "ZEBRA", "male", "1971-11-02", "2025-08")

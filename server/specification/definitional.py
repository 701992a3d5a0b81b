"""The types that describe the API itself, served without a token: what they are searched by. Their contents are computed from the rows.

https://hl7.org/fhir/R4/searchparameter.html, https://hl7.org/fhir/R4/operationdefinition.html and
https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from dataclasses import dataclass

from server.specification.definition import CORE

CAPABILITY_STATEMENT = "CapabilityStatement"


@dataclass(frozen=True, slots=True)
class DefinitionParameter:
    """A search parameter of such a type: its value equals the ``element`` (of a list: one of its values), or begins it (string)."""

    code: str
    type: str
    element: str
    canonical: str


@dataclass(frozen=True, slots=True)
class DefinitionType:
    """A type whose resources describe the API."""

    type: str
    title: str
    parameters: tuple[DefinitionParameter, ...]

    def parameter(self, code: str) -> DefinitionParameter | None:
        """The search parameter of this code, or None."""
        return next((parameter for parameter in self.parameters if parameter.code == code), None)


def _core(code: str, type: str, name: str, element: str = "") -> DefinitionParameter:
    return DefinitionParameter(code, type, element or code, CORE + name)


_ID = _core("_id", "token", "Resource-id", "id")
_URL, _NAME = _core("url", "uri", "conformance-url"), _core("name", "string", "conformance-name")

SEARCH_PARAMETER = DefinitionType(
    "SearchParameter",
    "What the search parameters of this server search, and how",
    (
        *(_ID, _URL, _NAME),
        *(_core(code, "token", f"SearchParameter-{code}") for code in ("code", "base", "type")),
    ),
)
OPERATION_DEFINITION = DefinitionType(
    "OperationDefinition",
    "What the operations of this server take and give",
    (
        *(_ID, _URL, _NAME),
        *(_core(code, "token", f"OperationDefinition-{code}") for code in ("code", "type", "instance", "system")),
    ),
)
COMPARTMENT_DEFINITION = DefinitionType(
    "CompartmentDefinition",
    "Which records belong to a member",
    (*(_ID, _URL, _NAME), _core("code", "token", "CompartmentDefinition-code")),
)
DEFINITION_TYPES = {row.type: row for row in (SEARCH_PARAMETER, OPERATION_DEFINITION, COMPARTMENT_DEFINITION)}
"""Type to its row."""

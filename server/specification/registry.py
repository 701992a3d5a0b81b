"""The registry: every resource type this server serves, and the views computed from it.

https://hl7.org/fhir/R4/http.html - adding a type is adding a row in ``administrative.py``, ``financial.py`` or ``clinical.py``.
"""

from server.specification import administrative, clinical, financial
from server.specification.definition import MembershipKind, ResourceDefinition

RESOURCES: dict[str, ResourceDefinition] = {
    row.type: row for row in (*administrative.ROWS, *financial.ROWS, *clinical.ROWS)
}
"""Resource type to its row, in the order in which people read them."""

MEMBER_TYPE = next(row.type for row in RESOURCES.values() if row.membership.kind is MembershipKind.SELF)
"""The resource type that is the member."""
REPRESENTATIVE_TYPE = administrative.RELATED_PERSON.type
"""The resource type that a person who acts for a member has in that member's compartment."""


def naming_expressions(type: str) -> tuple[tuple[str, str], ...]:
    """(expression, target type) of every element by which resources of this type name others, and so give them their member."""
    return tuple(
        (expression, row.type)
        for row in RESOURCES.values()
        for expression in row.membership.named_by
        if expression.partition(".")[0] == type
    )

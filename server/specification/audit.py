"""The type in which the ledger is read by an auditor: computed from its rows, stored nowhere, in no member's compartment.

https://hl7.org/fhir/R4/auditevent.html and https://profiles.ihe.net/ITI/BALP/ - why it is no row of the registry: nobody loads it, no
member can share it, and only a client's own token with a scope that names it reads it.
"""

from server.specification.definition import (
    CORE,
    DIRECTORY,
    READ,
    SEARCH_TYPE,
    ResourceDefinition,
    SearchParameter,
    SearchType,
)

AUDIT_EVENT = ResourceDefinition(
    type="AuditEvent",
    title="Who asked for what of whom, and what they were answered",
    membership=DIRECTORY,
    profiles=(),
    interactions=(READ, SEARCH_TYPE),
    search_parameters=(
        SearchParameter(
            "patient",
            SearchType.REFERENCE,
            "AuditEvent.agent.who.where(resolve() is Patient) | AuditEvent.entity.what.where(resolve() is Patient)",
            CORE + "AuditEvent-patient",
            targets=("Patient",),
        ),
        SearchParameter("date", SearchType.DATE, "AuditEvent.recorded", CORE + "AuditEvent-date", instant=True),
    ),
)
"""Searched by what the ledger has an index for."""
AUDIT_TYPES = {AUDIT_EVENT.type: AUDIT_EVENT}
"""Type to its row."""

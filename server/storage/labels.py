"""Security labels of resources that were loaded before labels were indexed: index entries made once, as part of the migration.

https://hl7.org/fhir/R4/security-labels.html - a sensitivity policy must find the labels of all that is stored. The entries are those
that a load makes from ``meta.security`` (a test compares them).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, insert, select

from server.specification.administrative import SECURITY
from server.storage.criteria import RESOURCE, TOKEN

PRESENT = SECURITY.code + ":present"
"""Says that there is a value where no entry could be made of it."""
LABELLED_SINCE = "0005"
"""The revision from which on every load has indexed them."""
_LONGEST = 1024
"""Bytes of a system and code together; longer ones are not indexed."""
_AT_ONCE = 500
_UNLABEL = delete(TOKEN).where(TOKEN.c.parameter.in_((SECURITY.code, PRESENT)))
_PORTION = (
    select(RESOURCE.c.key, RESOURCE.c.patient, RESOURCE.c.body)
    .where(RESOURCE.c.key > bindparam("after"), RESOURCE.c.deleted.is_(False))
    .order_by(RESOURCE.c.key)
    .limit(_AT_ONCE)
)


def index_labels(connection: Connection) -> int:
    """Make the label entries of all current resources anew, within the connection's transaction; how many entries there are."""
    connection.execute(_UNLABEL)
    after, count = -1, 0
    while rows := connection.execute(_PORTION, {"after": after}).all():
        entries = [entry for key, patient, body in rows for entry in _entries(key, patient, bytes(body))]
        if entries:
            connection.execute(insert(TOKEN), entries)
        after, count = rows[-1].key, count + len(entries)
    return count


def _entries(key: int, patient: str, body: bytes) -> Iterator[dict[str, Any]]:
    if b'"security"' not in body:
        return
    found = orjson.loads(body).get("meta", {}).get("security", [])
    labels = {label for coding in found for label in _label(coding)}
    row = {"resource": key, "patient": patient}
    for system, code in sorted(labels):
        yield row | {"parameter": SECURITY.code, "system": system, "code": code}
    if found and not labels:
        yield row | {"parameter": PRESENT, "system": "", "code": "true"}


def _label(coding: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    code, system = coding.get("code"), coding.get("system") or ""
    if isinstance(code, str) and code and len(code.encode()) + len(system.encode()) <= _LONGEST:
        yield system, code

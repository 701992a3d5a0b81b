"""What a load asks before it writes: what is stored already, who a resource belongs to, what waits for what.

https://hl7.org/fhir/R4/http.html#update and https://hl7.org/fhir/R4/http.html#transaction (conditional references)
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, literal_column, select

from server.storage.database import Transaction
from server.storage.schema import AwaitedReference, ReferenceIndex, Resource, ResourceVersion, TokenIndex

RESOURCE: Any = Resource.__table__  # type: ignore[attr-defined]
VERSION: Any = ResourceVersion.__table__  # type: ignore[attr-defined]
TOKEN: Any = TokenIndex.__table__  # type: ignore[attr-defined]
REFERENCE: Any = ReferenceIndex.__table__  # type: ignore[attr-defined]
AWAITED: Any = AwaitedReference.__table__  # type: ignore[attr-defined]

Identity = tuple[str, str]
"""Resource type and id."""
BY_ID = "urn:ietf:rfc:3986#id"
"""``system`` of an awaited reference that names its target by id, not by identifier."""
ANY_SYSTEM = "*"
"""``system`` of an awaited reference by an identifier's value alone."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class CurrentVersion:
    """The stored current version of a resource, without its body. ``patient``: see ``schema``."""

    key: int
    patient: str
    type: str
    id: str
    version: str
    last_updated: int
    deleted: bool
    hash: bytes


@dataclass(frozen=True, slots=True, order=True)
class Awaited:
    """What a resource waits for: a target of this type by identifier (system and value), or by its id (``BY_ID``)."""

    type: str
    system: str
    value: str


_COLUMNS = [RESOURCE.c[name] for name in CurrentVersion.__slots__]
_IDS: Any = bindparam("ids", expanding=True)
_BY_IDENTITY = select(*_COLUMNS).where(RESOURCE.c.type == bindparam("type"), RESOURCE.c.id.in_(_IDS))
_BY_KEY = select(*_COLUMNS, RESOURCE.c.body).where(RESOURCE.c.key.in_(_IDS)).order_by(RESOURCE.c.key)
_VERSIONS = select(VERSION.c.id, VERSION.c.version).where(VERSION.c.type == bindparam("type"), VERSION.c.id.in_(_IDS))
_IDENTIFIED = (
    select(TOKEN.c.system, TOKEN.c.code, RESOURCE.c.id, RESOURCE.c.patient)
    .join_from(TOKEN, RESOURCE, RESOURCE.c.key == TOKEN.c.resource)
    .where(TOKEN.c.parameter == "identifier", TOKEN.c.code.in_(_IDS), RESOURCE.c.type == bindparam("type"))
)
_IDENTIFIED_IN_DIRECTORY = _IDENTIFIED.where(
    TOKEN.c.patient == literal_column("''")
)  # written out: the index is partial
_IDENTIFIED_OF_MEMBERS = _IDENTIFIED.where(RESOURCE.c.patient.in_(bindparam("patients", expanding=True)))
_IDENTIFIERS = (
    select(RESOURCE.c.id, TOKEN.c.system, TOKEN.c.code)
    .join_from(RESOURCE, TOKEN, RESOURCE.c.key == TOKEN.c.resource)
    .where(RESOURCE.c.type == bindparam("type"), RESOURCE.c.id.in_(_IDS), TOKEN.c.parameter == "identifier")
)
_AWAITING = select(AWAITED.c.resource, AWAITED.c.system, AWAITED.c.value).where(
    AWAITED.c.target_type == bindparam("type"), AWAITED.c.value.in_(_IDS)
)
_AWAITED = select(AWAITED.c.resource, AWAITED.c.target_type, AWAITED.c.system, AWAITED.c.value).where(
    AWAITED.c.resource.in_(_IDS)
)
_POINTING = (
    select(REFERENCE.c.resource)
    .join_from(REFERENCE, RESOURCE, RESOURCE.c.key == REFERENCE.c.resource)
    .where(
        REFERENCE.c.patient == bindparam("patient"),
        REFERENCE.c.target_type == bindparam("target_type"),
        REFERENCE.c.target_id == bindparam("target_id"),
        RESOURCE.c.type == bindparam("type"),
    )
)
_POINTING_FROM_ANYWHERE = select(REFERENCE.c.resource).where(
    REFERENCE.c.parameter == bindparam("parameter"),
    REFERENCE.c.target_type == bindparam("target_type"),
    REFERENCE.c.target_id == bindparam("target_id"),
)


def _portions(values: Iterable[Any]) -> Iterator[list[Any]]:
    listed = sorted(set(values))
    for start in range(0, len(listed), _AT_ONCE):
        yield listed[start : start + _AT_ONCE]


def _by_type(identities: Iterable[Identity]) -> Iterator[tuple[str, list[str]]]:
    ids: dict[str, set[str]] = defaultdict(set)
    for type_name, id in identities:
        ids[type_name].add(id)
    for type_name, of_type in ids.items():
        for portion in _portions(of_type):
            yield type_name, portion


def _all(transaction: Transaction, statement: Select[Any], identities: Iterable[Identity]) -> Iterator[tuple[str, Any]]:
    for type_name, ids in _by_type(identities):
        for row in transaction.all(statement, {"type": type_name, "ids": ids}):
            yield type_name, row


def current_versions(transaction: Transaction, identities: Iterable[Identity]) -> dict[Identity, CurrentVersion]:
    """The stored current versions of these resources, deleted ones too."""
    rows = (CurrentVersion(*tuple(row)) for _, row in _all(transaction, _BY_IDENTITY, identities))
    return {(row.type, row.id): row for row in rows}


def with_bodies(transaction: Transaction, keys: Collection[int]) -> list[tuple[CurrentVersion, bytes]]:
    """The current versions with these keys and their bodies, in key order; deleted ones left out."""
    found = [
        (CurrentVersion(*tuple(row)[:-1]), bytes(row.body))
        for portion in _portions(keys)
        for row in transaction.all(_BY_KEY, {"ids": portion})
    ]
    return [(version, body) for version, body in found if not version.deleted]


def superseded_versions(transaction: Transaction, identities: Iterable[Identity]) -> dict[Identity, set[str]]:
    """The version ids that superseded versions and tombstones of these resources use up."""
    used: dict[Identity, set[str]] = defaultdict(set)
    for type_name, row in _all(transaction, _VERSIONS, identities):
        used[type_name, row.id].add(row.version)
    return used


def identified_in_directory(
    transaction: Transaction, type_name: str, values: Collection[str]
) -> list[tuple[str, str, str, str]]:
    """(system, value, id, patient '') of shared resources of a type that have one of these identifier values."""
    return [
        (row.system, row.code, row.id, row.patient)
        for portion in _portions(values)
        for row in transaction.all(_IDENTIFIED_IN_DIRECTORY, {"type": type_name, "ids": portion})
    ]


def identified_of_members(
    transaction: Transaction, type_name: str, values: Collection[str], patients: Collection[str] | None
) -> list[tuple[str, str, str, str]]:
    """(system, value, id, patient) of these members' resources of a type with one of these identifier values.

    ``patients`` None: of any member, which reads the identifiers of every resource of the type.
    """
    statement = _IDENTIFIED if patients is None else _IDENTIFIED_OF_MEMBERS
    return [
        (row.system, row.code, row.id, row.patient)
        for portion in _portions(values)
        for members in ([None] if patients is None else _portions(patients))
        for row in transaction.all(statement, {"type": type_name, "ids": portion, "patients": members})
    ]


def identifiers(transaction: Transaction, type_name: str, ids: Collection[str]) -> dict[str, set[tuple[str, str]]]:
    """The identifiers (system, value) of resources of a type, by id."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for _, row in _all(transaction, _IDENTIFIERS, ((type_name, id) for id in ids)):
        found[row.id].add((row.system, row.code))
    return found


def awaiting(transaction: Transaction, arrived: Collection[Awaited]) -> set[int]:
    """The keys of resources that wait for something that has arrived: ``arrived`` lists each arrival by id and by identifier."""
    wanted: dict[Identity, set[str]] = defaultdict(set)
    for arrival in arrived:
        wanted[arrival.type, arrival.value].add(arrival.system)
    return {
        row.resource
        for type_name, row in _all(transaction, _AWAITING, wanted)
        if row.system in wanted[type_name, row.value]
        or (row.system == ANY_SYSTEM and wanted[type_name, row.value] - {BY_ID})
    }


def awaited(transaction: Transaction, keys: Collection[int]) -> dict[int, set[Awaited]]:
    """What each of these resources waits for."""
    found: dict[int, set[Awaited]] = defaultdict(set)
    for portion in _portions(keys):
        for row in transaction.all(_AWAITED, {"ids": portion}):
            found[row.resource].add(Awaited(row.target_type, row.system, row.value))
    return found


def pointing(transaction: Transaction, patient: str, target: Identity, type_names: Sequence[str]) -> set[int]:
    """The keys of a member's resources of these types that refer to the target."""
    values = {"patient": patient, "target_type": target[0], "target_id": target[1]}
    return {
        row.resource for type_name in type_names for row in transaction.all(_POINTING, values | {"type": type_name})
    }


def pointing_from_anywhere(transaction: Transaction, parameter: str, target: Identity) -> set[int]:
    """The keys of all resources that refer to the target by a search parameter. Slow: reads the whole index."""
    values = {"parameter": parameter, "target_type": target[0], "target_id": target[1]}
    return {row.resource for row in transaction.all(_POINTING_FROM_ANYWHERE, values)}

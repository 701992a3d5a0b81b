"""The entries of a Bundle as records, with the real id behind every fullUrl.

https://hl7.org/fhir/R4/bundle.html and https://hl7.org/fhir/R4/http.html#transaction
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid5

from server.fhir.canonical_json import content, content_hash
from server.fhir.indexing import literal_reference
from server.ingest.authorization_events import AuthorizationEvent
from server.ingest.report import Outcome, Place, RecordOutcome

RECORD_BYTES = 16 * 2**20
"""The largest record, as JSON without white space."""
TYPES = ("transaction", "batch", "collection", "searchset", "document")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_NAMESPACE = UUID("7f0f8f42-6a0e-4c1e-9d51-0d6f3a2b9c11")
_URN = "urn:uuid:"
_READING = ("GET", "HEAD")


@dataclass(slots=True, eq=False)
class Record:
    """One record as it came: a resource to store, or, with ``method`` DELETE, one to retract.

    ``id`` is the resource's own or the one made for it; ``targets`` leads from the fullUrls of its Bundle to Type/id. Records are
    compared by ``hash``, that of their ``content``.
    """

    place: Place
    type: str
    id: str
    resource: dict[str, Any]
    content: bytes = b""
    hash: bytes = b""
    id_assigned: bool = False
    delete: bool = False
    targets: Mapping[str, str] = field(default_factory=dict)


Item = Record | AuthorizationEvent | RecordOutcome


def rejected(place: Place, reason: str, fix: str, *, path: str = "", type: str = "", id: str = "") -> RecordOutcome:
    """The outcome of a record that cannot be used."""
    return RecordOutcome(Outcome.REJECTED, place, type, id, path, reason, fix)


def record(place: Place, resource: Any, full_url: str = "") -> Item:
    """A JSON value as a record: a resource with a type and an id, made from its fullUrl or its content if it has none."""
    if not isinstance(resource, dict):
        return rejected(place, "is not a JSON object", "A FHIR resource is { … } with a resourceType.")
    type_name = resource.get("resourceType")
    if not isinstance(type_name, str) or not type_name:
        return rejected(place, "is missing or not a string", "Add the resourceType.", path="resourceType")
    try:
        canonical = content(resource)
    except ValueError as error:
        return rejected(
            place, f"cannot be written as JSON: {error}", "Correct the text or number.", type=_known(type_name)
        )
    if len(canonical) > RECORD_BYTES:
        reason = f"is larger than {RECORD_BYTES >> 20} MB"
        return rejected(place, reason, "Send large attachments by url.", type=_known(type_name))
    id = resource.get("id")
    if id is None:
        uuid = full_url.removeprefix(_URN) if full_url.startswith(_URN) else ""
        made = uuid if ID.fullmatch(uuid) else str(uuid5(_NAMESPACE, f"{type_name} {canonical.hex()}"))
        return Record(place, type_name, made, resource, canonical, content_hash(canonical), id_assigned=True)
    if not isinstance(id, str) or not ID.fullmatch(id):
        return rejected(
            place,
            "is not a FHIR id",
            "An id has 1 to 64 letters, digits, '-' and '.'.",
            path=f"{type_name}.id",
            type=_known(type_name),
        )
    return Record(place, type_name, id, resource, canonical, content_hash(canonical))


def _known(type_name: str) -> str:
    """A type as it may stand in a report: garbage is not repeated."""
    return type_name if type_name.isascii() and type_name.isalpha() and len(type_name) <= 64 else ""


def expand(place: Place, bundle: Mapping[str, Any]) -> Iterator[Item]:
    """The records of a Bundle's entries, in order; a Bundle that cannot be used is one rejection."""
    kind, entries = bundle.get("type"), bundle.get("entry", [])
    if kind not in TYPES:
        yield rejected(
            place, f"is not one of {', '.join(TYPES)}", "Send one of these Bundles.", path="Bundle.type", type="Bundle"
        )
        return
    if not isinstance(entries, list):
        yield rejected(place, "is not a list", "Put the entries in [ ].", path="Bundle.entry", type="Bundle")
        return
    items: list[tuple[Any, Item]] = []
    for number, entry in enumerate(entries):
        item = _entry(replace(place, position=_position(place, number)), entry, kind)
        if item is not None:
            items.append((entry, item))
    targets = {
        entry["fullUrl"]: f"{item.type}/{item.id}"
        for entry, item in items
        if isinstance(item, Record) and not item.delete and isinstance(entry.get("fullUrl"), str)
    }
    for _, item in items:
        if isinstance(item, Record):
            item.targets = targets
        yield item


def _position(place: Place, number: int) -> str:
    return f"{place.position}, entry {number}" if place.position else f"entry {number}"


def _entry(place: Place, entry: Any, kind: str) -> Item | None:
    """An entry as a record; None when it has nothing to store (a search outcome, a request to read)."""
    if not isinstance(entry, dict):
        return rejected(place, "is not a JSON object", "An entry is { … } with a resource.", type="Bundle")
    request, search = entry.get("request"), entry.get("search")
    method = request.get("method") if isinstance(request, dict) and kind in ("transaction", "batch") else None
    if method in _READING or (isinstance(search, dict) and search.get("mode") == "outcome"):
        return None
    if method == "DELETE":
        return _retraction(place, request.get("url") if isinstance(request, dict) else None)
    if method not in (None, "POST", "PUT"):
        return rejected(place, "is not POST, PUT or DELETE", "Send the whole resource with PUT.", path="request.method")
    resource = entry.get("resource")
    if isinstance(resource, dict) and resource.get("resourceType") == "Bundle":
        fix = "Send its entries in this Bundle, or it as a Bundle of its own."
        return rejected(place, "is a Bundle inside a Bundle", fix, path="Bundle.entry.resource", type="Bundle")
    full_url = entry.get("fullUrl")
    item = record(place, resource, full_url if isinstance(full_url, str) else "")
    if isinstance(item, Record) and method == "PUT" and isinstance(request, dict):
        url = str(request.get("url"))
        target = literal_reference(url)
        if item.id_assigned and target is None and url.startswith(f"{item.type}?"):
            item.id = str(uuid5(_NAMESPACE, url))
        if target is not None and not item.id_assigned and (target.type, target.id) != (item.type, item.id):
            return rejected(
                place,
                "names another resource than the entry holds",
                "Make them agree.",
                path="request.url",
                type=item.type,
            )
        if target is not None and item.id_assigned and target.type == item.type:
            item.id = target.id
    return item


def _retraction(place: Place, url: Any) -> Item:
    target = literal_reference(url) if isinstance(url, str) else None
    if target is None:
        return rejected(place, "is not Type/id", "Name the resource to delete by its id.", path="request.url")
    return Record(place, target.type, target.id, {}, delete=True)


def retraction(reference: str) -> Item:
    """A request of an operator to retract ``Type/id``."""
    item = _retraction(Place(reference), reference)
    return replace(item, path="", fix="Write Type/id.") if isinstance(item, RecordOutcome) else item

"""A record on its way into the store: checked, completed with version and lastUpdated, and written as the bytes to be served.

https://hl7.org/fhir/R4/resource.html#Meta and https://hl7.org/fhir/R4/http.html#versions
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from server import clock
from server.fhir import dates, validation
from server.fhir.canonical_json import parse, serialise
from server.fhir.indexing import index_entries
from server.fhir.validation import Issue
from server.ingest.bundles import Record, rejected
from server.ingest.references import UnsupportedReferenceError, conditionals, resolve_full_urls, worth_a_look
from server.ingest.report import LoadReport, RecordOutcome
from server.specification.definition import ResourceDefinition
from server.specification.registry import RESOURCES
from server.storage.query import IndexEntries
from server.storage.resource_lookup import Awaited, CurrentVersion, Identity
from server.storage.resource_writer import ResourceWrite
from server.storage.schema import UNASSIGNED

ISSUES = 10
"""Issues of one record that a rejection lists."""


@dataclass(slots=True, eq=False)
class Draft:
    """A version in the making: new from a record, or a stored one whose references or member are to be settled.

    ``open`` are its references to targets by identifier, not resolved yet; ``dangling`` counts those to nowhere; ``patient`` is
    decided last.
    """

    definition: ResourceDefinition
    id: str
    resource: dict[str, Any]
    hash: bytes
    stored: CurrentVersion | None
    record: Record | None = None
    open: list[tuple[dict[str, Any], Awaited]] = field(default_factory=list)
    changed: bool = False
    dangling: int = 0
    patient: str = UNASSIGNED
    awaited: set[Awaited] = field(default_factory=set)
    entries: IndexEntries = field(default_factory=IndexEntries)

    @property
    def identity(self) -> Identity:
        """Type and id."""
        return self.definition.type, self.id

    @property
    def moves(self) -> bool:
        """Whether the resource leaves the member it has belonged to."""
        return (
            self.stored is not None
            and not self.stored.deleted
            and self.stored.patient not in (UNASSIGNED, self.patient)
        )


def drafted(record: Record, base: str) -> Draft | RecordOutcome:
    """A record as a draft, checked and with what can be known without the store; or its rejection."""
    issues = validation.validate(record.resource, record.content)
    if issues:
        return _refused(record, issues)
    draft = Draft(RESOURCES[record.type], record.id, record.resource, record.hash, None, record)
    try:
        if worth_a_look(record.content):
            draft.resource = parse(serialise(record.resource).decode())  # the record stays as it came
            draft.dangling = resolve_full_urls(draft.resource, record.targets)
            draft.open = conditionals(draft.resource)
            draft.changed = True
        draft.entries = index_entries(draft.definition, draft.resource, base)
    except UnsupportedReferenceError as error:
        return _refused(record, [Issue(error.path, str(error), "Write Type?identifier=system|value, or Type/id.")])
    except ValueError as error:
        path, _, reason = str(error).partition(": ")
        return _refused(record, [Issue(path, reason, "Correct the date.")])
    return draft


def _refused(record: Record, issues: Sequence[Issue]) -> RecordOutcome:
    first, more = issues[0], [f"{issue.path} {issue.reason}" for issue in issues[1:ISSUES]]
    if len(issues) > ISSUES:
        more.append(f"{len(issues) - ISSUES} more")
    reason = "; ".join([first.reason, *more])
    return rejected(record.place, reason, first.fix, path=first.path, type=record.type, id=record.id)


def next_free(used: Collection[str]) -> str:
    """The next free integer as a version id."""
    return str(max((int(version) for version in used if version.isdecimal() and len(version) < 18), default=0) + 1)


def write(draft: Draft, used: Collection[str], loaded_at: int, report: LoadReport) -> ResourceWrite:
    """The draft as the next current version. ``used`` are the version ids it may not have.

    A new record keeps the payer's version id where it is new, and the payer's lastUpdated unless that is in the future; a stored
    resource that is rewritten gets a new version id and keeps its lastUpdated.
    """
    meta = draft.resource.get("meta") or {}
    version = meta.get("versionId")
    if draft.record is None:
        version = next_free(used)
    elif not isinstance(version, str) or version in used:
        if version is None:
            report.versions_assigned += 1
        else:
            report.versions_renumbered += 1
        version = next_free(used)
    last_updated, text = _last_updated(meta.get("lastUpdated"), loaded_at)
    if draft.record is not None and text != meta.get("lastUpdated"):
        report.last_updated_replaced += 1
    return ResourceWrite(
        patient=draft.patient,
        type=draft.definition.type,
        id=draft.id,
        version=version,
        last_updated=last_updated,
        hash=draft.hash,
        body=serialise(_served(draft.resource, draft.id, {"versionId": version, "lastUpdated": text})),
        entries=draft.entries,
        awaited=frozenset(draft.awaited),
        replaces=draft.stored,
        tombstone=next_free({*used, version}) if draft.moves else "",
    )


def retraction(stored: CurrentVersion, used: Collection[str], loaded_at: int) -> ResourceWrite:
    """The tombstone that takes a resource's place."""
    return ResourceWrite(
        patient=stored.patient,
        type=stored.type,
        id=stored.id,
        version=next_free(used),
        last_updated=loaded_at,
        hash=b"",
        body=b"",
        entries=IndexEntries(),
        replaces=stored,
        deleted=True,
    )


def _last_updated(text: Any, loaded_at: int) -> tuple[int, str]:
    """The payer's lastUpdated in microseconds and as text; the time of the load if it has none or one in the future."""
    if isinstance(text, str):
        try:
            low = dates.interval(text)[0]
        except ValueError:
            low = loaded_at + 1
        if low <= loaded_at:
            return low, text
    return loaded_at - loaded_at % 1000, clock.instant(loaded_at)


def _served(resource: dict[str, Any], id: str, assigned: dict[str, str]) -> dict[str, Any]:
    """The resource with its id and meta, in the order it came in; what it came without follows resourceType."""
    meta = dict(resource["meta"]) if "meta" in resource else {}
    meta = {name: value for name, value in assigned.items() if name not in meta} | meta | assigned
    if "id" in resource and "meta" in resource:
        return resource | {"meta": meta}
    added: dict[str, Any] = {}
    if "id" not in resource:
        added["id"] = id
    if "meta" not in resource:
        added["meta"] = meta
    served: dict[str, Any] = {}
    anchor = "id" if "id" in resource else "resourceType"
    for name, value in resource.items():
        served[name] = value
        if name == anchor:
            served |= added
    return served | {"meta": meta}

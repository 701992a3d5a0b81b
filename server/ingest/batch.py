"""One transaction's worth of records: compared, checked, given to members and written; then what waited for them.

https://hl7.org/fhir/R4/http.html#transaction
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from server.fhir.canonical_json import parse
from server.fhir.indexing import index_entries
from server.ingest import authorization_events, records
from server.ingest.authorization_events import AuthorizationEvent
from server.ingest.bundles import Item, Record, rejected
from server.ingest.enrolment import COVERAGE, ORGANIZATION, PATIENT, PAYOR_PARAMETER, Enrolments, SeenCoverage
from server.ingest.membership import naming_path
from server.ingest.records import Draft
from server.ingest.references import logicals, worth_a_look
from server.ingest.report import LoadReport, Outcome, RecordOutcome
from server.ingest.resolution import Resolution, identifiers_of
from server.specification.definition import MembershipKind
from server.specification.registry import RESOURCES
from server.storage import resource_lookup as lookup
from server.storage.database import Transaction
from server.storage.resource_lookup import BY_ID, Awaited, CurrentVersion, Identity
from server.storage.resource_writer import ResourceWriter
from server.storage.schema import UNASSIGNED

AT_ONCE = 500


Prepared = Mapping[Record, Draft | RecordOutcome]


def changed(transaction: Transaction, items: Iterable[Item]) -> list[Record]:
    """The records that differ from what is stored, or that are new."""
    arrived = [item for item in items if isinstance(item, Record) and not item.delete and item.type in RESOURCES]
    stored = lookup.current_versions(transaction, [(record.type, record.id) for record in arrived])
    return [record for record in arrived if not _is_unchanged(record, stored.get((record.type, record.id)))]


def _is_unchanged(record: Record, current: CurrentVersion | None) -> bool:
    return current is not None and not current.deleted and current.hash == record.hash


class Batch:
    """Loads records in one transaction. ``report`` and ``members_named`` count only if the transaction commits.

    ``prepared`` has the drafts of records made before the transaction: they take most of a load's time, and need no lock.
    """

    def __init__(self, transaction: Transaction, enrolments: Enrolments, base: str, prepared: Prepared) -> None:
        self._transaction = transaction
        self._prepared = prepared
        self._writer = ResourceWriter(transaction)
        self._enrolments = enrolments
        self._base = base
        self._coverages: list[SeenCoverage] = []
        self._patients: list[tuple[str, Any]] = []
        self.report = LoadReport()
        self.members_named: set[str] = set()

    def load(self, items: Iterable[Item]) -> None:
        """Load records in their order. A resource that comes twice is written twice: the earlier content becomes a version."""
        wave: dict[Identity, Record] = {}
        events: list[AuthorizationEvent] = []
        for item in items:
            if isinstance(item, RecordOutcome):
                self.report.add(item)
            elif isinstance(item, AuthorizationEvent):
                events.append(item)
            elif item.type not in RESOURCES:
                self.report.add(RecordOutcome(Outcome.UNSUPPORTED, item.place, item.type, item.id))
            else:
                if (item.type, item.id) in wave:
                    self._load_wave(list(wave.values()))
                    wave.clear()
                wave[item.type, item.id] = item
        self._load_wave(list(wave.values()))
        if events:
            authorization_events.record(self._transaction, events, self.report, self._writer.loaded_at)

    def _load_wave(self, wave: Sequence[Record]) -> None:
        stored = lookup.current_versions(self._transaction, [(record.type, record.id) for record in wave])
        drafts: list[Draft] = []
        retracted: list[CurrentVersion] = []
        for record in wave:
            current = stored.get((record.type, record.id))
            if record.delete:
                retracted += self._retracted(record, current)
                continue
            draft = self._draft(record, current)
            if draft is not None:
                drafts.append(draft)
        resolution = Resolution(
            self._transaction, self._base, self.report, drafts, [(version.type, version.id) for version in retracted]
        )
        accepted = resolution.run()
        for draft, error in resolution.homeless:
            assert draft.record is not None
            place = draft.record.place
            self.report.add(
                rejected(place, str(error), error.fix, path=error.path, type=draft.definition.type, id=draft.id)
            )
        waiting = self._waiting_for(accepted)
        self._write(accepted, retracted)
        self._settle(waiting | lookup.awaiting(self._transaction, [a for draft in accepted for a in _arrivals(draft)]))
        self._enrolments.record(self._transaction, self._writer, self._coverages, self._patients)
        self._coverages.clear()
        self._patients.clear()

    def _retracted(self, record: Record, current: CurrentVersion | None) -> list[CurrentVersion]:
        if current is None or current.deleted:
            self.report.add(RecordOutcome(Outcome.UNCHANGED, record.place, record.type, record.id))
            if current is None:
                self.report.warn(f"{record.place}: {record.type}/{record.id} is not stored, so it was not retracted")
            return []
        self.report.add(RecordOutcome(Outcome.RETRACTED, record.place, record.type, record.id))
        if record.type == COVERAGE:
            self._coverages.append(SeenCoverage(current.patient, record.id, None))
        return [current]

    def _draft(self, record: Record, current: CurrentVersion | None) -> Draft | None:
        """The record as a draft; None when it is unchanged or rejected, which is reported here."""
        if _is_unchanged(record, current):
            assert current is not None
            self.report.add(RecordOutcome(Outcome.UNCHANGED, record.place, record.type, record.id))
            self._seen_unchanged(record, current)
            return None
        draft = self._prepared.get(record) or records.drafted(record, self._base)
        if isinstance(draft, RecordOutcome):
            self.report.add(draft)
            return None
        draft.stored = current
        self.report.references_dangling += draft.dangling
        return draft

    def _seen_unchanged(self, record: Record, current: CurrentVersion) -> None:
        """Settings may have changed since it was stored; its references are resolved in the stored body only."""
        resource = record.resource
        if record.type == COVERAGE and worth_a_look(record.content):
            resource = parse(lookup.with_bodies(self._transaction, [current.key])[0][1].decode())
        self._seen(record.type, record.id, current.patient, resource)

    def _seen(self, type_name: str, id: str, patient: str, resource: Any) -> None:
        if type_name == COVERAGE:
            self._coverages.append(SeenCoverage(patient, id, resource))
        elif type_name == PATIENT:
            self._patients.append((id, resource))

    def _waiting_for(self, drafts: Sequence[Draft]) -> set[int]:
        """Stored resources that drafts concern before they are written: found by a resource that moves, or by a payor that changes."""
        via = [row.type for row in RESOURCES.values() if row.membership.kind is MembershipKind.VIA]
        keys: set[int] = set()
        for draft in drafts:
            if draft.moves and draft.stored is not None:
                keys |= lookup.pointing(self._transaction, draft.stored.patient, draft.identity, via)
        payors = self._enrolments.payor_identifiers
        replaced = [draft for draft in drafts if draft.definition.type == ORGANIZATION and draft.stored is not None]
        before = lookup.identifiers(self._transaction, ORGANIZATION, [draft.id for draft in replaced]) if payors else {}
        for draft in replaced if payors else ():
            if payors & (set(identifiers_of(draft)) ^ before.get(draft.id, set())):
                keys |= lookup.pointing_from_anywhere(self._transaction, PAYOR_PARAMETER, draft.identity)
        return keys

    def _write(self, drafts: Sequence[Draft], retracted: Sequence[CurrentVersion] = ()) -> None:
        """Write drafts as the next versions of their resources and count their outcomes."""
        if not drafts and not retracted:
            return
        replaced = [draft.stored for draft in drafts if draft.stored is not None] + list(retracted)
        used = lookup.superseded_versions(self._transaction, [(version.type, version.id) for version in replaced])
        for version in replaced:
            used[version.type, version.id].add(version.version)
        now = self._writer.moment([*(draft.identity for draft in drafts), *((one.type, one.id) for one in retracted)])
        writes = [records.write(draft, used.get(draft.identity, ()), now, self.report) for draft in drafts]
        writes += [records.retraction(version, used[version.type, version.id], now) for version in retracted]
        self._writer.write(writes)
        for draft in drafts:
            self._count(draft)
            self._seen(*draft.identity, draft.patient, draft.resource)
            if draft.moves and draft.stored is not None and draft.definition.type == COVERAGE:
                self._coverages.append(SeenCoverage(draft.stored.patient, draft.id, None))

    def _count(self, draft: Draft) -> None:
        record = draft.record
        if record is None:
            return
        new = draft.stored is None or draft.stored.deleted
        outcome = Outcome.CREATED if new else Outcome.UPDATED
        self.report.add(RecordOutcome(outcome, record.place, record.type, record.id))
        self.report.ids_assigned += record.id_assigned
        waited = not new and draft.stored is not None and draft.stored.patient == UNASSIGNED
        self.report.resources_waiting += (draft.patient == UNASSIGNED) - waited
        if draft.patient == UNASSIGNED:
            return
        if draft.definition.membership.kind is MembershipKind.PATH:
            self.members_named.add(draft.patient)

    def _settle(self, keys: Collection[int]) -> None:
        """Resolve, give to their members and enrol the stored resources that waited for something that has arrived now."""
        pending = set(keys)
        while pending:
            portion = set(sorted(pending)[:AT_ONCE])
            pending -= portion
            arrived: list[Awaited] = []
            rewritten: list[Draft] = []
            for draft in self._settled(portion):
                assert draft.stored is not None
                found = draft.stored.patient == UNASSIGNED != draft.patient
                if found:
                    arrived += _arrivals(draft)
                    self.report.resources_waiting -= 1
                if draft.changed or draft.moves:
                    rewritten.append(draft)
                    continue
                if found:
                    self._writer.assign(draft.stored.key, draft.patient)
                self._writer.await_targets(draft.stored.key, draft.awaited)
                self._seen(*draft.identity, draft.patient, draft.resource)
            self._write(rewritten)
            pending |= lookup.awaiting(self._transaction, arrived)

    def _settled(self, keys: Collection[int]) -> list[Draft]:
        """Stored resources as drafts, resolved anew. One that turns out to belong to two members is taken from both."""
        drafts = []
        waiting = lookup.awaited(self._transaction, keys)
        for version, body in lookup.with_bodies(self._transaction, keys):
            resource = parse(body.decode())
            draft = Draft(RESOURCES[version.type], version.id, resource, version.hash, version)
            draft.open = list(logicals(resource, waiting.get(version.key, set())))
            draft.entries = index_entries(draft.definition, resource, self._base)
            drafts.append(draft)
        resolution = Resolution(self._transaction, self._base, self.report, drafts)
        settled = resolution.run()
        for draft, error in resolution.homeless:
            self.report.warn(
                f"{draft.definition.type}/{draft.id} is not served any more: {naming_path(draft.definition)} {error}"
            )
            draft.patient = UNASSIGNED
            settled.append(draft)
        return settled


def _arrivals(draft: Draft) -> list[Awaited]:
    """What the arrival of a draft may be awaited by: its id, and each of its identifiers."""
    type_name = draft.definition.type
    return [
        Awaited(type_name, BY_ID, draft.id),
        *(Awaited(type_name, system, value) for system, value in identifiers_of(draft)),
    ]

"""A payer whose records never stand still, and the apps that keep up with it by the watermark alone.

The recipes are those of ``/docs/sync``, no more and no less.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from seed_data.ndjson import write_lines
from server import clock
from server.ingest.load import load, retract
from server.specification.definition import MembershipKind
from server.specification.registry import RESOURCES
from tests.asgi import Reply
from tests.factories import (
    Record,
    concept,
    coverage,
    explanation_of_benefit,
    organization,
    patient,
    practitioner,
    provenance,
    record,
    reference,
)
from tests.fhir.exporting import kick_off, lines_of, wait
from tests.lasting import FHIR_BASE, World

Identity = str
"""``Type/id``."""
Held = dict[Identity, Any]
"""What an app holds: the resource by its identity, version and all."""
DIRECTORY = tuple(type for type, row in RESOURCES.items() if row.membership.kind is MembershipKind.DIRECTORY)
NAMED = tuple(type for type, row in RESOURCES.items() if row.membership.kind is MembershipKind.NAMED)
SHARED = (*DIRECTORY, *NAMED)
TYPES = (
    *("Patient", "Coverage", "ExplanationOfBenefit", "MedicationRequest", "Medication", "DocumentReference", "Binary"),
    *("Provenance", "Organization", "Practitioner", "PractitionerRole"),
)
"""What the payer has."""
LONG_AGO = datetime(2015, 1, 1, tzinfo=UTC)


@dataclass
class Payer:
    """Two members' records and a directory, changed at random by the commands a payer uses; ids begin with ``name``."""

    world: World
    name: str
    chance: random.Random
    sent: dict[Identity, Record] = field(default_factory=dict)
    stored: dict[Identity, Record] = field(default_factory=dict)
    loads: int = 0
    is_clock_steady: bool = False

    @property
    def members(self) -> tuple[str, str]:
        return f"{self.name}-anna", f"{self.name}-ben"

    def id(self, letter: str, count: int) -> str:
        return f"{self.name}-{letter}{self.chance.randrange(count)}"

    def begin(self) -> None:
        """Both members and something of everything, in an order of its own."""
        self.send([self.changed() for _ in range(25)], [patient(member) for member in self.members])

    def step(self) -> None:
        """One load: new and changed records, the same again, some twice; or a retraction."""
        if self.chance.random() < 0.2 and self.stored:
            gone = self.chance.sample(sorted(self.stored), self.chance.choice([1, 1, 2]))
            with self.some_time():
                retract(self.world.database, self.world.settings, gone)
            for identity in gone:
                del self.stored[identity]
                self.sent.pop(identity, None)
            return
        records = [self.changed() for _ in range(self.chance.choice([1, 1, 2, 4]))]
        if self.sent and self.chance.random() < 0.4:
            records += self.chance.sample(list(self.sent.values()), 1)
        if self.chance.random() < 0.2:
            records += [self.restated(records[0]) for _ in range(self.chance.choice([1, 10]))]
        self.send(records)

    def some_time(self) -> Any:
        """The payer's clock is not to be relied on."""
        if self.is_clock_steady:
            return nullcontext()
        return clock.set_to(clock.now() - timedelta(hours=self.chance.choice([0, 0, 1, 24, 500])))

    def send(self, records: list[Record], first: list[Record] = []) -> None:  # noqa: B006 - never changed
        """Load records; one that cannot be taken, because it names two members, is nothing new."""
        self.loads += 1
        with TemporaryDirectory() as directory, self.some_time():
            path = Path(directory) / "records.ndjson"
            write_lines(path, [*first, *records])
            report = load(self.world.database, self.world.settings, [path])
        refused = {f"{one.type}/{one.id}" for one in report.rejected}
        assert all(one.startswith("Provenance/") for one in refused), str(report)
        assert not report.not_loaded
        for one in (*first, *records):
            identity = f"{one['resourceType']}/{one['id']}"
            if identity not in refused:
                self.stored[identity] = self.sent[identity] = one

    def restated(self, one: Record) -> Record:
        return one | {"language": f"x-{self.chance.randrange(10**6)}"}

    def changed(self) -> Record:
        """A record with something new in it; whose it is may be new as well."""
        make = self.chance.choice(
            [
                *[self.claim] * 4,
                *[self.coverage] * 2,
                *[self.request, self.medication] * 2,
                *[self.document, self.binary] * 2,
                *[self.provenance] * 2,
                *[self.organization, self.practitioner, self.role],
            ]
        )
        one = self.restated(make())
        meta: dict[str, str] = {}
        if self.chance.random() < 0.7:
            moment = LONG_AGO + timedelta(days=self.chance.randrange(4000))
            meta["lastUpdated"] = moment.isoformat(timespec="seconds")
        if self.chance.random() < 0.3:
            meta["versionId"] = self.chance.choice(["a", "b", "7", "9", "10", "2026-01-01"])
        del one["meta"]
        return one | ({"meta": meta} if meta else {})

    def member(self) -> str:
        return f"Patient/{self.chance.choice(self.members)}"

    def claim(self) -> Record:
        return explanation_of_benefit(
            self.id("claim", 6),
            self.member(),
            insurer=reference(f"Organization/{self.id('org', 5)}"),
            provider=reference(f"{self.chance.choice(['', FHIR_BASE + '/'])}Organization/{self.id('org', 5)}"),
            careTeam=[{"sequence": 1, "provider": reference(f"PractitionerRole/{self.id('role', 2)}")}],
            insurance=[{"focal": True, "coverage": reference(f"Coverage/{self.id('cover', 3)}")}],
        )

    def coverage(self) -> Record:
        payor = f"Organization/{self.id('org', 5)}"
        return coverage(self.id("cover", 3), {"resourceType": "Patient", "id": self.member()[8:]}, payor)

    def request(self) -> Record:
        return record(
            "MedicationRequest",
            self.id("rx", 4),
            status="active",
            intent="order",
            subject=reference(self.member()),
            medicationReference=reference(f"Medication/{self.id('drug', 3)}"),
        )

    def medication(self) -> Record:
        return record(
            "Medication",
            self.id("drug", 3),
            manufacturer=reference(f"Organization/{self.id('org', 5)}"),
            status="active",
        )

    def document(self) -> Record:
        return record(
            "DocumentReference",
            self.id("doc", 4),
            status="current",
            type=concept("http://loinc.org", "34133-9"),
            subject=reference(self.member()),
            content=[{"attachment": {"contentType": "text/plain", "url": f"Binary/{self.id('bin', 3)}"}}],
        )

    def binary(self) -> Record:
        return record("Binary", self.id("bin", 3), contentType="text/plain", data="aGVsbG8=")

    def provenance(self) -> Record:
        targets = [f"ExplanationOfBenefit/{self.id('claim', 6)}" for _ in range(self.chance.choice([1, 1, 2]))]
        if self.chance.random() < 0.25:
            targets = [f"Organization/{self.id('org', 5)}"]
        return provenance(self.id("prov", 4), *targets)

    def organization(self) -> Record:
        number = self.chance.randrange(5)
        parent = {"partOf": reference(f"Organization/{self.name}-org{number - 1}")} if number % 2 else {}
        return organization(f"{self.name}-org{number}", **parent)

    def practitioner(self) -> Record:
        return practitioner(self.id("doctor", 3))

    def role(self) -> Record:
        return record(
            "PractitionerRole",
            self.id("role", 2),
            practitioner=reference(f"Practitioner/{self.id('doctor', 3)}"),
            organization=reference(f"Organization/{self.id('org', 5)}"),
        )


def named_by(resource: Any) -> Iterator[Identity]:
    """What a resource refers to on this server: literal references, and urls of attachments."""
    if isinstance(resource, list):
        for one in resource:
            yield from named_by(one)
    elif isinstance(resource, dict):
        for name, value in resource.items():
            if name in ("reference", "url") and isinstance(value, str):
                yield value.removeprefix(FHIR_BASE + "/").partition("/_history/")[0]
            else:
                yield from named_by(value)


def dropped(held: Held, types: tuple[str, ...]) -> Held:
    """Without those of the shared types that nothing held names any more, not even by way of others."""
    kept = {identity: one for identity, one in held.items() if one["resourceType"] not in types}
    fresh = list(kept.values())
    while fresh:
        names = {name for one in fresh for name in named_by(one)} & held.keys() - kept.keys()
        fresh = [held[name] for name in sorted(names)]
        kept |= {name: held[name] for name in names}
    return kept


@dataclass
class App(ABC):
    """An app of one member. It keeps the watermark of the first answer of a sync, and nothing else that tells the time."""

    world: World
    patient: str
    count: int
    between: Callable[[], None]
    held: Held = field(default_factory=dict)
    watermark: str = ""
    marks: list[str] = field(default_factory=list)

    @abstractmethod
    def sync(self) -> None:
        """Be up to date."""

    def pages(self, address: str) -> Iterator[list[Any]]:
        """The entries of all pages of one answer, whose watermark does not change."""
        separator = "&" if "?" in address else "?"
        since = f"&_since={quote(self.watermark)}" if self.watermark else ""
        links: dict[str, str] = {"next": f"{address}{separator}_count={self.count}{since}"}
        first = ""
        while "next" in links:
            reply: Reply = self.world.get(self.patient, links["next"])
            assert reply.status == 200, reply.body
            mark = reply.json["meta"]["lastUpdated"]
            first = first or mark
            assert mark == first
            self.marks.append(mark)
            yield reply.json.get("entry", [])
            self.between()
            links = reply.links

    def take(self, entries: list[Any]) -> None:
        for entry in entries:
            one = entry["resource"]
            self.held[f"{one['resourceType']}/{one['id']}"] = one

    def take_history(self, address: str) -> None:
        """Take the newest entry of each resource, which comes first."""
        seen: set[str] = set()
        for entries in self.pages(address):
            for entry in entries:
                identity = entry["request"]["url"]
                if identity not in seen:
                    seen.add(identity)
                    if entry["request"]["method"] == "DELETE":
                        self.held.pop(identity, None)
                    else:
                        self.take([entry])


class EverythingApp(App):
    """``$everything``, and the deletions from ``_history``, before it."""

    def sync(self) -> None:
        self.marks.clear()
        if self.watermark:
            for entries in self.pages("_history"):
                for entry in entries:
                    if entry["request"]["method"] == "DELETE":
                        self.held.pop(entry["request"]["url"], None)
        for entries in self.pages("Patient/$everything"):
            self.take(entries)
        self.watermark = self.marks[0]
        self.held = dropped(self.held, SHARED)


class HistoryApp(App):
    """``[type]/_history`` of every type that the payer has, the directory too; or searches to begin with."""

    begins_with_searches = False

    def sync(self) -> None:
        self.marks.clear()
        for type in TYPES:
            if self.begins_with_searches and not self.watermark:
                for entries in self.pages(type):
                    self.take(entries)
            else:
                self.take_history(f"{type}/_history")
        self.watermark = self.marks[0]
        self.held = dropped(self.held, NAMED)


class SearchAndHistoryApp(HistoryApp):
    """The same, with searches to begin with."""

    begins_with_searches = True


class ExportApp(App):
    """``$export``: what its manifest lists as deleted, then the files; ``transactionTime`` is the watermark."""

    def sync(self) -> None:
        served, token = self.world.served, self.world.token(self.patient)
        since = f"?_since={quote(self.watermark)}" if self.watermark else ""
        begun = kick_off(served, token, self.patient, since)
        assert begun.status == 202, begun.body
        self.between()
        manifest = wait(served, begun.header("content-location"), token).json
        for file in manifest["deleted"]:
            for bundle in lines_of(served.get(file["url"], token)):
                for entry in bundle["entry"]:
                    self.held.pop(entry["request"]["url"], None)
        for file in manifest["output"]:
            self.between()
            self.take([{"resource": one} for one in lines_of(served.get(file["url"], token))])
        self.watermark = manifest["transactionTime"]
        self.held = dropped(self.held, SHARED)


def served_now(world: World, patient: str) -> Held:
    """What the server shows a member: what searches of every type find."""
    found: Held = {}
    for type in TYPES:
        links = {"next": f"{type}?_count=200"}
        while "next" in links:
            reply = world.get(patient, links["next"])
            found |= {f"{type}/{one['id']}": one for one in reply.entries()}
            links = reply.links
    return found

"""What the writer of an export and its runner hand each other: the steps, the lines of a file until they are stored, why it ends early.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---output-manifest
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

import orjson
from isal import isal_zlib

from server.authorization.permissions import Permissions
from server.storage.export_store import Piece
from server.storage.patient_compartment import StoredResource

_GZIP_LEVEL, _GZIP_FORMAT = 1, 31


class JobRefusedError(Exception):
    """The grant behind the job gives no access any more."""


class ViewChangedError(Exception):
    """What the grant gives is not what it gave when the job began."""


class JobTakenError(Exception):
    """The job was dropped, or another worker writes it."""


class WorkerStoppingError(Exception):
    """This worker ends; another goes on."""


class Step(Protocol):
    """Stores pieces (compressed when called), references and the place behind them; False if the job is not this worker's any more."""

    def __call__(
        self,
        progress: str,
        pieces: Sequence[Callable[[], Piece]],
        references: Collection[tuple[str, str]] = (),
        round: int = 0,
    ) -> Awaitable[bool]: ...


def views_of(permissions: Permissions, types: Iterable[str]) -> dict[str, str]:
    """What permissions let see of each type, in a few letters that change when it does; '' all of it."""
    views = {}
    for type in types:
        view = permissions.view(type)
        views[type] = "" if view == () else sha256(repr(view).encode()).hexdigest()[:20]
    return views


@dataclass(slots=True)
class Lines:
    """Lines of one file that are not stored yet."""

    file: str = ""
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    own: int = 0

    def add(self, one: StoredResource) -> None:
        """One line more."""
        self.lines.append(one.body)
        self.size += len(one.body) + 1
        self.own += bool(one.patient)

    def piece(self) -> Piece:
        """All of them, compressed."""
        raw = b"\n".join(self.lines) + b"\n"
        body = isal_zlib.compress(raw, _GZIP_LEVEL, _GZIP_FORMAT)
        return Piece(self.file, body, len(self.lines), self.own, len(raw))


def deletions(names: Sequence[str]) -> bytes:
    """A transaction that deletes resources: https://hl7.org/fhir/R4/http.html#transaction"""
    entries = [{"request": {"method": "DELETE", "url": name}} for name in names]
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})

"""An app that exports: kicks off, waits, takes the manifest's files.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson

from tests.asgi import Reply, Served

ASYNC = {"prefer": "respond-async"}


def kick_off(served: Served, token: str, member: str = "anna", query: str = "", **headers: str) -> Reply:
    """Ask for an export."""
    return served.get(f"Patient/{member}/$export{query}", token, **ASYNC | headers)


def wait(served: Served, address: str, token: str) -> Reply:
    """Ask for the status until it is no longer 202."""
    for _ in range(2000):
        reply = served.get(address, token)
        if reply.status != 202:
            return reply
        served.runner.run(asyncio.sleep(0.002))
    raise AssertionError("the export does not end")


@dataclass(frozen=True, slots=True)
class Export:
    """An export that is done: where its status is, the manifest, and the lines of the files by type."""

    address: str
    manifest: dict[str, Any]
    files: dict[str, list[Any]]

    @property
    def names(self) -> list[str]:
        """``Type/id`` of every resource, in the order of the files."""
        return [f"{one['resourceType']}/{one['id']}" for lines in self.files.values() for one in lines]


def lines_of(reply: Reply) -> list[Any]:
    """The resources of an NDJSON file; every line ends."""
    assert reply.status == 200, reply.body
    assert reply.body.endswith(b"\n")
    return [orjson.loads(line) for line in reply.body.splitlines()]


def export(served: Served, token: str, member: str = "anna", query: str = "") -> Export:
    """Everything from the kick-off to the last file."""
    begun = kick_off(served, token, member, query)
    assert begun.status == 202, begun.body
    address = begun.header("content-location")
    done = wait(served, address, token)
    assert done.status == 200, done.body
    manifest = done.json
    files = {one["type"]: lines_of(served.get(one["url"], token)) for one in manifest["output"]}
    return Export(address, manifest, files)

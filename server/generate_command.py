"""``patient-access generate``: synthetic members' records, written as files.

https://hl7.org/fhir/uv/bulkdata/ - NDJSON.
"""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Detail(StrEnum):
    """How much is told of a synthetic member."""

    FULL = "full"
    CLAIMS = "claims"


def generate(
    members: Annotated[int, typer.Option("--members", min=1, max=999_999, help="How many members.")],
    output: Annotated[Path, typer.Option("--output", help="A directory for the files; made if absent.")],
    seed: Annotated[int, typer.Option("--seed", min=0, max=999_999, help="Another seed, other members.")] = 1,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day on which it is told; today if absent."),
    ] = None,
    detail: Annotated[
        Detail, typer.Option("--detail", help="full: about 300 resources a member; claims: about 20, nothing clinical.")
    ] = Detail.FULL,
    drugs: Annotated[bool, typer.Option("--drugs", help="With prior authorizations of medicines; else none.")] = False,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            min=1,
            max=64,
            help="The bytes are the same for any number; all cores, four at most, if absent.",
        ),
    ] = None,
) -> None:
    """Write synthetic members' records as NDJSON, to be loaded with: patient-access load DIR."""
    import os

    from seed_data.dataset import Order, prepare, write
    from server import clock
    from server.progress import progress_bar

    day = as_of.date() if as_of else clock.now().date()
    order = Order(members, seed, day, detail.value, drugs)
    prepare(output)
    with progress_bar("Generating") as advance:
        written = write(order, output, processes or min(os.cpu_count() or 1, 4), advance)
    print(f"Wrote {written.resources:,} resources of {members:,} members into {output}, as of {day}.")

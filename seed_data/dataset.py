"""The files of `patient-access generate`: NDJSON by type, the same bytes for the same arguments, however many processes make them.

https://hl7.org/fhir/uv/bulkdata/ (NDJSON). Members are made in blocks; a block depends on its numbers alone, blocks are written in
their order, and only a few are in memory at a time."""

import os
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from shutil import copyfile
from typing import IO

from seed_data.datatypes import Record
from seed_data.generate import EVENTS, LOADING_ORDER, shared_records
from seed_data.lives.life import life
from seed_data.ndjson import json_line
from seed_data.records import Detail, authorization_event_lines, records

MOST = 999_999
"""Members, and seeds: six digits, so that no id is longer than FHIR allows."""
FIRST, LAST = date(1950, 1, 1), date(2199, 12, 31)
UNITS = "reporting_units.toml"
BLOCK: dict[Detail, int] = {"full": 10, "claims": 50}
"""Members in a block: a few megabytes of records."""
_OURS = re.compile(r"\d\d-[A-Za-z]+\.ndjson")

Progress = Callable[[int, int], None]
"""Told how many members are written, and how many there are to be."""


class DatasetError(ValueError):
    """The files cannot be written; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: all of it decides the bytes. `members` from 1 and `seed` from 0 to 999,999, `as_of` within FIRST and
    LAST; raises DatasetError for anything else."""

    members: int
    seed: int
    as_of: date
    detail: Detail
    drugs: bool = False  # with prior authorizations of medicines

    def __post_init__(self) -> None:
        if not (1 <= self.members <= MOST and 0 <= self.seed <= MOST):
            raise DatasetError(f"members are 1 to {MOST}, a seed is 0 to {MOST}; not {self.members} and {self.seed}")
        if not FIRST <= self.as_of <= LAST:
            raise DatasetError(f"the as-of day must be from {FIRST} to {LAST}, not {self.as_of}")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the files in loading order, and how many resources are in them."""

    paths: tuple[Path, ...]
    resources: int


def write(order: Order, output: Path, processes: int = 1, on_progress: Progress | None = None) -> Written:
    """Writes the members' records into `output`, one file for each type, what is referred to first; the directory is made if
    absent, files of an earlier run in it are replaced. Raises DatasetError when the directory holds anything else."""
    prepare(output)
    counted = 0
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}

        def append(name: str, lines: bytes) -> None:
            if name not in files:
                files[name] = stack.enter_context((output / name).open("wb"))
            files[name].write(lines)

        for record in shared_records():
            append(_file_name(record), json_line(record))
            counted += 1
        for last, (count, block) in _blocks(order, processes):
            counted += count
            for name, lines in block.items():
                append(name, lines)
            if on_progress is not None:
                on_progress(last, order.members)
    copyfile(Path(__file__).parent / UNITS, output / UNITS)
    return Written(tuple(sorted(output / name for name in files)), counted)


def prepare(output: Path) -> None:
    """Makes the directory, or empties it of an earlier data set. Raises DatasetError when it holds anything else."""
    output.mkdir(parents=True, exist_ok=True)
    found = sorted(output.iterdir())
    foreign = [path.name for path in found if not (_OURS.fullmatch(path.name) or path.name in {EVENTS, UNITS})]
    if foreign:
        raise DatasetError(f"{output} holds {foreign[0]}, which is not of a generated data set; name another directory")
    for path in found:
        path.unlink()


def _file_name(record: Record) -> str:
    resource_type = record["resourceType"]
    return f"{LOADING_ORDER.index(resource_type):02d}-{resource_type}.ndjson"


_Block = tuple[int, dict[str, bytes]]


def _blocks(order: Order, processes: int) -> Iterator[tuple[int, _Block]]:
    """Each block in order, with the number of its last member; at most two for each process are made ahead."""
    size = BLOCK[order.detail]
    spans = ((first, min(first + size - 1, order.members)) for first in range(1, order.members + 1, size))
    if processes == 1:
        for first, last in spans:
            yield last, block(order, first, last)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _serve_the_parent) as pool:
        waiting: deque[tuple[int, Future[_Block]]] = deque()
        try:
            for first, last in spans:
                waiting.append((last, pool.submit(block, order, first, last)))
                if len(waiting) >= 2 * processes:
                    number, made = waiting.popleft()
                    yield number, made.result()
            for number, made in waiting:
                yield number, made.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _serve_the_parent() -> None:
    """Leaves Ctrl-C to the parent process, and ends when that has ended, however it did."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def block(order: Order, first: int, last: int) -> _Block:
    """How many resources the members of these numbers have, and the lines of each file."""
    found: dict[str, list[bytes]] = {}
    counted = 0
    for number in range(first, last + 1):
        member = life(order.seed, number, order.as_of, order.detail)
        for record in records(member, order.seed, order.as_of, order.detail, order.drugs):
            found.setdefault(_file_name(record), []).append(json_line(record))
            counted += 1
        for line in authorization_event_lines(member, order.seed, order.as_of, order.drugs):
            found.setdefault(EVENTS, []).append(json_line(line))
    return counted, {name: b"".join(lines) for name, lines in found.items()}

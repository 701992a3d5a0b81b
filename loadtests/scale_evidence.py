"""The page of evidence of growing stores, the figures behind it, and whether the goals were reached.

https://spec.commonmark.org/ - a page of ``docs/evidence/``; the figures, as JSON beside it, are what docs/scaling.md reckons with.
"""

import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.load_generator import Figures
from loadtests.many_members import EVERYONE, PAGE, QUESTIONS, REALITY, WORKLOADS, Question, Workload
from loadtests.stored_compression import Method
from loadtests.stores import Loaded
from loadtests.weights import INDEX_TABLES, Weights

MOST_TIMES = 1.3
"""By which p50 and p99 of the largest store may exceed those of the smallest."""
MOST_MEGABYTES = 200
"""That a worker may have allocated."""
PARTS = {
    "resources": ("resource",),
    "search by token": ("token_index",),
    "search by reference": ("reference_index",),
    "search by date": ("date_index",),
    "search by string": ("string_index",),
    "superseded versions": ("resource_version",),
    "ledger": ("ledger",),
    "grants and tokens": ("grant", "access_token", "refresh_token"),
}
"""What tables are shown together."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Bytes that a worker has allocated, and of files that it maps."""

    allocated: int
    mapped: int


@dataclass(frozen=True, slots=True)
class Size:
    """What was measured of one store. ``tokens``: members who asked."""

    members: int
    loaded: Loaded
    weights: Weights
    ledger_rows: int
    ledger_bytes: int
    workers: Sequence[Worker]
    tokens: int
    latency: Mapping[tuple[Question, Workload], Figures]

    @property
    def per_answer(self) -> float:
        """Bytes that an answer adds to the ledger."""
        return self.ledger_bytes / max(1, self.ledger_rows)

    @property
    def megabytes(self) -> float:
        """That the largest worker has allocated."""
        return max(worker.allocated for worker in self.workers) / 2**20

    @property
    def mapped_megabytes(self) -> float:
        """That the same worker maps of the database's file."""
        return max((worker.allocated, worker.mapped) for worker in self.workers)[1] / 2**20


@dataclass(frozen=True, slots=True)
class Measured:
    """All of it, the smallest store first."""

    command: str
    database: str
    tool: str
    machine: str
    day: str
    workers: int
    connections: int
    rounds: int
    seconds: int
    sizes: Sequence[Size]
    methods: Sequence[Method]

    def figures(self) -> dict[str, Any]:
        """As JSON: what docs/scaling.md reckons with."""
        return {
            "command": self.command,
            "database": self.database,
            "machine": self.machine,
            "day": self.day,
            "workers": self.workers,
            "sizes": [_as_json(size) for size in self.sizes],
            "compression": [asdict(method) for method in self.methods],
        }


@dataclass(frozen=True, slots=True)
class Growth:
    """How much longer the largest store takes than the smallest, at one percentile of one kind of request."""

    question: Question
    workload: Workload
    percentile: str
    smallest: float
    largest: float

    @property
    def times(self) -> float:
        """The ratio of the two."""
        return self.largest / self.smallest

    @property
    def is_reached(self) -> bool:
        """Whether it is within the goal."""
        return self.times <= MOST_TIMES


def growths(measured: Measured) -> list[Growth]:
    """Every comparison of the largest store with the smallest."""
    small, large = measured.sizes[0].latency, measured.sizes[-1].latency
    return [
        Growth(
            question, workload, name, getattr(small[question, workload], name), getattr(large[question, workload], name)
        )
        for question in QUESTIONS
        for workload in WORKLOADS
        for name in ("p50", "p99")
    ]


def is_reached(measured: Measured) -> bool:
    """Whether every goal was."""
    return all(growth.is_reached for growth in growths(measured)) and all(
        size.megabytes < MOST_MEGABYTES for size in measured.sizes
    )


def _as_json(size: Size) -> dict[str, Any]:
    weights = size.weights
    return {
        "members": size.members,
        "resources": weights.resources,
        "claims": weights.claims,
        "load": {**asdict(size.loaded), "per_second": size.loaded.per_second},
        "bytes": {
            "database": weights.database,
            "claim_json": weights.json,
            "claim_stored": weights.stored,
            "claim_table": weights.table,
            "claim_indexed": weights.indexed,
            "claim_index_rows": weights.index_rows,
            **{title: sum(map(weights.bytes_of, tables)) for title, tables in PARTS.items()},
        },
        "ledger": {"rows": size.ledger_rows, "bytes": size.ledger_bytes, "per_answer": size.per_answer},
        "worker": {"allocated": size.megabytes * 2**20, "mapped": size.mapped_megabytes * 2**20},
        "latency": {
            f"{question.slug}, {workload.name}": asdict(figures)
            for (question, workload), figures in size.latency.items()
        },
    }


def render(measured: Measured, took: float) -> str:
    """The page. ``took``: seconds in all."""
    m, sizes = measured, measured.sizes
    largest = sizes[-1]
    heads = " | ".join(f"{size.members:,} members" for size in sizes)
    rule = "|---|" + "---:|" * len(sizes)

    def row(title: str, *cells: object) -> str:
        return f"| {title} | " + " | ".join(map(str, cells)) + " |"

    latency = [
        row(
            f"{question.title}, {workload.name}",
            *(
                f"{figures.p50:.2f} / {figures.p99:.2f} ({figures.per_second:,.0f}/s)"
                for figures in (size.latency[question, workload] for size in sizes)
            ),
        )
        for question in QUESTIONS
        for workload in WORKLOADS
    ]
    compared = [
        row(
            f"{growth.question.title}, {growth.workload.name}: {growth.percentile}",
            f"{growth.smallest:.2f}",
            f"{growth.largest:.2f}",
            f"**{growth.times:.2f}**",
            f"≤ {MOST_TIMES}",
            "reached" if growth.is_reached else "missed",
        )
        for growth in growths(m)
    ]
    w = [size.weights for size in sizes]
    weight = [
        row("resources (of these claims, EOBs)", *(f"{one.resources:,} ({one.claims:,})" for one in w)),
        row("the whole database, MB", *(f"{one.database / 1e6:,.0f}" for one in w)),
        row("an EOB as it is served, bytes", *(f"{one.json:,.0f}" for one in w)),
        row("as it is stored", *(f"{one.stored:,.0f}" for one in w)),
        row("with its share of the table's pages", *(f"{one.table:,.0f}" for one in w)),
        row("and with its indexes", *(f"**{one.table + one.indexed:,.0f}**" for one in w)),
        row("rows of an EOB in the search indexes", *(f"{one.index_rows:.1f}" for one in w)),
        row(
            "the database, bytes a member",
            *(f"{one.database / size.members:,.0f}" for one, size in zip(w, sizes, strict=True)),
        ),
    ]
    parts = [
        row(title, *(f"{sum(map(one.bytes_of, tables)) / 1e6:,.1f}" for one in w)) for title, tables in PARTS.items()
    ]
    rows = [
        row(
            f"{title}: rows",
            *(f"{sum(part.rows for part in one.parts if part.table == table and part.is_table):,}" for one in w),
        )
        for title, (table, *_) in PARTS.items()
        if table in INDEX_TABLES
    ]
    memory = [
        row("allocated (RssAnon), MB", *(f"{size.megabytes:,.0f}" for size in sizes)),
        row(
            "beside it, pages of the database's file (RssFile), MB",
            *(f"{size.mapped_megabytes:,.0f}" for size in sizes),
        ),
    ]
    ledger = [
        row("rows", *(f"{size.ledger_rows:,}" for size in sizes)),
        row("bytes an answer, with indexes", *(f"{size.per_answer:,.0f}" for size in sizes)),
    ]
    load = [
        row("MB of NDJSON", *(f"{size.loaded.megabytes:,.0f}" for size in sizes)),
        row("seconds", *(f"{size.loaded.seconds:,.0f}" for size in sizes)),
        row("resources a second, one process", *(f"{size.loaded.per_second:,.0f}" for size in sizes)),
    ]
    tried = [
        row(
            one.name,
            f"{one.bytes:,.0f}",
            f"{one.bytes / m.methods[0].bytes:.0%}",
            *(
                ("in the database",) * 2
                if one.compress is None or one.decompress is None
                else (f"{one.compress:.1f}", f"{one.decompress:.1f} / {PAGE * one.decompress:.0f}")
            ),
        )
        for one in m.methods
    ]
    worst = max(size.megabytes for size in sizes)
    verdict = "reached" if worst < MOST_MEGABYTES else "missed"
    return "\n".join(
        [
            f"# As the store grows, on {m.database.split()[0]}",
            "",
            f"    {m.command}",
            "",
            f"Latency in ms, p50 / p99, with {m.connections} connections that never pause:",
            "",
            f"| | {heads} |",
            rule,
            *latency,
            "",
            f"| {largest.members:,} members beside {sizes[0].members:,} | smallest | largest | times | goal | |",
            "|---|---:|---:|---:|---:|---|",
            *compared,
            "",
            "## Bytes",
            "",
            f"| | {heads} |",
            rule,
            *weight,
            "",
            f"| MB, indexes included | {heads} |",
            rule,
            *parts,
            *rows,
            "",
            f"| the ledger | {heads} |",
            rule,
            *ledger,
            "",
            "## Memory of the largest worker",
            "",
            f"| | {heads} |",
            rule,
            *memory,
            "",
            f"Goal: less than {MOST_MEGABYTES} MB of its own: {verdict}. Pages of the file are the system's cache, which all workers share;"
            " it keeps or drops them as it likes.",
            "",
            "## Loading",
            "",
            f"| | {heads} |",
            rule,
            *load,
            "",
            "## Ways to store an EOB",
            "",
            f"| | bytes | of plain | compress, µs | decompress one / {PAGE}, µs |",
            "|---|---:|---:|---:|---:|",
            *tried,
            "",
            "Claims of the largest store; the dictionary was trained on others of them. Synthetic claims are more alike than a payer's.",
            "",
            f"- **Server**: `patient-access serve`, {m.workers} workers for each store, {m.database}, production settings; all up at once.",
            f"- **Members** were made by `patient-access generate --detail claims` and loaded by `patient-access load`; up to"
            f" {max(size.tokens for size in sizes):,} of each store, at random, had a token. *{EVERYONE.name.capitalize()}*: any of them next."
            f" *{REALITY.name.capitalize()}*: a tenth of them make 56 % of the requests.",
            f"- **Load**: {m.tool}, {m.connections} connections, 127.0.0.1, on the same machine. Each figure is the median of {m.rounds} runs of"
            f" {m.seconds} s; the stores took turns, warm.",
            "- **Checked**: some members' answers taken apart before (status, whose, which, how many); during it, that every answer was a success.",
            f"- **Machine**: {m.machine}.",
            f"- **Software**: Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}.",
            f"- **When**: {m.day}; {took:.0f} s without loading what was loaded before. Loading took what the other work of that machine left.",
            "",
        ]
    )

"""The page of evidence of the crawl: what was measured, against which goals, on which machine, by which command.

https://spec.commonmark.org/ - a page of ``docs/evidence/``.
"""

import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from loadtests.evidence import machine
from loadtests.memory import Growth

MOST_MILLISECONDS = 100
"""Of the first page of everything."""
MOST_MEGABYTES = 50
"""By which the server's memory may grow."""


@dataclass(frozen=True, slots=True)
class Crawl:
    """Every page of everything. Times in seconds."""

    resources: int
    pages: int
    firsts: Sequence[float]
    latencies: Sequence[float]
    took: float
    memory: Growth


@dataclass(frozen=True, slots=True)
class Download:
    """All files of an export; ``sent`` is bytes as they travelled."""

    encoding: str
    sent: int
    lines: int
    first_byte: float
    took: float
    memory: Growth


@dataclass(frozen=True, slots=True)
class Export:
    """An export; ``idle`` and ``busy``: how long another member's reads took before it and while it was written."""

    resources: int
    took: float
    memory: Growth
    downloads: Sequence[Download]
    idle: Sequence[float]
    busy: Sequence[float]


@dataclass(frozen=True, slots=True)
class Measured:
    """All of it. ``loaded``: seconds until the records were in the database."""

    command: str
    database: str
    workers: int
    size: int
    loaded: float
    crawl: Crawl
    export: Export

    @property
    def is_reached(self) -> bool:
        """Whether every goal was."""
        grown = (self.crawl.memory, self.export.memory, *(one.memory for one in self.export.downloads))
        return max(self.crawl.firsts) * 1000 < MOST_MILLISECONDS and all(
            one.megabytes < MOST_MEGABYTES for one in grown
        )


def render(measured: Measured) -> str:
    """The page."""
    crawl, export = measured.crawl, measured.export
    rows = [
        (
            f"the first page of `$everything`, the slowest of {len(crawl.firsts)}",
            f"{max(crawl.firsts) * 1000:.1f} ms (median {median(crawl.firsts) * 1000:.1f} ms)",
            f"< {MOST_MILLISECONDS} ms",
            max(crawl.firsts) * 1000 < MOST_MILLISECONDS,
        ),
        _memory_row(f"all {crawl.pages} pages of `$everything`", crawl.memory),
        _memory_row(f"writing an `$export` of {export.resources:,} resources", export.memory),
        *[_memory_row(f"sending its files ({one.encoding})", one.memory) for one in export.downloads],
    ]
    return "\n".join(
        [
            f"# A member with very much, on {measured.database}",
            "",
            f"    {measured.command}",
            "",
            "| | measured | goal | |",
            "|---|---:|---:|---|",
            *[f"| {what} | {value} | {goal} | {_word(reached)} |" for what, value, goal, reached in rows],
            "",
            "Memory is what all processes of the server together allocated (RssAnon), at most, beyond what they had before. In brackets:"
            " pages of the database file that SQLite maps (RssFile), which the system keeps or drops as it likes.",
            "",
            "| | |",
            "|---|---:|",
            f"| `$everything`: {crawl.resources:,} resources on {crawl.pages} pages | {crawl.took:.1f} s |",
            f"| a page, median / slowest | {median(crawl.latencies) * 1000:.1f} / {max(crawl.latencies) * 1000:.1f} ms |",
            f"| `$export`: {export.resources:,} resources, from the kick-off to the manifest | {export.took:.1f} s |",
            f"| resources written a second | {export.resources / export.took:,.0f} |",
            *[line for one in export.downloads for line in _download(one)],
            f"| a read of another member before the export, p50 / p99 | {_percentiles(export.idle)} ms |",
            f"| a read of another member while it was written, p50 / p99 | {_percentiles(export.busy)} ms |",
            "",
            f"- **Server**: `patient-access serve`, {measured.workers} workers, {measured.database}, production settings. One member has"
            f" {crawl.resources - 2:,} claims, another {export.resources - 4:,}, of {measured.size:,} bytes each; they went in through"
            f" `patient-access load` in {measured.loaded:.0f} s.",
            "- **Checked**: the ids of all that `$everything` brought; the manifest's count and every file's lines, plain and compressed.",
            "- **Load**: one client on 127.0.0.1, on the same machine, and another that reads one claim every hundredth of a second.",
            f"- **Machine**: {machine()}.",
            f"- **Software**: Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}.",
            f"- **When**: {datetime.now(UTC):%Y-%m-%d}.",
            "",
        ]
    )


def _memory_row(what: str, memory: Growth) -> tuple[str, str, str, bool]:
    value = f"+{memory.megabytes:.1f} MB [+{memory.mapped_megabytes:.0f} MB]"
    return f"memory over {what}", value, f"< {MOST_MEGABYTES} MB", memory.megabytes < MOST_MEGABYTES


def _download(one: Download) -> list[str]:
    rate = one.sent / one.took / 1e6
    return [
        f"| its files, {one.encoding}: time to the first byte of the largest | {one.first_byte * 1000:.1f} ms |",
        f"| its files, {one.encoding}: {one.sent / 1e6:,.1f} MB, {one.lines:,} lines | {one.took:.1f} s, {rate:,.0f} MB/s |",
    ]


def _percentiles(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return f"{median(ordered) * 1000:.1f} / {ordered[int(len(ordered) * 0.99)] * 1000:.1f}"


def _word(reached: bool) -> str:
    return "reached" if reached else "missed"

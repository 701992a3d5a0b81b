"""The evidence of the soak: what was sampled, by tenths of its time, beside the goals.

https://man7.org/linux/man-pages/man5/proc_pid_status.5.html - RssAnon is what a process has allocated, RssFile are pages of files it maps.
"""

import platform
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from loadtests.evidence import machine
from loadtests.soak_client import MIX, Span

MOST_RSS_GROWTH = 0.05
MOST_P99_RATIO = 1.5
MOST_DESCRIPTORS = 2
"""By how many the descriptors of all workers together may differ: a connection of a sign-in may be open at the moment."""
MOST_ROWS_AWAY = 0.01
MOST_BYTES_RATIO = 1.25
MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    """The workers together at a moment (seconds since the soak began): bytes allocated, bytes mapped from files, open descriptors."""

    at: float
    allocated: int
    mapped: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger at a moment: rows of answers so far, FHIR answers that apps received so far, bytes of the database."""

    rows: int
    answers: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Soak:
    """What was measured, all of it after the warm-up. ``spans`` and ``ledgers``: tenths; three moments: begin, middle, end.

    ``peak``, ``rate``: requests a second, closed loop, and held. ``replaced``: workers that are not those of the beginning.
    """

    command: str
    database: str
    workers: int
    connections: int
    minutes: float
    peak: float
    rate: float
    spans: Sequence[Span]
    samples: Sequence[Sample]
    ledgers: Sequence[Ledger]
    failures: dict[str, int]
    sign_ins: int
    sign_in_seconds: float
    replaced: int

    def _quarter(self, value: Callable[[Sample], float], *, last: bool) -> float:
        length = max(1, len(self.samples) // 4)
        return median(map(value, self.samples[-length:] if last else self.samples[:length]))

    @property
    def allocated(self) -> tuple[float, float]:
        """Bytes allocated: medians of the first and the last quarter."""
        return tuple(self._quarter(lambda s: s.allocated, last=last) for last in (False, True))  # type: ignore[return-value]

    @property
    def mapped(self) -> tuple[float, float]:
        """Bytes mapped from files: the same."""
        return tuple(self._quarter(lambda s: s.mapped, last=last) for last in (False, True))  # type: ignore[return-value]

    @property
    def descriptors(self) -> tuple[float, float]:
        """Open descriptors: the same."""
        return tuple(self._quarter(lambda s: s.descriptors, last=last) for last in (False, True))  # type: ignore[return-value]

    @property
    def p99(self) -> tuple[float, float]:
        """The 99th percentile in milliseconds: medians of the first and the last three tenths."""
        values = [span.percentile(99) for span in self.spans]
        return median(values[:3]), median(values[-3:])

    @property
    def growth(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(rows of the ledger for each answer, bytes of the database for each row), of the first half and of the second."""
        halves = []
        for before, after in zip(self.ledgers, self.ledgers[1:], strict=False):
            rows = after.rows - before.rows
            halves.append((rows / max(1, after.answers - before.answers), (after.bytes - before.bytes) / max(1, rows)))
        return halves[0], halves[1]

    @property
    def rows(self) -> list[tuple[str, str, str, bool]]:
        """What, measured, goal, reached."""
        first, last = self.allocated
        (rows_1, bytes_1), (rows_2, bytes_2) = self.growth
        slow_1, slow_2 = self.p99
        open_1, open_2 = self.descriptors
        held = sum(span.answers.total() for span in self.spans) / max(0.001, sum(span.seconds for span in self.spans))
        return [
            (
                "memory of the workers (RssAnon), first and last quarter",
                f"{first / MEGABYTE:.1f} → {last / MEGABYTE:.1f} MB ({last / first - 1:+.1%})",
                f"< +{MOST_RSS_GROWTH:.0%}",
                last / first - 1 < MOST_RSS_GROWTH,
            ),
            (
                "p99, first and last tenths",
                f"{slow_1:.1f} → {slow_2:.1f} ms",
                f"≤ {MOST_P99_RATIO} times",
                slow_2 <= slow_1 * MOST_P99_RATIO,
            ),
            (
                "open descriptors, first and last quarter",
                f"{open_1:.0f} → {open_2:.0f}",
                "no growth",
                open_2 <= open_1 + MOST_DESCRIPTORS,
            ),
            (
                "ledger rows an answer, first and second half",
                f"{rows_1:.4f}, {rows_2:.4f}",
                "1",
                max(abs(rows_1 - 1), abs(rows_2 - 1)) <= MOST_ROWS_AWAY,
            ),
            (
                "bytes of the database a row, first and second half",
                f"{bytes_1:.0f}, {bytes_2:.0f}",
                f"≤ {MOST_BYTES_RATIO} times",
                bytes_2 <= bytes_1 * MOST_BYTES_RATIO,
            ),
            (
                "requests a second, of those meant",
                f"{held:,.0f} of {self.rate:,.0f}",
                "≥ 98%",
                held >= 0.98 * self.rate,
            ),
            (
                "failures, workers that ended",
                f"{sum(self.failures.values())}, {self.replaced}",
                "0, 0",
                not self.failures and not self.replaced,
            ),
        ]

    @property
    def is_reached(self) -> bool:
        """Whether every goal was."""
        return all(reached for *_, reached in self.rows)


def render(soak: Soak) -> str:
    """The page."""
    mapped_1, mapped_2 = soak.mapped
    mix = ", ".join(f"{share} % {kind}" for kind, share in MIX.items())
    answered = sum(span.answers.total() for span in soak.spans)
    return "\n".join(
        [
            f"# {soak.minutes:g} minutes at 70 % of peak, on {soak.database.split()[0]}",
            "",
            f"    {soak.command}",
            "",
            "| | measured | goal | |",
            "|---|---:|---:|---|",
            *[f"| {what} | {value} | {goal} | {_word(reached)} |" for what, value, goal, reached in soak.rows],
            "",
            "| tenth | requests/s | p50, ms | p99, ms | memory, MB | descriptors |",
            "|---:|---:|---:|---:|---:|---:|",
            *[_tenth(soak, number) for number in range(len(soak.spans))],
            "",
            f"The peak, with every connection asking again at once, was {soak.peak:,.0f} requests/s; {soak.rate:,.0f} were due each second, and {answered:,}"
            " were answered. The first tenth of the time is a warm-up, in no figure. A latency counts from the moment at which the request was due."
            f" Pages of the database file that SQLite maps, which the system keeps or drops as it likes, come to the memory: {mapped_1 / MEGABYTE:.0f} →"
            f" {mapped_2 / MEGABYTE:.0f} MB.",
            "",
            f"- **Server**: `patient-access serve`, {soak.workers} workers, {soak.database}, production settings.",
            f"- **Load**: {mix}, on {soak.connections} connections, and {soak.sign_ins:,} sign-ins with consent and code exchange beside them"
            f" (median {soak.sign_in_seconds:.2f} s), from one process on 127.0.0.1 of the same machine. Every answer's status and member is checked.",
            f"- **Ledger**: {soak.ledgers[-1].rows:,} rows of answers at the end, {soak.ledgers[-1].bytes / MEGABYTE:,.0f} MB of database.",
            f"- **Machine**: {machine()}.",
            f"- **Software**: Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}.",
            f"- **When**: {datetime.now(UTC):%Y-%m-%d}.",
            *[f"- **Failure**: {what}, {count:,} times" for what, count in soak.failures.items()],
            "",
        ]
    )


def _tenth(soak: Soak, number: int) -> str:
    span, length = soak.spans[number], max(1, len(soak.samples) // len(soak.spans))
    samples = soak.samples[number * length : (number + 1) * length] or soak.samples[-1:]
    memory = median(sample.allocated for sample in samples) / MEGABYTE
    descriptors = median(sample.descriptors for sample in samples)
    rate = span.answers.total() / max(0.001, span.seconds)
    return f"| {number + 1} | {rate:,.0f} | {span.percentile(50):.1f} | {span.percentile(99):.1f} | {memory:.1f} | {descriptors:.0f} |"


def _word(reached: bool) -> str:
    return "reached" if reached else "missed"

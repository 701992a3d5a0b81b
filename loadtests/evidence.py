"""The evidence: what was measured, against which goals, on which machine, by which command.

https://spec.commonmark.org/ - a page of ``docs/evidence/``.
"""

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from loadtests.cases import Case
from loadtests.load_generator import Figures
from loadtests.worker_profile import Profile, section


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of a case; ``size`` is of the body in bytes; ``beside`` is what the server is compared with."""

    case: Case
    goal: float
    size: int
    server: Figures
    beside: Figures

    @property
    def ratio(self) -> float:
        """The server's requests a second to those of what it is compared with."""
        return self.server.per_second / self.beside.per_second

    @property
    def is_reached(self) -> bool:
        """Whether the ratio is as good as its goal."""
        return self.ratio >= self.goal


@dataclass(frozen=True, slots=True)
class Conditions:
    """How it was measured. ``ledger_rows``: answers in the ledger afterwards; ``took``: seconds, loading included."""

    command: str
    tool: str
    connections: int
    workers: int
    rounds: int
    seconds: int
    database: str
    members: int
    claims: int
    tokens: int
    answered: int
    ledger_rows: int
    took: float
    beside: str = ""
    """The factory of the application it was compared with; '' for the bare one."""


def render(
    results: Sequence[Result], compressed: Result | None, conditions: Conditions, profiles: Sequence[Profile] = ()
) -> str:
    """The page; without ``compressed`` or ``profiles`` those were not measured."""
    c = conditions
    other = c.beside.partition(":")[0].rpartition(".")[2].replace("_", " ") or "bare"
    gzip = [
        "",
        "The same page of 10 with `Accept-Encoding: gzip`, beside that page of the same server without:",
        "",
        *(_table("plain", [compressed]) if compressed is not None else []),
    ]
    of_other = (
        f"- **{other.capitalize()}**: `{c.beside}`, the same server on the same database, under uvicorn with the same flags,"
        f" {c.workers} workers and the same memory settings."
        if c.beside
        else "- **Bare**: an ASGI application that sends constants of the same sizes with the same content type, under uvicorn with"
        f" the same flags, {c.workers} workers and the same memory settings."
    )
    title = f"The server on {c.database.split()[0]} beside itself {other}" if c.beside else ""
    packages = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools"))
    return "\n".join(
        [
            f"# {title or f'The hot path on {c.database.split()[0]} beside a bare ASGI application'}",
            "",
            f"    {c.command}",
            "",
            *_table(other, results),
            *(gzip if compressed is not None else []),
            "",
            "Each figure is the median of"
            f" {c.rounds} runs of {c.seconds} s; the two that are compared took turns in one session.",
            "",
            f"- **Server**: `patient-access serve`, {c.workers} workers, {c.database}, production settings, one log line an answer to a file."
            f" {c.members} members with {c.claims // c.members} claims each ({c.claims:,} claims) went in through `patient-access load`.",
            f"- **Tokens**: an app was allowed for {c.tokens} members through the sign-in and consent pages (PKCE, `patient/*.rs`); their tokens took turns.",
            of_other,
            f"- **Load**: {c.tool}, {c.connections} connections, 127.0.0.1, on the same machine.",
            "- **Checked**: before and after each case every token's answer (status, ids, member, count, total, next link); during it,"
            f" that every answer was a success. The load generator counted {c.answered:,} answers of the server; the ledger has"
            f" {c.ledger_rows:,}, of exactly {c.tokens} members.",
            f"- **Machine**: {machine()}.",
            f"- **Software**: Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}.",
            f"- **When**: {datetime.now(UTC):%Y-%m-%d}; {c.took:.0f} s in all, loading included.",
            *(section(profiles) if profiles else []),
            "",
        ]
    )


def _table(beside: str, results: Sequence[Result]) -> list[str]:
    return [
        f"| | body, bytes | requests/s | p50 / p99, ms | {beside}: requests/s | p50 / p99, ms | ratio | goal | |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
        *[
            f"| {r.case.title} | {r.size:,} | {r.server.per_second:,.0f} | {r.server.p50:.2f} / {r.server.p99:.2f} |"
            f" {r.beside.per_second:,.0f} | {r.beside.p50:.2f} / {r.beside.p99:.2f} | **{r.ratio:.3f}** | {r.goal} |"
            f" {'reached' if r.is_reached else 'missed'} |"
            for r in results
        ],
    ]


def machine() -> str:
    """Cores, processor, operating system, and how busy it was otherwise."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line
        ]
        processor = names[0] if names else processor
    return f"{os.cpu_count()} cores ({processor}), {platform.system()} {platform.release()}"

"""The arithmetic of docs/scaling.md: rows, bytes, requests and machines for so many members, reckoned from measured figures.

https://spec.commonmark.org/ - ``python -m loadtests.scaling`` rewrites the tables between ``<!-- name -->`` and ``<!-- /name -->`` from
docs/evidence/scale.json and scale_postgresql.json; ``--members N`` prints the reckoning for one's own number, ``--adoption`` and the other
options replace what is assumed. A test fails when the page lags.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import ceil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scaling.md"
EVIDENCE = ROOT / "docs" / "evidence"
SQLITE, POSTGRESQL = EVIDENCE / "scale.json", EVIDENCE / "scale_postgresql.json"
FILE_MEMBERS = (10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)
MEMBERS = (50_000, 500_000, 5_000_000, 50_000_000)
DAYS, HOURS, SECONDS = 365, 24, 86_400


def _assumed(value: float, meaning: str) -> Any:
    return field(default=value, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not measured here, because it is a payer's own: each has its meaning beside it."""

    years: float = _assumed(5.0, "years of claims that are held (the stores measured hold one)")
    adoption: float = _assumed(0.05, "share of the members who let at least one app in")
    apps: float = _assumed(1.3, "apps of such a member")
    syncs: float = _assumed(1.0, "times a day that an app synchronises a member")
    requests: float = _assumed(10.0, "requests of a synchronisation")
    busy: float = _assumed(3.0, "the busiest hour beside the mean one")
    storm: float = _assumed(4.0, "hours in which every app synchronises every member, once a month")
    use: float = _assumed(0.5, "share of a machine's measured rate that is planned with")
    changes: float = _assumed(3.0, "resources that come or change for a member in a month")
    retention: float = _assumed(6.0, "years for which the ledger is kept")
    copied: float = _assumed(100.0, "MB a second at which a backup is written or restored")
    night: float = _assumed(8.0, "hours in which a backup, or a month's load, has to be done")


@dataclass(frozen=True, slots=True)
class Measures:
    """The figures of the largest store that was measured on one database; ``cores`` of the machine, clients included."""

    database: str
    members: int
    resources: float
    claims: float
    rows: float
    bytes: float
    claim: float
    claim_stored: float
    per_answer: float
    load: float
    searches: float
    cores: int

    @classmethod
    def read(cls, path: Path) -> "Measures":
        """From what ``python -m loadtests.scale --output`` wrote beside its page; everything a member has is a mean."""
        found: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        one = found["sizes"][-1]
        members, stored = one["members"], one["bytes"]
        kept = stored["database"] - stored["ledger"] - stored["grants and tokens"]
        return cls(
            database=found["database"],
            members=members,
            resources=one["resources"] / members,
            claims=one["claims"] / members,
            rows=one["claims"] * stored["claim_index_rows"] / members,
            bytes=kept / members,
            claim=stored["claim_table"] + stored["claim_indexed"],
            claim_stored=stored["claim_stored"],
            per_answer=one["ledger"]["per_answer"],
            load=one["load"]["per_second"],
            searches=one["latency"]["search-10, every member alike"]["per_second"],
            cores=int(found["machine"].split()[0]),
        )


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What so many members need."""

    members: int
    measures: Measures
    assumed: Assumptions

    @property
    def resources(self) -> float:
        """Resources stored."""
        return self.members * self.measures.resources * self.assumed.years

    @property
    def index_rows(self) -> float:
        """Rows of the claims in the search indexes."""
        return self.members * self.measures.rows * self.assumed.years

    @property
    def bytes(self) -> float:
        """Of the records with their indexes, without the ledger."""
        return self.members * self.measures.bytes * self.assumed.years

    @property
    def connections(self) -> float:
        """Members times apps: what is synchronised."""
        return self.members * self.assumed.adoption * self.assumed.apps

    @property
    def answers(self) -> float:
        """A day, without the monthly storm."""
        return self.connections * self.assumed.syncs * self.assumed.requests

    @property
    def busy_rate(self) -> float:
        """Requests a second in the busiest hour of a usual day."""
        return self.answers / SECONDS * self.assumed.busy

    @property
    def storm_rate(self) -> float:
        """Requests a second while every app synchronises every member."""
        return self.connections * self.assumed.requests / (self.assumed.storm * 3600)

    @property
    def cores(self) -> int:
        """For the greater of the two rates, all of them answered as searches of ten."""
        rate = max(self.busy_rate, self.storm_rate)
        return max(1, ceil(rate / (self.measures.searches / self.measures.cores * self.assumed.use)))

    @property
    def ledger_rows(self) -> float:
        """A year's, with twelve storms."""
        return self.answers * DAYS + 12 * self.connections * self.assumed.requests

    @property
    def ledger_bytes(self) -> float:
        """A year's, with indexes."""
        return self.ledger_rows * self.measures.per_answer

    @property
    def kept_bytes(self) -> float:
        """Records, and the ledger of all years that are kept."""
        return self.bytes + self.ledger_bytes * self.assumed.retention

    @property
    def load_hours(self) -> float:
        """Of the first load, by one process."""
        return self.resources / self.measures.load / 3600

    @property
    def change_hours(self) -> float:
        """Of a month's changes, by one process."""
        return self.members * self.assumed.changes / self.measures.load / 3600

    @property
    def copy_hours(self) -> float:
        """Of a backup of records and of the current year's ledger: closed months are copied once."""
        return (self.bytes + self.ledger_bytes) / (self.assumed.copied * 1e6) / 3600

    @property
    def databases(self) -> int:
        """Into how many a backup of one night divides them."""
        return max(1, ceil(self.copy_hours / self.assumed.night))

    @property
    def loaders(self) -> int:
        """Loading processes for a month's changes in one night."""
        return max(1, ceil(self.change_hours / self.assumed.night))


def tables(
    sqlite: Measures, postgresql: Measures | None, assumed: Assumptions, members: Sequence[int] = MEMBERS
) -> dict[str, str]:
    """The tables of the page by name; without PostgreSQL's figures, SQLite's stand in and the page says so."""
    large = postgresql or sqlite
    return {
        "measured": _measured([sqlite, *([postgresql] if postgresql else [])]),
        "assumed": _assumptions(assumed),
        "one-file": _one_file([Reckoning(count, sqlite, assumed) for count in FILE_MEMBERS]),
        "members": _members([Reckoning(count, large, assumed) for count in members], large),
        "drivers": _drivers(Reckoning(members[-1], large, assumed)),
    }


def _measured(found: Sequence[Measures]) -> str:
    rows: tuple[tuple[str, Callable[[Measures], str]], ...] = (
        ("members of the store", lambda one: _count(one.members)),
        ("resources of a member's year", lambda one: f"{one.resources:.1f}"),
        ("EOBs of it", lambda one: f"{one.claims:.1f}"),
        ("rows in the search indexes for these", lambda one: f"{one.rows:.0f}"),
        ("bytes of an EOB's body as stored", lambda one: f"{one.claim_stored:,.0f}"),
        ("bytes of an EOB with pages and indexes", lambda one: f"{one.claim:,.0f}"),
        ("bytes of a member's year, all but ledger and tokens", lambda one: f"{one.bytes:,.0f}"),
        ("bytes an answer adds to the ledger", lambda one: f"{one.per_answer:,.0f}"),
        ("resources loaded a second, one process", lambda one: f"{one.load:,.0f}"),
        (
            "searches of 10 EOBs a second, server and client on one machine",
            lambda one: f"{one.searches:,.0f} ({one.cores} cores)",
        ),
    )
    return _table(["", *(one.database for one in found)], [[title, *map(cell, found)] for title, cell in rows])


def _assumptions(assumed: Assumptions) -> str:
    return _table(
        ["", "Assumed", "What it is"],
        [[f"`--{one.name}`", f"{getattr(assumed, one.name):g}", one.metadata["meaning"]] for one in fields(assumed)],
    )


def _one_file(reckonings: Sequence[Reckoning]) -> str:
    return _table(
        [
            "Members",
            "The file, records",
            "Ledger a year",
            "First load",
            "Backup",
            "Busiest hour",
            "Monthly storm",
            "Cores",
        ],
        [
            [
                _count(one.members),
                _size(one.bytes),
                _size(one.ledger_bytes),
                _time(one.load_hours),
                _time(one.copy_hours),
                _rate(one.busy_rate),
                _rate(one.storm_rate),
                str(one.cores),
            ]
            for one in reckonings
        ],
    )


def _members(reckonings: Sequence[Reckoning], measures: Measures) -> str:
    rows: tuple[tuple[str, Callable[[Reckoning], str]], ...] = (
        ("resources", lambda one: _count(one.resources)),
        ("rows in the search indexes", lambda one: _count(one.index_rows)),
        ("records with indexes", lambda one: _size(one.bytes)),
        ("first load, one process", lambda one: _time(one.load_hours)),
        ("a month's changes, one process", lambda one: _time(one.change_hours)),
        ("loading processes for these in a night", lambda one: str(one.loaders)),
        ("connections of a member with an app", lambda one: _count(one.connections)),
        ("answers a day", lambda one: _count(one.answers)),
        ("requests in the busiest hour", lambda one: _rate(one.busy_rate)),
        ("requests in the monthly storm", lambda one: _rate(one.storm_rate)),
        ("cores for the greater", lambda one: str(one.cores)),
        ("ledger rows a year", lambda one: _count(one.ledger_rows)),
        ("ledger a year", lambda one: _size(one.ledger_bytes)),
        ("a month of it, one partition", lambda one: _size(one.ledger_bytes / 12)),
        ("kept in all: records and every year's ledger", lambda one: _size(one.kept_bytes)),
        ("backup of records and the year's ledger", lambda one: _time(one.copy_hours)),
        ("databases, by what a night backs up", lambda one: str(one.databases)),
    )
    heads = [f"On {measures.database}", *(f"{_count(one.members)} members" for one in reckonings)]
    return _table(heads, [[title, *map(cell, reckonings)] for title, cell in rows])


def _drivers(one: Reckoning) -> str:
    """What doubles what, at the largest number of members."""
    assumed = one.assumed
    doubled = {
        "twice the adoption": replace(assumed, adoption=2 * assumed.adoption),
        "twice the requests of a synchronisation": replace(assumed, requests=2 * assumed.requests),
        "the storm in half the time": replace(assumed, storm=assumed.storm / 2),
        "half the years of ledger": replace(assumed, retention=assumed.retention / 2),
    }
    others = {title: replace(one, assumed=changed) for title, changed in doubled.items()}
    return _table(
        [f"{_count(one.members)} members", "Cores", "Kept in all", "Of it ledger"],
        [
            [title, str(other.cores), _size(other.kept_bytes), f"{1 - other.bytes / other.kept_bytes:.0%}"]
            for title, other in {"as assumed": one, **others}.items()
        ],
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _count(number: float) -> str:
    for size, name in ((1e9, " billion"), (1e6, " million")):
        if number >= size:
            return f"{number / size:,.3g}{name}"
    return f"{number:,.0f}"


def _size(number: float) -> str:
    for size, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if number >= size:
            return f"{number / size:,.3g} {name}"
    return f"{number / 1e3:,.3g} kB"


def _time(hours: float) -> str:
    if hours >= 48:
        return f"{hours / HOURS:,.3g} days"
    return f"{hours:.3g} h" if hours >= 1 else f"{max(1, round(hours * 60))} min"


def _rate(number: float) -> str:
    return f"{number:,.2g}/s" if number < 10 else f"{number:,.0f}/s"


def rewritten(page: str, parts: Mapping[str, str]) -> str:
    """The page with its tables as they are now. Raises ValueError when it has no place for one of them."""
    for name, table in parts.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page, count = place.subn(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"the page has {count} places for {name} instead of one")
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the page, or print the reckoning for a number of members; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.scaling", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--members", type=int, help="print the reckoning for so many; without it the page is rewritten")
    for one in fields(Assumptions):
        parser.add_argument(
            f"--{one.name}",
            type=float,
            default=one.default,
            help=f"{one.metadata['meaning']} (default {one.default:g})",
        )
    options = parser.parse_args(arguments)
    assumed = Assumptions(**{one.name: getattr(options, one.name) for one in fields(Assumptions)})
    if (
        min(
            [
                1 if options.members is None else options.members,
                *(getattr(assumed, one.name) for one in fields(assumed)),
            ]
        )
        <= 0
    ):
        parser.error("every number is greater than 0")
    if options.members is None and assumed != Assumptions():
        parser.error("--members is needed with other assumptions: the page has its own")
    try:
        found = tables(
            Measures.read(SQLITE),
            Measures.read(POSTGRESQL) if POSTGRESQL.exists() else None,
            assumed,
            MEMBERS if options.members is None else (options.members,),
        )
        if options.members is not None:
            print(f"{found['members']}\n\n{found['drivers']}")
            return 0
        PAGE.write_text(rewritten(PAGE.read_text("utf-8"), found), "utf-8", newline="\n")
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {error}; docs/evidence/scale.json is written by: python -m loadtests.scale", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

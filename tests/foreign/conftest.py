"""The foreign server, started once for all tests of this folder.

https://docs.pytest.org/en/stable/how-to/fixtures.html#scope-sharing-fixtures-across-classes-modules-packages-or-session
"""

from collections.abc import Iterator

import pytest

from tests.foreign.foreign_server import ForeignServer, foreign_server


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """npm oidc-provider in front of PyPI fhirstarter."""
    with foreign_server(tmp_path_factory.mktemp("foreign")) as server:
        yield server

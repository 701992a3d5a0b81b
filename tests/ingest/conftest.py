"""Fixtures of ingest; ``database`` and ``settings`` are those of all tests."""

from pathlib import Path

import pytest

from server.settings import Settings
from server.storage.database import Database
from tests.ingest.store import Store


@pytest.fixture
def store(database: Database, settings: Settings, tmp_path: Path) -> Store:
    """An empty database, and a folder to load from."""
    folder = tmp_path / "input"
    folder.mkdir()
    return Store(database, settings, folder)

"""What is measured of the ledger: the server without it, and a year's ledger made small.

The figures are measured by hand: docs/evidence/ledger_cost.md and ledger_scale.md.
"""

import asyncio
from pathlib import Path

import pytest

from loadtests import ledger_scale
from server.settings import Settings
from server.storage.database import Database
from server.storage.ledger import AnswerLedger, LedgerEvent
from tests import without_ledger
from tests.factories import ledger_rows
from tests.loadtests.test_hot_path import ONE_REQUEST, hot_path


def test_the_server_without_its_ledger_is_the_same_but_for_the_rows(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.secret_key is not None
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("SECRET_KEY", settings.secret_key.get_secret_value())
    application = without_ledger.create_app()

    async def record(ledger: AnswerLedger) -> None:
        await application.database.open()
        await ledger.record(LedgerEvent("answer", request_id="r"))
        await application.database.close()

    asyncio.run(record(application.fhir._ledger))
    assert ledger_rows(database) == []
    asyncio.run(record(AnswerLedger(application.database)))
    assert len(ledger_rows(database)) == 1
    application.database.engine.dispose()


@pytest.mark.slow
def test_the_hot_path_is_measured_beside_the_server_without_its_ledger(tmp_path: Path) -> None:
    done = hot_path(tmp_path, ONE_REQUEST, "--beside", "tests.without_ledger:create_app")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "evidence" / "hot_path.md").read_text("utf-8")
    assert page.startswith("# The server on SQLite beside itself without ledger\n")
    assert page.count("| **1.000** | 0.75 | reached |") == 3
    assert "gzip" not in page


@pytest.mark.slow
def test_a_small_ledger_is_made_reported_and_rolled_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "ledger_scale.md"
    code = ledger_scale.main(["--rows", "10000", "--output", str(page)])
    printed = capsys.readouterr()
    assert code in (0, 1), printed.err  # 1 where the machine is too busy for the goal
    text = page.read_text("utf-8")
    assert text == printed.out.removesuffix("\n")
    assert text.startswith("# The yearly report of a ledger of 10,000 rows\n")
    assert "are the same from rows and from roll-ups" in text
    assert "from roll-ups**" in text

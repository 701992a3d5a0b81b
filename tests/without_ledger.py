"""The server without its ledger, to measure what the ledger costs: ``python -m loadtests.hot_path --beside tests.without_ledger:create_app``.

Architecture, "One ledger": the product has no such switch, and nothing outside of the tests may make one.
"""

from server import app
from server.storage.ledger import AnswerLedger, LedgerEvent


class Unwritten(AnswerLedger):
    """A ledger that takes every event and writes none."""

    async def record(self, event: LedgerEvent) -> None:
        """Return at once."""


def create_app() -> app.Application:
    """The application of the environment's settings; its FHIR answers leave no row."""
    application = app.create_app()
    application.fhir._ledger = Unwritten(application.database)
    return application

"""A database of before v0002 learns who is enrolled and by what authority accounts act, from what it has recorded.

https://alembic.sqlalchemy.org/en/latest/api/commands.html#alembic.command.upgrade
"""

from alembic import command
from sqlalchemy import text

from server.settings import Settings
from server.storage import migrate
from server.storage.database import Database

UNITS = "INSERT INTO reporting_unit (key, line_of_business, contract, plan, program, issuer, state) VALUES"
SPELLS = "INSERT INTO enrolment (patient, coverage_id, unit, start, until, recorded_at) VALUES"
MEMBERS = "INSERT INTO member (patient, environment) VALUES ('known', 'test')"
ACTS_FOR = "INSERT INTO account_member (account, patient, relationship, related_person) VALUES"


def test_the_latest_spells_are_repeated_and_authority_follows_the_relationship(
    empty_database_url: str, settings: Settings
) -> None:
    database = Database(settings.model_copy(update={"database_url": empty_database_url}))
    with database.transaction() as transaction:
        configuration = migrate._configuration()
        configuration.attributes["connection"] = transaction.connection
        command.upgrade(configuration, "0001")
    statements = [
        f"{UNITS} (1, 'qhp', '', '', '', '48213', 'OH'), (2, 'medicare-advantage', 'H1', '', '', '', '')",
        MEMBERS,
        f"{SPELLS} ('known', 'c1', 1, '2025-01-01', '', 1)",
        f"{SPELLS} ('known', 'c1', 1, '2025-01-01', '2025-12-31', 2)",
        f"{SPELLS} ('known', 'c2', 2, '2026-01-01', '', 3)",
        f"{SPELLS} ('new', 'c3', 1, '2025-01-01', '', 4)",
        f"{SPELLS} ('new', 'c3', NULL, '', '', 5)",
        f"{ACTS_FOR} ('a', 'known', 'self', ''), ('a', 'new', 'parent', ''), ('b', 'known', 'spouse', '')",
    ]
    with database.transaction() as transaction:
        for statement in statements:
            transaction.execute(text(statement))
    assert migrate.upgrade(database)[0] == "0002"
    with database.reading() as reading:
        members = [tuple(row) for row in reading.all(text("SELECT * FROM member ORDER BY patient"))]
        acting = [
            tuple(row)
            for row in reading.all(text("SELECT account, patient, authority FROM account_member ORDER BY 1, 2"))
        ]
    assert members == [
        ("known", "test", "medicare-advantage| qhp|2025-12-31"),
        ("new", "production", "withdrawn|0000"),
    ]
    assert acting == [("a", "known", "self"), ("a", "new", "minor"), ("b", "known", "consent")]
    database.engine.dispose()

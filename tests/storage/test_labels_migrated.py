"""A database filled before labels were indexed has them indexed when it is migrated: no policy overlooks what was loaded before.

https://hl7.org/fhir/R4/security-labels.html
"""

import orjson
from alembic import command
from sqlalchemy import insert, select

from server.fhir.indexing import index_entries
from server.settings import Settings
from server.specification.registry import RESOURCES
from server.storage import migrate
from server.storage.criteria import RESOURCE, TOKEN
from server.storage.database import Database
from server.storage.labels import PRESENT
from tests.factories import Record, explanation_of_benefit, patient

RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
LABELS: list[list[Record]] = [
    [RESTRICTED],
    [RESTRICTED, RESTRICTED, {"code": "ETH"}],
    [{"display": "restricted"}],
    [{"system": "http://x.example", "code": "a" * 1100}],
    [],
]
CLAIMS = [
    explanation_of_benefit(f"claim-{number}", patient("anna"), meta={"security": labels} if labels else {})
    for number, labels in enumerate(LABELS)
]


def test_labels_of_before_are_indexed_as_a_load_does_it(empty_database_url: str, settings: Settings) -> None:
    database = Database(settings.model_copy(update={"database_url": empty_database_url}))
    with database.transaction() as transaction:
        configuration = migrate._configuration()
        configuration.attributes["connection"] = transaction.connection
        command.upgrade(configuration, "0003")
        for key, claim in enumerate([*CLAIMS, CLAIMS[0] | {"id": "deleted"}], 1):
            values = {"key": key, "patient": "anna", "type": claim["resourceType"], "id": claim["id"], "version": "1"}
            moments = {"last_updated": 1, "loaded_at": 1, "hash": b"", "body": orjson.dumps(claim)}
            transaction.execute(insert(RESOURCE), values | moments | {"deleted": claim["id"] == "deleted"})
        assert transaction.all(select(TOKEN)) == []
    assert migrate.upgrade(database)[-1] == migrate.head()
    with database.reading() as reading:
        stored = {
            (row.resource, row.patient, row.parameter, row.system, row.code) for row in reading.all(select(TOKEN))
        }
    database.engine.dispose()
    expected = {
        (key, "anna", token.parameter, token.system, token.code)
        for key, claim in enumerate(CLAIMS, 1)
        for token in index_entries(RESOURCES[claim["resourceType"]], claim).tokens
        if token.parameter in ("_security", PRESENT)
    }
    assert stored == expected
    assert len(expected) == 5

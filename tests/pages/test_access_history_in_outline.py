"""/account/history where a sensitivity policy withholds records from the reader: kinds and numbers of what others allowed are not told."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from server import clock
from server.settings import Settings
from server.storage.database import Database
from tests.authorization.smart_app import SmartApp
from tests.pages.test_access_history import at, history, name_of, words
from tests.storage.ledgers import chain, write

NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)
WITHHELD = """
[[policy]]
slug = "behavioral-health"
title = "Records of behavioral health care"
labels = ["BH"]
from = ["representative"]
legal_basis = "a test"
"""


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    file = tmp_path / "policies.toml"
    file.write_text(WITHHELD)
    return settings.model_copy(update={"sensitivity_policies_file": file})


def test_who_records_are_withheld_from_cannot_infer_them_from_what_others_got(
    app: SmartApp, database: Database
) -> None:
    with clock.set_to(NOW):
        token = app.connect("grace", "p3", scope="patient/Patient.rs")
        assert app.read(token["access_token"], "Patient/p3") == 200
        rows = chain(
            [at(2, 12), at(2, 13)], patient="p3", client_id="therapy", grant_id="kids", resource_type="Condition"
        )
        write(database, rows)
        write(database, chain([at(3, 12)], patient="p2", client_id="hers", grant_id="own", resource_type="Condition"))
        kid = name_of(app, "Kid Hopper")
        text = words(history(app, f"?member={kid}"))
        file = orjson.loads(app.web.get(f"/account/history/download?member={kid}&form=json").content)["history"]
        table = app.web.get(f"/account/history/download?member={kid}").content.decode("utf-8-sig")
        own = words(history(app))
    assert "therapy What kinds All that the app may see First request" in text
    assert "What kinds Who you are Records sent 1 Requests 1" in text
    assert [(one["records"], one["requests"], one["kinds"]) for one in file] == [
        (1, 1, ["Who you are"]),
        (None, None, ["All that the app may see"]),
    ]
    assert [(row["Records sent"], row["Requests"]) for row in csv.DictReader(io.StringIO(table))] == [
        ("1", "1"),
        ("", ""),
    ]
    assert "hers What kinds Your health problems Records sent 1 Requests 1" in own

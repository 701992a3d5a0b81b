"""Each form of the prior-authorization report is, to the letter, what was looked at; ``UPDATE_GOLDEN=1`` writes the golden files anew.

docs/prior-authorization-report.md
"""

import csv
import io
import json
import os
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from server import clock
from server.metrics.prior_authorization_document import PriorAuthorizationReport, publish, read, store
from server.metrics.prior_authorization_formats import CSV_COLUMNS, as_csv, as_json, as_table
from server.metrics.prior_authorization_items import ItemsFileError, read_items
from server.metrics.prior_authorization_mcpar import as_csv as as_mcpar
from server.metrics.report_archive import row_of
from server.metrics.usage_document import InconsistentReportError
from server.pages.prior_authorization_pages import address, standalone
from server.settings import Settings
from server.storage.database import Database
from tests.metrics.authorization_year import ITEMS, NOW, finished, with_items

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def report(database: Database, settings: Settings, tmp_path: Path) -> PriorAuthorizationReport:
    return finished(database, with_items(settings, tmp_path))


def without_style(html: str) -> str:
    return re.sub(r"<style>.*</style>", "<style></style>", html, flags=re.DOTALL)


def test_each_form_is_what_was_looked_at(report: PriorAuthorizationReport, settings: Settings) -> None:
    forms = {
        "txt": as_table(report),
        "csv": as_csv(report),
        "public.csv": as_csv(report, public=True),
        "json": as_json(report),
        "mcpar.csv": as_mcpar(report, address(settings, 2026)),
        "html": without_style(standalone(settings, report)),
    }
    for suffix, text in forms.items():
        golden = GOLDEN / f"prior-authorization.{suffix}"
        if os.environ.get("UPDATE_GOLDEN") == "1":
            golden.write_bytes(text.encode())
        assert text.encode() == golden.read_bytes(), f"{golden.name}: UPDATE_GOLDEN=1 writes it anew"


def cells(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_csv_has_every_measure_of_every_unit(report: PriorAuthorizationReport) -> None:
    rows = cells(as_csv(report))
    assert tuple(rows[0]) == CSV_COLUMNS
    own = {row["measure"]: row for row in rows if row["contract"] == "H1234" and row["number"] not in ("", "1")}
    assert {slug: (row["count"], row["out_of"], row["percent"]) for slug, row in own.items() if row["percent"]} == {
        "standard-approved": ("2", "6", "33.33"),
        "standard-denied": ("2", "6", "33.33"),
        "standard-approved-after-appeal": ("1", "6", "16.67"),
        "extended-approved": ("1", "8", "12.50"),
        "expedited-approved": ("1", "2", "50.00"),
        "expedited-denied": ("1", "2", "50.00"),
    }
    assert {slug: (row["out_of"], row["mean"], row["median"]) for slug, row in own.items() if row["time_unit"]} == {
        "standard-time": ("4", "6.63", "7.00"),
        "expedited-time": ("2", "61.75", "61.75"),
    }
    assert [row["code"] for row in rows if row["contract"] == "H1234" and row["measure"] == "items"] == ["K1", "P7"]
    assert [row["code"] for row in rows if row["program"] == "Adults" and row["plan"] == "P7" and row["code"]] == [
        "H3",
        "K1",
        "P7",
    ]


def test_what_is_published_has_nothing_internal(report: PriorAuthorizationReport, settings: Settings) -> None:
    rows = cells(as_csv(report, public=True))
    assert {row["part"] for row in rows} == {"public"}
    assert {row["measure"] for row in rows} == {measure["slug"] for measure in report.content["measures"]}
    assert "commercial" not in {row["line_of_business"] for row in rows}
    assert "Q9" not in {row["code"] for row in rows}, "what was requested is not published by code"
    page = standalone(settings, report)
    assert "AUTH-" not in page
    assert "commercial" not in page
    assert all(slug not in page for slug in ("overdue", "breach", "in-time"))


def test_the_annual_report_of_managed_care_has_fifteen_items_for_each_plan_of_a_program(
    report: PriorAuthorizationReport,
) -> None:
    rows = cells(as_mcpar(report, "https://api.payer.example/prior-authorization-metrics/2026"))
    assert [row["Item"] for row in rows[:15]] == [f"D1.XIII.{number}" for number in range(1, 16)]
    assert {(row["State"], row["Program"], row["Plan"]) for row in rows} == {
        ("OH", "Adults", "P7"), ("OH", "Children", "P7"), ("OH", "Adults", "P9"),
    }  # fmt: skip
    own = {row["Item"]: row["Value"] for row in rows if (row["Program"], row["Plan"]) == ("Adults", "P7")}
    assert list(own.values())[2:] == [
        *("1", "1", "2", "100.00", "0.00", "0.00", "3.00", "3.00", "0.00", "100.00", "48.00", "48.00", "0.00"),
    ]
    nothing = {row["Item"]: row["Value"] for row in rows if row["Program"] == "Children"}
    assert (nothing["D1.XIII.3"], nothing["D1.XIII.6"], nothing["D1.XIII.9"]) == ("0", "N/A", "N/A")


def test_the_hash_is_that_of_the_json_without_what_it_leaves_out(report: PriorAuthorizationReport) -> None:
    document = json.loads(as_json(report))
    stated = document.pop("sha256")
    del document["known_at"], document["generated_at"]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert stated == sha256(text.encode()).hexdigest()


def test_a_stored_report_is_read_back_and_one_that_was_changed_is_not(
    report: PriorAuthorizationReport, database: Database
) -> None:
    with database.transaction() as transaction:
        id = store(transaction, report, generated_by="officer")
        assert store(transaction, report, generated_by="officer") == id
        row = row_of(transaction, id[:-3])
    assert as_json(read(row)) == as_json(report)
    assert (row.kind, row.year, row.definition_version, row.ledger_rows) == ("prior-authorization", 2026, "1", 27)
    changed = replace(report, content={**report.content, "payer": "Another"})
    assert changed.sha256 != report.sha256
    with pytest.raises(InconsistentReportError, match="is not what was stored"):
        read(_Row({**row._mapping, "content": row.content.replace('"count":2', '"count":3')}))


class _Row:
    def __init__(self, values: Any) -> None:
        self.__dict__.update(values)


@pytest.mark.parametrize("deployment", ["production", "test"])
def test_only_what_may_be_public_is_published(
    deployment: str, database: Database, settings: Settings, tmp_path: Path
) -> None:
    own = with_items(settings, tmp_path).model_copy(update={"environment": deployment})
    made = finished(database, own, environment=deployment)
    reports = {
        "whole": made,
        "unlisted": replace(made, content=_without_items(made.content)),
        "early": replace(made, known_at=made.ends - 1, generated_at=made.generated_at + 1_000_000),
        "test": replace(
            made, content={**made.content, "environment": "test"}, generated_at=made.generated_at + 2_000_000
        ),
        "units": replace(
            made, content={**made.content, "reporting_units": []}, generated_at=made.generated_at + 3_000_000
        ),
    }
    refused = {"unlisted": "list of .* is empty", "early": "before 2026 was over", "units": "no reporting unit"}
    if deployment == "production":
        refused["test"] = "test data"
    with database.transaction() as transaction, clock.set_to(NOW):
        rows = {name: row_of(transaction, store(transaction, one, generated_by="")) for name, one in reports.items()}
        for name, row in rows.items():
            if name in refused:
                with pytest.raises(ValueError, match=refused[name]):
                    publish(transaction, row, environment=deployment, published_by="officer")
            else:
                publish(transaction, row, environment=deployment, published_by="officer")


def _without_items(content: Any) -> Any:
    first, *others = content["reporting_units"]
    return {**content, "reporting_units": [{**first, "items": []}, *others]}


def test_items_are_read_from_csv_as_from_toml(tmp_path: Path) -> None:
    table = tmp_path / "items.csv"
    table.write_text(
        "\ufeffsystem,code,text,line_of_business,program\n"
        "https://payer.example/codes,K1,A new knee,,\n"
        'https://payer.example/codes,P7,"Physical therapy, more than 20 visits",,\n'
        "https://payer.example/codes,H3,Care at home for adults,medicaid-managed-care,Adults\n",
        "utf-8",
    )
    toml = tmp_path / "items.toml"
    toml.write_text(ITEMS, "utf-8")
    assert read_items(table) == read_items(toml)
    assert len(read_items(toml)) == 3
    assert read_items(None) == ()


GOOD = '[[item]]\nsystem = "https://payer.example/codes"\ncode = "K1"\ntext = "A new knee"\n'


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("i.toml", GOOD + "[[other]]\n", "it holds [[item]] tables and nothing else"),
        ("i.toml", GOOD + GOOD, "item 2: https://payer.example/codes|K1 stands twice"),
        ("i.toml", GOOD.replace("code", "cod"), "item 1: 'cod' is none of"),
        ("i.toml", GOOD.replace('"A new knee"', '" "'), "item 1: text is missing"),
        ("i.toml", GOOD.replace('"K1"', "7"), "item 1: code is a text of one line"),
        ("i.toml", "item = [1]", "item 1: it is no table of"),
        ("i.toml", "item =", "i.toml: "),
        ("i.csv", "system,code,text\na,b,c,d\n", "item 1: it has more values than columns"),
        ("i.csv", "system,code\na,b\n", "item 1: text is missing"),
        ("missing.csv", None, "missing.csv"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_read_says_where_and_why(name: str, text: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(ItemsFileError, match=re.escape(told)):
        read_items(path)

"""The seeded records, once for all tests of the synthetic payer."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from seed_data.generate import write_ndjson

Record = dict[str, Any]


def read_records(paths: list[Path]) -> list[Record]:
    """The records as a loader reads them: from the written lines, decimals kept as text gives them."""
    return [
        json.loads(line, parse_float=Decimal)
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    return read_records(write_ndjson(tmp_path_factory.mktemp("seed")))


@pytest.fixture(scope="session")
def claims(records: list[Record]) -> list[Record]:
    return [r for r in records if r["resourceType"] == "ExplanationOfBenefit" and r["use"] == "claim"]


@pytest.fixture(scope="session")
def authorizations(records: list[Record]) -> list[Record]:
    return [r for r in records if r["resourceType"] == "ExplanationOfBenefit" and r["use"] == "preauthorization"]

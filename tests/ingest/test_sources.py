"""Files become records, whatever they are called.

https://hl7.org/fhir/uv/bulkdata/ (NDJSON) and https://hl7.org/fhir/R4/bundle.html
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from server.ingest.bundles import Record
from server.ingest.report import LoadReport
from server.ingest.sources import read
from tests.factories import organization, patient
from tests.ingest.store import Store, bundle, outcomes, post, reasons

ONE, TWO = json.dumps(patient("one")), json.dumps(patient("two"))
PRETTY = json.dumps(patient("one"), indent=2)


@pytest.mark.parametrize(
    ("content", "created"),
    [
        (ONE, 1),
        (PRETTY, 1),
        ("\n\n" + PRETTY + "\n\n", 1),
        ("\ufeff" + PRETTY, 1),
        ("\ufeff" + ONE + "\n" + TWO, 2),
        (ONE + "\n" + TWO, 2),
        (ONE + "\r\n\r\n  \n" + TWO + "\r\n", 2),
        (bundle(post(patient("one")), post(patient("two"))), 2),
        (json.dumps(json.loads(bundle(post(patient("one")), post(patient("two")))), indent=1), 2),
        (bundle(post(patient("one"))) + "\n" + bundle(post(patient("two"))) + "\n" + json.dumps(organization()), 3),
        (bundle(), 0),
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.ndjson", "a.gz", "a.txt"])
@pytest.mark.parametrize("zipped", [False, True])
def test_the_format_is_told_by_the_content(tmp_path: Path, content: str, created: int, name: str, zipped: bool) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if zipped else content.encode())
    report = LoadReport()
    items = [item for piece in read([path], report) for item in piece]
    assert [type(item) for item in items] == [Record] * created
    assert (report.files, report.records) == (1, created)


def test_a_directory_is_read_recursively_in_the_order_of_names(store: Store) -> None:
    (store.folder / "b" / "deep").mkdir(parents=True)
    (store.folder / "b" / "deep" / "x.ndjson").write_text(json.dumps(patient("p", gender="male")))
    (store.folder / "a.json").write_text(json.dumps(patient("p", gender="female")))
    (store.folder / "c.json.gz").write_bytes(gzip.compress(json.dumps(patient("p", gender="other")).encode()))
    (store.folder / "LICENSE").write_text("not a record")
    (store.folder / "empty.ndjson").write_text("\n")
    report = store.load_paths(store.folder)
    assert outcomes(report) == {"created": 1, "updated": 2}
    assert store.body("Patient/p")["gender"] == "other"
    assert sorted(report.notes) == ["LICENSE is not .json, .ndjson or .gz and was left out", "empty.ndjson is empty"]
    assert report.exit_code == 0


def test_several_paths_are_one_load(store: Store) -> None:
    (store.folder / "a.json").write_text(ONE)
    (store.folder / "b.json").write_text(TWO)
    assert outcomes(store.load_paths(store.folder / "b.json", store.folder / "a.json")) == {"created": 2}


def test_a_bad_line_is_rejected_by_its_number_and_the_others_load(store: Store) -> None:
    report = store.load_text("\n".join((ONE, "", '{"resourceType":', TWO, "[]", "null")))
    assert outcomes(report) == {"created": 2, "rejected": 3}
    assert [str(outcome.place) for outcome in report.rejected] == [f"input.json, line {n}" for n in (3, 5, 6)]
    assert "is not JSON: Expecting value at column 17" in reasons(report)[0]


@pytest.mark.parametrize("first", ["{", '{"resourceType": "Patient"', "nonsense"])
def test_a_bad_first_line_does_not_hide_the_others(store: Store, first: str) -> None:
    report = store.load_text("\n".join((first, ONE, TWO)))
    assert outcomes(report) == {"created": 2, "rejected": 1}
    report = store.load_text("\n".join((first, first, ONE, TWO)))
    assert outcomes(report) == {"unchanged": 2, "rejected": 2}


def test_letters_that_are_not_utf_8_spoil_only_their_line(store: Store) -> None:
    latin = json.dumps(patient("latin", name=[{"family": "Müller"}]), ensure_ascii=False).encode("latin-1")
    report = store.load_text(b"\n".join((ONE.encode(), latin, TWO.encode())))
    assert outcomes(report) == {"created": 2, "rejected": 1}
    assert "line 2" in reasons(report)[0]
    assert "UTF-8" in reasons(report)[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "is not JSON"),
        (b'{\n "resourceType": "Patient",\n "id": \n}', "is not JSON: Expecting value at line 4, column 1"),
        (ONE.encode("utf-16"), "is not JSON"),
        (gzip.compress(ONE.encode() * 999, mtime=0)[:60], "cannot be read to its end"),
        (b"\x1f\x8bnot gzip at all", "cannot be read to its end"),
        (gzip.compress(b"%PDF", mtime=0), "is not JSON"),
        (b"\x00" * 50, "is not JSON"),
        (b"[" * 200_000, "is not JSON: it is nested too deeply"),
        (b"NaN", "is not JSON: NaN is not JSON"),
        (b'{"a": 1e999999999999999999999}', "is not JSON: a number has an exponent beyond all use"),
    ],
)
def test_a_file_that_is_not_json_is_rejected_as_a_whole(store: Store, content: bytes, reason: str) -> None:
    report = store.load_text(content)
    assert (outcomes(report), report.exit_code) == ({"rejected": 1}, 2)
    assert f"input.json: {reason}" in reasons(report)[0]


def test_a_path_that_is_not_there_is_rejected(store: Store) -> None:
    report = store.load_paths(store.folder / "nothing.json")
    assert (outcomes(report), report.exit_code) == ({"rejected": 1}, 2)
    assert "does not exist" in reasons(report)[0]


def test_an_empty_directory_has_nothing_to_read(store: Store) -> None:
    assert store.load_paths(store.folder).exit_code == 2


def test_progress_grows_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text("\n".join([ONE] * 500))
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(ONE.encode()))
    told: list[tuple[int, int]] = []
    for _ in read([tmp_path], LoadReport(), lambda done, total: told.append((done, total))):
        pass
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert {total for _, total in told} == {size}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (size, size)
    assert len({done for done, _ in told}) > 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ELEMENT = st.sampled_from(
    [
        "id",
        "meta",
        "name",
        "identifier",
        "patient",
        "beneficiary",
        "target",
        "extension",
        "contained",
        "birthDate",
        "type",
        "text",
    ]
)
RECORD = st.builds(
    lambda type_name, elements: {"resourceType": type_name} | elements,
    st.sampled_from(
        ["Patient", "Coverage", "ExplanationOfBenefit", "Organization", "Provenance", "Bundle", "Claim", ""]
    ),
    st.dictionaries(ELEMENT, JSON, max_size=5),
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "resource": RECORD | JSON,
        "fullUrl": JSON,
        "request": JSON | st.just({"method": "DELETE"}),
        "search": JSON,
    },
)
BUNDLE = st.builds(
    lambda kind, entries: {"resourceType": "Bundle", "type": kind, "entry": entries},
    st.sampled_from(["transaction", "batch", "searchset", "history"]) | JSON,
    st.lists(ENTRY | JSON, max_size=4) | JSON,
)


@given(st.lists(RECORD | BUNDLE | JSON, min_size=1, max_size=5))
@hypothesis_settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_garbage_is_rejected_and_never_more_than_that(store: Store, values: list[Any]) -> None:
    report = store.load_text("\n".join([*(json.dumps(value) for value in values), json.dumps(patient("good"))]))
    assert report.counts["Patient", "created"] + report.counts["Patient", "unchanged"] >= 1
    assert not report.not_loaded
    assert "cannot be stored" not in str(report)
    assert str(report)


@given(st.binary(max_size=200))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_make_a_report(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(content)
    for _ in read([path], LoadReport()):
        pass

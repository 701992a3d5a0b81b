"""Files that would fill the memory, never end or mean two things are refused with their place, in words people understand.

https://hl7.org/fhir/R4/json.html and https://hl7.org/fhir/R4/references.html
"""

import gzip
import json
import os
from typing import Any

import pytest

from server.ingest import sources
from tests.factories import explanation_of_benefit, patient
from tests.ingest.store import Store, bundle, outcomes, post, reasons

ONE, TWO = json.dumps(patient("one")), json.dumps(patient("two"))
LONG = '{"resourceType":"Patient","id":"' + "a" * (17 * 2**20) + '"}'


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_line_that_is_too_long_is_rejected_alone(store: Store, place: int, zipped: bool) -> None:
    lines = [ONE, TWO]
    lines.insert(place, LONG)
    content = "\n".join(lines).encode()
    report = store.load_text(gzip.compress(content, 1) if zipped else content)
    assert outcomes(report) == {"created": 2, "rejected": 1}
    assert f"input.json, line {place + 1}: is longer than 16 MB" in reasons(report)[0]


def test_a_record_that_is_too_long_is_rejected(store: Store) -> None:
    report = store.load_text(LONG)
    assert "input.json: Patient: is larger than 16 MB" in reasons(report)[0]
    report = store.load_text(bundle(post(patient("one")), post(json.loads(LONG))))
    assert outcomes(report) == {"created": 1, "rejected": 1}
    assert "entry 1: Patient: is larger than 16 MB" in reasons(report)[0]


@pytest.mark.parametrize("content", ["x" * 5000, "\n".join("x" * 5000), "{\n" + "\n" * 5000 + "}", "{\n" + "x" * 5000])
def test_a_document_that_is_too_long_is_rejected(store: Store, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    for limit in ("DOCUMENT_BYTES", "RECORD_BYTES", "_CHUNK"):
        monkeypatch.setattr(sources, limit, 1000)
    report = store.load_text(content)
    assert (outcomes(report), report.exit_code) == ({"rejected": 1}, 2)
    assert "input.json: is longer than" in reasons(report)[0]


def test_blanks_take_no_memory(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("DOCUMENT_BYTES", "RECORD_BYTES", "_CHUNK"):
        monkeypatch.setattr(sources, limit, 1000)
    report = store.load_text("\n" * 9000 + " " * 9000 + ONE + "\n" + " " * 9000 + "\n" + TWO)
    assert outcomes(report) == {"created": 2}
    assert store.load_text(" " * 9000).notes[0] == "input.json is empty"


def test_what_is_not_a_regular_file_is_left_out(store: Store) -> None:
    os.mkfifo(store.folder / "pipe.json")
    report = store.load_paths(store.folder / "pipe.json", store.folder)
    assert report.notes[:2] == ["pipe.json is not a regular file and was left out"] * 2
    assert report.exit_code == 2


def test_an_empty_directory_is_told(store: Store) -> None:
    assert "has no .json, .ndjson or .gz file: there is nothing to read" in str(store.load_paths(store.folder))


def test_names_of_files_steer_no_terminal(store: Store) -> None:
    text = str(store.load_text("{", "a\x1b[2J\n.json"))
    assert "\x1b" not in text
    assert "a\\x1b[2J\\n.json: is not JSON" in text


def test_two_values_under_one_name_are_rejected(store: Store) -> None:
    report = store.load_text('{"resourceType":"Patient","id":"x","gender":"male","gender":"female"}\n' + ONE)
    assert outcomes(report) == {"created": 1, "rejected": 1}
    assert "input.json, line 1: is not JSON: an object has two values under one name" in reasons(report)[0]


def test_a_bundle_inside_a_bundle_is_rejected(store: Store) -> None:
    report = store.load_text(bundle(post(json.loads(bundle(post(patient("one"))))), post(patient("two"))))
    assert outcomes(report) == {"created": 1, "rejected": 1}
    assert "entry 0: Bundle: Bundle.entry.resource is a Bundle inside a Bundle" in reasons(report)[0]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (
            explanation_of_benefit("c", patient(), insurer={"reference": "Organization?name=x"}),
            "ExplanationOfBenefit.insurer is a conditional reference that does not search by one identifier",
        ),
        (patient(meta={"lastUpdated": "x"}), "Patient.meta.lastUpdated is not an instant as FHIR writes it"),
        (
            explanation_of_benefit("c", patient()) | {"patient": {"reference": "Patient/x", "type": "Organization"}},
            "ExplanationOfBenefit.patient has a type that contradicts its reference",
        ),
    ],
)
def test_rejections_name_the_element(store: Store, record: dict[str, Any], reason: str) -> None:
    assert reason in reasons(store.load(record))[0]


def test_rejections_read_well(store: Store) -> None:
    assert "Rejected: Patient/nope: is not stored" in str(store.retract("Patient/nope"))
    text = str(store.load_text('{"a": "b'))
    assert "Unterminated string starting at line 1, column 7" in text
    assert "1 record in 1 file\n" in str(store.load(patient()))

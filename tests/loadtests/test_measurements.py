"""What is measured can be added up, says percentiles to one per cent, and keeps of an error only its codes.

https://www.w3.org/TR/server-timing/
"""

import json
from random import Random

import pytest

from loadtests.measurements import MOST_KINDS, Latencies, Measurements, error_code, server_timings
from loadtests.summary import summarize


def test_percentiles_are_right_to_one_per_cent() -> None:
    values = [n / 3 for n in range(1, 3001)]
    Random(7).shuffle(values)
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    for share, wanted in ((0.5, 500.0), (0.95, 950.0), (0.99, 990.0)):
        assert latencies.percentile(share) == pytest.approx(wanted, rel=0.011)
    assert latencies.count == len(values)


def test_the_percentile_of_nothing_is_zero_and_of_one_is_that_one() -> None:
    assert Latencies().percentile(0.99) == 0.0
    one = Latencies()
    one.add(250)
    assert one.percentile(0.5) == one.percentile(0.99) == pytest.approx(250, rel=0.011)


def test_what_workers_measured_adds_up_after_a_journey_as_json() -> None:
    master = Measurements()
    for worker in range(3):
        measured = Measurements()
        measured.record("token", 200, 10.0 * (worker + 1), 100, 5 + worker, "db;dur=2.5, total;dur=3")
        measured.record("token", 400, 5.0, 50, 5)
        measured.fail("token", 400, "OAuth invalid_grant")
        master.add(json.loads(json.dumps(measured.take())))
        assert measured.to_data() == Measurements().to_data()
    summary = summarize(master, users=4, seconds=2.0)
    (step,) = summary.steps
    assert (step.name, step.requests, step.failed, step.throughput, step.size) == ("token", 6, 3, 3.0, 75)
    assert step.statuses == "200: 3, 400: 3"
    assert step.p99 == pytest.approx(30.0, rel=0.011)
    assert [(error.step, error.status, error.code, error.count) for error in summary.errors] == [
        ("token", 400, "OAuth invalid_grant", 3)
    ]
    assert [(timing.name, timing.answers) for timing in summary.timings] == [("db", 3), ("total", 3)]
    assert summary.whole.requests == 6


def test_a_wrong_answer_counts_as_failed_though_it_was_no_request_of_its_own() -> None:
    measured = Measurements()
    measured.record("search Coverage", 200, 3.0, 10, 1)
    measured.fail("search Coverage", 0, "the same match came twice")
    assert summarize(measured, 1, 1.0).whole.failed == 1
    assert summarize(measured, 1, 1.0).whole.requests == 1


def test_more_kinds_of_errors_than_can_be_read_are_counted_together() -> None:
    measured = Measurements()
    for number in range(MOST_KINDS + 50):
        measured.fail("read Patient", 500, f"code-{number}")
    assert len(measured.errors) == MOST_KINDS + 1
    assert measured.errors[("read Patient", 0, "other kinds of errors")] == 50


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("auth;dur=0.12, db;dur=0.34, total;dur=0.81", [("auth", 0.12), ("db", 0.34), ("total", 0.81)]),
        ('cache;desc="Cache Read";dur=23.2', [("cache", 23.2)]),
        ('db ; DUR = "1.5"', [("db", 1.5)]),
        ("missedCache, db;dur=slow", []),
        ("<script>;dur=1", []),
        ("", []),
    ],
)
def test_server_timings_are_read(header: str, wanted: list[tuple[str, float]]) -> None:
    assert list(server_timings(header)) == wanted


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (
            {"resourceType": "OperationOutcome", "issue": [{"code": "forbidden", "details": {"text": "Ada Doe"}}]},
            "OperationOutcome forbidden",
        ),
        (
            {
                "resourceType": "OperationOutcome",
                "issue": [{"code": "login", "details": {"coding": [{"code": "token-expired"}]}}],
            },
            "OperationOutcome login token-expired",
        ),
        ({"resourceType": "OperationOutcome", "issue": [{"code": "Ada Doe <member 12>"}]}, "OperationOutcome"),
        ({"resourceType": "OperationOutcome", "issue": []}, "OperationOutcome"),
        ({"error": "invalid_grant", "error_description": "for Ada Doe"}, "OAuth invalid_grant"),
        ({"error": "invalid_grant", "error_code": "refresh_reused"}, "OAuth invalid_grant refresh_reused"),
        ({"error": "Ada Doe is unknown"}, "no OperationOutcome and no OAuth error"),
        ({"detail": "Not Found"}, "no OperationOutcome and no OAuth error"),
        ([1], "no JSON object"),
    ],
)
def test_of_an_error_only_its_codes_are_kept(content: object, wanted: str) -> None:
    assert error_code(json.dumps(content).encode()) == wanted


@pytest.mark.parametrize("content", [b"<h1>Bad gateway</h1>", b"", None])
def test_an_answer_that_is_no_json_says_so(content: bytes | None) -> None:
    assert error_code(content) == "no JSON"

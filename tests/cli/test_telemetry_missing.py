"""Spans that cannot be sent stop the server at the start, with one line that says what to do.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import sys

import pytest

from tests.cli.command import PatientAccess


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_without_what_sends_spans_the_server_does_not_start(
    patient_access: PatientAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    done = patient_access("serve", "--port", "45872", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert done.code == 2
    assert "pip install 'patient-access[telemetry]'" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_collector_that_is_not_an_address_is_refused(
    patient_access: PatientAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
        monkeypatch.setenv(name, "1")
    done = patient_access("serve", OTEL_EXPORTER_OTLP_ENDPOINT="localhost:4318")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT must start with http" in done.err

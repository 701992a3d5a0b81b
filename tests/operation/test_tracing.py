"""Where the time of a request went: Server-Timing, and spans that a collector receives; off, neither is there.

https://www.w3.org/TR/server-timing/ and https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from server.storage.database import Database
from server.tracing import NOWHERE, Origin, Timings, origin
from tests.factories import patient, store, token
from tests.serving import serving

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Collector:
    """What an OpenTelemetry collector is to a server: it takes spans over HTTP, and here it keeps them."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.raw = b""
        self.resources: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                collector.take(self.path, body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        """Keep what was sent."""
        assert path == "/v1/traces"
        self.raw += body
        for one in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({pair.key: pair.value.string_value for pair in one.resource.attributes})
            for scope in one.scope_spans:
                self.spans.extend(scope.spans)

    def named(self, name: str) -> list[Any]:
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


def attributes(span: Any) -> dict[str, Any]:
    """A span's attributes."""
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


def test_a_collector_gets_a_span_for_each_request_with_its_parts_and_without_whose_it_is(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    store(database, settings, [patient("secret-id", name=[{"family": "Secretname"}])])
    bearer = token(database, "secret-id").text
    headers = {"authorization": f"Bearer {bearer}"}
    with collecting() as collector:
        asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "TRUSTED_PROXIES": "127.0.0.1"}
        with serving(settings.database_url, tmp_path / "log", workers=1, settings=asked) as server:
            read = httpx2.get(f"{server.fhir_base}/Patient/secret-id", headers={**headers, "traceparent": PARENT})
            httpx2.get(f"{server.fhir_base}/Patient?name=Secretname", headers=headers)
            httpx2.get(
                f"{server.fhir_base}/Patient/secret-other", headers={**headers, "traceparent": PARENT[:-1] + "0"}
            )
            httpx2.get(f"{server.base_url}/authorize?client_id=secret-app&state=secret-state")
            httpx2.get(f"{server.base_url}/livez")
        assert server.process.returncode == 0
    assert read.status_code == 200
    (span,) = collector.named("FHIR read Patient")  # what the parent did not sample is not sampled
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN)
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "fhir.interaction": "read",
        "fhir.resource_type": "Patient",
        "patient_access.request_id": read.headers["x-request-id"],
    }
    parts = [one for one in collector.spans if one.parent_span_id == span.span_id]
    assert {one.name for one in parts} == {"auth", "db", "ledger"}
    for one in parts:
        assert (
            span.start_time_unix_nano <= one.start_time_unix_nano <= one.end_time_unix_nano <= span.end_time_unix_nano
        )
    (search,) = collector.named("FHIR search-type Patient")
    assert not search.parent_span_id
    (web,) = collector.named("GET /authorize")
    assert attributes(web)["http.route"] == "/authorize"
    assert not collector.named("GET /livez")
    assert {one["service.name"] for one in collector.resources} == {"patient-access"}
    for secret in (b"secret", b"Secretname", bearer.encode()):
        assert secret not in collector.raw


def test_server_timing_says_where_the_milliseconds_went(database: Database, settings: Settings) -> None:
    store(database, settings, [patient("p1")])
    headers = {"authorization": f"Bearer {token(database, 'p1').text}"}
    told = settings.model_copy(update={"server_timing": True})
    with TestClient(create_app(told), base_url=settings.base_url) as web:
        answer = web.get("/fhir/Patient/p1", headers=headers)
        refused = web.get("/fhir/Patient/p1")
    parts = {
        name: float(spent)
        for name, spent in (one.split(";dur=") for one in answer.headers["server-timing"].split(", "))
    }
    assert list(parts) == ["auth", "db", "ledger", "total"]
    assert 0 < sum(parts.values()) - parts["total"] <= parts["total"] + 0.02
    assert [one.partition(";")[0] for one in refused.headers["server-timing"].split(", ")] == ["auth", "total"]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_without_the_setting_there_is_no_server_timing(database: Database, settings: Settings) -> None:
    with TestClient(create_app(settings), base_url=settings.base_url) as web:
        assert "server-timing" not in web.get("/fhir/metadata").headers


def test_a_part_inside_of_another_is_counted_once() -> None:
    running = Timings()
    outer = running.enter()
    running.leave("db", running.enter())
    running.leave("auth", outer)
    assert [name for name, _, _ in running.parts] == ["auth"]


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"ff-{TRACE}-{SPAN}-01".encode(),
        PARENT.upper().encode(),
        PARENT.encode() + b"\n",
        f"00-{TRACE}-{SPAN}".encode(),
        PARENT.encode() + b"-" + b"x" * 300,
    ],
)
def test_a_traceparent_that_is_not_well_formed_is_not_believed(told: bytes) -> None:
    assert origin(b"", told) == NOWHERE


@pytest.mark.parametrize("told", [b"a b", b"x" * 65, b'"', b"\xc3\xa9", b"a\n"])
def test_a_request_id_that_could_do_harm_is_not_believed(told: bytes) -> None:
    assert origin(told, PARENT.encode()) == Origin("", TRACE, SPAN, is_sampled=True)

"""What no application ever sees, since it is no HTTP or too much of it, is answered with an OperationOutcome as well.

https://www.rfc-editor.org/rfc/rfc9112#section-3 and https://www.rfc-editor.org/rfc/rfc6585#section-5
"""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest

from server.fhir.http_protocol import LARGEST_HEAD
from tests.serving import Server, serving


@pytest.fixture(scope="module")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker of the real server."""
    directory = tmp_path_factory.mktemp("malformed")
    database = directory / "malformed.db"
    database.write_bytes(sqlite_template.read_bytes())
    with serving(f"sqlite:///{database}", directory / "log", workers=1) as server:
        yield server


def told(server: Server, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to these bytes, sent piece by piece."""
    parts = urlsplit(server.base_url)
    answer = b""
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            while data := connection.recv(65536):
                answer += data
        except OSError:
            assert answer, "the connection was cut before any answer"
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\x16\x03\x01 hello\r\n\r\n",
        b"GET /fhir/Patient HTTP/9.9\r\n\r\n",
        b"GET /fhir/Patient and more HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /fhir/Pati\xc3\xa9nt HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /fhir/Patient HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /fhir/Patient HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /fhir/Patient/_search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_what_is_no_http_request_is_told_so_in_fhir(server: Server, sent: bytes) -> None:
    status, headers, body = told(server, sent)
    assert (status, headers["connection"]) == (400, "close")
    assert headers["content-type"] == "application/fhir+json; charset=utf-8"
    outcome = orjson.loads(body)
    assert outcome["resourceType"] == "OperationOutcome"
    coding = outcome["issue"][0]["details"]["coding"][0]
    assert coding["code"] == "request-malformed"
    assert coding["system"].startswith(server.base_url)


@pytest.mark.parametrize("kind", ["headers", "url"])
def test_a_head_that_goes_on_and_on_is_refused(server: Server, kind: str) -> None:
    begin = b"GET /fhir/Patient HTTP/1.1\r\nHost: x\r\n" if kind == "headers" else b"GET /fhir/Patient?_id="
    more = (b"x-more: " + b"y" * 1000 + b"\r\n") * 100 if kind == "headers" else b"y" * 100_000
    # One byte too many, and none after it that would be left unread: what is left unread resets the connection.
    sent = (begin + more)[: LARGEST_HEAD + 1]
    status, headers, body = told(server, sent[:30_000], sent[30_000:])
    assert (status, headers["connection"]) == (431, "close")
    assert orjson.loads(body)["issue"][0]["details"]["coding"][0]["code"] == "head-too-large"


def test_a_long_search_and_requests_after_each_other_are_answered(server: Server) -> None:
    ids = b",".join(b"%032d" % number for number in range(900))
    first = b"GET /fhir/Patient?_id=" + ids + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    status, _, rest = told(server, first[:20_000], first[20_000:], first, last)
    assert status == 401
    assert rest.count(b"HTTP/1.1 401") == 1
    assert b"HTTP/1.1 200" in rest
    assert b"CapabilityStatement" in rest

"""The doctor and what is no Patient Access API at all: it ends soon, with one clear line, and exit code 2.

https://www.rfc-editor.org/rfc/rfc9110
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.cli.command import PatientAccess
from tests.cli.conftest import call, without_settings
from tests.serving import free_port

__all__ = ["call", "without_settings"]

Talk = Callable[[socket.socket], None]
SMART = {
    "authorization_endpoint": "/authorize",
    "token_endpoint": ["a list"],
    "capabilities": {"launch-standalone": True},
    "code_challenge_methods_supported": "S256",
    "jwks_uri": "http://127.0.0.1:1/jwks",
    "issuer": 7,
}
STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": ["4.0.1"],
    "rest": [{"mode": "server", "security": [], "resource": [{"type": "Patient", "searchParam": "x"}, 5, None]}],
}


@contextmanager
def talking(talk: Talk) -> Iterator[str]:
    """The address of something that listens and talks as told to everybody who comes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(5)


def http(body: bytes, media_type: str = "text/html", status: str = "200 OK", more: str = "") -> Talk:
    """The same HTTP answer to every request."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n{more}connection: close\r\n\r\n"

    def talk(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(head.encode() + body)

    return talk


def silent(connection: socket.socket) -> None:
    """Listens, and never says a word."""
    time.sleep(20)


def dripping(connection: socket.socket) -> None:
    """One byte of a header now and then, for ever."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
    for _ in range(400):
        connection.sendall(b"a")
        time.sleep(0.05)


def endless(connection: socket.socket) -> None:
    """A body without an end."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{")
    for _ in range(10_000):
        connection.sendall(b" " * 65_536)


def hanging_up(connection: socket.socket) -> None:
    """Hangs up in the middle."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{")


def no_http(connection: socket.socket) -> None:
    """Speaks something else."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")


REDIRECT = http(b"", status="302 Found", more="location: /fhir/metadata\r\n")
GARBAGE: dict[str, tuple[Talk, str]] = {
    "a page": (http(b"<html><body>Welcome</body></html>"), "text/html"),
    "a page that is not found": (http(b"<h1>404</h1>", status="404 Not Found"), "404"),
    "a redirect to itself": (REDIRECT, "redirects to /fhir/metadata"),
    "an error": (http(b"", status="500 Internal Server Error"), "500"),
    "another API": (http(b'{"hello": "world"}', "application/json"), "application/json"),
    "no object": (http(b"[1, 2]", "application/json"), "no FHIR server"),
    "deep JSON": (http(b"[" * 100_000, "application/json"), "no FHIR server"),
    "broken compression": (http(b"not gzip", "application/json", more="content-encoding: gzip\r\n"), "cannot be used"),
    "silence": (silent, "no answer within"),
    "drops": (dripping, "no answer within"),
    "a body without an end": (endless, "more than 16,384 KB"),
    "a broken answer": (hanging_up, "cannot be used"),
    "no HTTP": (no_http, "cannot be used"),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_what_is_no_server_is_told_in_one_line(call: PatientAccess, what: str) -> None:
    talk, told = GARBAGE[what]
    begun = time.monotonic()
    with talking(talk) as url:
        outcome = call("doctor", url, "--timeout", "1" if talk in (silent, dripping) else "8")
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert told in outcome.err
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize(
    "url", ["https://", "ftp://payer.example/fhir", "payer.example", "http://[::1", "http://a@b/", "x y"]
)
def test_what_is_no_address_is_refused(call: PatientAccess, url: str) -> None:
    outcome = call("doctor", url)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)


def test_a_closed_port_is_told(call: PatientAccess) -> None:
    outcome = call("doctor", f"http://127.0.0.1:{free_port()}")
    assert outcome.code == 2
    assert "cannot be used" in outcome.err


@pytest.mark.parametrize("document", [SMART, STATEMENT], ids=["SMART configuration", "CapabilityStatement"])
def test_a_document_of_the_wrong_shape_everywhere_is_examined_to_the_end(
    call: PatientAccess, document: dict[str, object]
) -> None:
    with talking(http(json.dumps(document).encode(), "application/json")) as url:
        outcome = call("doctor", url, "--json", DOCTOR_TOKEN="a-token")
    assert outcome.code == 1
    checks = {check["name"]: check for check in json.loads(outcome.out)["checks"]}
    assert checks["no-token"]["outcome"] == "fail"
    assert not [name for name, check in checks.items() if check["outcome"] == "fail" and not check["mend"]]


def test_a_server_that_falls_silent_is_left_after_the_total_time(call: PatientAccess) -> None:
    good = http(json.dumps(STATEMENT).encode(), "application/fhir+json")
    answered: list[int] = []

    def tiring(connection: socket.socket) -> None:
        answered.append(1)
        (good if len(answered) < 4 else silent)(connection)

    begun = time.monotonic()
    with talking(tiring) as url:
        outcome = call("doctor", url, "--json", "--timeout", "0.5", "--total-timeout", "2")
    assert time.monotonic() - begun < 10
    found = [check["found"] for check in json.loads(outcome.out)["checks"]]
    assert any("no answer" in text for text in found)
    assert any("for all requests are over" in text for text in found)


def test_the_token_goes_to_no_other_origin(call: PatientAccess) -> None:
    heard: list[bytes] = []

    def elsewhere(connection: socket.socket) -> None:
        heard.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    with talking(elsewhere) as other:
        page = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": {"resourceType": "Patient", "id": "p", "patient": {"reference": "Patient/p"}}}],
            "link": [{"relation": "next", "url": f"{other}/page"}],
        }

        def lying(connection: socket.socket) -> None:
            request = connection.recv(65_536)
            path = request.split()[1]
            found: object = page
            if path.endswith(b"/metadata"):
                found = STATEMENT
            elif b"smart-configuration" in path:
                found = {"token_endpoint": f"{other}/token", "authorization_endpoint": f"{other}/authorize"}
            body = json.dumps(found).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            connection.sendall(head.encode() + body)

        with talking(lying) as url:
            outcome = call("doctor", url, "--json", "--patient", "p", DOCTOR_TOKEN="a-member-s-token")
    assert outcome.code == 1
    assert heard, "the endpoints elsewhere are asked"
    assert not [request for request in heard if b"a-member-s-token" in request]
    paging = next(check for check in json.loads(outcome.out)["checks"] if check["name"] == "paging")
    assert "origin" in paging["found"]


def test_what_a_stranger_says_cannot_steer_the_terminal(call: PatientAccess) -> None:
    statement = {**STATEMENT, "fhirVersion": "\x1b[2J\x07"}
    with talking(http(json.dumps(statement).encode(), "application/fhir+json")) as url:
        outcome = call("doctor", url)
    assert "fhirVersion is" in outcome.out
    assert "\x1b" not in outcome.out
    assert "\x07" not in outcome.out


def test_a_token_comes_from_a_file(call: PatientAccess, tmp_path: object) -> None:
    missing = call("doctor", "http://127.0.0.1:9", "--token-file", f"{tmp_path}/none")
    assert (missing.code, "cannot read a token" in missing.err) == (2, True)
    broken = call("doctor", "http://127.0.0.1:9", "--token", "two words")
    assert (broken.code, "no access token has" in broken.err) == (2, True)
    certificates = call("doctor", "http://127.0.0.1:9", "--ca", f"{tmp_path}/none.pem")
    assert (certificates.code, "no certificates" in certificates.err) == (2, True)

"""The proxy's configuration: read by nginx's grammar, free of known weaknesses, and in step with the server behind it.

https://nginx.org/en/docs/http/ngx_http_proxy_module.html - crossplane has nginx's grammar, gixy the weaknesses.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crossplane
import pytest

from server.fhir.http_protocol import LARGEST_HEAD
from server.fhir.routing import MAXIMUM_BODY
from tests.deploy.facts import DEPLOY, PORT, program
from tests.deploy.test_compose import FILE, SERVERS, SERVICES

CONFIGURATION = DEPLOY / "proxy" / "nginx.conf"
PARSED = crossplane.parse(str(CONFIGURATION), strict=False, check_ctx=True, check_args=True)
KEEP_ALIVE = 65
"""Seconds that the server keeps an idle connection (server/launcher.py)."""


def directives(name: str, block: list[dict[str, Any]] | None = None) -> Iterator[list[str]]:
    """The arguments of every directive of this name."""
    for one in PARSED["config"][0]["parsed"] if block is None else block:
        if one["directive"] == name:
            yield one["args"]
        yield from directives(name, one.get("block", []))


def block(name: str, *arguments: str) -> list[dict[str, Any]]:
    """What stands in a block."""

    def search(within: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        for one in within:
            if one["directive"] == name and "block" in one and (not arguments or tuple(one["args"]) == arguments):
                yield one["block"]
            yield from search(one.get("block", []))

    return next(search(PARSED["config"][0]["parsed"]))


def size(text: str) -> int:
    """``72k`` as bytes."""
    return int(text[:-1]) * {"k": 1024, "m": 1024**2}[text[-1]]


def lint(path: Path) -> list[dict[str, Any]]:
    """What gixy says."""
    done = subprocess.run([program("gixy"), "-f", "json", str(path)], capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_it_parses() -> None:
    assert (PARSED["status"], PARSED["errors"]) == ("ok", [])


def test_the_linter_finds_no_weakness() -> None:
    assert lint(CONFIGURATION) == []


def test_the_linter_would_find_one(tmp_path: Path) -> None:
    wrong = tmp_path / "nginx.conf"
    wrong.write_text(CONFIGURATION.read_text("utf-8").replace("Host $host", "Host $http_host"), "utf-8")
    assert [one["plugin"] for one in lint(wrong)] == ["host_spoofing"]


def test_it_sends_to_every_server_at_its_port() -> None:
    servers = {arguments[0] for arguments in directives("server", block("upstream", "patient_access"))}
    assert servers == {f"{name}:{PORT}" for name in SERVERS}
    assert {arguments[0] for arguments in directives("proxy_pass")} == {"http://patient_access"}


def test_tls_ends_at_the_published_port_with_the_secrets() -> None:
    ((port, *how),) = directives("listen")
    assert how == ["ssl", "default_server"]
    assert SERVICES["proxy"]["ports"][0].endswith(f":{port}")
    files = {arguments[0] for name in ("ssl_certificate", "ssl_certificate_key") for arguments in directives(name)}
    assert files == {f"/run/secrets/{name}" for name in SERVICES["proxy"]["secrets"]}
    assert FILE["configs"]["proxy"]["file"] == "deploy/proxy/nginx.conf"
    assert ["TLSv1.2", "TLSv1.3"] in list(directives("ssl_protocols"))


def test_what_a_client_claims_of_its_address_is_replaced() -> None:
    headers = dict(directives("proxy_set_header"))
    assert headers["X-Forwarded-For"] == "$remote_addr"
    assert headers["X-Forwarded-Proto"] == "$scheme"


def test_nothing_of_an_answer_is_kept_and_no_address_is_logged() -> None:
    assert list(directives("proxy_buffering")) == [["off"]]
    assert list(directives("proxy_max_temp_file_size")) == [["0"]]
    assert list(directives("access_log")) == [["off"]]
    assert list(directives("error_log")) == [["stderr", "crit"]]  # lower levels name the request line


def test_the_server_refuses_what_is_too_large_not_the_proxy() -> None:
    ((body,),) = directives("client_max_body_size")
    ((_, head),) = directives("large_client_header_buffers")
    assert size(body) > MAXIMUM_BODY
    assert size(head) > LARGEST_HEAD


def test_the_proxy_lets_go_of_idle_connections_before_the_server_does() -> None:
    (kept,) = [arguments[0] for arguments in directives("keepalive_timeout", block("upstream", "patient_access"))]
    assert int(kept.removesuffix("s")) < KEEP_ALIVE


def test_every_answer_says_that_this_host_is_for_https_only() -> None:
    own_words = [f"@{of}{what}" for of in ("", "fhir_") for what in ("unavailable", "too_large")]
    for place in (block("server"), *(block("location", name) for name in own_words)):
        own = [one["args"][0] for one in place if one["directive"] == "add_header"]
        assert "Strict-Transport-Security" in own


@pytest.mark.parametrize(
    ("place", "status", "key"),
    [
        ("@unavailable", "503", "error"),
        ("@fhir_unavailable", "503", "resourceType"),
        ("@too_large", "413", "error"),
        ("@fhir_too_large", "413", "resourceType"),
    ],
)
def test_the_proxy_s_own_errors_are_in_the_words_of_the_protocols(place: str, status: str, key: str) -> None:
    ((found, body),) = directives("return", block("location", place))
    assert found == status
    assert key in json.loads(body)
    assert any(place in arguments for arguments in directives("error_page"))


def test_it_writes_to_tmp_alone() -> None:
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = [arguments[0] for name in names for arguments in directives(f"{name}_temp_path")]
    assert len(places) == len(names)
    assert {Path(place).parts[1] for place in (*places, *(a[0] for a in directives("pid")))} == {"tmp"}
    assert any(entry.startswith("/tmp:") for entry in SERVICES["proxy"]["tmpfs"])

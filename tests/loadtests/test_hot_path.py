"""The hot path from end to end, with a stand-in for wrk: what is loaded, signed in, verified and written, and what is left running.

https://hl7.org/fhir/R4/http.html#search - the figures themselves are measured by hand (docs/evidence/hot_path.md).
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT

ONE_REQUEST = """
  Latency Distribution
     50%    1.00ms
     99%    2.00ms
  1 requests in 1.00s, 1.00MB read
Requests/sec:   1000.00
"""
FAILED = "  Non-2xx or 3xx responses: 1\n"


def hot_path(folder: Path, printed: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it with a program called wrk that notes whom it was to load and prints something."""
    (folder / "printed").write_text(printed)
    program = folder / "wrk"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n/bin/cat {folder}/printed\n')
    program.chmod(0o755)
    command = [sys.executable, "-m", "loadtests.hot_path", "--members", "8", "--seconds", "1", *options]
    return subprocess.run(
        [*command, "--output", str(folder / "evidence" / "hot_path.md")],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=200,
    )


def is_free(base_url: str) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(base_url.rpartition(":")[2]))) != 0


@pytest.mark.slow
def test_both_servers_are_measured_in_turn_and_stopped(tmp_path: Path) -> None:
    done = hot_path(tmp_path, ONE_REQUEST)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "evidence" / "hot_path.md").read_text("utf-8")
    assert page == done.stdout.removesuffix("\n")
    assert page.count("| **1.000** |") == 4
    assert "search, 10 EOBs, gzip" in page
    asked = [line.split()[-1] for line in (tmp_path / "asked").read_text().splitlines() if "--latency" in line]
    servers = set(asked)
    assert len(servers) == 2
    assert sorted(asked.count(server) for server in servers) == [3 * 6, 3 * 6 + 2 * 6]
    assert all(is_free(server) for server in servers)


@pytest.mark.slow
def test_an_answer_that_is_no_success_spoils_it_and_nothing_is_left_running(tmp_path: Path) -> None:
    done = hot_path(tmp_path, ONE_REQUEST + FAILED)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: wrk saw failures (Non-2xx or 3xx responses: 1)" in done.stderr
    assert not (tmp_path / "evidence").exists()
    asked = (tmp_path / "asked").read_text().splitlines()
    assert is_free(asked[-1].split()[-1])

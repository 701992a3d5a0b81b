"""What the workers were busy with: samples are told apart by room, and a library counts for the room that called it.

https://github.com/benfred/py-spy#how-do-i-use-py-spy
"""

import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.processes import ProcessError
from loadtests.worker_profile import profile_of, recorded, section

CALLED = "run (asyncio/runners.py:118);run_asgi (uvicorn/protocols/http/httptools_impl.py:416);_answer (server/fhir/application.py:113)"
STACKS = [
    f"{CALLED};authenticate (server/authorization/access.py:77);fetch (server/storage/database.py:186) 30",
    f"{CALLED};read (server/storage/patient_compartment.py:175);fetch (server/storage/database.py:186) 20",
    f"{CALLED};respond (server/fhir/answer.py:112);send (server/fhir/http_cycle.py:30) 25",
    "run (asyncio/runners.py:118);_flush (server/storage/ledger.py:125);_write (server/storage/database.py:271) 20",
    "run (asyncio/runners.py:118) 5",
    "run (threading.py:982);always_pong (uvicorn/supervisors/multiprocess.py:40) 900",
]


def test_samples_are_told_apart_by_who_called_and_waiting_is_not_counted() -> None:
    profile = profile_of("read", STACKS)
    assert profile.samples == 100
    assert dict(profile.rooms) == {
        "token check": 0.30,
        "answer: head, log line, socket": 0.25,
        "records: SQL and driver": 0.20,
        "ledger: row, chain, commit": 0.20,
        "event loop: sockets, wake-ups": 0.05,
    }
    assert profile.functions[0] == ("`fetch` (storage/database.py)", 0.5)


def test_the_section_has_a_column_for_each_case() -> None:
    lines = section([profile_of("read", STACKS), profile_of("search", STACKS[-2:])])
    assert "| | read | search |" in lines
    assert "| token check | 30 % | 0 % |" in lines
    assert "| event loop: sockets, wake-ups | 5 % | 100 % |" in lines


def test_workers_that_did_nothing_are_an_error() -> None:
    with pytest.raises(ProcessError, match="saw no worker"):
        profile_of("read", STACKS[-1:])


def test_without_py_spy_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ProcessError, match="pip install py-spy"), recorded([1], 1, tmp_path):
        pass


def test_a_running_process_is_sampled_by_name_of_its_functions(tmp_path: Path) -> None:
    program = (
        "import time\ndef busy():\n    end = time.monotonic() + 20\n    while time.monotonic() < end: pass\nbusy()"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            with recorded([process.pid], 1, tmp_path) as files:
                pass
            profile = profile_of("busy", files[0].read_text("utf-8").splitlines())
        finally:
            process.kill()
    assert "busy" in profile.functions[0][0]

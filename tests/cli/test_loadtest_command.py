"""``patient-access loadtest`` is the program of the load tests, with the same options; without locust it says what to install.

https://typer.tiangolo.com/
"""

import inspect
import re

import pytest

from loadtests import run
from server.loadtest_command import loadtest
from tests.cli.command import PatientAccess


def test_the_command_says_so_too(call: PatientAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.loadtest_command.find_spec", lambda name: None)
    outcome = call("loadtest")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "error: load tests need locust: pip install 'patient-access[load]'\n"


def test_the_command_has_every_option_of_the_program_with_the_same_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--help"])
    program = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    own = {f"--{name.replace('_', '-')}": one.default for name, one in inspect.signature(loadtest).parameters.items()}
    assert set(own) == program
    parsed = vars(run.parser().parse_args([]))
    for option, default in own.items():
        assert str(default or "") == str(parsed[option[2:].replace("-", "_")] or ""), option

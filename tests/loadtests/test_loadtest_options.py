"""``python -m loadtests.run``: what cannot be done is one line and exit code 2, its page says what the rows say.

https://docs.locust.io/en/stable/configuration.html
"""

import json
from pathlib import Path

import pytest

from loadtests import run, shapes
from loadtests.journeys import JOURNEYS
from loadtests.shapes import SHAPES

PAGE = Path(__file__).parents[2] / "docs" / "load-testing.md"
MANIFEST = {
    "fhir_base": "http://127.0.0.1:1/fhir",
    "client": {"client_id": "app", "redirect_uris": ["http://127.0.0.1:9/callback"]},
    "logins": [{"username": "ada", "password": "secret", "patients": ["1"]}],
}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(MANIFEST), "utf-8")
    return path


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--shape", "nope"], "--shape nope: there are steady-day, "),
        (["--target", "ftp://payer.example"], "--target is an http or https address"),
        (["--target", "http://127.0.0.1:1"], "is not a SMART server that answers"),
        (["--manifest", "missing.json"], "missing.json: No such file or directory; 'make run' writes one"),
        (["--thresholds", "missing.toml"], "missing.toml: No such file"),
        (["--baseline", "missing.json"], "missing.json: No such file"),
        (["--save-baseline"], "--save-baseline stores in the file that --baseline names"),
        (["--sign-in", "magic"], "--sign-in is own, forms or package.module:Class, not 'magic'"),
        (["--users", "0"], "--users and --expect-workers are 1 or more"),
        (["--minutes", "0"], "--minutes is more than 0"),
        (["--pace", "-1"], "--pace between 0 and 1000"),
        (["--master", "--worker"], "exclude each other"),
        (["--expect-workers", "2"], "give --master too"),
        (["--worker", "--processes", "2"], "exclude each other"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    manifest: Path, capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    given = ["--manifest", str(manifest), *options]
    assert run.main(given) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert why in printed.err


def test_without_locust_the_extra_is_named(
    manifest: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtests.run.find_spec", lambda name: None)
    assert run.main(["--manifest", str(manifest)]) == 2
    assert capsys.readouterr().err == "error: load tests need locust: pip install 'patient-access[load]'\n"


def test_the_page_has_the_table_of_the_rows() -> None:
    assert shapes.table() in PAGE.read_text("utf-8"), "python -c 'from loadtests.shapes import table; print(table())'"


def test_the_page_names_every_option_and_every_journey() -> None:
    text = PAGE.read_text("utf-8")
    for option in vars(run.parser().parse_args([])):
        assert f"`--{option.replace('_', '-')}" in text, option
    for journey in JOURNEYS:
        assert f"| {journey} |" in text, journey


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_row_is_whole(shape: shapes.Shape) -> None:
    assert {share.journey for share in shape.shares} <= set(JOURNEYS)
    untils = [until for until, _ in shape.curve]
    assert untils == sorted(untils)
    assert untils[-1] == 1.0
    assert max(part for _, part in shape.curve) == 1.0
    assert len(shape.journeys()) == sum(share.weight for share in shape.shares)
    first = shape.journeys()[: len(shape.shares)]
    assert {share.journey for share in first} == {share.journey for share in shape.shares}


def test_users_follow_the_curve() -> None:
    shape = shapes.BY_NAME["launch-day"]
    assert [shape.users_at(share, 10) for share in (0.0, 0.19, 0.2, 0.5, 0.6, 0.99, 1.0)] == [2, 2, 4, 7, 10, 10, 10]
    assert shape.users_at(0.0, 1) == 1


def test_every_journey_is_part_of_a_shape() -> None:
    assert set(JOURNEYS) == {share.journey for shape in SHAPES for share in shape.shares}

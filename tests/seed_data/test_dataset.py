"""The files of ``patient-access generate``: byte-identical, in loading order, and with the reporting units beside them."""

import json
import re
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from seed_data.dataset import FIRST, LAST, UNITS, DatasetError, Order, block, write
from seed_data.generate import EVENTS, write_authorization_events
from seed_data.personas import MEMBERS
from seed_data.scenarios.authorizations import SERVICES

ORDER = Order(23, 41, date(2026, 11, 1), "full")


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("generated")
    write(ORDER, found)
    return found


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_same_arguments_give_the_same_bytes_in_any_number_of_processes(
    processes: int, folder: Path, tmp_path: Path
) -> None:
    write(ORDER, tmp_path / "again", processes)
    assert digests(tmp_path / "again") == digests(folder)


def test_ids_are_as_fhir_allows_for_the_largest_seed_and_number() -> None:
    _, found = block(replace(ORDER, seed=999_999), 999_990, 999_999)
    for name, lines in found.items():
        for line in lines.splitlines():
            assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", json.loads(line)["id"]), (name, line[:200])


@pytest.mark.parametrize(
    "wrong", [{"members": 0}, {"members": 10**6}, {"seed": -1}, {"seed": 10**6}, {"as_of": date(1949, 12, 31)}]
)
def test_what_cannot_be_made_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match=re.escape(str(next(iter(wrong.values()))))):
        replace(ORDER, **wrong)


def test_it_can_be_told_on_the_first_and_the_last_day(tmp_path: Path) -> None:
    for day in (FIRST, LAST):
        assert write(Order(30, 1, day, "full"), tmp_path / str(day.year)).resources > 3000


def test_another_seed_or_day_gives_other_bytes(folder: Path, tmp_path: Path) -> None:
    for name, order in (("seed", replace(ORDER, seed=42)), ("day", replace(ORDER, as_of=date(2026, 10, 31)))):
        write(order, tmp_path / name)
        assert digests(tmp_path / name)["05-Patient.ndjson"] != digests(folder)["05-Patient.ndjson"]


def test_more_members_are_the_same_members_and_more(folder: Path, tmp_path: Path) -> None:
    write(replace(ORDER, members=25), tmp_path / "more")
    fewer = (folder / "27-ExplanationOfBenefit.ndjson").read_bytes()
    more = (tmp_path / "more" / "27-ExplanationOfBenefit.ndjson").read_bytes()
    assert more.startswith(fewer)
    assert len(more) > len(fewer)


def test_files_are_in_loading_order_and_hold_one_type_each(folder: Path) -> None:
    names = [path.name for path in sorted(folder.iterdir())]
    assert names[0] == "00-Organization.ndjson"
    assert names[-2:] == [EVENTS, UNITS]
    for name in names[:-2]:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        assert {json.loads(line)["resourceType"] for line in lines} == {name[3:].removesuffix(".ndjson")}


def test_it_says_how_many_resources_it_wrote_and_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    written = write(
        Order(150, 1, date(2026, 11, 1), "claims"), tmp_path, 1, lambda done, total: told.append((done, total))
    )
    lines = sum(len(path.read_bytes().splitlines()) for path in written.paths if path.name != EVENTS)
    assert written.resources == lines
    assert told == [(50, 150), (100, 150), (150, 150)]


@pytest.mark.parametrize(("detail", "least", "most"), [("claims", 15, 25), ("full", 240, 360)])
def test_a_member_has_about_as_many_resources_as_promised(detail: str, least: int, most: int, tmp_path: Path) -> None:
    order = Order(60, 3, date(2026, 11, 1), "full" if detail == "full" else "claims")
    written = write(order, tmp_path)
    assert least <= written.resources / order.members <= most


def test_an_earlier_data_set_in_the_directory_is_replaced(folder: Path, tmp_path: Path) -> None:
    write(ORDER, tmp_path / "set")
    write(replace(ORDER, members=2, detail="claims"), tmp_path / "set")
    assert not (tmp_path / "set" / "09-Encounter.ndjson").exists()
    write(ORDER, tmp_path / "set")
    assert digests(tmp_path / "set") == digests(folder)


def test_a_directory_with_anything_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DatasetError, match=r"thesis\.txt"):
        write(ORDER, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_personas_events_are_written_too(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in write_authorization_events(tmp_path).read_text(encoding="utf-8").splitlines()]
    received = [line["member"] for line in lines if line["eventType"] == "received"]
    assert sorted(received) == sorted(
        m.id for m in MEMBERS for row in m.authorizations if not SERVICES[row.scenario].drug
    )

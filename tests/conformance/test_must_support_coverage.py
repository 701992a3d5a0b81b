"""Every must-support element, slice, extension and reference target of the guides served is carried by some persona, or explained.

https://hl7.org/fhir/us/core/STU6.1/must-support.html - the kits' own rows, and what the guides' snapshots mark beyond them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.conformance.must_support_gaps import GAPS, explained
from tests.conformance.must_support_guides import Guide
from tests.conformance.must_support_kits import Group, Records, groups, missing
from tests.conformance.package_cache import archives, read
from tests.conformance.validator_inputs import personas

PACKAGE = {
    "carin-bb 2.0.0": "hl7.fhir.us.carin-bb#2.0.0",
    "us-core 6.1.0": "hl7.fhir.us.core#6.1.0",
    "us-core 7.0.0": "hl7.fhir.us.core#7.0.0",
    "pdex 2.0.0": "hl7.fhir.us.davinci-pdex#2.0.0",
}


@pytest.fixture(scope="module")
def asked(shared_data: Path) -> Sequence[Group]:
    """The profile groups of the kits' requirements, beside the example data."""
    path = shared_data.parent / "requirements" / "ig_requirements.json"
    if not path.exists():
        pytest.skip(f"no {path}")
    return list(groups(orjson.loads(path.read_bytes())))


@pytest.fixture(scope="module")
def guides(shared_data: Path) -> Mapping[str, Guide]:
    """The guides' packages, beside the example data."""
    there = archives(shared_data.parent / "implementation-guides")
    absent = set(PACKAGE.values()) - set(there)
    if absent:
        pytest.skip(f"no packages {', '.join(sorted(absent))} beside the example data")
    return {guide: Guide(guide, _conformance(read(there[name]))) for guide, name in PACKAGE.items()}


def _conformance(files: Mapping[str, Any]) -> dict[str, Any]:
    return {file["url"]: file for file in files.values() if "url" in file and "resourceType" in file}


@pytest.fixture(scope="module")
def records() -> Records:
    """What the personas carry."""
    return Records(personas())


def name_of(group: Group) -> str:
    """The id of a group's profile."""
    return group.canonical.rpartition("/")[2]


@pytest.mark.parametrize("guide", PACKAGE)
def test_every_row_of_the_kits_is_carried_by_a_persona_or_explained(
    guide: str, asked: Sequence[Group], records: Records, record_property: Any
) -> None:
    unexplained, count, carried = {}, 0, 0
    for group in (group for group in asked if group.guide == guide):
        rows, gaps = missing(group, records)
        count, carried = count + rows, carried + rows - len(gaps)
        left = [gap for gap in gaps if gap not in explained(guide, name_of(group))]
        if left:
            unexplained[f"{guide} {group.name}"] = left
    record_property("must-support", (f"{guide}, the kits' rows", carried, count))
    assert unexplained == {}


@pytest.mark.parametrize("guide", PACKAGE)
def test_every_must_support_element_of_the_guide_is_carried_by_a_persona_or_explained(
    guide: str, asked: Sequence[Group], guides: Mapping[str, Guide], records: Records, record_property: Any
) -> None:
    unexplained, count, carried = {}, 0, 0
    for group in (group for group in asked if group.guide == guide):
        profile = guides[guide].profile(group.canonical)
        gaps = profile.missing(records.of_profile(group.canonical, group.version))
        count, carried = count + len(profile.must_support()), carried + len(profile.must_support()) - len(gaps)
        left = [gap for gap in gaps if gap not in explained(guide, name_of(group))]
        if left:
            unexplained[f"{guide} {group.name}"] = left
    record_property("must-support", (f"{guide}, the snapshots", carried, count))
    assert unexplained == {}


def test_every_explanation_is_still_needed(
    asked: Sequence[Group], guides: Mapping[str, Guide], records: Records
) -> None:
    needed = set()
    for group in asked:
        found = records.of_profile(group.canonical, group.version)
        gaps = {*missing(group, records)[1], *guides[group.guide].profile(group.canonical).missing(found)}
        needed |= {(group.guide, name_of(group), gap) for gap in gaps}
    rows = {
        (guide, profile, element)
        for gap in GAPS
        for guide in gap.guides
        for profile in gap.profiles
        for element in gap.elements
    }
    assert rows - needed == set()


def test_an_element_taken_away_is_missed(asked: Sequence[Group], guides: Mapping[str, Guide], records: Records) -> None:
    group = next(group for group in asked if (group.guide, group.name) == ("us-core 6.1.0", "encounter"))
    without = Records([{key: value for key, value in row.items() if key != "period"} for row in records.all])
    found = without.of_profile(group.canonical, group.version)
    assert "period" in missing(group, without)[1]
    assert "period" in guides[group.guide].profile(group.canonical).missing(found)


def test_a_slice_taken_away_is_missed(asked: Sequence[Group], guides: Mapping[str, Guide], records: Records) -> None:
    group = next(group for group in asked if (group.guide, group.name) == ("us-core 6.1.0", "blood_pressure"))
    without = Records([{**row, "component": row["component"][:1]} for row in records.all if row.get("component")])
    found = without.of_profile(group.canonical, group.version)
    assert "slice component:diastolic" in missing(group, without)[1]
    assert "component:diastolic" in guides[group.guide].profile(group.canonical).missing(found)

"""How the official validator's messages are judged; and, where it has been fetched, that it finds what was planted.

https://hl7.org/fhir/R4/validation.html - the whole run is ``make conformance``, which needs a JDK and Maven.
"""

import shutil
from pathlib import Path

import orjson
import pytest

from tests.conformance.checked_guides import GUIDES, PACKAGES, unchecked
from tests.conformance.official_validator import VAR, run
from tests.conformance.package_cache import archives, companion, definitions, install
from tests.conformance.planted_errors import PLANTED
from tests.conformance.undecided import Definitions, Membership, explained, misspelt
from tests.conformance.validator_inputs import SAME_SHAPE, Record, of_each_shape, personas

LISTED, WHOLE, BROKEN, REMOTE = (
    f"http://example.org/ValueSet/{name}" for name in ("listed", "whole", "broken", "remote")
)
LOINC = "http://loinc.org"
DEFINITIONS = Definitions(
    {
        LISTED: {"compose": {"include": [{"system": LOINC, "concept": [{"code": "1-8"}]}]}},
        WHOLE: {"compose": {"include": [{"system": LOINC}, {"system": "http://example.org/known"}]}},
        BROKEN: {"compose": {"include": [{"system": "http://example.org/unknown"}]}},
        REMOTE: {"compose": {"include": [{"valueSet": ["http://cts.nlm.nih.gov/fhir/ValueSet/1.2.3"]}]}},
        "http://example.org/known": {"concept": [{"code": "a", "concept": [{"code": "b"}]}]},
    }
)


def not_in(value_set: str, codes: str) -> str:
    """What the validator says of codings that it cannot find in a value set."""
    return f"None of the codings provided are in the value set 'Name' ({value_set}|1.0), and a coding is required) (codes = {codes})"


@pytest.mark.parametrize(
    ("value_set", "system", "code", "membership"),
    [
        (LISTED, LOINC, "1-8", Membership.YES),
        (LISTED, LOINC, "2-6", Membership.NO),
        (LISTED, "", "1-8", Membership.YES),
        (WHOLE, LOINC, "2-6", Membership.UNKNOWN),
        (WHOLE, "http://example.org/known", "b", Membership.YES),
        (WHOLE, "http://example.org/known", "c", Membership.NO),
        (WHOLE, "http://snomed.info/sct", "1", Membership.NO),
        (BROKEN, "http://example.org/unknown", "1", Membership.NO),
        (REMOTE, LOINC, "1-8", Membership.UNKNOWN),
        ("http://example.org/ValueSet/nowhere", LOINC, "1-8", Membership.NO),
    ],
)
def test_a_code_is_in_a_value_set_as_far_as_the_packages_say(
    value_set: str, system: str, code: str, membership: Membership
) -> None:
    assert DEFINITIONS.member(value_set, system, code) is membership


@pytest.mark.parametrize(
    ("text", "is_explained"),
    [
        (not_in(LISTED, f"{LOINC}#1-8"), True),
        (not_in(LISTED, f"{LOINC}#2-6"), False),
        (not_in(WHOLE, f"http://example.org/known#c, {LOINC}#2-6"), True),
        (not_in(WHOLE, "http://example.org/known#c"), False),
        (f"A definition for CodeSystem '{LOINC}' could not be found, so the code cannot be validated", True),
        ("A definition for CodeSystem 'http://loinc.com' could not be found, so the code cannot be validated", False),
        ("Patient.name: minimum required = 1, but only found 0", False),
        ("Slicing cannot be evaluated: Could not match discriminator for slice [x] in Observation.component:x", False),
    ],
)
def test_an_error_is_explained_only_by_what_is_absent(text: str, is_explained: bool) -> None:
    assert (explained("us-core-6.1.0", text, DEFINITIONS) is not None) == is_explained


def test_a_contradiction_of_one_guide_version_excuses_no_other() -> None:
    text = "Slicing cannot be evaluated: no discriminator for ExplanationOfBenefit.adjudication:denialreason"
    assert explained("pdex-2.0.0", text, DEFINITIONS)
    assert explained("pdex-2.2.0", text, DEFINITIONS) is None


def test_a_misspelt_code_system_is_an_error_even_as_a_warning() -> None:
    assert misspelt(
        "A definition for CodeSystem 'http://loinc.com' could not be found, so the code cannot be validated"
    )
    assert not misspelt(f"A definition for CodeSystem '{LOINC}' could not be found, so the code cannot be validated")


def test_a_record_shows_each_guide_the_claims_of_that_guide_only() -> None:
    record = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": {"resourceType": "Patient", "meta": {"profile": [f"{GUIDES[0].canonical}/x|6.1.0", "urn:y"]}}}
        ],
    }
    seen = [guide.seen(record)["entry"][0]["resource"]["meta"] for guide in GUIDES[:2]]
    assert seen == [{"profile": [f"{GUIDES[0].canonical}/x|6.1.0"]}, {}]


def test_every_claim_of_the_personas_is_checked() -> None:
    assert {profile for record in personas() for profile in unchecked(record)} == set()


def test_records_that_differ_in_values_alone_are_shown_in_part() -> None:
    def claim(number: int) -> Record:
        owner = {"reference": "Patient/anna"}
        return {
            "resourceType": "ExplanationOfBenefit",
            "id": str(number),
            "patient": owner,
            "item": [{"sequence": number}],
        }

    many = [claim(number) for number in range(SAME_SHAPE + 10)]
    other = {**claim(0), "item": [{"sequence": 1, "productOrService": {"coding": [{"code": "new"}]}}]}
    assert of_each_shape([*many, other]) == [*many[:SAME_SHAPE], other]


@pytest.fixture(scope="module")
def packages(shared_data: Path) -> Path:
    """The folder of packages, beside the example data."""
    directory = shared_data.parent / "implementation-guides"
    if not directory.is_dir() or set(PACKAGES) - set(archives(directory)):
        pytest.skip(f"not all packages are at {directory}")
    return directory


def test_a_companion_has_extensions_of_other_guides_and_nothing_of_its_own(packages: Path, tmp_path: Path) -> None:
    wanted = ("hl7.fhir.us.core#6.1.0", "hl7.fhir.us.davinci-pdex#2.0.0")
    absent = install(packages, wanted, tmp_path)
    assert "hl7.terminology.r4#5.0.0" in absent
    name = companion("test", wanted[:1], wanted, (), packages, tmp_path)
    paths = (tmp_path / name / "package").glob("[0-9]*.json")
    more = {orjson.loads(path.read_bytes())["url"] for path in paths}
    assert "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/extension-reviewAction" in more
    assert not more & set(definitions(wanted[:1], packages, tmp_path))


@pytest.mark.slow
def test_the_validator_finds_planted_errors_and_no_others(packages: Path, tmp_path: Path) -> None:
    if not (VAR / "classes" / "Validate.class").exists() or shutil.which("java") is None:
        pytest.skip("the validator is not here: `make conformance` fetches it (it needs a JDK and Maven)")
    guides = GUIDES[:1]
    records = personas()
    profiles = {error.profile for error in PLANTED if error.guide == guides[0].name}
    chosen = [
        next(r for r in records if any(name.startswith(profile) for name in guides[0].claims(r)))
        for profile in profiles
    ]
    outcome = run(packages, records, [], tmp_path, guides, chosen)
    assert outcome.errors == []
    assert outcome.missed == []
    assert outcome.validated[guides[0].name] == len(chosen)

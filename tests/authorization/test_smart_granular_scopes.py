"""SMART App Launch 2.2 "Finer-grained resource constraints using search parameters", and what a member withholds of scopes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.authorization import scope_criteria
from server.authorization.permissions import permissions
from server.authorization.scopes import (
    MAXIMUM_GRANULAR,
    SYSTEM_CONTEXTS,
    WILDCARD,
    is_within,
    narrow,
    parse,
    supported_scopes,
    withhold,
)
from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES, LAUNCH_SCOPES
from server.storage.query import AnyOfCriterion, TokenAlternative, TokenCriterion

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
LABORATORY, VITAL_SIGNS = f"category={CATEGORY}|laboratory", f"category={CATEGORY}|vital-signs"
OBSERVATION, CLAIM = "patient/Observation.rs", "patient/ExplanationOfBenefit.rs"


def token(parameter: str, *alternatives: tuple[str | None, str | None]) -> TokenCriterion:
    return TokenCriterion(parameter, tuple(TokenAlternative(*one) for one in alternatives))


def test_a_query_asks_for_all_its_parameters_and_one_value_of_each() -> None:
    found = parse(f"{OBSERVATION}?{LABORATORY},survey&status=final")
    assert found is not None
    assert found.conditions == (
        token("category", (CATEGORY, "laboratory"), (None, "survey")),
        token("status", (None, "final")),
    )


def test_a_query_may_be_percent_encoded() -> None:
    encoded = LABORATORY.replace(":", "%3A").replace("/", "%2F").replace("|", "%7C")
    found, plain = parse(f"{OBSERVATION}?{encoded}"), parse(f"{OBSERVATION}?{LABORATORY}")
    assert found is not None and plain is not None
    assert found.conditions == plain.conditions
    assert str(found) == f"{OBSERVATION}?{encoded}"


NOT_UNDERSTOOD = [
    "patient/*.rs?category=laboratory",
    "patient/Observation.read?category=laboratory",
    "patient/Observation.*?category=laboratory",
    "patient/Observation.rs?",
    "patient/Observation.rs?category",
    "patient/Observation.rs?category=",
    "patient/Observation.rs?category=,",
    "patient/Observation.rs?category=|",
    "patient/Observation.rs?category=laboratory&",
    "patient/Observation.rs?&category=laboratory",
    "patient/Observation.rs?category=laboratory&shoe-size=42",
    "patient/Observation.rs?category:not=laboratory",
    "patient/Observation.rs?category:in=http://example.org/vs",
    "patient/Observation.rs?date=2026",
    "patient/Observation.rs?patient=anna",
    "patient/Observation.rs?_id=one",
    "patient/Observation.rs?_security=R",
    "patient/Observation.rs?_lastUpdated=2026",
    "patient/Observation.rs?category=%00",
    "patient/Observation.rs?category=%ff",
    'patient/Observation.rs?category="laboratory"',
    "patient/Observation.rs?category=lab\\oratory",
    "patient/Coverage.rs?status=active",
    "patient/Nothing.rs?category=laboratory",
    "patient/Observation.rs?category=" + ",".join(f"c{n}" for n in range(21)),
    "patient/Observation.rs?" + "&".join(f"status=s{n}" for n in range(5)),
]


@pytest.mark.parametrize("scope", NOT_UNDERSTOOD)
def test_a_query_that_is_not_understood_drops_the_scope_and_never_widens_it(scope: str) -> None:
    assert parse(scope) is None
    narrowed = narrow(f"openid {scope}", "")
    assert (narrowed.scope, narrowed.left_out) == ("openid", (scope,))
    assert permissions(scope).resource_types == ()
    assert withhold(scope, []) == ""


def test_criteria_of_a_type_are_or_ed_among_scopes() -> None:
    found = permissions(f"{OBSERVATION}?{LABORATORY} patient/Observation.r?{VITAL_SIGNS}&status=final")
    laboratory = token("category", (CATEGORY, "laboratory"))
    both = (token("category", (CATEGORY, "vital-signs")), token("status", (None, "final")))
    assert found.criteria("Observation", "s") == (AnyOfCriterion(((laboratory,),)),)
    assert found.criteria("Observation", "r") == (AnyOfCriterion(((laboratory,), both)),)


def test_single_conditions_on_one_parameter_become_one() -> None:
    found = permissions(f"{OBSERVATION}?{LABORATORY} {OBSERVATION}?{VITAL_SIGNS}")
    merged = token("category", (CATEGORY, "laboratory"), (CATEGORY, "vital-signs"))
    assert found.criteria("Observation", "r") == (AnyOfCriterion(((merged,),)),)


@pytest.mark.parametrize("wider", [OBSERVATION, "user/Observation.read", f"patient/{WILDCARD}.rs"])
def test_a_scope_without_criteria_makes_its_letters_unrestricted(wider: str) -> None:
    found = permissions(f"{OBSERVATION}?{LABORATORY} {wider}")
    assert (found.criteria("Observation", "r"), found.criteria("Observation", "s")) == ((), ())


def test_a_letter_without_criteria_leaves_the_other_restricted() -> None:
    found = permissions(f"{OBSERVATION}?{LABORATORY} patient/Observation.s")
    assert found.criteria("Observation", "s") == ()
    assert found.criteria("Observation", "r") != ()


@pytest.mark.parametrize(
    ("requested", "registered", "granted"),
    [
        (f"{OBSERVATION}?{LABORATORY}", "", f"{OBSERVATION}?{LABORATORY}"),
        (f"{OBSERVATION}?{LABORATORY}", "patient/*.rs", f"{OBSERVATION}?{LABORATORY}"),
        (f"user/Observation.rs?{LABORATORY}", OBSERVATION, f"user/Observation.rs?{LABORATORY}"),
        (f"patient/Observation.cruds?{LABORATORY}", "", f"{OBSERVATION}?{LABORATORY}"),
        (OBSERVATION, f"{OBSERVATION}?{LABORATORY}", f"{OBSERVATION}?{LABORATORY}"),
        ("patient/Observation.read", f"{OBSERVATION}?{LABORATORY}", f"{OBSERVATION}?{LABORATORY}"),
        ("patient/*.rs", f"{OBSERVATION}?{LABORATORY}", f"{OBSERVATION}?{LABORATORY}"),
        (f"{OBSERVATION}?{LABORATORY}", f"{OBSERVATION}?{VITAL_SIGNS}", ""),
        (f"{OBSERVATION}?{LABORATORY}", f"{OBSERVATION}?status=final", f"{OBSERVATION}?{LABORATORY}&status=final"),
        (f"{OBSERVATION}?category=a,b", f"{OBSERVATION}?category=b,c", f"{OBSERVATION}?category=b"),
        (f"{OBSERVATION}?category=laboratory", f"{OBSERVATION}?{LABORATORY}", f"{OBSERVATION}?{LABORATORY}"),
        (
            "patient/Observation.rs",
            f"patient/Observation.r {OBSERVATION}?{LABORATORY}",
            f"patient/Observation.r patient/Observation.s?{LABORATORY}",
        ),
    ],
)
def test_a_registration_narrows_what_is_asked(requested: str, registered: str, granted: str) -> None:
    assert narrow(requested, registered).scope == granted


def test_a_refresh_may_ask_for_part_of_a_wider_scope() -> None:
    assert is_within(f"{OBSERVATION}?{LABORATORY}", OBSERVATION)
    assert is_within(f"{OBSERVATION}?{LABORATORY}", f"{OBSERVATION}?{LABORATORY} {OBSERVATION}?{VITAL_SIGNS}")
    assert not is_within(OBSERVATION, f"{OBSERVATION}?{LABORATORY}")
    assert not is_within(f"{OBSERVATION}?{VITAL_SIGNS}", f"{OBSERVATION}?{LABORATORY}")


def test_a_grant_has_a_limited_number_of_finer_grained_scopes() -> None:
    asked = [f"{OBSERVATION}?category=c{n}" for n in range(MAXIMUM_GRANULAR + 3)]
    narrowed = narrow(" ".join(asked), "")
    assert narrowed.scope.split() == asked[:MAXIMUM_GRANULAR]
    assert narrowed.left_out == tuple(asked[MAXIMUM_GRANULAR:])


def test_what_guides_name_is_published_and_granted_as_it_is_written() -> None:
    published = [scope for scope in supported_scopes() if "?" in scope and not scope.startswith(SYSTEM_CONTEXTS)]
    assert f"{OBSERVATION}?{LABORATORY}" in published
    assert len(published) == 2 * sum(len(row.granular) for row in RESOURCES.values())
    assert narrow(" ".join(published), "").scope.split() == published


_texts = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())
_alternatives = st.builds(TokenAlternative, st.one_of(st.none(), st.just(""), _texts), _texts) | st.builds(
    TokenAlternative, _texts, st.none()
)
_conditions = st.lists(
    st.builds(
        TokenCriterion,
        st.sampled_from(["category", "status", "code"]),
        st.lists(_alternatives, min_size=1, max_size=3, unique=True).map(tuple),
    ),
    min_size=1,
    max_size=4,
    unique=True,
).map(tuple)


@given(conditions=_conditions)
def test_conditions_are_read_as_they_are_written(conditions: tuple[TokenCriterion, ...]) -> None:
    query = scope_criteria.write(conditions)
    assert scope_criteria.read("Observation", query) == conditions
    assert parse(f"{OBSERVATION}?{query}") is not None


# -- what the member withholds -----------------------------------------------------------------------------------------

EVERYTHING = "launch/patient openid fhirUser profile offline_access patient/*.rs"


def types_of(scope: str) -> set[str]:
    return set(permissions(scope).resource_types)


def test_withholding_nothing_changes_nothing() -> None:
    assert withhold(EVERYTHING, []) == EVERYTHING


def test_withheld_prior_authorizations_become_use_claim() -> None:
    assert withhold(CLAIM, ["prior-authorizations"]) == f"{CLAIM}?use=claim"
    assert withhold("patient/ExplanationOfBenefit.read", ["prior-authorizations"]) == f"{CLAIM}?use=claim"
    assert withhold("user/ExplanationOfBenefit.r", ["prior-authorizations"]) == "user/ExplanationOfBenefit.r?use=claim"


def test_withheld_claims_become_use_preauthorization() -> None:
    assert withhold(CLAIM, ["claims"]) == f"{CLAIM}?use=preauthorization"


def test_withheld_claims_and_prior_authorizations_leave_nothing() -> None:
    assert withhold(CLAIM, ["claims", "prior-authorizations"]) == ""


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("type=oral", f"{CLAIM}?type=oral&use=claim"),
        ("use=claim", f"{CLAIM}?use=claim"),
        ("use=preauthorization", ""),
        ("use=claim,preauthorization", f"{CLAIM}?use=claim"),
        ("use=|claim", f"{CLAIM}?use=|claim"),
    ],
)
def test_a_finer_grained_scope_is_narrowed_further(query: str, left: str) -> None:
    assert withhold(f"{CLAIM}?{query}", ["prior-authorizations"]) == left


def test_a_wildcard_is_named_type_by_type() -> None:
    left = withhold("patient/*.read", ["allergies"])
    assert left.split() == [f"patient/{type}.read" for type in RESOURCES if type != "AllergyIntolerance"]


def test_a_wildcard_that_nothing_withheld_touches_stays() -> None:
    assert withhold("patient/Coverage.rs patient/Patient.rs", ["allergies"]) == "patient/Coverage.rs patient/Patient.rs"


def test_withheld_demographics_drop_who_the_member_is() -> None:
    left = withhold(EVERYTHING, ["demographics"])
    assert left.split()[:3] == ["launch/patient", "openid", "offline_access"]
    assert not types_of(left) & {"Patient", "RelatedPerson"}
    assert not permissions(left).reads_fhir_user


@pytest.mark.parametrize("category", CONSENT_CATEGORIES, ids=lambda category: category.slug)
def test_a_category_has_its_types_and_withholding_takes_just_those(category) -> None:
    own = {
        row.type
        for row in RESOURCES.values()
        if any(part.category == category.slug and not part.query for part in row.categories)
    }
    partly = {row.type for row in RESOURCES.values() if any(part.category == category.slug for part in row.categories)}
    assert own or partly
    left = withhold(EVERYTHING, [category.slug])
    assert types_of(left) == set(RESOURCES) - own
    for type in partly - own:
        assert permissions(left).criteria(type, "r") and permissions(left).criteria(type, "s")


def test_every_category_of_a_row_and_of_a_launch_scope_is_known() -> None:
    known = {category.slug for category in CONSENT_CATEGORIES}
    assert len(known) == len(CONSENT_CATEGORIES)
    assert {part.category for row in RESOURCES.values() for part in row.categories} == known
    assert {row.category for row in LAUNCH_SCOPES} <= known | {""}


def test_the_directory_and_provenance_are_never_withheld() -> None:
    left = withhold(EVERYTHING, [category.slug for category in CONSENT_CATEGORIES])
    assert types_of(left) == {row.type for row in RESOURCES.values() if row.is_directory} | {"Provenance"}


def test_an_unknown_category_is_refused_rather_than_shared() -> None:
    with pytest.raises(ValueError, match="medicine"):
        withhold(EVERYTHING, ["medicine"])

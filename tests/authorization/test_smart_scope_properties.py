"""SMART App Launch 2.2 "Scopes": whatever is asked, registered and withheld, nothing more is permitted than all three leave.

What scopes mean is worked out a second time here, resource by resource, from the specification's words alone.
"""

from collections.abc import Collection
from itertools import product
from typing import Any
from urllib.parse import unquote

from hypothesis import given, settings
from hypothesis import strategies as st

from server.authorization.permissions import Permissions, permissions, system_permissions
from server.authorization.scopes import SYSTEM_CONTEXTS, is_within, narrow, withhold
from server.fhir.scope_check import is_met
from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES
from server.storage.query import AnyOfCriterion, IndexEntries, Token

CLAIM_TYPES = "https://codes.example/claim-type"
CATEGORIES = "https://codes.example/category"
Facts = tuple[tuple[str, str, str], ...]
"""Of one resource: (search parameter, system, code)."""
MODEL: dict[str, list[Facts]] = {
    "Patient": [()],
    "Coverage": [()],
    "Organization": [()],
    "Procedure": [(("status", "", "completed"), ("code", CATEGORIES, "one"))],
    "ExplanationOfBenefit": [
        (("use", "", use), ("type", CLAIM_TYPES, type))
        for use in ("claim", "preauthorization", "predetermination")
        for type in ("oral", "pharmacy")
    ],
    "Observation": [
        *(
            (("category", system, code), ("status", "", status))
            for system, code, status in product(
                (CATEGORIES, "https://other.example"), ("laboratory", "vital-signs"), ("final", "amended")
            )
        ),
        (("category", CATEGORIES, "laboratory"), ("category", CATEGORIES, "vital-signs"), ("status", "", "final")),
        (),
    ],
}
"""Every kind of resource that the scopes below can tell apart."""
WITHHELD: dict[str, str] = {
    "Patient": "demographics",
    "Coverage": "coverage",
    "Procedure": "procedures-and-devices",
    "Observation": "test-results-and-vital-signs",
}
EVERYTHING = {(type, letter, n) for type, facts in MODEL.items() for n in range(len(facts)) for letter in "cruds"}
SERVED = {one for one in EVERYTHING if one[1] in "rs"}
Permitted = set[tuple[str, str, int]]


# -- what the specification says ---------------------------------------------------------------------------------------


def meant(scope: str, contexts: Collection[str] = ("patient", "user")) -> Permitted:
    """What a scope string permits of the model."""
    return set().union(*(_meant(word, contexts) for word in scope.split()), set())


def _meant(word: str, contexts: Collection[str]) -> Permitted:
    context, slash, rest = word.partition("/")
    head, question, query = rest.partition("?")
    type_name, dot, suffix = head.rpartition(".")
    letters = {"read": "rs", "write": "cud", "*": "cruds"}.get(suffix, suffix)
    in_order = [letter for letter in "cruds" if letter in letters]
    if context not in contexts or not slash or not dot or not letters or "".join(in_order) != letters:
        return set()
    asked: list[tuple[str, list[str]]] = []
    if question:
        for pair in query.split("&"):
            name, equals, values = pair.partition("=")
            if type_name not in MODEL or not equals or not values or suffix in ("read", "write", "*"):
                return set()
            asked.append((name, unquote(values).split(",")))
    return {
        (type, letter, n)
        for type, letter, n in EVERYTHING
        if type_name in ("*", type)
        and letter in letters
        and all(any(_has(MODEL[type][n], name, value) for value in values) for name, values in asked)
    }


def _has(facts: Facts, name: str, value: str) -> bool:
    for parameter, system, code in facts:
        wanted_system, bar, wanted_code = value.rpartition("|")
        if parameter != name or (wanted_code and wanted_code != code):
            continue
        if not bar or wanted_system == system:
            return True
    return False


def ticked(categories: Collection[str]) -> Permitted:
    """What of the model the member did not withhold."""

    def is_withheld(type: str, n: int) -> bool:
        if type == "ExplanationOfBenefit":
            use = next(code for parameter, _, code in MODEL[type][n] if parameter == "use")
            return {"claim": "claims", "preauthorization": "prior-authorizations"}.get(use) in categories
        return WITHHELD.get(type) in categories

    return {(type, letter, n) for type, letter, n in EVERYTHING if not is_withheld(type, n)}


# -- what the server permits -------------------------------------------------------------------------------------------


def permitted(found: Permissions) -> Permitted:
    """What computed permissions permit of the model. Criteria that look at other resources only take away: they are passed over."""
    return {
        (type, letter, n)
        for type, letter, n in EVERYTHING
        if found.permits(type, letter)
        and all(
            is_met(criterion, IndexEntries(frozenset(Token(*fact) for fact in MODEL[type][n])))
            for criterion in found.criteria(type, letter)
            if isinstance(criterion, AnyOfCriterion)
        )
    }


# -- scopes ------------------------------------------------------------------------------------------------------------

TYPES = st.sampled_from([*MODEL, "*"])
LETTERS = st.sampled_from(["rs", "r", "s", "cruds", "cud", "ru"])
VALUES: dict[str, list[str]] = {
    "use": ["claim", "preauthorization", "|claim", "predetermination"],
    "type": ["oral", f"{CLAIM_TYPES}|oral", f"{CLAIM_TYPES}|", "https%3A%2F%2Fcodes.example%2Fclaim-type%7Cpharmacy"],
    "category": [
        "laboratory",
        f"{CATEGORIES}|laboratory",
        f"{CATEGORIES}|vital-signs",
        "|laboratory",
        f"{CATEGORIES}|",
    ],
    "status": ["final", "amended", "completed"],
    "code": [f"{CATEGORIES}|one", "two"],
}
PARAMETERS = {
    "ExplanationOfBenefit": ("use", "type"),
    "Observation": ("category", "status"),
    "Procedure": ("status", "code"),
}


@st.composite
def granular(draw: Any) -> str:
    """A finer-grained scope that is understood."""
    type_name = draw(st.sampled_from(list(PARAMETERS)))
    names = draw(st.lists(st.sampled_from(PARAMETERS[type_name]), min_size=1, max_size=3))
    pairs = [f"{n}={','.join(draw(st.lists(st.sampled_from(VALUES[n]), min_size=1, max_size=2)))}" for n in names]
    context = draw(st.sampled_from(["patient", "user"]))
    return f"{context}/{type_name}.{draw(LETTERS)}?{'&'.join(pairs)}"


PLAIN = st.builds(
    "{}/{}.{}".format,
    st.sampled_from(["patient", "user"]),
    TYPES,
    st.one_of(LETTERS, st.sampled_from(["read", "write", "*"])),
)
WELL_FORMED = st.lists(st.one_of(PLAIN, granular()), max_size=5).map(" ".join)
BROKEN = st.one_of(
    st.builds(
        "{}/{}.{}{}".format,
        st.sampled_from(["patient", "system", "", "Patient"]),
        TYPES,
        LETTERS,
        st.sampled_from(
            [
                "?",
                "?category",
                "?category=",
                "?=laboratory",
                "?category:not=laboratory",
                "?_id=1",
                "?code-text=x",
                "?category=%00",
                "?category=laboratory&",
                "?category=laboratory&nothing=x",
                "?category=|",
                "?category=%ff",
                "?date=2020",
                "?patient=1",
                '?category="laboratory"',
                "?category=lab\\oratory",
                "?_security=R",
                "?status=final?status=amended",
                "?status=,",
                "#x",
            ]
        ),
    ),
    st.sampled_from(
        ["patient/Observation.sr", "patient/Observation.", "patient/*.rs?category=laboratory", "patient/.rs"]
    ),
    st.sampled_from(["openid", "fhirUser", "launch/patient", "profile", "offline_access"]),
    st.text("patien/Obsrvcy.*?=&|,% ", max_size=30),
)
ANY = st.lists(
    st.one_of(PLAIN, granular(), granular().map(lambda w: w.replace("patient/", "system/")), BROKEN), max_size=6
).map(" ".join)
SOME_CATEGORIES = st.sets(st.sampled_from([category.slug for category in CONSENT_CATEGORIES]), max_size=5)


@settings(max_examples=600, deadline=None)
@given(requested=ANY, registered=ANY, categories=SOME_CATEGORIES)
def test_nothing_exceeds_what_was_asked_registered_and_left_ticked(
    requested: str, registered: str, categories: set[str]
) -> None:
    granted = narrow(requested, registered).scope
    left = withhold(granted, categories)
    allowed = meant(requested) & ticked(categories) & SERVED
    if registered.split():
        allowed &= meant(registered)
    assert permitted(permissions(left)) <= allowed
    assert permitted(permissions(left)) <= permitted(permissions(granted))
    for type in RESOURCES:
        for letter in "rs":
            assert permissions(granted).permits(type, letter) or not permissions(left).permits(type, letter)


@settings(max_examples=400, deadline=None)
@given(requested=WELL_FORMED)
def test_of_scopes_that_are_understood_nothing_is_lost(requested: str) -> None:
    assert permitted(permissions(narrow(requested, "").scope)) == meant(requested) & SERVED


@settings(max_examples=300, deadline=None)
@given(requested=WELL_FORMED, categories=SOME_CATEGORIES)
def test_what_is_not_withheld_stays(requested: str, categories: set[str]) -> None:
    left = permitted(permissions(withhold(narrow(requested, "").scope, categories)))
    expected = meant(requested) & ticked(categories) & SERVED
    claims = {"claims", "prior-authorizations"} & categories
    neither = {
        (type, letter, n)
        for type, letter, n in EVERYTHING
        if claims and ("use", "", "predetermination") in MODEL[type][n]
    }  # of no category: they go when part of the claims goes
    assert left == expected - neither


@settings(max_examples=300, deadline=None)
@given(requested=ANY, registered=ANY, categories=SOME_CATEGORIES)
def test_granting_and_withholding_again_change_nothing(requested: str, registered: str, categories: set[str]) -> None:
    granted = narrow(requested, registered).scope
    left = withhold(granted, categories)
    assert narrow(granted, "").left_out == ()
    assert withhold(left, categories) == left
    assert narrow(left, "").scope == left
    assert is_within(left, left)


@settings(max_examples=200, deadline=None)
@given(requested=ANY, registered=ANY)
def test_a_members_and_a_clients_own_scopes_never_mix(requested: str, registered: str) -> None:
    own = narrow(requested, registered, SYSTEM_CONTEXTS).scope
    assert permitted(permissions(own)) == set()
    assert permitted(system_permissions(narrow(requested, registered).scope)) == set()
    allowed = meant(requested, ("system",)) & meant(registered, ("system",)) & SERVED
    assert permitted(system_permissions(own)) <= allowed
    assert narrow(requested, "", SYSTEM_CONTEXTS).scope == ""

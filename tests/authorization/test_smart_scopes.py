"""SMART App Launch 2.2 "Scopes and Launch Context": parsing, what a scope permits, and narrowing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.authorization.permissions import permissions
from server.authorization.scopes import narrow, parse
from server.specification.registry import RESOURCES
from server.specification.standards import LAUNCH_SCOPES


@pytest.mark.parametrize(
    ("scope", "read", "search"),
    [
        ("patient/Coverage.rs", True, True),
        ("patient/Coverage.read", True, True),
        ("patient/Coverage.*", True, True),
        ("patient/Coverage.cruds", True, True),
        ("patient/Coverage.r", True, False),
        ("patient/Coverage.s", False, True),
        ("patient/Coverage.write", False, False),
        ("patient/*.rs", True, True),
        ("user/Coverage.rs", True, True),
        ("user/*.read", True, True),
        ("system/Coverage.rs", False, False),
        ("system/*.rs", False, False),
        ("patient/Patient.rs", False, False),
        ("patient/Coverage.sr", False, False),
        ("patient/Coverage.", False, False),
        ("patient/Coverage", False, False),
        ("patient/coverage.rs", False, False),
        ("Patient/Coverage.rs", False, False),
        ("patient/Coverage.rs?status=active", False, False),
        ("launch/patient openid fhirUser offline_access", False, False),
        ("", False, False),
        ("patient/Coverage.r user/Coverage.s", True, True),
    ],
)
def test_what_a_granted_scope_permits(scope: str, read: bool, search: bool) -> None:
    permitted = permissions(scope)
    assert (permitted.permits("Coverage", "r"), permitted.permits("Coverage", "s")) == (read, search)


@pytest.mark.parametrize(
    ("requested", "registered", "granted"),
    [
        ("patient/*.rs", "", "patient/*.rs"),
        ("patient/*.read launch/patient launch/patient", "", "patient/*.read launch/patient"),
        ("patient/*.cruds", "", "patient/*.rs"),
        ("patient/*.*", "", "patient/*.read"),
        ("patient/Coverage.write", "", ""),
        ("patient/Coverage.cu", "", ""),
        ("patient/Claim.rs patient/Coverage.rs", "", "patient/Coverage.rs"),
        ("patient/Coverage.rs?status=active", "", ""),
        ("system/Coverage.rs", "", ""),
        ("launch launch/encounter fhir_user", "", ""),
        ("user/Coverage.read", "patient/*.rs", "user/Coverage.read"),
        ("patient/*.rs", "patient/Coverage.rs patient/Patient.r", "patient/Patient.r patient/Coverage.rs"),
        ("patient/*.read", "patient/Coverage.rs", "patient/Coverage.read"),
        ("patient/Coverage.rs", "patient/Coverage.s", "patient/Coverage.s"),
        ("patient/Coverage.read", "patient/Coverage.s", "patient/Coverage.s"),
        ("openid patient/Coverage.rs", "patient/*.rs", "patient/Coverage.rs"),
        ("patient/Coverage.rs", "system/*.rs", ""),
    ],
)
def test_narrowing_keeps_the_spelling_unless_it_must_cut(requested: str, registered: str, granted: str) -> None:
    assert narrow(requested, registered).scope == granted


def test_what_was_left_out_is_named() -> None:
    narrowed = narrow("openid patient/Nothing.rs patient/*.cruds", "")
    assert narrowed.scope == "openid patient/*.rs"
    assert narrowed.left_out == ("patient/Nothing.rs", "patient/*.cruds")


def test_resource_types_are_those_of_the_registry() -> None:
    assert permissions("patient/*.rs").resource_types == tuple(RESOURCES)
    assert permissions("patient/Coverage.s patient/Nothing.rs").resource_types == ("Coverage",)


_types = st.sampled_from([*RESOURCES, "*", "Observation", "coverage", ""])
_suffixes = st.one_of(st.sampled_from(["read", "write", "*", "rs", "cruds", "?x=y"]), st.text("cruds?=.*", max_size=6))
_resource_scopes = st.builds(
    "{}/{}.{}".format, st.sampled_from(["patient", "user", "system", "launch", ""]), _types, _suffixes
)
_words = st.one_of(
    _resource_scopes, st.sampled_from([row.scope for row in LAUNCH_SCOPES]), st.text("abc/.*?= ", max_size=12)
)
_scopes = st.lists(_words, max_size=6).map(" ".join)


def _permitted(scope: str) -> set[tuple[str, str]]:
    return {(type, letter) for type in RESOURCES for letter in "cruds" if permissions(scope).permits(type, letter)}


@given(requested=_scopes, registered=_scopes)
def test_what_is_granted_never_exceeds_what_was_requested_nor_registered(requested: str, registered: str) -> None:
    granted = narrow(requested, registered).scope
    assert _permitted(granted) <= _permitted(requested)
    assert not registered.split() or _permitted(granted) <= _permitted(registered)
    assert {letter for _, letter in _permitted(granted)} <= set("rs")


@given(requested=_scopes, registered=_scopes)
def test_narrowing_twice_changes_nothing_more(requested: str, registered: str) -> None:
    granted = narrow(requested, registered).scope
    assert narrow(granted, registered).scope == granted
    assert narrow(granted, "").left_out == ()


@given(scope=_resource_scopes)
def test_a_scope_taken_apart_and_put_together_means_the_same(scope: str) -> None:
    parsed = parse(scope)
    if parsed is not None:
        assert parse(str(parsed)) == parsed

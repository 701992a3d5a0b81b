"""The questions storage can answer, as values; no FHIR syntax and no SQL here.

A search is a conjunction of criteria, each a disjunction of alternatives: https://hl7.org/fhir/R4/search.html#combining
"""

from dataclasses import dataclass

FOREVER = 2**62
"""The end of an open interval, in microseconds since 1970."""
NEVER = -(2**62)
"""The start of an interval without one."""


@dataclass(frozen=True, slots=True)
class TokenAlternative:
    """``system`` None: any; '': none. ``code`` None: any."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class TokenCriterion:
    """The token index of ``parameter`` has one of the alternatives; ``negated``: has none of them."""

    parameter: str
    alternatives: tuple[TokenAlternative, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ReferenceAlternative:
    """A reference to this id; ``type`` None: of any type."""

    type: str | None
    id: str


@dataclass(frozen=True, slots=True)
class ReferenceCriterion:
    """The reference index of ``parameter`` has one of the alternatives."""

    parameter: str
    alternatives: tuple[ReferenceAlternative, ...]


@dataclass(frozen=True, slots=True)
class DateAlternative:
    """Compare with the half-open interval [low, high) by a FHIR prefix (eq ne gt ge lt le sa eb ap)."""

    prefix: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class DateCriterion:
    """The date index of ``parameter`` has an interval that satisfies one of the alternatives."""

    parameter: str
    alternatives: tuple[DateAlternative, ...]


@dataclass(frozen=True, slots=True)
class StringAlternative:
    """``match``: starts or contains (of the folded string), or exact (as written)."""

    match: str
    text: str


@dataclass(frozen=True, slots=True)
class StringCriterion:
    """The string index of ``parameter`` has a string that matches one of the alternatives."""

    parameter: str
    alternatives: tuple[StringAlternative, ...]


@dataclass(frozen=True, slots=True)
class MissingCriterion:
    """No entry of ``parameter`` is there, or (not ``missing``) one is; entries may stand under any of the ``parameters``."""

    parameters: tuple[str, ...]
    missing: bool


@dataclass(frozen=True, slots=True)
class IdCriterion:
    """The resource's id is one of these."""

    alternatives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LastUpdatedCriterion:
    """The resource's ``meta.lastUpdated`` satisfies one of the alternatives."""

    alternatives: tuple[DateAlternative, ...]


@dataclass(frozen=True, slots=True)
class NothingCriterion:
    """Nothing matches: the query names another member, or a value that cannot occur."""


@dataclass(frozen=True, slots=True)
class AnyOfCriterion:
    """All criteria of one of the alternatives hold, or of several."""

    alternatives: tuple[tuple[TokenCriterion, ...], ...]


@dataclass(frozen=True, slots=True)
class ChainCriterion:
    """The reference index of ``parameter`` names a resource that the member may see, of one of the types, that satisfies all of
    that type's criteria."""

    parameter: str
    alternatives: tuple[tuple[str, tuple["Criterion", ...]], ...]


@dataclass(frozen=True, slots=True)
class HasCriterion:
    """A resource of ``source_type`` that the member may see satisfies all criteria, and names this one, of ``type``, by ``parameter``."""

    type: str
    source_type: str
    parameter: str
    criteria: tuple["Criterion", ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """What may be seen: every resource of the types in ``whole``; of the types in ``partly``, those that satisfy all the criteria
    that stand beside them."""

    whole: tuple[str, ...]
    partly: tuple[tuple[tuple[str, ...], tuple["Criterion", ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class ReferredInSightCriterion:
    """Every resource that the reference index of ``parameter`` names is in sight."""

    parameter: str
    sight: Sight


@dataclass(frozen=True, slots=True)
class NamedInSightCriterion:
    """A resource of the member that is in sight names it (see ``schema.NAMES``)."""

    sight: Sight


Criterion = (
    TokenCriterion
    | AnyOfCriterion
    | ChainCriterion
    | HasCriterion
    | ReferredInSightCriterion
    | NamedInSightCriterion
    | ReferenceCriterion
    | DateCriterion
    | StringCriterion
    | MissingCriterion
    | IdCriterion
    | LastUpdatedCriterion
    | NothingCriterion
)


@dataclass(frozen=True, slots=True)
class Include:
    """Follow these reference parameters of ``source_type``, to ``target_type`` only if it is named.

    ``iterate``: of resources brought by other includes too, not only of the matches.
    """

    source_type: str
    parameters: tuple[str, ...]
    target_type: str = ""
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class ReverseInclude:
    """Bring resources of ``source_type`` whose reference parameter points at a match of one of the ``target_types``.

    ``iterate``: at what other includes brought too.
    """

    source_type: str
    parameter: str
    target_types: tuple[str, ...]
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class SortKey:
    """Order by what is indexed under ``parameter``; ``kind``: token, reference, date, string, _id or _lastUpdated."""

    parameter: str
    kind: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One page of a search on one resource type: at most ``count`` matches behind the place ``after`` (() : the first page), or,
    ``backwards``, those before it. ``counted``: whether the first page also says how many there are."""

    type: str
    criteria: tuple[Criterion, ...] = ()
    includes: tuple[Include, ...] = ()
    reverse_includes: tuple[ReverseInclude, ...] = ()
    count: int = 50
    after: tuple[int | str, ...] = ()
    sort: tuple[SortKey, ...] = ()
    backwards: bool = False
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Token:
    """A token index entry; no system is ''."""

    parameter: str
    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference index entry; ``version`` is '' unless the reference names one."""

    parameter: str
    type: str
    id: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Date:
    """A date index entry: the half-open interval [low, high) in microseconds since 1970 UTC."""

    parameter: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class String:
    """A string index entry: as written, and folded (lower case, no accents or punctuation) for starts-with."""

    parameter: str
    exact: str
    folded: str


@dataclass(frozen=True, slots=True)
class IndexEntries:
    """Everything a resource is found by."""

    tokens: frozenset[Token] = frozenset()
    references: frozenset[Reference] = frozenset()
    dates: frozenset[Date] = frozenset()
    strings: frozenset[String] = frozenset()

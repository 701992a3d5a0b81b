"""Permissions: what granted scopes permit on resources, per type and interaction, and on which of them.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html - several scopes permit what any of them does.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache

from server.authorization.scope_criteria import Conditions, any_of
from server.authorization.scopes import CONTEXTS, SYSTEM_CONTEXTS, WILDCARD, ResourceScope, parsed
from server.authorization.sensitivity import Policy
from server.specification.definition import MembershipKind
from server.specification.registry import RESOURCES, naming_expressions
from server.storage.query import AnyOfCriterion, Criterion, NamedInSightCriterion, ReferredInSightCriterion, Sight

FHIR_USER_SCOPES = (frozenset(("fhirUser",)), frozenset(("openid", "profile")))
"""With all scopes of one of these the token's ``fhirUser`` resource can be read, whatever else is granted."""
_VISIBLE = "rs"
_NAMING = {
    row.type: tuple(other for other in RESOURCES if any(target == row.type for _, target in naming_expressions(other)))
    for row in RESOURCES.values()
    if row.membership.kind is MembershipKind.NAMED
}
"""Types whose resources belong to who has a resource that names them, and the types that name them."""
_REFERRING = {
    row.type: next(p.code for p in row.search_parameters if p.expression == f"{row.type}.{row.membership.path}")
    for row in RESOURCES.values()
    if row.membership.kind is MembershipKind.VIA
}
"""Types whose resources belong to who has what they refer to, and the search parameter of that reference."""


class Permissions:
    """What granted scopes permit on resources: per resource type the interaction letters, and criteria that every resource meets.

    What belongs to a member only through another resource is seen only with that resource: a Provenance with all its targets,
    a Medication with a prescription that names it. What sensitivity policies withhold is out of sight too.

    ``plain``: the same scopes without any policy, None when there is none; ``under``: with each policy alone, by its slug.
    """

    __slots__ = ("_criteria", "_letters", "_policies", "_wildcard", "plain", "reads_fhir_user", "under")

    def __init__(
        self,
        scopes: Collection[ResourceScope],
        policies: Sequence[Policy] = (),
        *,
        reads_fhir_user: bool = False,
    ) -> None:
        letters: dict[str, str] = {}
        for scope in scopes:
            letters[scope.resource_type] = letters.get(scope.resource_type, "") + scope.letters
        self._wildcard = letters.pop(WILDCARD, "")
        self._letters = letters
        self._criteria: dict[tuple[str, str], tuple[Criterion, ...]] = {}
        self._policies = policies
        self.reads_fhir_user = reads_fhir_user
        self.plain: Permissions | None = None
        self.under: tuple[tuple[str, Permissions], ...] = ()
        self._restrict(_asked(scopes))
        if policies:
            self.plain = Permissions(scopes, reads_fhir_user=reads_fhir_user)
            self.under = (
                tuple((each.slug, Permissions(scopes, (each,), reads_fhir_user=reads_fhir_user)) for each in policies)
                if len(policies) > 1
                else ((policies[0].slug, self),)
            )

    def permits(self, resource_type: str, interaction_letter: str) -> bool:
        """Whether an interaction on a type is allowed: 'r' read, vread and included, 's' search-type."""
        return interaction_letter in self._wildcard or interaction_letter in self._letters.get(resource_type, "")

    def permits_by_name(self, resource_type: str, interaction_letter: str) -> bool:
        """The same by a scope that names the type: a wildcard does not."""
        return interaction_letter in self._letters.get(resource_type, "")

    def criteria(self, resource_type: str, interaction_letter: str) -> tuple[Criterion, ...]:
        """What resources of a type must meet for an interaction that is permitted on it; () : any will do."""
        return self._criteria.get((resource_type, interaction_letter), ())

    def view(self, resource_type: str) -> tuple[Criterion, ...] | None:
        """What resources of a type must meet to be included in a search on another; None: none of them may be."""
        return self.criteria(resource_type, "r") if self.permits(resource_type, "r") else None

    def withholding(self, resource_type: str) -> tuple[Criterion, ...]:
        """What resources of a type meet that no policy withholds by their own labels, whatever the scopes ask; () : any will do."""
        return tuple(criterion for policy in self._policies for criterion in policy.criteria(resource_type))

    @property
    def resource_types(self) -> tuple[str, ...]:
        """The served resource types on which anything is permitted, in the registry's order."""
        return tuple(type for type in RESOURCES if self.permits(type, "r") or self.permits(type, "s"))

    def _restrict(self, asked: dict[tuple[str, str], AnyOfCriterion | None]) -> None:
        for type_name, letter in asked:
            criterion = None if letter in self._wildcard else asked[type_name, letter]
            if criterion is not None:
                self._criteria[type_name, letter] = (criterion,)
        if self._policies:
            for type_name in RESOURCES:
                for label in self.withholding(type_name):
                    self._add(type_name, label)
        for type_name, naming in _NAMING.items():
            if not all(map(self._is_whole, naming)):
                self._add(type_name, NamedInSightCriterion(self._sight(naming)))
        if not all(map(self._is_whole, RESOURCES)):
            others = [type_name for type_name in RESOURCES if type_name not in _REFERRING]
            sight = self._sight(others)
            for type_name, parameter in _REFERRING.items():
                self._add(type_name, ReferredInSightCriterion(parameter, sight))

    def _add(self, type_name: str, criterion: Criterion) -> None:
        for letter in _VISIBLE:
            self._criteria[type_name, letter] = (*self.criteria(type_name, letter), criterion)

    def _is_whole(self, type_name: str) -> bool:
        return any(self.permits(type_name, letter) and not self.criteria(type_name, letter) for letter in _VISIBLE)

    def _sight(self, types: Collection[str]) -> Sight:
        whole = tuple(type_name for type_name in types if self._is_whole(type_name))
        partly: dict[tuple[Criterion, ...], dict[str, None]] = defaultdict(dict)
        for type_name in types:
            for letter in _VISIBLE if type_name not in whole else "":
                if self.permits(type_name, letter):
                    partly[self.criteria(type_name, letter)][type_name] = None
        return Sight(whole, tuple((tuple(names), criteria) for criteria, names in partly.items()))


def _asked(scopes: Collection[ResourceScope]) -> dict[tuple[str, str], AnyOfCriterion | None]:
    """By type and letter: resources must satisfy the conditions of one of the scopes that name both; None: nothing is asked."""
    found: dict[tuple[str, str], list[Conditions]] = {}
    for scope in scopes:
        for letter in scope.letters:
            found.setdefault((scope.resource_type, letter), []).append(scope.conditions)
    return {key: any_of(conditions) for key, conditions in found.items()}


@lru_cache(maxsize=4096)
def permissions(scope: str, policies: tuple[Policy, ...] = ()) -> Permissions:
    """What a *granted* scope string permits a member's token. ``system/`` grants nothing here, nor do scopes not understood."""
    words = frozenset(scope.split())
    told = any(words >= named for named in FHIR_USER_SCOPES)
    return Permissions(parsed(scope, CONTEXTS), policies, reads_fhir_user=told)


@lru_cache(maxsize=256)
def system_permissions(scope: str, policies: tuple[Policy, ...] = ()) -> Permissions:
    """What a granted scope string permits a client's own token (client credentials): what its ``system/`` scopes do."""
    return Permissions(parsed(scope, SYSTEM_CONTEXTS), policies)

"""Scopes: what one is, which of those an app asks for can be granted, and what is left of them when the member withholds some.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html - v1 (``.read``), v2 (``.rs``) and finer-grained
(``.rs?category=…``) spellings. What granted scopes permit: ``permissions``.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from server.authorization import scope_criteria
from server.authorization.scope_criteria import Conditions
from server.specification.audit import AUDIT_TYPES
from server.specification.definition import READ, SEARCH_TYPE, VREAD
from server.specification.registry import RESOURCES
from server.specification.standards import CONSENT_CATEGORIES, LAUNCH_SCOPES

CONTEXTS = ("patient", "user")
"""Scope contexts a member's token can carry; ``user/X`` means ``patient/X`` of the chosen member."""
SYSTEM_CONTEXTS = ("system",)
"""Scope contexts of a client's own token (client credentials), which no member's token can carry."""
LAUNCH_SCOPE_NAMES = frozenset(row.scope for row in LAUNCH_SCOPES)
LETTERS = "cruds"
VERSION_1 = {"read": "rs", "write": "cud", "*": LETTERS}
INTERACTION_LETTERS = {READ: "r", VREAD: "r", SEARCH_TYPE: "s"}
WILDCARD = "*"
MAXIMUM_GRANULAR = 60
"""Finer-grained scopes of one grant; guides name about twenty."""

_RESOURCE_SCOPE = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Za-z]+)\.(?P<suffix>read|write|\*|c?r?u?d?s?)"
    r"(?:\?(?P<query>[\x21\x23-\x5b\x5d-\x7e]+))?"
)
"""The query has the characters of a scope: https://www.rfc-editor.org/rfc/rfc6749#section-3.3"""


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """One scope about resources, taken apart. ``letters`` is the part of ``cruds`` it names, in that order; ``conditions`` are
    what its ``query`` asks of a resource."""

    context: str
    resource_type: str
    letters: str
    version_1: bool = False
    query: str = ""
    conditions: Conditions = ()

    def __str__(self) -> str:
        suffix = self.letters
        if self.version_1:
            suffix = next(word for word, letters in VERSION_1.items() if letters == self.letters)
        return f"{self.context}/{self.resource_type}.{suffix}" + (f"?{self.query}" if self.query else "")

    def cut(self, resource_type: str, letters: str, conditions: Conditions = ()) -> "ResourceScope | None":
        """The part of this scope that is about a type, these letters, and resources that satisfy conditions too; None: nothing is."""
        letters = "".join(letter for letter in self.letters if letter in letters)
        joined = scope_criteria.joined(self.conditions, conditions)
        if not letters or joined is None or self.resource_type not in (WILDCARD, resource_type):
            return None
        query = self.query if joined == self.conditions else scope_criteria.write(joined)
        version_1 = self.version_1 and letters in VERSION_1.values() and not joined
        return ResourceScope(self.context, resource_type, letters, version_1, query, joined)


@dataclass(frozen=True, slots=True)
class GrantedScope:
    """What can be granted of a request: the scope string to echo, and the requested scopes left out of it or cut down."""

    scope: str
    left_out: tuple[str, ...] = ()


def parse(scope: str) -> ResourceScope | None:
    """One scope taken apart, or None when it is not a resource scope: a launch scope, malformed, or with a query that is not understood."""
    match = _RESOURCE_SCOPE.fullmatch(scope)
    if match is None or not match["suffix"]:
        return None
    suffix, query = match["suffix"], match["query"] or ""
    version_1 = suffix in VERSION_1
    conditions = None if version_1 and query else scope_criteria.read(match["type"], query)
    if conditions is None:
        return None
    return ResourceScope(match["context"], match["type"], VERSION_1.get(suffix, suffix), version_1, query, conditions)


def parsed(scope: str, contexts: Collection[str]) -> list[ResourceScope]:
    """The resource scopes of a scope string that are of these contexts."""
    found = (parse(word) for word in scope.split())
    return [one for one in found if one is not None and one.context in contexts]


def narrow(requested: str, client_scope: str, contexts: Collection[str] = CONTEXTS) -> GrantedScope:
    """What can be granted of the requested scopes to a client registered with ``client_scope`` ('' : whatever is offered).

    Unknown and impossible scopes are dropped; a scope keeps its spelling unless it had to be cut down. An empty result means
    that nothing could be granted. ``contexts`` SYSTEM_CONTEXTS: of a client's own scopes, all of which it must be registered with.
    """
    granted: dict[str, None] = {}
    left_out: list[str] = []
    registered = _Registered(client_scope, contexts)
    for word in dict.fromkeys(requested.split()):
        possible = list(_possible(word, registered))
        if sum("?" in one for one in (*granted, *possible)) > MAXIMUM_GRANULAR:
            possible = [one for one in possible if "?" not in one]
        granted.update(dict.fromkeys(possible))
        if possible != [word]:
            left_out.append(word)
    return GrantedScope(" ".join(granted), tuple(left_out))


def is_within(requested: str, granted: str, contexts: Collection[str] = CONTEXTS) -> bool:
    """Whether every requested scope was granted, word for word or as part of a wider one (RFC 6749 section 6)."""
    registered = _Registered(granted, contexts)
    return all(list(_possible(word, registered)) == [word] for word in requested.split())


class _Registered:
    """The scopes a client may ask for."""

    def __init__(self, scope: str, contexts: Collection[str]) -> None:
        self.words = frozenset(scope.split())
        self.contexts = contexts
        self.anything = not self.words and contexts is not SYSTEM_CONTEXTS
        self._scopes = [
            one for one in parsed(scope, contexts) if one.resource_type in (WILDCARD, *RESOURCES, *AUDIT_TYPES)
        ]

    def parts(self, scope: ResourceScope, resource_type: str) -> list[ResourceScope]:
        """What the registration leaves of a scope for a type ('*' : for every type): without new conditions first."""
        letters = served_letters(resource_type)
        if self.anything and resource_type not in AUDIT_TYPES:
            return _listed(scope.cut(resource_type, letters))
        if resource_type in AUDIT_TYPES and self.contexts is not SYSTEM_CONTEXTS:
            return []  # a member's token never reads what others were answered
        wildcard = () if resource_type in AUDIT_TYPES else (WILDCARD,)
        about = [one for one in self._scopes if one.resource_type in (*wildcard, resource_type)]
        free = "".join(one.letters for one in about if not one.conditions)
        whole = scope.cut(resource_type, "".join(letter for letter in letters if letter in free))
        parts = _listed(whole)
        left = "".join(letter for letter in letters if whole is None or letter not in whole.letters)
        for one in about:
            part = scope.cut(resource_type, "".join(letter for letter in left if letter in one.letters), one.conditions)
            if part is not None and part.conditions == scope.conditions and part.letters == scope.letters:
                return [part]
            parts += _listed(part)
        return parts


def _listed(scope: ResourceScope | None) -> list[ResourceScope]:
    return [] if scope is None else [scope]


def _possible(word: str, registered: _Registered) -> Iterator[str]:
    if word in LAUNCH_SCOPE_NAMES:
        if (registered.anything or word in registered.words) and registered.contexts is not SYSTEM_CONTEXTS:
            yield word
        return
    scope = parse(word)
    if scope is None or scope.context not in registered.contexts:
        return
    parts = registered.parts(scope, scope.resource_type)
    if not parts and scope.resource_type == WILDCARD:
        parts = [part for resource_type in RESOURCES for part in registered.parts(scope, resource_type)]
    for part in dict.fromkeys(parts):
        unchanged = (part.resource_type, part.letters, part.query) == (scope.resource_type, scope.letters, scope.query)
        yield word if unchanged else str(part)


def withhold(scope: str, categories: Collection[str]) -> str:
    """What is left of a scope string without these consent categories (slugs of CONSENT_CATEGORIES): scopes are dropped, narrowed to
    the rest of a type, or, for a wildcard, named type by type. Words that are not understood are left out.

    Raises ValueError for an unknown category.
    """
    unknown = set(categories) - {category.slug for category in CONSENT_CATEGORIES}
    if unknown:
        raise ValueError(f"not consent categories: {', '.join(sorted(unknown))}")
    left: dict[str, None] = {}
    for word in scope.split():
        if word in LAUNCH_SCOPE_NAMES:
            if not any(row.scope == word and row.category in categories for row in LAUNCH_SCOPES):
                left[word] = None
            continue
        asked = parse(word)
        if asked is not None:
            left.update(dict.fromkeys(_left(word, asked, categories)))
    return " ".join(left)


def _left(word: str, asked: ResourceScope, categories: Collection[str]) -> Iterator[str]:
    types = RESOURCES if asked.resource_type == WILDCARD else {asked.resource_type} & set(RESOURCES)
    touched = {type for type in types if any(part.category in categories for part in RESOURCES[type].categories)}
    if not touched:
        yield word
        return
    for resource_type in types:
        if resource_type not in touched:
            parts = _listed(asked.cut(resource_type, asked.letters))
        else:
            rest = (part for part in RESOURCES[resource_type].categories if part.category not in categories)
            conditions = (scope_criteria.read(resource_type, part.query) for part in rest)
            parts = [
                part
                for one in conditions
                if one is not None
                for part in _listed(asked.cut(resource_type, asked.letters, one))
            ]
        yield from map(str, parts)


def served_letters(resource_type: str) -> str:
    """The interaction letters served on a type ('*' : on any type), '' for a type that is not served."""
    rows = (
        RESOURCES.values()
        if resource_type == WILDCARD
        else filter(None, [(RESOURCES | AUDIT_TYPES).get(resource_type)])
    )
    served = {INTERACTION_LETTERS.get(interaction, "") for row in rows for interaction in row.interactions}
    return "".join(letter for letter in LETTERS if letter in served)


def supported_scopes() -> list[str]:
    """``scopes_supported`` of the discovery documents: computed from the launch scopes and the registry."""
    words = [row.scope for row in LAUNCH_SCOPES]
    for context in (*CONTEXTS, *SYSTEM_CONTEXTS):
        for resource_type in (WILDCARD, *RESOURCES):
            letters = served_letters(resource_type)
            words.append(f"{context}/{resource_type}.{letters}")
            words.extend(f"{context}/{resource_type}.{word}" for word, all in VERSION_1.items() if all == letters)
            granular = RESOURCES[resource_type].granular if resource_type != WILDCARD else ()
            words.extend(f"{context}/{resource_type}.{letters}?{query}" for query in granular)
    return words

"""Scopes: what one permits, and which of those an app asks for can be granted.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html - v1 (``.read``) and v2 (``.rs``) spellings.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from server.specification.definition import READ, SEARCH_TYPE, VREAD
from server.specification.registry import RESOURCES
from server.specification.standards import LAUNCH_SCOPES

CONTEXTS = ("patient", "user")
"""Scope contexts a member's token can carry; ``user/X`` means ``patient/X`` of the chosen member."""
LAUNCH_SCOPE_NAMES = frozenset(row.scope for row in LAUNCH_SCOPES)
LETTERS = "cruds"
VERSION_1 = {"read": "rs", "write": "cud", "*": LETTERS}
INTERACTION_LETTERS = {READ: "r", VREAD: "r", SEARCH_TYPE: "s"}
WILDCARD = "*"

_RESOURCE_SCOPE = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Za-z]+)\.(?P<suffix>read|write|\*|c?r?u?d?s?)(?P<query>\?\S+)?"
)


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """One scope about resources, taken apart. ``letters`` is the part of ``cruds`` it names, in that order."""

    context: str
    resource_type: str
    letters: str
    version_1: bool
    query: str = ""

    def __str__(self) -> str:
        suffix = self.letters
        if self.version_1:
            suffix = next(word for word, letters in VERSION_1.items() if letters == self.letters)
        return f"{self.context}/{self.resource_type}.{suffix}{self.query}"


@dataclass(frozen=True, slots=True)
class GrantedScope:
    """What can be granted of a request: the scope string to echo, and the requested scopes left out of it or cut down."""

    scope: str
    left_out: tuple[str, ...] = ()


class Permissions:
    """What a granted scope string permits on resources: per resource type, the interaction letters."""

    __slots__ = ("_letters", "_wildcard")

    def __init__(self, scopes: tuple[ResourceScope, ...]) -> None:
        letters: dict[str, str] = {}
        for scope in scopes:
            letters[scope.resource_type] = letters.get(scope.resource_type, "") + scope.letters
        self._wildcard = letters.pop(WILDCARD, "")
        self._letters = letters

    def permits(self, resource_type: str, interaction_letter: str) -> bool:
        """Whether an interaction on a type is allowed: 'r' read and vread, 's' search-type (also includes)."""
        return interaction_letter in self._wildcard or interaction_letter in self._letters.get(resource_type, "")

    @property
    def resource_types(self) -> tuple[str, ...]:
        """The served resource types on which anything is permitted, in the registry's order."""
        return tuple(type for type in RESOURCES if self.permits(type, "r") or self.permits(type, "s"))


def parse(scope: str) -> ResourceScope | None:
    """One scope taken apart, or None when it is not a resource scope (a launch scope, or malformed)."""
    match = _RESOURCE_SCOPE.fullmatch(scope)
    if match is None or not match["suffix"]:
        return None
    suffix = match["suffix"]
    letters = VERSION_1.get(suffix, suffix)
    return ResourceScope(match["context"], match["type"], letters, suffix in VERSION_1, match["query"] or "")


@lru_cache(maxsize=4096)
def permissions(scope: str) -> Permissions:
    """What a *granted* scope string permits. Launch scopes and ``system/`` grant nothing here, nor do scopes not understood."""
    parsed = (parse(word) for word in scope.split())
    return Permissions(
        tuple(one for one in parsed if one is not None and one.context in CONTEXTS and not one.query and one.letters)
    )


def narrow(requested: str, client_scope: str) -> GrantedScope:
    """What can be granted of the requested scopes to a client registered with ``client_scope`` ('' : whatever is offered).

    Unknown and impossible scopes are dropped; a scope keeps its spelling unless it had to be cut down. An empty result means
    that nothing could be granted.
    """
    granted: dict[str, None] = {}
    left_out: list[str] = []
    registered = _Registered(client_scope)
    for word in dict.fromkeys(requested.split()):
        possible = list(_possible(word, registered))
        granted.update(dict.fromkeys(possible))
        if possible != [word]:
            left_out.append(word)
    return GrantedScope(" ".join(granted), tuple(left_out))


def is_within(requested: str, granted: str) -> bool:
    """Whether every requested scope was granted, word for word or as part of a wider one (RFC 6749 section 6)."""
    registered = _Registered(granted)
    return all(list(_possible(word, registered)) == [word] for word in requested.split())


class _Registered:
    """The scopes a client may ask for."""

    def __init__(self, scope: str) -> None:
        self.words = frozenset(scope.split())
        self.anything = not self.words
        self.permissions = permissions(scope)

    def letters(self, resource_type: str, letters: str) -> str:
        """Those of the letters that the registration allows on a type, or on every type for the wildcard."""
        if self.anything:
            return letters
        return "".join(letter for letter in letters if self.permissions.permits(resource_type, letter))


def _possible(word: str, registered: _Registered) -> Iterator[str]:
    if word in LAUNCH_SCOPE_NAMES:
        if registered.anything or word in registered.words:
            yield word
        return
    scope = parse(word)
    if scope is None or scope.context not in CONTEXTS or scope.query:
        return
    whole = _cut(scope, scope.resource_type, registered)
    if whole is not None:
        yield word if whole.letters == scope.letters else str(whole)
    elif scope.resource_type == WILDCARD:
        for resource_type in RESOURCES:
            part = _cut(scope, resource_type, registered)
            if part is not None:
                yield str(part)


def _cut(scope: ResourceScope, resource_type: str, registered: _Registered) -> ResourceScope | None:
    """The scope for a type with only the letters that are served and registered, or None when none is left."""
    letters = "".join(letter for letter in scope.letters if letter in served_letters(resource_type))
    letters = registered.letters(resource_type, letters)
    if not letters:
        return None
    version_1 = scope.version_1 and letters in VERSION_1.values()
    return ResourceScope(scope.context, resource_type, letters, version_1)


def served_letters(resource_type: str) -> str:
    """The interaction letters served on a type ('*' : on any type), '' for a type that is not served."""
    rows = RESOURCES.values() if resource_type == WILDCARD else filter(None, [RESOURCES.get(resource_type)])
    served = {INTERACTION_LETTERS.get(interaction, "") for row in rows for interaction in row.interactions}
    return "".join(letter for letter in LETTERS if letter in served)


def supported_scopes() -> list[str]:
    """``scopes_supported`` of the discovery documents: computed from the launch scopes and the registry."""
    words = [row.scope for row in LAUNCH_SCOPES]
    for context in CONTEXTS:
        for resource_type in (WILDCARD, *RESOURCES):
            letters = served_letters(resource_type)
            words.append(f"{context}/{resource_type}.{letters}")
            words.extend(f"{context}/{resource_type}.{word}" for word, all in VERSION_1.items() if all == letters)
    return words

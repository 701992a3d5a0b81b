"""Sensitivity policies: what is withheld by its security labels, from whom, and on which legal basis; rows of a TOML file.

https://hl7.org/fhir/R4/security-labels.html - without a file, and by default, nothing is withheld from anybody.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from server.settings import Settings
from server.specification.administrative import SECURITY
from server.specification.registry import RESOURCES
from server.storage.query import TokenAlternative, TokenCriterion

MEMBER = "member"
ACTORS = {"representative": "representative", "system": "system", MEMBER: "self"}
"""The words of ``from``, and the ``actor`` of an Access that each one means."""
APP_KINDS = ("third-party", "payer", "probe")
"""The kinds of client that there are."""
ACKNOWLEDGED = "acknowledge_withholding_from_members"
LONGEST_LABEL = 1024
"""Bytes: longer ones are not indexed."""
MOST_LABELS = 50
_TEXTS = ("slug", "title", "legal_basis")
_LISTS = ("labels", "from", "resource_types", "app_kinds")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class SensitivityPoliciesFileError(ValueError):
    """The file of sensitivity policies cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One ``[[policy]]``: resources with one of the ``labels`` are withheld from the ``audience`` (words of ACTORS).

    A label is written ``system|code``, ``system|`` (any code of it) or ``code`` (in any system). ``resource_types`` and
    ``client_kinds`` narrow it; () is any.
    """

    slug: str
    title: str
    labels: tuple[str, ...]
    audience: tuple[str, ...]
    legal_basis: str
    resource_types: tuple[str, ...] = ()
    client_kinds: tuple[str, ...] = ()

    def applies_to(self, actor: str, client_kind: str) -> bool:
        """Whether it withholds anything from this actor of an Access by this kind of app."""
        from_actor = any(ACTORS[word] == actor for word in self.audience)
        return from_actor and (not self.client_kinds or client_kind in self.client_kinds)

    def criteria(self, resource_type: str) -> tuple[TokenCriterion, ...]:
        """What resources of a type meet that it does not withhold; () : it withholds none of them."""
        if self.resource_types and resource_type not in self.resource_types:
            return ()
        return (TokenCriterion(SECURITY.code, tuple(map(_alternative, self.labels)), negated=True),)


def _alternative(label: str) -> TokenAlternative:
    system, bar, code = label.rpartition("|")
    return TokenAlternative(system, code or None) if bar else TokenAlternative(None, code)


def policies_in_force(settings: Settings) -> tuple[Policy, ...]:
    """The policies of SENSITIVITY_POLICIES_FILE, read once by each process. Raises SensitivityPoliciesFileError."""
    path = settings.sensitivity_policies_file
    return () if path is None else _read_once(path)


def policies_for(settings: Settings, actor: str, client_kind: str) -> tuple[Policy, ...]:
    """Those that withhold something from this actor of an Access by this kind of app."""
    path = settings.sensitivity_policies_file
    return () if path is None else _applying(path, actor, client_kind)


@lru_cache(maxsize=256)
def _applying(path: Path, actor: str, client_kind: str) -> tuple[Policy, ...]:
    return tuple(policy for policy in _read_once(path) if policy.applies_to(actor, client_kind))


@lru_cache(maxsize=64)
def _read_once(path: Path) -> tuple[Policy, ...]:
    return read_policies(path)


def read_policies(path: Path) -> tuple[Policy, ...]:
    """The policies of a file. Raises SensitivityPoliciesFileError with one line that says what is wrong with which row."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SensitivityPoliciesFileError(f"{path}: {error}") from error
    rows = document.get("policy", [])
    if not isinstance(rows, list) or document.keys() - {"policy"} or not all(isinstance(row, dict) for row in rows):
        raise SensitivityPoliciesFileError(f"{path}: it holds [[policy]] tables and nothing else")
    found: dict[str, Policy] = {}
    for number, row in enumerate(rows, 1):
        try:
            policy = _policy(row)
            if policy.slug in found:
                raise ValueError(f"{policy.slug} stands twice")
        except ValueError as error:
            raise SensitivityPoliciesFileError(f"{path}: policy {number}: {error}") from error
        found[policy.slug] = policy
    return tuple(found.values())


def _policy(row: Mapping[str, Any]) -> Policy:
    allowed = (*_TEXTS, *_LISTS, ACKNOWLEDGED)
    for name in row:
        if name not in allowed:
            raise ValueError(f"{name!r} is none of {', '.join(allowed)}")
    texts = {name: row.get(name) for name in _TEXTS}
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip() or not text.isprintable():
            raise ValueError(f"{name} is missing; it is a text of one line")
    if not _SLUG.fullmatch(row["slug"]) or len(row["slug"]) > 64:
        raise ValueError("slug is up to 64 lower case letters, digits and single hyphens")
    lists = {name: _list(row, name) for name in _LISTS}
    for name, possible in (("from", ACTORS), ("resource_types", RESOURCES), ("app_kinds", APP_KINDS)):
        unknown = [value for value in lists[name] if value not in possible]
        if unknown:
            raise ValueError(f"{name}: {unknown[0]!r} is none of {', '.join(possible)}")
    for name in ("labels", "from"):
        if not lists[name]:
            raise ValueError(f"{name} is missing; it is a list of texts")
    _check_labels(lists["labels"])
    acknowledged = row.get(ACKNOWLEDGED, False)
    if not isinstance(acknowledged, bool):
        raise ValueError(f"{ACKNOWLEDGED} is true or false")
    if MEMBER in lists["from"] and not acknowledged:
        raise ValueError(
            f"from: members have a right to their own records (45 CFR 164.524); if the law says otherwise here, add {ACKNOWLEDGED} = true"
        )
    return Policy(
        row["slug"],
        row["title"].strip(),
        lists["labels"],
        lists["from"],
        row["legal_basis"].strip(),
        lists["resource_types"],
        lists["app_kinds"],
    )


def _list(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = row.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} is a list of texts")
    if name in row and not values:
        raise ValueError(f"{name} is empty; leave it out, or name something")
    return tuple(dict.fromkeys(values))


def _check_labels(labels: tuple[str, ...]) -> None:
    if len(labels) > MOST_LABELS:
        raise ValueError(f"labels: at most {MOST_LABELS} in a policy")
    for label in labels:
        system, bar, code = label.rpartition("|")
        if not (system if bar else code) or label != label.strip() or not label.isprintable() or "|" in system:
            raise ValueError(f"labels: {label!r} is not system|code, system| or code")
        if len(label.encode()) > LONGEST_LABEL:
            raise ValueError(f"labels: one is longer than {LONGEST_LABEL} bytes")

"""What a check is, and what it finds.

https://www.rfc-editor.org/rfc/rfc2119 - a check fails where a specification says MUST, or where apps are known to break; it warns where one says
SHOULD; it is skipped where there is nothing to look at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

Subject = TypeVar("Subject")


class Outcome(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class MissingError(Exception):
    """What a check needs is not there, and another check says so: it is skipped. The message says what is missing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``found``: what was seen, in one line; ``mend``: what to change, '' where nothing is to be mended. Neither holds a token or PHI."""

    outcome: Outcome
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Check(Generic[Subject]):
    """A row. ``name``: stable, for programs; ``citation``: the page that asks for it."""

    name: str
    area: str
    title: str
    citation: str
    examine: Callable[[Subject], Finding]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A row's finding."""

    name: str
    area: str
    title: str
    citation: str
    finding: Finding
    milliseconds: int


def passed(found: str) -> Finding:
    """All is as it should be."""
    return Finding(Outcome.PASS, found)


def warned(found: str, mend: str) -> Finding:
    """It works, and should be better."""
    return Finding(Outcome.WARN, found, mend)


def failed(found: str, mend: str) -> Finding:
    """It does not do what it must."""
    return Finding(Outcome.FAIL, found, mend)


def skipped(why: str) -> Finding:
    """There was nothing to look at."""
    return Finding(Outcome.SKIP, why)


def listed(words: list[str], most: int = 5) -> str:
    """Words in one line: the first few, and how many more."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more

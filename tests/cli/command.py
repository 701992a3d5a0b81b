"""What tests of the command line work with: a way to call it, and what it answered."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command answered."""

    code: int
    out: str
    err: str


PatientAccess = Callable[..., Outcome]
"""Calls ``patient-access`` with arguments; keyword arguments become environment variables."""

"""``$docref``: a member's documents of a type or a time, as a search on the documents that are stored.

https://hl7.org/fhir/us/core/STU6.1/OperationDefinition-docref.html
"""

from server.fhir.dates import interval
from server.fhir.error_codes import PARAMETER_UNKNOWN
from server.fhir.outcomes import FHIRError, bad_parameter
from server.fhir.representation import PRESENTATION
from server.fhir.search_parameters import Pairs
from server.specification.definition import Operation

_ACCEPTED = ("on-demand", "profile")
"""Named by the guide; nothing is made on demand here, so what they say changes nothing."""
_KEPT = ("patient", "type", "_count", "_cursor", *PRESENTATION)


def is_of_a_time(pairs: Pairs) -> bool:
    """Whether documents of a time are asked for, rather than the one that is current."""
    return any(name in ("start", "end") and value for name, value in pairs)


def search_pairs(operation: Operation, pairs: Pairs, *, strict: bool) -> list[tuple[str, str]]:
    """The search on DocumentReference that the operation's parameters ask for.

    Without start and end it is the most recent document first and alone. Raises FHIRError 400 for a missing patient and for a
    value or, when ``strict``, a parameter that cannot be used.
    """
    given = [(name, value) for name, value in pairs if value]
    if not any(name == "patient" for name, _ in given):
        raise bad_parameter("patient", f"${operation.code} needs the member, e.g. patient=123.")
    asked: list[tuple[str, str]] = []
    for name, value in given:
        if name in ("start", "end"):
            _check_date(name, value)
            asked.append(("period", ("ge" if name == "start" else "le") + value))
        elif name in _KEPT:
            asked.append((name, value))
        elif name not in _ACCEPTED:
            if strict:
                known = ", ".join(parameter.name for parameter in operation.parameters)
                raise FHIRError(PARAMETER_UNKNOWN, f"Parameter '{name}' is not supported here; supported: {known}.")
            asked.append((name, value))  # named as ignored by the search
    if not is_of_a_time(pairs):
        asked = [pair for pair in asked if pair[0] not in ("_count", "_cursor")]
        asked += [("status", "current"), ("_sort", "-date"), ("_count", "1"), ("_total", "none")]
    return asked


def _check_date(name: str, value: str) -> None:
    try:
        interval(value.replace(" ", "+"))
    except ValueError as error:
        raise bad_parameter(name, f"{error}.") from error

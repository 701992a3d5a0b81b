"""A search evaluated the slow way: a third party's FHIRPath over a member's resources, and matching rules from the R4 text.

https://hl7.org/fhir/R4/search.html - nothing of the server's own reading of FHIRPath, dates or strings is used here.
"""

import re
import unicodedata
from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

import orjson
from fhirpathpy import compile as compile_fhirpath  # type: ignore[import-untyped]
from fhirpathpy.models import models  # type: ignore[import-untyped]

from tests.conformance.published_search import Parameter

Json = Mapping[str, Any]
DAY, HOUR, MINUTE, SECOND = 86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000
ALWAYS = 10**20
DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
PREFIXES = ("eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")


# -- FHIRPath --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def compiled(expression: str) -> Callable[[Any], list[Any]]:
    """A published expression in the third party's engine, which cannot resolve: a reference is told by its text."""
    text = re.sub(
        r"resolve\(\) is (\w+)",
        r"reference.matches('^(.*/)?\1/[A-Za-z0-9.-]+(/_history/.+)?$')",
        expression,
    )
    text = re.sub(r"\((\S+) as (\w+)\)", r"\1.ofType(\2)", text)
    text = re.sub(r"\.as\((\w+)\)", r".ofType(\1)", text)
    function: Callable[[Any], list[Any]] = compile_fhirpath(text, models["r4"])
    return function


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression finds in a resource; ``instant``: by its type a point in time."""

    content: Any
    instant: bool = False


@dataclass(slots=True)
class Compartment:
    """All current resources that a member may see: their own, the directory's, and those that their own ones name."""

    patient: str
    base: str
    resources: dict[str, dict[str, Json]]
    _values: dict[tuple[str, str], dict[str, list[Value]]] = field(default_factory=dict)

    def values(self, type: str, parameter: Parameter) -> dict[str, list[Value]]:
        """Id to values, of every resource of a type."""
        key = (type, parameter.expression)
        if key not in self._values:
            instants = re.sub(r"([^|\s]+)", r"(\1).ofType(instant)", parameter.expression)
            self._values[key] = {
                id: self._evaluated(parameter, instants, resource)
                for id, resource in self.resources.get(type, {}).items()
            }
        return self._values[key]

    @staticmethod
    def _evaluated(parameter: Parameter, instants: str, resource: Json) -> list[Value]:
        found = compiled(parameter.expression)(resource)
        if parameter.type != "date" or not found or " as " in instants or "where" in instants:
            return [Value(content) for content in found]
        points = set(map(str, compiled(instants)(resource)))
        return [Value(content, instant=isinstance(content, str) and content in points) for content in found]

    def search(self, type: str, query: Iterable[tuple[Parameter, str]], now: int) -> set[str]:
        """The ids that a search must find: every parameter matches, any value of a comma list is enough."""
        ids = set(self.resources.get(type, {}))
        for parameter, text in query:
            wanted = re.split(r"(?<!\\),", text)
            values = self.values(type, parameter)
            ids = {id for id in ids if any(self._matches(parameter, each, values[id], now) for each in wanted)}
        return ids

    def _matches(self, parameter: Parameter, wanted: str, values: list[Value], now: int) -> bool:
        wanted = wanted.replace(r"\,", ",").replace(r"\|", "|")
        match parameter.type:
            case "token":
                return any(token_matches(wanted, value.content) for value in values)
            case "reference":
                return any(self.reference_matches(wanted, value.content) for value in values)
            case "date":
                return any(date_matches(wanted, value, now) for value in values)
            case "string":
                return any(string_matches(wanted, value.content) for value in values)
        raise AssertionError(parameter)

    def reference_matches(self, wanted: str, value: Any) -> bool:
        """``id``, ``Type/id`` or an absolute URL names the target; a canonical is its text, with or without version."""
        text = value if isinstance(value, str) else value.get("reference", "")
        if isinstance(value, str) and "://" in text:
            return wanted in (text, text.partition("|")[0])
        target = self.target(text)
        asked = wanted.removeprefix(self.base)
        return target is not None and asked in (target, target.partition("/")[2])

    def target(self, reference: str) -> str | None:
        """``Type/id`` of a reference to this server."""
        path = reference.removeprefix(self.base).partition("/_history/")[0]
        return path if re.fullmatch(r"[A-Z]\w+/[A-Za-z0-9.-]{1,64}", path, re.ASCII) else None

    def targets(self, type: str, parameter: Parameter, ids: Iterable[str], only: str = "") -> set[str]:
        """``Type/id`` of the resources that these ones refer to by a parameter, and that the member may see."""
        values = self.values(type, parameter)
        named = {
            self.target(value.content["reference"])
            for id in ids
            for value in values[id]
            if "reference" in value.content
        }
        return {
            name
            for name in named
            if name and name.partition("/")[2] in self.resources.get(name.partition("/")[0], {})
            if not only or name.startswith(f"{only}/")
        }

    def sources(self, type: str, parameter: Parameter, targets: set[str]) -> set[str]:
        """``Type/id`` of the resources of a type that refer to any of these by a parameter."""
        return {
            f"{type}/{id}"
            for id, values in self.values(type, parameter).items()
            if any(self.target(value.content.get("reference", "")) in targets for value in values)
        }


def compartments(rows: Iterable[Any], base: str, members: Iterable[str]) -> dict[str, Compartment]:
    """A compartment for each member, from (patient, type, body) rows as stored; '' is the directory, '*' is named by others."""
    stored: dict[str, dict[str, dict[str, Json]]] = defaultdict(lambda: defaultdict(dict))
    for patient, type, body in rows:
        resource = orjson.loads(bytes(body))
        stored[patient][type][resource["id"]] = resource
    found = {}
    for member in members:
        seen: dict[str, dict[str, Json]] = defaultdict(dict)
        for owner in (member, ""):
            for type, resources in stored[owner].items():
                seen[type] |= resources
        named = set(_named(stored[member].values()))
        for type, resources in stored["*"].items():
            seen[type] |= {id: resource for id, resource in resources.items() if f"{type}/{id}" in named}
        found[member] = Compartment(member, f"{base}/", dict(seen))
    return found


def _named(resources: Iterable[Mapping[str, Json]]) -> Iterator[str]:
    """What prescriptions and documents name: https://hl7.org/fhir/R4/medicationrequest.html and #Attachment"""
    for group in resources:
        for resource in group.values():
            yield resource.get("medicationReference", {}).get("reference", "")
            attachments = [each.get("attachment", {}) for each in resource.get("content", []) if isinstance(each, dict)]
            for attachment in (*attachments, *resource.get("presentedForm", [])):
                yield attachment.get("url", "")


# -- matching, by the text of https://hl7.org/fhir/R4/search.html ----------------------------------------------------


def token_matches(wanted: str, value: Any) -> bool:
    """``code``: any system; ``system|code``; ``|code``: no system; ``system|``: any code of it. Case counts."""
    system, bar, code = wanted.rpartition("|")
    for own_system, own_code in codings(value):
        if bar and system != own_system:
            continue
        if code == own_code or (bar and not code):
            return True
    return False


def codings(value: Any) -> Iterator[tuple[str, str]]:
    """(system, code) of a code, boolean, Coding, CodeableConcept or Identifier."""
    if isinstance(value, str | bool):
        yield "", str(value).lower() if isinstance(value, bool) else value
        return
    for coding in value.get("coding", [] if "text" in value else [value]):
        code = coding.get("code", coding.get("value"))
        if code is not None:
            yield coding.get("system", ""), code


def string_matches(wanted: str, value: Any) -> bool:
    """The beginning of a string, or of any string in a name or an address; not case, accents or punctuation."""
    return any(plain(text).startswith(plain(wanted)) for text in texts(value))


def texts(value: Any) -> Iterator[str]:
    """The strings of a name or an address; a string is its own."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    else:
        for name, part in value.items():
            if name not in ("use", "type", "period", "id", "extension") and not name.startswith("_"):
                yield from texts(part)


def plain(text: str) -> str:
    """Without case, accents and punctuation; white space once."""
    letters = [each for each in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(each)]
    return " ".join(re.sub(r"[^\w\s]|_", " ", re.sub(r"['`’.]", "", "".join(letters))).split())  # noqa: RUF001


def boundaries(text: str) -> tuple[int, int]:
    """[start, end) of a date in microseconds since the year 1 UTC: as long as its precision; without a zone it is UTC."""
    match = DATE.fullmatch(text)
    assert match is not None, text
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    first = date(int(year), int(month or 1), int(day or 1)).toordinal()
    if day is None:
        last = date(int(year), int(month or 12), monthrange(int(year), int(month or 12))[1]).toordinal()
        return first * DAY, (last + 1) * DAY
    if hour is None:
        return first * DAY, (first + 1) * DAY
    start = first * DAY + int(hour) * HOUR + int(minute) * MINUTE + int(second or 0) * SECOND
    if zone not in (None, "Z"):
        offset = int(zone[1:3]) * HOUR + int(zone[4:6]) * MINUTE
        start += -offset if zone[0] == "+" else offset
    if second is None:
        return start, start + MINUTE
    digits = (fraction or "")[:6]
    start += int(digits.ljust(6, "0")) if digits else 0
    return start, start + SECOND // 10 ** len(digits)


def range_of(value: Value) -> tuple[int, int]:
    """The range of an element: of an instant a point; of a Period what it says, open without a boundary; of a Timing its limits."""
    content = value.content
    if isinstance(content, str):
        start, end = boundaries(content)
        return (start, start + 1) if value.instant else (start, end)
    if "event" in content or "repeat" in content:
        ranges = [boundaries(each) for each in content.get("event", [])]
        if "boundsPeriod" in content.get("repeat", {}):
            ranges.append(range_of(Value(content["repeat"]["boundsPeriod"])))
        return min(start for start, _ in ranges), max(end for _, end in ranges)
    start = boundaries(content["start"])[0] if "start" in content else -ALWAYS
    return start, boundaries(content["end"])[1] if "end" in content else ALWAYS


def date_matches(wanted: str, value: Value, now: int) -> bool:
    """A prefix compares the range of the search value with the range of the element; ``now`` is for ``ap``."""
    prefix, text = (wanted[:2], wanted[2:]) if wanted[:2] in PREFIXES else ("eq", wanted)
    low, high = boundaries(text)
    start, end = range_of(value)
    contained = low <= start and end <= high
    match prefix:
        case "eq":
            return contained
        case "ne":
            return not contained
        case "gt":
            return end > high
        case "lt":
            return start < low
        case "ge":
            return end > high or contained
        case "le":
            return start < low or contained
        case "sa":
            return start >= high
        case "eb":
            return end <= low
    gap = abs(now - low) // 10  # a tenth of the gap between now and the date
    return start < high + gap and end > low - gap

"""How the values of search parameters are written: comma lists, ``system|code``, and backslash escapes.

https://hl7.org/fhir/R4/search.html#escaping and #token - the same in a query string and in a finer-grained scope.
"""

import re

_ESCAPED = re.compile(r"\\([\\,|$])")
_SPECIAL = re.compile(r"[\\,|$]")


def split(value: str) -> list[str]:
    """The alternatives of a comma list; ``\\,`` is a comma in a value. Still escaped; empty ones are left out."""
    if "\\" not in value:
        return [part for part in value.split(",") if part]
    return [part for part in re.findall(r"(?:\\.|[^,\\]|\\$)+", value) if part]


def partition(value: str, separator: str) -> tuple[str, str, str]:
    """``str.partition`` at the first separator (one character) that is not escaped. The parts are still escaped."""
    if "\\" not in value:
        return value.partition(separator)
    match = re.fullmatch(rf"((?:\\.|[^{re.escape(separator)}\\])*)({re.escape(separator)}?)(.*)", value, re.DOTALL)
    return (match[1], match[2], match[3]) if match else value.partition(separator)


def unescape(value: str) -> str:
    """A value as it was meant."""
    return _ESCAPED.sub(r"\1", value) if "\\" in value else value


def escape(value: str) -> str:
    """A value as it is written between ``|`` and ``,``."""
    return _SPECIAL.sub(r"\\\g<0>", value)

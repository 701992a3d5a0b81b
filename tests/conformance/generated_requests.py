"""Whole requests drawn from the registry: every interaction, with parameters, chains, includes and views, over two members' values.

https://hypothesis.readthedocs.io/ and https://hl7.org/fhir/R4/http.html - what is drawn is what an app may send, right or wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

from hypothesis import strategies as st

from server.fhir.search_values import MODIFIERS
from server.specification.definition import MembershipKind, ResourceDefinition, SearchParameter, SearchType
from server.specification.registry import RESOURCES
from tests.conformance.household import ANNA, BORIS
from tests.conformance.two_members import BASE, DIRECTORY, identities, ids, search_values, versions
from tests.factories import EVERYTHING, Record

Pair = tuple[str, str]
Draw = Callable[..., object]
OWN: list[Record] = [*(each for load in versions(ANNA, BORIS) for each in load), *DIRECTORY]
OTHERS: list[Record] = [each for load in versions(BORIS, ANNA) for each in load]
ROWS = list(RESOURCES.values())
TYPES = [
    row.type
    for row in ROWS
    for _ in range(3 if row.membership.kind in (MembershipKind.VIA, MembershipKind.NAMED) else 1)
]
"""Those that belong to a member by another resource come more often: there is more to get wrong."""
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SCOPES = (
    *(EVERYTHING,) * 8,
    "patient/*.r",
    "patient/*.s patient/Patient.r",
    "patient/ExplanationOfBenefit.rs patient/Patient.rs patient/Coverage.s patient/Provenance.rs",
    f"patient/Observation.rs?category={CATEGORY}|laboratory patient/Patient.rs patient/Provenance.rs patient/Encounter.rs",
)
SINCE = ("2020-01-01", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z")
CONDITIONS: tuple[dict[str, str], ...] = (
    {},
    {},
    {"if_none_match": 'W/"1"'},
    {"if_none_match": "*"},
    {"if_modified_since": "Sat, 01 Jan 2050 00:00:00 GMT"},
    {"accept_encoding": "gzip"},
    {"prefer": "handling=strict"},
)
INTERACTIONS = ("search",) * 6 + ("read", "vread") * 2 + ("instance", "type", "system", "everything", "docref")


WORDS = {"chain", "_has", "_include", "_revinclude", "_include:iterate", "_revinclude:iterate", ":missing", ":not"} | {
    *(":[type]", "_sort", "_count", "_total", "_summary", "_elements"),
}
"""Of what parameters are made, as ``Drawn.words`` names them."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One request, and what it is made of: the interaction, the type, and the words of its parameters."""

    kind: str
    type: str
    method: str
    target: str
    form: tuple[Pair, ...] | None
    scope: str
    headers: dict[str, str] = field(default_factory=dict)
    words: frozenset[str] = frozenset()


@lru_cache(maxsize=2048)
def _values(type: str, code: str) -> tuple[list[str], list[str]]:
    """What the member's own records, and the other's, have for a parameter."""
    row = RESOURCES[type]
    parameter = row.parameter(code)
    assert parameter is not None
    if code == "_id":
        return [*ids(row, OWN), "unknown"], ids(row, OTHERS) or ["another"]
    mine, theirs = (search_values(row, parameter, records) for records in (OWN, OTHERS))
    if parameter.type is SearchType.REFERENCE:
        mine = [*mine, ANNA.member]
        theirs = [*theirs, BORIS.member, f"Patient/{BORIS.member}", f"{BASE}/Patient/{BORIS.member}"]
    return mine or ["x"], theirs or ["y"]


@lru_cache(maxsize=64)
def _referring(type: str) -> list[tuple[ResourceDefinition, SearchParameter]]:
    """The reference parameters of all rows that may name a type."""
    return [
        (row, parameter)
        for row in ROWS
        for parameter in row.search_parameters
        if parameter.type is SearchType.REFERENCE and {type, "Resource"} & set(parameter.targets)
    ]


@lru_cache(maxsize=64)
def _names(type: str) -> tuple[list[str], list[str]]:
    row = RESOURCES[type]
    return [*ids(row, OWN), "unknown"], ids(row, OTHERS) or ["another"]


ONWARD = sorted({("_include:iterate", include) for row in ROWS for include in row.includes})
BACK = sorted({("_revinclude:iterate", reverse) for row in ROWS for reverse in row.revincludes})


class Drawing:
    """Draws the parts of a request."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.words: set[str] = set()

    def one(self, choices: Sequence[object]) -> object:
        """One of several, which first ones are simplest."""
        return self._draw(st.sampled_from(choices))

    def text(self, choices: Sequence[str]) -> str:
        """One of several texts."""
        return str(self.one(choices))

    def often(self, times: int = 2) -> bool:
        """False in one of so many."""
        return self._draw(st.integers(0, times - 1)) != 0

    def criterion(self, row: ResourceDefinition) -> Pair:
        """A parameter of a row, perhaps with a modifier, and up to three values of both members'."""
        parameter = row.search_parameters[int(str(self._draw(st.integers(0, len(row.search_parameters) - 1))))]
        name = parameter.code
        modifiers = list(MODIFIERS[parameter.type])
        if parameter.type is SearchType.REFERENCE:
            modifiers += [target for target in parameter.targets if target in RESOURCES]
        if not self.often(3):
            modifier = self.text(modifiers)
            self.words.add(f":{modifier}" if modifier not in RESOURCES else ":[type]")
            name += f":{modifier}"
            if modifier == "missing":
                return name, self.text(["true", "false"])
        mine, theirs = _values(row.type, parameter.code)
        count = int(str(self._draw(st.integers(1, 3))))
        choices = mine if self.often() else [*theirs, *mine]
        values = [self.text(choices) for _ in range(count)]
        if ":" in name:
            values = [value.rpartition("/")[2] for value in values]
        return name, ",".join(values)

    def chain(self, row: ResourceDefinition, depth: int = 2) -> Pair | None:
        """A parameter of what a row refers to, perhaps through another chain."""
        if not row.references:
            return None
        parameter = row.references[int(str(self._draw(st.integers(0, len(row.references) - 1))))]
        targets = [t for t in (RESOURCES if "Resource" in parameter.targets else parameter.targets) if t in RESOURCES]
        target = RESOURCES[self.text(targets)]
        onward = self.through(target, depth - 1) if depth > 1 and not self.often(3) else None
        name, value = onward or self.criterion(target)
        self.words.add("chain")
        return f"{parameter.code}:{target.type}.{name}", value

    def has(self, row: ResourceDefinition, depth: int = 2) -> Pair | None:
        """A parameter of what refers to a row."""
        referring = _referring(row.type)
        if not referring:
            return None
        source, parameter = referring[int(str(self._draw(st.integers(0, len(referring) - 1))))]
        onward = self.through(source, depth - 1) if depth > 1 and not self.often(3) else None
        name, value = onward or self.criterion(source)
        self.words.add("_has")
        return f"_has:{source.type}:{parameter.code}:{name}", value

    def through(self, row: ResourceDefinition, depth: int = 2) -> Pair | None:
        """A chain or its reverse."""
        return self.chain(row, depth) if self.often() else self.has(row, depth)

    def added(self, row: ResourceDefinition) -> Pair | None:
        """An include or a reverse include, of the type or by iteration of any."""
        own = [("_include", value) for value in row.includes] + [("_revinclude", value) for value in row.revincludes]
        found: object = self.one(own if own and self.often() else [*ONWARD, *BACK])
        assert isinstance(found, tuple)
        self.words.add(found[0])
        return found[0], found[1]

    def view(self, row: ResourceDefinition) -> Pair:
        """How an answer is ordered, counted or written."""
        codes = [parameter.code for parameter in row.search_parameters]
        name = self.text(["_sort", "_count", "_total", "_summary", "_elements", "_pretty", "_format"])
        self.words.add(name)
        value = {
            "_sort": lambda: ("-" if self.often() else "") + self.text(codes),
            "_count": lambda: self.text(["1", "2", "3", "0"]),
            "_total": lambda: self.text(["none", "accurate", "estimate"]),
            "_summary": lambda: self.text(["true", "data", "count", "false", "text"]),
            "_elements": lambda: self.text(["id", "identifier,status", "meta", "Coverage.status,patient"]),
            "_pretty": lambda: "true",
            "_format": lambda: "json",
        }[name]()
        return name, value

    def parameter(self, row: ResourceDefinition) -> Pair:
        """Any parameter of a search."""
        kinds = [self.view, self.added, self.criterion, self.added, self.view, self.chain, self.has]
        kind = kinds[int(str(self._draw(st.integers(0, len(kinds) - 1))))]
        found = kind(row)
        return found if found is not None else self.criterion(row)

    def id(self, type: str) -> str:
        """An id of either member's, or one that nobody has."""
        mine, theirs = _names(type)
        return self.text(mine if self.often(3) else theirs)


@st.composite
def requests(draw: Draw) -> Drawn:
    """Any request about members' records."""
    drawing = Drawing(draw)
    kind = drawing.text(INTERACTIONS)
    row = RESOURCES[drawing.text(TYPES)]
    pairs: list[Pair] = []
    if kind == "search":
        pairs = [drawing.parameter(row) for _ in range(int(str(draw(st.integers(0, 5)))))]
        target = row.type
    else:
        target = _target(drawing, kind, row, pairs)
    form = None
    method = drawing.text(["GET", "GET", "GET", "HEAD", "POST"])
    if method == "POST" and kind == "search":
        target, form = f"{target}/_search", tuple(pairs)
    elif method == "POST" and kind in ("everything", "docref"):
        form = tuple(pairs)
    else:
        method = "GET" if method == "POST" else method
        query = "&".join(f"{quote(name, safe=':')}={quote(value, safe='/:,|')}" for name, value in pairs)
        target += f"?{query}" if query else ""
    headers = drawing.one(CONDITIONS)
    assert isinstance(headers, dict)
    return Drawn(kind, row.type, method, target, form, drawing.text(SCOPES), headers, frozenset(drawing.words))


def _target(drawing: Drawing, kind: str, row: ResourceDefinition, pairs: list[Pair]) -> str:
    """The path of what is no search; its parameters are added to the pairs."""
    if kind in ("read", "vread"):
        if not drawing.often(3):
            pairs.append(drawing.view(row))
        path = f"{row.type}/{drawing.id(row.type)}"
        return path if kind == "read" else f"{path}/_history/{drawing.text(['1', '2', '1', '4'])}"
    if kind != "docref":
        pairs += [(name, drawing.text(values)) for name, values in _PAGED.items() if not drawing.often()]
    if kind == "instance":
        return f"{row.type}/{drawing.id(row.type)}/_history"
    if kind == "type":
        return f"{row.type}/_history"
    if kind == "system":
        return "_history"
    member = drawing.text([ANNA.member, BORIS.member, "unknown"])
    if kind == "everything":
        if not drawing.often():
            pairs.append(("_type", ",".join({row.type, drawing.text(list(RESOURCES))})))
        return "Patient/$everything" if drawing.often(4) else f"Patient/{member}/$everything"
    pairs.append(("patient", member))
    pairs += [(name, drawing.text(values)) for name, values in _DATED.items() if drawing.often()]
    return "DocumentReference/$docref"


_PAGED = {"_count": ["1", "2", "5"], "_since": list(SINCE), "_elements": ["id"], "_summary": ["true", "text"]}
_DATED = {"start": ["1900", f"{BORIS.month}-01", f"{ANNA.month}-11"], "end": ["2099", f"{BORIS.month}-28"]}
SERVED = {*identities(OWN)}
"""All that the member may be served."""
PLAIN = [
    Drawn(kind, row.type, "GET", f"{row.type}{tail}", None, EVERYTHING)
    for row in ROWS
    for kind, tail in (
        ("search", "?_count=500"),
        ("search", "?_count=500" + "".join(f"&_include={each}" for each in row.includes)),
        ("search", "?_count=500" + "".join(f"&_revinclude={each}" for each in row.revincludes)),
        ("type", "/_history?_count=500"),
    )
]
"""All that there is of each type, with all that it names and all that names it, and its past."""

"""At which level the measures are reported: what each payer owes, or one level for all, and the places that follow.

42 CFR 422.119(f) per contract, 431.60(f) and 457.730(f) per State, 438.242(b)(5)(iii) per plan, 45 CFR 156.221(f) per issuer;
numbers of a managed care plan are specific to the program: CMS Managed Care Program Annual Report, topic XIV.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

UNIT_COLUMNS = ("line_of_business", "contract", "plan", "program", "issuer", "state")


@dataclass(frozen=True, slots=True)
class Level:
    """Reporting units that agree in ``columns`` are one place; the last column is the level's own. ``also``: what is shown beside
    them when all that was merged agrees in it."""

    slug: str
    title: str
    columns: tuple[str, ...]
    also: tuple[str, ...] = ("state",)


CONTRACT = Level("contract", "Contract", ("line_of_business", "contract"))
PLAN = Level("plan", "Plan", ("line_of_business", "contract", "plan"))
PLAN_IN_PROGRAM = Level(
    "plan-in-program", "Plan in a program", ("line_of_business", "state", "program", "plan"), also=("contract",)
)
PROGRAM = Level("program", "Program", ("line_of_business", "state", "program"))
ISSUER = Level("issuer", "Issuer", ("line_of_business", "issuer"))
STATE = Level("state", "State", ("line_of_business", "state"))
UNIT = Level("unit", "Reporting unit", UNIT_COLUMNS)
LEVELS = {level.slug: level for level in (CONTRACT, PLAN, PLAN_IN_PROGRAM, PROGRAM, ISSUER, STATE, UNIT)}
REQUIRED = {
    "medicare-advantage": CONTRACT,
    "medicaid-ffs": STATE,
    "chip-ffs": STATE,
    "medicaid-managed-care": PLAN_IN_PROGRAM,
    "chip-managed-care": PLAN_IN_PROGRAM,
    "qhp": ISSUER,
}
"""What each line of business owes; another one, which owes nothing, is reported by unit."""
AS_REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Place:
    """One row of a report: the reporting units merged in it, by key, and its texts of UNIT_COLUMNS, '' where they do not apply."""

    level: str
    unit: tuple[str, ...]
    keys: tuple[int, ...]


def places(level: str, units: Iterable[Any]) -> tuple[Place, ...]:
    """The places of a level, in the order of the units (rows with ``key`` and UNIT_COLUMNS).

    A unit without a value in the level's own column is not merged with others like it: it is a place by itself, of level unit.
    Raises ValueError for an unknown level.
    """
    if level != AS_REQUIRED and level not in LEVELS:
        raise ValueError(f"the level is one of {', '.join((AS_REQUIRED, *LEVELS))}, not {level!r}")
    merged: dict[tuple[Level, tuple[str, ...]], list[Any]] = {}
    for unit in units:
        asked = LEVELS[level] if level != AS_REQUIRED else REQUIRED.get(unit.line_of_business, UNIT)
        own = asked if getattr(unit, asked.columns[-1]) else UNIT
        merged.setdefault((own, tuple(getattr(unit, name) for name in own.columns)), []).append(unit)
    return tuple(_place(own, rows) for (own, _), rows in merged.items())


def _place(level: Level, rows: Sequence[Any]) -> Place:
    shown = {*level.columns, *(name for name in level.also if len({getattr(row, name) for row in rows}) == 1)}
    texts = tuple(getattr(rows[0], name) if name in shown else "" for name in UNIT_COLUMNS)
    return Place(level.slug, texts, tuple(row.key for row in rows))

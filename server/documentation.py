"""The tables of README.md, docs/settings.md, docs/observability.md and docs/doctor.md, computed from what they describe. ``make docs`` rewrites them.

Each table stands between ``<!-- name -->`` and ``<!-- /name -->``; a test fails when one lags.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from server.settings import Settings
from server.specification.definition import MembershipKind, ResourceDefinition
from server.specification.exceptions import EXCEPTIONS
from server.specification.registry import RESOURCES

ROOT = Path(__file__).parents[1]
README, SETTINGS_PAGE = ROOT / "README.md", ROOT / "docs" / "settings.md"
METRICS_PAGE, DOCTOR_PAGE = ROOT / "docs" / "observability.md", ROOT / "docs" / "doctor.md"
OWNER = {
    MembershipKind.SELF: "is the member",
    MembershipKind.DIRECTORY: "everyone (directory)",
}


def settings_table() -> str:
    """Every setting: its environment variable, its default, what it does."""
    rows = ["| Setting | Default | What it does |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{name.upper()}` | {_default(field)} | {_cell(field.description or '')}{_choices(field)} |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    default: Any = field.default
    if default is None:
        return "none"
    if isinstance(default, tuple):
        return "`" + ",".join(default) + "`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _choices(field: FieldInfo) -> str:
    choices = [value for value in get_args(field.annotation) if isinstance(value, str)]
    return " One of " + ", ".join(f"`{value}`" for value in choices) + "." if choices else ""


def resources_table() -> str:
    """Every resource type: whose it is, what it is searched by, what can be included."""
    rows = ["| Resource type | Belongs to | Search parameters | `_include` | `_revinclude` |", "|---|---|---|---|---|"]
    for row in RESOURCES.values():
        codes = ", ".join(f"`{parameter.code}`" for parameter in row.search_parameters)
        includes, revincludes = (
            ", ".join(f"`{value}`" for value in group) for group in (row.includes, row.revincludes)
        )
        rows.append(f"| {row.type} | {_owner(row)} | {codes} | {includes} | {revincludes} |")
    return "\n".join(rows)


def _owner(row: ResourceDefinition) -> str:
    if row.membership.kind in OWNER:
        return OWNER[row.membership.kind]
    if row.membership.kind is MembershipKind.NAMED:
        return (
            "every member whose "
            + " or ".join(f"`{expression}`" for expression in row.membership.named_by)
            + " names it"
        )
    prefix = "whoever owns its " if row.membership.kind is MembershipKind.VIA else "the member in "
    return f"{prefix}`{row.membership.path}`"


def exceptions_table() -> str:
    """What the guides' CapabilityStatements name and this server does not do, with the reason."""
    rows = ["| A guide names | | Which guide | Not here, because |", "|---|---|---|---|"]
    for row in EXCEPTIONS:
        names = ", ".join(f"`{name}`" for name in row.names)
        of_types = f" of {', '.join(row.types)}" if row.types else ""
        rows.append(f"| {row.part}{of_types} | {names} | {', '.join(row.guides)} | {_cell(row.reason)} |")
    return "\n".join(rows)


def commands_table() -> str:
    """Every command of ``patient-access``, with its one line of help."""
    import typer

    from server.cli import app

    def leaves(command: Any, name: str) -> Iterator[tuple[str, Any]]:
        for child_name, child in sorted(getattr(command, "commands", {}).items()):
            yield from leaves(child, f"{name} {child_name}")
        if not hasattr(command, "commands"):
            yield name, command

    rows = ["| Command | What it does |", "|---|---|"]
    for name, command in leaves(typer.main.get_command(app), "patient-access"):
        rows.append(f"| `{name}` | {_cell((command.help or '').partition(chr(10) * 2)[0])} |")
    return "\n".join(rows)


def metrics_table() -> str:
    """Every metric of /metrics: its name, kind and labels, what it says."""
    from server.figures import GAUGE, METRICS
    from server.pages.prometheus import ASKED

    rows = ["| Metric | Kind | Labels | What it says |", "|---|---|---|---|"]
    for metric in (*METRICS, *ASKED):
        of_worker = ("worker",) if metric in METRICS and metric.kind == GAUGE else ()
        labels = ", ".join(f"`{label}`" for label in (*metric.labels, *of_worker))
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {_cell(metric.help)} |")
    return "\n".join(rows)


def site_checks_table() -> str:
    """Every check that the doctor makes of a server."""
    from server.doctor.checks import SITE_CHECKS

    return _checks(SITE_CHECKS)


def machine_checks_table() -> str:
    """Every check that the doctor makes of this machine."""
    from server.doctor.checks import MACHINE_CHECKS

    return _checks(MACHINE_CHECKS)


def _checks(checks: Iterable[Any]) -> str:
    rows = ["| Check | Area | What must be so | Asked for by |", "|---|---|---|---|"]
    for check in checks:
        site = check.citation.partition("://")[2].partition("/")[0]
        rows.append(f"| `{check.name}` | {check.area} | {_cell(check.title)} | [{site}]({check.citation}) |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "resources": resources_table,
    "exceptions": exceptions_table,
    "commands": commands_table,
    "metrics": metrics_table,
    "site checks": site_checks_table,
    "machine checks": machine_checks_table,
}
PLACES: dict[Path, tuple[str, ...]] = {
    README: ("resources", "exceptions", "commands"),
    SETTINGS_PAGE: ("settings",),
    METRICS_PAGE: ("metrics",),
    DOCTOR_PAGE: ("site checks", "machine checks"),
}
"""Which tables stand in which file."""


def rewritten(text: str, names: Iterable[str]) -> str:
    """The text with these tables as they should be. Raises ValueError when it has no place for one of them."""
    for name in names:
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not place.search(text):
            raise ValueError(f"no place for the {name} table: <!-- {name} --> and <!-- /{name} --> are missing")
        content = TABLES[name]()
        text = place.sub(lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    for path, names in PLACES.items():
        path.write_text(rewritten(path.read_text("utf-8"), names), "utf-8")

"""``patient-access report refusals``: what was refused to apps and members, by which criterion, on what evidence and basis.

42 CFR 422.119(e) and its parallels. Exit codes: 0, 2 for an error. What it shows: docs/compliance.md
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from server.command_line import Environment, migrated_database


class RegisterFormat(StrEnum):
    """How the register is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def refusals(
    year: Annotated[int, typer.Option("--year", min=2000, max=9998, help="Calendar year, in PAYER_TIME_ZONE.")],
    month: Annotated[
        int | None, typer.Option("--month", min=1, max=12, help="One month of it, in PAYER_TIME_ZONE.")
    ] = None,
    form: Annotated[RegisterFormat, typer.Option("--format", help="How to write it.")] = RegisterFormat.TABLE,
    environment: Annotated[
        Environment, typer.Option("--environment", help="'test' shows what test apps, members or deployments did.")
    ] = Environment.PRODUCTION,
    output: Annotated[Path | None, typer.Option("--output", help="A file to write instead of the screen.")] = None,
) -> None:
    """List what was refused: apps, scopes and requests, and records withheld by policy."""
    from server.metrics import refusals_forms
    from server.metrics.refusals import refusals as register

    with migrated_database() as (database, settings):
        lines = register(database, settings, year=year, month=month, environment=environment.value)
    of = f"{year}" if month is None else f"{year}-{month:02d}"
    if form is RegisterFormat.CSV:
        text = refusals_forms.as_csv(lines)
    elif form is RegisterFormat.JSON:
        text = refusals_forms.as_json(
            lines,
            payer=settings.payer_name,
            period=of,
            environment=environment.value,
            time_zone=settings.payer_time_zone,
        )
    else:
        text = refusals_forms.as_table(lines, f"Refusal register {of} · {settings.payer_name} · {environment.value}")
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, "utf-8", newline="")
        print(f"Wrote {output}.")

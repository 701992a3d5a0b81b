"""``patient-access endpoint``: the record of this API's endpoint, as FHIR and as a line of a table, to be reported or published.

https://hl7.org/fhir/R4/endpoint.html - CMS's directory of the endpoints of state Medicaid agencies asks for such columns, and the proposed rule
CMS-0062-P for Endpoint resources. What no setting knows stays empty, for the payer to fill in.
"""

import csv
import io
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.command_line import CommandError

if TYPE_CHECKING:
    from server.settings import Settings


class Record(StrEnum):
    """How the record is written."""

    JSON = "json"
    CSV = "csv"


def endpoint(
    format: Annotated[
        Record, typer.Option("--format", help="A FHIR Endpoint, or a table with one line.")
    ] = Record.JSON,
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file instead of the screen.")] = None,
) -> None:
    """Print the record of this API's endpoint, from the settings: a FHIR Endpoint, or the columns of CMS's endpoint directory."""
    from server.authorization.brand_bundle import endpoint as record
    from server.authorization.brands import brands
    from server.settings import Settings

    settings = Settings()
    if format is Record.CSV:
        text = _table(directory_row(settings))
    else:
        import orjson

        owner = brands(settings)[0]
        text = orjson.dumps(record(settings, owner), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {output}: {error.strerror}") from error


def directory_row(settings: "Settings") -> dict[str, str]:
    """Column to value; '' where the settings do not know it."""
    from server.authorization import discovery
    from server.specification.standards import FHIR_VERSION, GUIDES

    guides = [f"{guide.package} {version}" for guide in GUIDES for version in guide.versions]
    return {
        "Organization": settings.payer_name,
        "Status": settings.environment,
        "Claims and encounters base URL": settings.fhir_base,
        "Clinical data base URL": settings.fhir_base,
        "Formulary base URL": "",
        "CapabilityStatement": f"{settings.fhir_base}/metadata",
        "SMART configuration": settings.base_url + discovery.SMART_CONFIGURATION,
        "FHIR version": FHIR_VERSION,
        "Implementation guides": "; ".join(guides),
        "Authorization": "SMART App Launch 2.2 (OAuth 2.0 with PKCE, OpenID Connect)",
        "Refresh frequency": settings.refresh_frequency,
        "Dates of service from 2016-01-01": "",
        "Developer documentation": f"{settings.base_url}/docs",
        "App registration": f"{settings.base_url}/docs/registration",
        "Sandbox": settings.sandbox_url or "",
        "Support contact": settings.support_contact or "",
        "Members see with whom their data was shared": f"Yes, at {settings.base_url}{discovery.ACCOUNT}",
    }


def _table(row: dict[str, str]) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(row)
    writer.writerow(row.values())
    return written.getvalue()

"""The ``--format`` and ``--output`` of usage reports: what goes to the screen, to a file, or to files that a form names itself.

Layouts, and where each was published: docs/report-forms.md
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.command_line import CommandError

if TYPE_CHECKING:
    from server.metrics.forms.written import WrittenFile
    from server.metrics.usage_document import UsageReport
    from server.settings import Settings


class Format(StrEnum):
    """How a usage report is written: the forms of ``server.metrics.forms.written``."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    HTML = "html"
    ORW = "orw"
    ORW_XLSX = "orw-xlsx"
    MCPAR = "mcpar"
    MCPAR_JSON = "mcpar-json"
    WORKSHEET = "worksheet"
    WORKSHEET_XLSX = "worksheet-xlsx"

    @property
    def is_workbook(self) -> bool:
        """Whether it cannot be shown on a screen."""
        return self.value.endswith("-xlsx")

    @property
    def names_its_files(self) -> bool:
        """Whether it is a file for each State, with a name that CMS prescribes."""
        return self in (Format.ORW, Format.ORW_XLSX)


Output = Annotated[
    Path | None,
    typer.Option("--output", help="A file to write instead of the screen; for orw and orw-xlsx a directory."),
]
Form = Annotated[
    Format,
    typer.Option(
        "--format",
        help="How to write it. html: a page to print. orw: State Operational Report Workbook, a file per State. mcpar: items "
        "D1.XIV of the Managed Care Program Annual Report. worksheet: for who has no official layout. These three are CSV "
        "without -xlsx or -json.",
    ),
]


def refuse_output(form: Format, output: Path | None) -> None:
    """Raises CommandError when a form cannot go where it is told to, before anything is computed."""
    if output is None and form.is_workbook:
        where = "DIRECTORY" if form.names_its_files else "FILE.xlsx"
        raise CommandError(f"{form.value} is a workbook, not for the screen: name --output {where}")
    if output is not None and form.names_its_files and output.exists() and not output.is_dir():
        raise CommandError(f"{form.value} names its files itself: --output is a directory, and {output} is none")
    if output is not None and not form.names_its_files and output.is_dir():
        raise CommandError(f"--output is a file to write; {output} is a directory")
    if not form.names_its_files:
        refuse_missing_directory(output)


def refuse_missing_directory(output: Path | None) -> None:
    """Raises CommandError for a file in a directory that is not there, before a report is stored that nobody gets."""
    if output is not None and not output.parent.is_dir():
        raise CommandError(f"{output}: there is no directory {output.parent}")


def written_files(
    form: Format, report: "UsageReport", settings: "Settings", output: Path | None
) -> "tuple[WrittenFile, ...]":
    """A report in a form. Raises FormError when it cannot be written in it, CommandError for several files to the screen."""
    from server.metrics.forms.due import Addresses
    from server.metrics.forms.written import written

    addresses = Addresses(
        api=settings.fhir_base,
        for_members=settings.base_url + "/docs/members",
        for_members_on_siblings=settings.sibling_api_education_url or "",
    )
    files = written(form.value, report, addresses)
    if output is None and len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise CommandError(f"{form.value} makes {len(files)} files ({names}): name --output DIRECTORY")
    return files


def write_files(files: "tuple[WrittenFile, ...]", form: Format, output: Path | None) -> None:
    """Write files where they were told to go; a directory is made."""
    for file in files:
        if output is None:
            sys.stdout.write(str(file.content))
            continue
        path = output
        if form.names_its_files:
            output.mkdir(parents=True, exist_ok=True)
            path = output / file.name
        path.write_bytes(file.content if isinstance(file.content, bytes) else file.content.encode())
        print(f"Wrote {path}.")

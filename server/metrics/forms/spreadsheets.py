"""Tables as CSV (https://www.rfc-editor.org/rfc/rfc4180) and as workbooks (Office Open XML, ECMA-376), safe to open.

A text that a spreadsheet would obey as a formula gets an apostrophe before it:
https://owasp.org/www-community/attacks/CSV_Injection
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

Cell = str | int | date | None
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WIDEST = 60


@dataclass(frozen=True, slots=True)
class Sheet:
    """A named table. Texts may come from data; None is an empty cell."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def neutral(text: str) -> str:
    """A text that no spreadsheet takes for a formula, and no file refuses: control characters are spaces."""
    text = _CONTROL.sub(" ", text)
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") or text[:1] == "\t" else text


def as_csv(sheet: Sheet) -> str:
    """The table as CSV; dates are ISO 8601."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(sheet.columns)
    writer.writerows([_text(cell) for cell in row] for row in sheet.rows)
    return text.getvalue()


def _text(cell: Cell) -> str | int:
    if cell is None:
        return ""
    return neutral(cell) if isinstance(cell, str) else cell.isoformat() if isinstance(cell, date) else cell


def as_xlsx(sheets: Sequence[Sheet], *, created: datetime) -> bytes:
    """The tables as one workbook: column names in the first row, numbers as numbers, dates as dates."""
    from openpyxl import Workbook  # takes a moment, and most commands need none of it
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    book = Workbook()
    book.remove(book.active)
    for sheet in sheets:
        page = book.create_sheet(sheet.name)
        page.append(sheet.columns)
        for row in sheet.rows:
            page.append([neutral(cell) if isinstance(cell, str) else cell for cell in row])
        for cells in page.iter_rows():
            for cell in cells:
                if isinstance(cell.value, str):
                    cell.data_type = "s"  # never a formula, whatever it begins with
                if isinstance(cell.value, date):
                    cell.number_format = "yyyy-mm-dd"
                cell.alignment = Alignment(vertical="top", wrap_text=True)
        for cell in page[1]:
            cell.font = Font(bold=True)
        for number, width in enumerate(_widths(sheet), start=1):
            page.column_dimensions[get_column_letter(number)].width = width
        page.freeze_panes = "A2"
    book.properties.creator = ""
    book.properties.created = created.replace(tzinfo=None)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _widths(sheet: Sheet) -> Iterable[int]:
    for number, name in enumerate(sheet.columns):
        longest = max(len(str(cell or "")) for cell in (name, *(row[number] for row in sheet.rows)))
        yield min(longest, _WIDEST) + 2

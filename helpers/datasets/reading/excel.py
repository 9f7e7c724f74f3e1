"""Read a sheet of an Excel workbook as rows of text.

For: values as the spreadsheet program last showed them; what it cannot give is named row by
row, and sheets that were not read are named too. Not for: what the rows mean.

    grid = read_sheet(Path("export.xlsx"))
    grid.rows, grid.faults, grid.notes
"""

from __future__ import annotations

import re
import warnings
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from helpers.base import files
from helpers.base.errors import DataError
from helpers.datasets.reading.number_formats import LOCAL_DATES, shown
from helpers.datasets.reading.source import Grid

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

MOST_CELLS = 20_000_000
"""A stray mark in the last row makes a sheet larger than any memory."""

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")

Place = tuple[int, int]
"""Row and column, both from 1."""


def read_sheet(path: Path, sheet: str | int | None = None) -> Grid:
    """The sheet of this name or number (from 0); None takes the first that holds a table.

    A cell that is merged over several rows counts for each of them that holds anything else.
    Raises `DataError` for a file that is no workbook, and for a sheet that is not there.
    """
    with files.opened(path) as stream:
        book = _book(path.name, stream, values=True)
        found = _chosen(path.name, book, sheet)
        cells, odd = _shown_cells(found)
        # The workbook a second time: openpyxl gives either values or formulas.
        faults = _errors(found) | _without_value(_book(path.name, stream, values=False), found)
    # After the notes on single cells: what is copied down is noted by its area.
    merged = _fill_down(found, cells)
    numbers = sorted({row for row, _ in [*cells, *faults]})
    width = range(1, found.max_column + 1)
    rows = [[cells.get((number, column), "") for column in width] for number in numbers]
    reasons = {numbers.index(row): reason for (row, _), reason in faults.items()}
    notes = (*merged, *odd, *(_others(book, found) if sheet is None else ()))
    return Grid(rows, reasons, notes)


def _book(name: str, stream: BinaryIO, *, values: bool) -> Workbook:
    from openpyxl import load_workbook

    stream.seek(0)
    with warnings.catch_warnings():
        # openpyxl warns of styles and rules that it cannot keep; none of them is read here.
        warnings.simplefilter("ignore")
        try:
            return load_workbook(stream, data_only=values)
        except Exception as error:
            fix = "save it as .xlsx, without a password"
            raise DataError(f"{name} is no Excel file", fix=fix) from error


def _chosen(name: str, book: Workbook, sheet: str | int | None) -> Worksheet:
    """The wanted worksheet; charts have pages of their own and do not count."""
    sheets = book.worksheets
    if sheet is None:
        filled = [found for found in sheets if _cells(found)]
        # A sheet of words about the workbook often stands first.
        return next(filter(_is_table, filled), (filled or sheets)[0])
    for place, found in enumerate(sheets):
        if sheet in (place, found.title):
            return found
    names = ", ".join(found.title for found in sheets)
    raise DataError(f"{name} has no sheet {sheet!r}", fix=f"choose one of: {names}")


def _cells(sheet: Worksheet) -> dict[Place, str]:
    """The cells with something in them, as text."""
    if sheet.max_row * sheet.max_column > MOST_CELLS:
        size = f"{sheet.max_row:,} rows and {sheet.max_column:,} columns"
        raise DataError(
            f"the sheet {sheet.title!r} reaches over {size}",
            fix="copy the cells that count to a new file",
        )
    return {
        (cell.row, cell.column): _text(cell)[0]
        for row in sheet.iter_rows()
        for cell in row
        if cell.value is not None and str(cell.value).strip()
    }


def _is_table(sheet: Worksheet) -> bool:
    """Whether more than one row, and more than one column, hold something."""
    rows, columns = map(set, zip(*_cells(sheet), strict=True))
    return len(rows) > 1 and len(columns) > 1


def _shown_cells(sheet: Worksheet) -> tuple[dict[Place, str], tuple[str, ...]]:
    """The cells as the sheet shows them, and notes on those of which that is not sure."""
    cells = _cells(sheet)
    odd: dict[str, str] = {}
    for row in sheet.iter_rows():
        for cell in row:
            if cell.value is not None and (note := _text(cell)[1]):
                odd.setdefault(note, cell.coordinate)
    return cells, tuple(f"{note}, as in cell {place}" for note, place in odd.items())


def _text(cell: Any) -> tuple[str, str]:
    """A cell as the sheet shows it, and what is not sure about that."""
    value, form = cell.value, str(cell.number_format or "General")
    if isinstance(value, str):
        return _unescaped(value), ""
    text = shown(value, form)
    if text is None:
        return str(value), f"the format {form!r} is not understood, the bare value is taken"
    if isinstance(value, date | time) and form.lower() in LOCAL_DATES:
        return text, "dates in the form of the reader's country are written year first"
    return text, ""


def _unescaped(text: str) -> str:
    """Text without the workbook's escapes, such as _x000D_ for a line's end."""
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return plain.replace("\r\n", "\n") if plain != text else text


def _errors(sheet: Worksheet) -> dict[Place, str]:
    """Cells that show an error, such as #REF!."""
    return {
        (cell.row, cell.column): f"cell {cell.coordinate} shows the error {cell.value}"
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type == "e"
    }


def _without_value(formulas: Workbook, values: Worksheet) -> dict[Place, str]:
    """Formulas whose result was never stored: only a spreadsheet program can work it out."""
    return {
        (cell.row, cell.column): f"cell {cell.coordinate} holds a formula without its value: "
        "save the file once in a spreadsheet program"
        for row in formulas[values.title].iter_rows()
        for cell in row
        if cell.data_type == "f" and values.cell(cell.row, cell.column).value is None
    }


def _fill_down(sheet: Worksheet, cells: dict[Place, str]) -> tuple[str, ...]:
    """Write what stands in a merged cell into each row that it covers and that is in use."""
    filled = []
    used = {row for row, _ in cells}
    for area in sheet.merged_cells.ranges:
        text = cells.get((area.min_row, area.min_col))
        below = [row for row in range(area.min_row + 1, area.max_row + 1) if row in used]
        if text and below:
            cells.update({(row, area.min_col): text for row in below})
            filled.append(str(area))
    places = ", ".join(sorted(filled))
    return (f"merged cells count for each of their rows: {places}",) if filled else ()


def _others(book: Workbook, read: Worksheet) -> tuple[str, ...]:
    """The sheets that were not read, if anything stands in them."""
    left = [f"{s.title!r} ({s.max_row} rows)" for s in book.worksheets if s != read and _cells(s)]
    return (f"read was the sheet {read.title!r} and not {', '.join(left)}",) if left else ()

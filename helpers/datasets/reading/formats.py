"""Read tables of any make: CSV, TSV, Excel, JSON and JSONL, whatever their encoding.

For: getting every row of a learner's file, as text, with the ragged ones set apart and
named. Not for: what the columns mean, see `columns`.

    source = read_source("export.csv")
    source.columns, len(source.rows), source.encoding      # (["Frage", "Antwort"], 25, "cp1252")
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from helpers.base import files, jsonl
from helpers.base.errors import DataError
from helpers.datasets.reading.columns import looks_like_header, names_a_meaning
from helpers.datasets.reading.excel import read_sheet
from helpers.datasets.reading.json_rows import Numbered, rows_of_json, rows_of_lines
from helpers.datasets.reading.source import Grid, Reject, Row, SourceTable

SEPARATORS = ",;\t|"
_TABLES = (".csv", ".tsv", ".txt")
_SHEETS = (".xlsx", ".xlsm")
_KNOWN = ", ".join((*_TABLES, *_SHEETS, ".json", ".jsonl"))
_CELL_LIMIT = 2**27
_END = "\0end of the file"
_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])\r?\n", re.IGNORECASE)
"""What Excel understands as a first line, and writes."""
TITLE_ROWS = 10
"""How many rows with a single cell may stand above the names of the columns."""
_GUESSED = ("cp1252", "latin-1")


def read_source(
    path: str | Path,
    *,
    header: bool | None = None,
    encoding: str | None = None,
    sheet: str | int | None = None,
) -> SourceTable:
    """Read a file by its ending.

    `header` says whether the first row names the columns; None looks at it. Without
    names the columns are called "column 1", "column 2", … `sheet` is a sheet of a workbook
    by name or number. Raises `DataError` for a file that is missing, empty, or of another kind.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _SHEETS:
        return _from_grid(path.name, read_sheet(path, sheet), header)
    if suffix not in (*_TABLES, ".json", ".jsonl"):
        raise DataError(f"{path.name}: unknown kind of file", fix=f"save it as one of {_KNOWN}")
    with files.opened(path) as stream:
        text, used = decode(stream.read(), encoding)
    if suffix == ".json":
        return _from_objects(path.name, *rows_of_json(path.name, text), used)
    if suffix == ".jsonl":
        return _from_objects(path.name, *rows_of_lines(text), used)
    said = _SEPARATOR_LINE.match(text)
    text = text[said.end() :] if said else text
    separator = "\t" if suffix == ".tsv" else said[1] if said else guess_separator(text)
    grid = Grid(_csv(path.name, text, separator), {}, _notes(used, encoding))
    return _from_grid(path.name, grid, header, used, separator)


def _notes(used: str, told: str | None) -> tuple[str, ...]:
    if told is not None or used not in _GUESSED:
        return ()
    return (f"the encoding {used} is a guess: if letters look wrong, tell the right one",)


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Text and its encoding: UTF-8 if it is that, UTF-16 or 32 by their marks or zero bytes,
    else Windows-1252."""
    if encoding is not None:
        try:
            return data.decode(encoding), encoding
        except (UnicodeError, LookupError) as error:
            raise DataError(
                f"not readable as {encoding}: {error}", fix="leave the encoding out, or ask for it"
            ) from error
    wide = _wide(data)
    for guess in (wide, "utf-8-sig" if data.startswith(jsonl.BOM) else "utf-8", "cp1252"):
        try:
            if guess:
                return data.decode(guess), guess
        except UnicodeError:
            continue
    # Latin-1 gives every byte a letter: nothing is lost, and a cleaning step can repair it.
    return data.decode("latin-1"), "latin-1"


def _wide(data: bytes) -> str:
    """The encoding with two or four bytes a letter that the first bytes show, or ""."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = data[:2000]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) * 4 < len(start) or min(even, odd) * 10 > max(even, odd):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"


def guess_separator(text: str) -> str:
    """The separator that cuts the first rows into the most columns of the same number."""
    start = text[:50_000]
    best, score = ",", (0.0, 0)
    for separator in SEPARATORS:
        widths = _widths(start, separator)
        if not widths or max(widths) < 2:
            continue
        usual = max(set(widths), key=widths.count)
        found = (widths.count(usual) / len(widths), usual)
        if usual > 1 and found > score:
            best, score = separator, found
    return best


def _widths(text: str, separator: str, rows: int = 20) -> list[int]:
    """Cells in each of the first rows; none where the text makes no sense so cut."""
    try:
        grid = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        return [len(row) for row in itertools.islice(grid, rows) if row]
    except csv.Error:
        return []


def _csv(name: str, text: str, separator: str) -> list[list[str]]:
    csv.field_size_limit(_CELL_LIMIT)
    # Line breaks inside cells stay as they are, unless the rows themselves end in CR alone.
    for newline in ("", None):
        try:
            stream = io.StringIO(f"{text}\n{_END}", newline=newline)
            rows = [row for row in csv.reader(stream, delimiter=separator) if row]
        except csv.Error as error:
            reason = str(error)
            continue
        # An open quotation mark swallows all that follows, this last row included.
        if rows.pop() != [_END]:
            raise DataError(
                f"{name}: the quotation mark that opens in row {len(rows) + 1} is never closed",
                fix='close it, or write "" for a quotation mark inside a text',
            )
        return rows
    raise DataError(f"{name}: {reason}", fix="export it again as CSV with quoted text")


def _from_grid(
    name: str, grid: Grid, header: bool | None, encoding: str = "utf-8", separator: str = ""
) -> SourceTable:
    if not any(cell.strip() for row in grid.rows for cell in row):
        raise DataError(f"{name} has no rows", fix="check that the right file was exported")
    titles = _title_rows(grid.rows) if header is None else 0
    first = grid.rows[titles]
    named = looks_like_header(first) if header is None else header
    width = len(first) if named else max(map(len, grid.rows))
    columns = _distinct(first) if named else [f"column {i + 1}" for i in range(width)]
    start = titles + named
    if start == len(grid.rows):
        raise DataError(f"{name} has no rows below its header", fix="pass header=False")
    rows, rejected = [], []
    for number, cells in enumerate(grid.rows[start:], 1):
        row: Row = dict(zip(columns, [*cells[:width], *[""] * (width - len(cells))], strict=True))
        extra = [cell for cell in cells[width:] if cell.strip()]
        reason = grid.faults.get(start + number - 1, "")
        if extra:
            reason = f"{len(cells)} cells in a table of {width} columns"
            row["more cells"] = " | ".join(extra)
        if reason:
            rejected.append(Reject(number, reason, row))
        else:
            rows.append((number, row))
    above = tuple(
        f"above the table stands: {text}" for row in grid.rows[:titles] if (text := _title(row))
    )
    notes = (*above, *grid.notes)
    return SourceTable(
        name, tuple(columns), tuple(rows), tuple(rejected), encoding, separator, notes
    )


def _title_rows(grid: Sequence[Sequence[str]]) -> int:
    """How many rows of a single cell stand above a row that names the usual columns."""
    for place, row in enumerate(grid[: TITLE_ROWS + 1]):
        filled = [cell for cell in row if cell.strip()]
        if len(filled) > 1:
            return place if names_a_meaning(filled) else 0
    return 0


def _title(row: Sequence[str]) -> str:
    return " ".join(cell.strip() for cell in row if cell.strip())


def _distinct(names: Iterable[str]) -> list[str]:
    """Column names without blanks around them, empty and repeated ones numbered."""
    found: list[str] = []
    for place, name in enumerate(names, 1):
        name = re.sub(r"\s+", " ", name.lstrip("\ufeff")).strip() or f"column {place}"
        found.append(f"{name} ({place})" if name in found else name)
    return found


def _from_objects(
    name: str, rows: Numbered, rejected: Sequence[Reject], encoding: str
) -> SourceTable:
    if not rows and not rejected:
        raise DataError(f"{name} has no rows", fix="check that the right file was exported")
    columns = dict.fromkeys(key for _, row in rows for key in row)
    return SourceTable(name, tuple(columns), tuple(rows), tuple(rejected), encoding)

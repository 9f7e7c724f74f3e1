"""Read tables of any make: CSV, TSV, Excel, JSON and JSONL, whatever their encoding.

For: getting every row of a learner's file, as text, with the ragged ones set apart and
named. Not for: what the columns mean, see `columns`.

    source = read_source("export.csv")
    source.columns, len(source.rows), source.encoding      # (["Frage", "Antwort"], 25, "cp1252")
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import jsonl
from helpers.datasets.columns import looks_like_header
from helpers.errors import DataError

SEPARATORS = ",;\t|"
_TABLES = (".csv", ".tsv", ".txt")
_SHEETS = (".xlsx", ".xlsm")
_KNOWN = ", ".join((*_TABLES, *_SHEETS, ".json", ".jsonl"))
_CELL_LIMIT = 2**27

Row = dict[str, Any]


@dataclass(frozen=True)
class Reject:
    """A row that was not taken, where it stood, and why."""

    row: int
    """Counts the file's rows from 1, the header left out."""
    reason: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """All rows of a file."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[int, Row], ...]
    """Each with its number, as in `Reject`."""
    rejected: tuple[Reject, ...] = ()
    encoding: str = "utf-8"
    separator: str = ""

    @property
    def rows_in(self) -> int:
        """Rows of the file, taken or not."""
        return len(self.rows) + len(self.rejected)


def read_source(
    path: str | Path,
    *,
    header: bool | None = None,
    encoding: str | None = None,
    sheet: str | int = 0,
) -> Source:
    """Read a file by its ending.

    `header` says whether the first row names the columns; None looks at it. Without
    names the columns are called "column 1", "column 2", … Raises `DataError` for a file
    that is missing, empty, or of another kind.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _SHEETS:
        return _from_grid(path.name, _excel(path, sheet), header)
    if suffix not in (*_TABLES, ".json", ".jsonl"):
        raise DataError(f"{path.name}: unknown kind of file", fix=f"save it as one of {_KNOWN}")
    with jsonl.opened(path) as stream:
        text, used = decode(stream.read(), encoding)
    if suffix == ".json":
        return _from_json(path.name, text, used)
    if suffix == ".jsonl":
        return _from_jsonl(path.name, text, used)
    separator = "\t" if suffix == ".tsv" else guess_separator(text)
    return _from_grid(path.name, _csv(path.name, text, separator), header, used, separator)


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Text and its encoding: UTF-8 if it is that, UTF-16 by its mark, else Windows-1252."""
    if encoding is not None:
        try:
            return data.decode(encoding), encoding
        except (UnicodeDecodeError, LookupError) as error:
            raise DataError(f"not readable as {encoding}: {error}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), "utf-16"
    for guess in ("utf-8-sig" if data.startswith(jsonl.BOM) else "utf-8", "cp1252"):
        try:
            return data.decode(guess), guess
        except UnicodeDecodeError:
            continue
    # Latin-1 gives every byte a letter: nothing is lost, and a cleaning step can repair it.
    return data.decode("latin-1"), "latin-1"


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
            rows = csv.reader(io.StringIO(text, newline=newline), delimiter=separator)
            return [row for row in rows if row]
        except csv.Error as error:
            reason = str(error)
    raise DataError(f"{name}: {reason}", fix="export it again as CSV with quoted text")


def _excel(path: Path, sheet: str | int) -> list[list[str]]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    with jsonl.opened(path) as stream:
        try:
            book = load_workbook(stream, read_only=True, data_only=True)
        except (InvalidFileException, KeyError, ValueError, OSError) as error:
            raise DataError(f"{path.name} is no Excel file", fix="save it as .xlsx") from error
        except Exception as error:
            raise DataError(f"{path.name} is no Excel file", fix="save it as .xlsx") from error
        if isinstance(sheet, str) and sheet not in book.sheetnames:
            names = ", ".join(book.sheetnames)
            raise DataError(f"{path.name} has no sheet {sheet!r}", fix=f"choose one of: {names}")
        found = book[sheet] if isinstance(sheet, str) else book.worksheets[sheet]
        grid = [["" if c is None else str(c) for c in row] for row in found.values]
    return [row for row in grid if any(cell.strip() for cell in row)]


def _from_grid(
    name: str,
    grid: Sequence[Sequence[str]],
    header: bool | None,
    encoding: str = "utf-8",
    separator: str = "",
) -> Source:
    if not grid:
        raise DataError(f"{name} has no rows", fix="check that the right file was exported")
    named = looks_like_header(grid[0]) if header is None else header
    width = len(grid[0]) if named else max(map(len, grid))
    columns = _distinct(grid[0]) if named else [f"column {i + 1}" for i in range(width)]
    body = grid[1:] if named else grid
    if not body:
        raise DataError(f"{name} has no rows below its header", fix="pass header=False")
    rows, rejected = [], []
    for number, cells in enumerate(body, 1):
        extra = [cell for cell in cells[width:] if cell.strip()]
        padded = [*cells[:width], *[""] * (width - len(cells))]
        row: Row = dict(zip(columns, padded, strict=True))
        if extra:
            reason = f"{len(cells)} cells in a table of {width} columns"
            rejected.append(Reject(number, reason, {**row, "more cells": " | ".join(extra)}))
        else:
            rows.append((number, row))
    return Source(name, tuple(columns), tuple(rows), tuple(rejected), encoding, separator)


def _distinct(names: Iterable[str]) -> list[str]:
    """Column names without blanks around them, empty and repeated ones numbered."""
    found: list[str] = []
    for place, name in enumerate(names, 1):
        name = re.sub(r"\s+", " ", name.lstrip("\ufeff")).strip() or f"column {place}"
        found.append(f"{name} ({place})" if name in found else name)
    return found


def _from_json(name: str, text: str, encoding: str) -> Source:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not JSON: {error}", fix="check the file") from error
    if isinstance(value, dict):
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        value = lists[0] if len(lists) == 1 else value
    if not isinstance(value, list):
        raise DataError(f"{name} holds no list of rows", fix="write [{...}, {...}]")
    return _from_objects(name, enumerate(value, 1), encoding)


def _from_jsonl(name: str, text: str, encoding: str) -> Source:
    values = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                values.append((number, json.loads(line)))
            except (ValueError, RecursionError):
                values.append((number, line))
    return _from_objects(name, values, encoding)


def _from_objects(name: str, values: Iterable[tuple[int, Any]], encoding: str) -> Source:
    rows, rejected = [], []
    columns: dict[str, None] = {}
    for number, value in values:
        if isinstance(value, dict):
            rows.append((number, value))
            columns.update(dict.fromkeys(value))
        else:
            rejected.append(Reject(number, "not a JSON object", {"row": str(value)}))
    if not rows and not rejected:
        raise DataError(f"{name} has no rows", fix="check that the right file was exported")
    return Source(name, tuple(columns), tuple(rows), tuple(rejected), encoding)

"""Read files of any make: CSV, TSV, Excel, JSON, JSONL, saved chats and mails.

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
from helpers.base.remedies import argument
from helpers.datasets.reading.chat_logs import ChatLog, read_chat_log
from helpers.datasets.reading.column_names import (
    looks_like_header,
    names_a_meaning,
    names_a_pair,
)
from helpers.datasets.reading.excel import read_sheet
from helpers.datasets.reading.json_rows import Numbered, rows_of_json, rows_of_lines
from helpers.datasets.reading.mail import MailThreads, read_mails
from helpers.datasets.reading.source import Grid, Reject, Row, SourceTable, words

SEPARATORS = ",;\t|"
_TABLES = (".csv", ".tsv", ".txt")
_SHEETS = (".xlsx", ".xlsm")
_MAILS = (".mbox", ".eml")
_KNOWN = ", ".join((*_TABLES, *_SHEETS, ".json", ".jsonl", *_MAILS))
# The csv module refuses cells beyond 131,072 letters unless it is told otherwise.
_CELL_LIMIT = 2**27
# A last row of our own, which an open quotation mark would swallow.
_END = "\0end of the file"
_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])\r?\n", re.IGNORECASE)
"""What Excel understands as a first line, and writes."""
WIDER = 0.02
"""Share of the rows of a file with tabs that must go on behind the last name of the header."""
TITLE_ROWS, GROUP_ROWS = 10, 3
"""How many rows with a single cell may stand above the names of the columns."""
_SURE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
_OTHERS = words(
    "cp1250 cp1251 cp1253 cp1254 cp1255 cp1256 koi8_r shift_jis euc_jp gb18030 big5 euc_kr"
)
"""Encodings that are tried where Windows-1252 makes no words."""
_NO_WORDS = re.compile(
    r"[^\W\d_a-zA-Z]{4,}|(?<=[^\W\d_])[\u00a1-\u00bf](?=[^\W\d_])|(?<![^\W_])[³¹¯¼¾£¥](?=[a-zß-ÿ])"
)
"""Four foreign letters in a row, or signs inside words."""
_LINE_END = re.compile(r"(?:\\r)?\\n")
# C:\new and \\server\notes hold a backslash and an n too, and $\nu$ is a formula.
_PATH = re.compile(r"[A-Za-z]:\\|\\\\|\$")
_AS_TEXT = re.compile(r'="((?:[^"]|"")*)"')
# A cell in sound quotation marks, those inside doubled; and one in marks, whatever is inside.
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_IN_MARKS = re.compile(r'\A"(.*)"\Z', re.DOTALL)
# JSON's escapes: two halves of a letter beyond 16 bits, or one letter.
_SPELLED = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?<!\\)\\u[0-9a-fA-F]{4}"
)
_ESCAPED = re.compile(r'\\(["\\])')


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
    if suffix in _MAILS:
        return _from_mails(path.name, read_mails(path))
    if suffix not in (*_TABLES, ".json", ".jsonl"):
        raise DataError(f"{path.name}: unknown kind of file", fix=f"save it as one of {_KNOWN}")
    with files.opened(path) as stream:
        text, used = decode(stream.read(), encoding)
    if suffix == ".json":
        return _from_objects(path.name, *rows_of_json(path.name, text), used)
    if suffix == ".jsonl":
        return _from_objects(path.name, *rows_of_lines(text), used)
    # Who tells of a header says that it is a table.
    log = read_chat_log(text) if suffix == ".txt" and header is None else None
    if log is not None:
        return _from_chat(path.name, log, used, _notes(used, encoding))
    said = _SEPARATOR_LINE.match(text)
    text = text[said.end() :] if said else text
    separator = "\t" if suffix == ".tsv" else said[1] if said else guess_separator(text)
    if suffix == ".txt" and header is None and not said and _is_prose(text, separator):
        fix = "write each question and its answer into two columns of a CSV file; if it is a "
        fix += f"table, say {argument('header', False)}"
        raise DataError(f"{path.name} holds sentences, and no table", fix=fix)
    text, escaped = _without_escapes(text, separator)
    unquoted, guessed = _plain_rows(text, separator)
    rows, shown = _as_excel_shows(unquoted or _csv(path.name, text, separator))
    escaped = (*escaped, *guessed)
    rows, spelled = _with_letters(rows)
    rows, ends = _with_line_ends(rows)
    grid = Grid(rows, {}, (*_notes(used, encoding), *escaped, *shown, *spelled, *ends))
    return _from_grid(path.name, grid, header, used, separator)


def _notes(used: str, told: str | None) -> tuple[str, ...]:
    if told is not None or used in _SURE:
        return ()
    return (f"the encoding {used} is a guess: if letters look wrong, tell the right one",)


def _without_escapes(text: str, separator: str) -> tuple[str, tuple[str, ...]]:
    """A text in which quotation marks are doubled, if its own stand behind a backslash.

    Where the file can be read in both ways, it is read as it stands.
    """
    if '\\"' not in text:
        return text, ()
    doubled = _ESCAPED.sub(lambda found: '""' if found[1] == '"' else "\\", text)
    plain, escaped = _is_sound(text, separator), _is_sound(doubled, separator)
    if not escaped or plain:
        return text, ()
    count = text.count('\\"')
    return doubled, (f'a guess: {count} times \\" stands for a quotation mark inside a cell',)


def _as_excel_shows(rows: list[list[str]]) -> tuple[list[list[str]], tuple[str, ...]]:
    """Rows in which `="00042"`, which keeps Excel from reading a number, is what it shows."""
    count = sum(bool(_AS_TEXT.fullmatch(cell)) for row in rows for cell in row)
    if not count:
        return rows, ()
    note = f'{count} cells such as ="00042" are read as Excel shows them'
    return [[_AS_TEXT.sub(_unquoted, cell) for cell in row] for row in rows], (note,)


def _unquoted(formula: re.Match[str]) -> str:
    return formula[1].replace('""', '"')


def _with_letters(rows: list[list[str]]) -> tuple[list[list[str]], tuple[str, ...]]:
    """Rows in which JSON's escapes of letters, such as the six signs \\u00fc, are letters."""
    made = [[_SPELLED.sub(_letters, cell) for cell in row] for row in rows]
    pairs = zip(itertools.chain(*rows), itertools.chain(*made), strict=True)
    count = sum(before != after for before, after in pairs)
    note = f"a guess: \\u and four digits stand for a letter, in {count} cells"
    return (made, (note,)) if count else (rows, ())


def _letters(spelled: re.Match[str]) -> str:
    """One letter, or two halves of one; half a letter stays as it is spelt."""
    units = bytes.fromhex(spelled[0].replace("\\u", ""))
    try:
        return units.decode("utf-16-be")
    except UnicodeDecodeError:
        return spelled[0]


def _with_line_ends(rows: list[list[str]]) -> tuple[list[list[str]], tuple[str, ...]]:
    """Rows in which the two letters \\n are a line's end, if the file has no other inside cells.

    Paths and formulas keep them.
    """
    cells = [cell for row in rows for cell in row]
    found = [cell for cell in cells if _LINE_END.search(cell) and not _PATH.search(cell)]
    if not found:
        return rows, ()
    if any("\n" in cell for cell in cells):
        left = f"{len(found)} cells hold \\n as two letters beside real line ends: they stay"
        return rows, (left,)
    note = f"a guess: \\n stands for a line's end, in {len(found)} cells"
    return [
        [cell if _PATH.search(cell) else _LINE_END.sub("\n", cell) for cell in row] for row in rows
    ], (note,)


def _is_sound(text: str, separator: str, *, alike: bool = True) -> bool:
    """Whether every quoted cell ends at a separator, and all rows have as many cells."""
    csv.field_size_limit(_CELL_LIMIT)
    try:
        stream = io.StringIO(text, newline="")
        widths = {len(row) for row in csv.reader(stream, delimiter=separator, strict=True) if row}
    except csv.Error:
        return False
    return len(widths) < 2 or not alike


def _plain_rows(text: str, separator: str) -> tuple[list[list[str]], tuple[str, ...]]:
    """Rows of a file with tabs whose quotation marks are signs like others, or none.

    Taken only where the marks make no sound cells, and without them all rows are alike.
    """
    if separator != "\t" or '"' not in text or _is_sound(text, separator, alike=False):
        return [], ()
    stream = io.StringIO(text, newline="")
    rows = [row for row in csv.reader(stream, delimiter=separator, quoting=csv.QUOTE_NONE) if row]
    if len({len(row) for row in rows}) != 1 or len(rows[0]) < 2:
        return [], ()
    if not any(_is_quoted(column) for column in zip(*rows, strict=True)):
        return rows, ("a guess: quotation marks belong to the texts, and hold no cells",)
    broken = [c for row in rows for c in row if _IN_MARKS.fullmatch(c) and not _QUOTED.fullmatch(c)]
    note = f"a guess: undoubled marks inside {len(broken)} quoted cells belong to the texts"
    return [[_IN_MARKS.sub(_unquoted, cell) for cell in row] for row in rows], (note,)


def _is_quoted(column: Sequence[str]) -> bool:
    """Whether a column's cells stand in quotation marks, though one of them may be broken.

    Texts can begin and end with such a mark too: that most of a column do, or hold doubled
    marks, is no chance.
    """
    begun = [cell for cell in column if cell.startswith('"')]
    sound = [cell for cell in begun if _QUOTED.fullmatch(cell)]
    doubled = any('""' in cell[1:-1] for cell in sound)
    return 2 * len(sound) > len(begun) and (doubled or 2 * len(sound) > len(column))


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Text and its encoding: UTF-8 if it is that, UTF-16 or 32 by their marks or zero bytes,
    else Windows-1252. Raises `DataError` where the file's own mark does not hold."""
    if encoding is not None:
        try:
            return data.decode(encoding), encoding
        except (UnicodeError, LookupError) as error:
            raise DataError(
                f"not readable as {encoding}: {error}", fix="leave the encoding out, or ask for it"
            ) from error
    # Before UTF-8: text in UTF-16 without a mark is valid UTF-8 with zeros between its letters.
    wide = _wide(data)
    for guess in (wide, "utf-8-sig" if data.startswith(jsonl.BOM) else "utf-8"):
        try:
            if guess:
                return data.decode(guess), guess
        except UnicodeError:
            continue
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        said = f"the file begins as {wide}, and is not to its end"
        raise DataError(said, fix="export it again, as CSV UTF-8 if that is offered")
    for guess in (_other_letters(data), "cp1252"):
        try:
            if guess:
                return data.decode(guess), guess
        except UnicodeError:
            continue
    # Latin-1 gives every byte a letter: nothing is lost, and a cleaning step can repair it.
    return data.decode("latin-1"), "latin-1"


def _other_letters(data: bytes) -> str:
    """The encoding of text that is none in Windows-1252, or "".

    charset-normalizer alone takes short French or German texts for Polish or Chinese ones.
    """
    western = data.decode("cp1252", "replace")
    odd = sum(len(run) for run in _NO_WORDS.findall(western))
    foreign = sum(letter > "\x7f" for letter in western)
    none = western.count("\ufffd")
    # French and German stay below: their letters beyond ASCII stand one by one among plain ones.
    if not foreign or (odd < 0.15 * foreign and none < 0.05 * foreign):
        return ""
    from charset_normalizer import from_bytes

    found = from_bytes(data[:200_000], cp_isolation=list(_OTHERS)).best()
    return found.encoding if found is not None else ""


def _wide(data: bytes) -> str:
    """The encoding with two or four bytes a letter that the first bytes show, or ""."""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    start = data[:2000]
    even, odd = start[::2].count(0), start[1::2].count(0)
    # In Western text each second byte is zero, on one side only.
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
        # How many rows have the usual width, then how wide that is: a comma in some texts loses.
        found = (widths.count(usual) / len(widths), usual)
        if usual > 1 and found > score:
            best, score = separator, found
    return best


def _is_prose(text: str, separator: str) -> bool:
    """Whether the commas are those of sentences: before a blank, in lines without a name."""
    lines = [line for line in text[:50_000].splitlines() if line.strip()][:20]
    if separator != "," or not lines or names_a_meaning(lines[0].split(",")):
        return False
    return all(re.search(r"[.?!]$", line.strip()) for line in lines) and not re.search(
        r',[^\s\d]|"', "\n".join(lines)
    )


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
    titles = (_title_rows(grid.rows) or _group_row(grid.rows)) if header is None else 0
    first = grid.rows[titles]
    named = looks_like_header(first) if header is None else header
    start = titles + named
    width, wider = _width(grid.rows[start:], len(first), separator) if named else (0, "")
    width = width or max(map(len, grid.rows))
    given = [*first, *[""] * (width - len(first))] if named else [""] * width
    columns = _distinct(given)
    if start == len(grid.rows):
        said = f"say {argument('header', False)} if that is data already"
        raise DataError(f"{name} has no rows below its header", fix=said)
    rows, rejected = [], []
    for number, cells in enumerate(grid.rows[start:], 1):
        row: Row = dict(zip(columns, [*cells[:width], *[""] * (width - len(cells))], strict=True))
        extra = [cell for cell in cells[width:] if cell.strip()]
        reason = grid.faults.get(start + number - 1, "")
        if named and _names(cells) == _names(first):
            reason = "the header stands here again"
        elif extra:
            reason = f"{len(cells)} cells in a table of {width} columns"
            row["more cells"] = " | ".join(extra)
        if reason:
            rejected.append(Reject(number, reason, row))
        else:
            rows.append((number, row))
    above = tuple(
        f"above the table stands: {text}" for row in grid.rows[:titles] if (text := _title(row))
    )
    notes = (*above, *grid.notes, *filter(None, [wider]))
    return SourceTable(
        name, tuple(columns), tuple(rows), tuple(rejected), encoding, separator, notes
    )


def _width(rows: Sequence[Sequence[str]], named: int, separator: str) -> tuple[int, str]:
    """How many cells belong to a row, and a note if these are more than the header names.

    A text holds a comma, but no tab: where many rows of a file with tabs go on behind the last
    name, what stands there are further columns.
    """
    filled = [max((i for i, cell in enumerate(row, 1) if cell.strip()), default=0) for row in rows]
    more = [size for size in filled if size > named]
    if separator != "\t" or len(more) < max(2, WIDER * len(rows)):
        return named, ""
    note = f"{len(more):,} rows have more cells than the {named} columns that the header names"
    return max(more), f"{note}: they are read as further columns, 'column {named + 1}' and so on"


def _from_chat(name: str, log: ChatLog, used: str, notes: tuple[str, ...]) -> SourceTable:
    columns = ["role", "text", *(["time"] if log.timed else [])]
    if log.threaded:
        columns.insert(0, "thread")
    note = "read as a chat, one message after another"
    return SourceTable(
        name, tuple(columns), log.rows, log.rejected, used, notes=(*notes, note), form="chat"
    )


def _from_mails(name: str, mails: MailThreads) -> SourceTable:
    columns = ("thread", "role", "text", "time", "subject", "to")
    return SourceTable(name, columns, mails.rows, mails.rejected, notes=mails.notes, form="mail")


def _title_rows(grid: Sequence[Sequence[str]]) -> int:
    """How many rows of a single cell stand above a row that names the usual columns."""
    for place, row in enumerate(grid[: TITLE_ROWS + 1]):
        filled = [cell for cell in row if cell.strip()]
        if len(filled) > 1:
            return place if names_a_meaning(filled) else 0
    return 0


def _group_row(grid: Sequence[Sequence[str]]) -> int:
    """How many rows of groups stand above the first that names question and answer."""
    pairs = [names_a_pair([cell for cell in row if cell.strip()]) for row in grid[: GROUP_ROWS + 1]]
    return pairs.index(True) if True in pairs else 0


def _names(row: Sequence[str]) -> list[str]:
    return [cell.lstrip("\ufeff").strip() for cell in row]


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

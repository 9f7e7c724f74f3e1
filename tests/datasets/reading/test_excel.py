from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from helpers.base.errors import DataError
from helpers.datasets.conversion import convert_file
from helpers.datasets.reading.formats import read_source

HEADER = ("topic", "question", "answer")


def saved(folder: Path, fill: Callable[[Any], object]) -> Path:
    book = Workbook()
    fill(book)
    path = folder / "a.xlsx"
    book.save(path)
    return path


def append(sheet: Any, *rows: tuple[Any, ...]) -> None:
    for row in rows:
        sheet.append(row)


def test_numbers_dates_and_gaps_become_text(tmp_path: Path) -> None:
    path = saved(
        tmp_path,
        lambda book: append(book.active, HEADER, ("t", "Hi", 3), (), (None, "x", None), (" ",)),
    )
    source = read_source(path)
    assert [row for _, row in source.rows] == [
        {"topic": "t", "question": "Hi", "answer": "3"},
        {"topic": "", "question": "x", "answer": ""},
    ]
    assert source.notes == ()


def test_a_sheet_about_the_workbook_is_not_the_table(tmp_path: Path) -> None:
    def fill(book: Workbook) -> None:
        append(book.active, ("These are our answers.",), ("Ask the desk about them.",))
        append(book.create_sheet("FAQ"), HEADER, ("t", "Hi", "x"))
        append(book.create_sheet("Old"), HEADER, ("t", "Hi", "y"), ("t", "Ho", "z"))

    source = read_source(saved(tmp_path, fill))
    assert [row["answer"] for _, row in source.rows] == ["x"]
    assert source.notes[0].startswith("read was the sheet 'FAQ' and not 'Sheet' (2 rows), 'Old'")


def test_a_formula_that_was_never_worked_out_is_a_reject_with_its_remedy(tmp_path: Path) -> None:
    path = saved(tmp_path, lambda book: append(book.active, HEADER, ("t", "Hi", '=A1&"x"')))
    (reject,) = read_source(path).rejected
    assert reject.row == 1
    assert "cell C2 holds a formula without its value: save the file once" in reject.reason


def test_a_cell_that_shows_an_error_is_a_reject(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        append(book.active, HEADER, ("t", "Hi", "x"))
        book.active["C2"] = "#REF!"
        book.active["C2"].data_type = "e"

    (reject,) = read_source(saved(tmp_path, fill)).rejected
    assert reject.reason == "cell C2 shows the error #REF!"


def test_a_merged_cell_counts_for_each_row_in_use(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        append(book.active, HEADER, ("t", "A?", "B."), (None, "C?", "D."), (), (None, "E?", "F."))
        book.active.merge_cells("A2:A6")

    source = read_source(saved(tmp_path, fill))
    assert [row["topic"] for _, row in source.rows] == ["t"] * 3
    assert source.notes == ("merged cells count for each of their rows: A2:A6",)


def test_sheets_that_were_not_read_are_named(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        book.active.title = "Cover"
        append(book.create_sheet("Desk"), HEADER, ("t", "A?", "B."))
        append(book.create_sheet("Old"), HEADER, ("t", "C?", "D."))

    path = saved(tmp_path, fill)
    done = convert_file(path, tmp_path / "a.jsonl", to="chat")
    assert "read was the sheet 'Desk' and not 'Old' (2 rows)" in str(done)
    told = convert_file(path, tmp_path / "b.jsonl", to="chat", sheet="Old")
    assert "read was" not in str(told)
    assert told.examples[0]["messages"][0]["content"] == "C?"
    for wrong in ("Chart", 7):
        with pytest.raises(DataError, match=f"no sheet {wrong!r}.*choose one of: Cover, Desk, Old"):
            read_source(path, sheet=wrong)


def test_a_title_above_the_table_is_no_header(tmp_path: Path) -> None:
    path = saved(
        tmp_path, lambda book: append(book.active, ("Our FAQ",), (), HEADER, ("t", "A?", "B."))
    )
    source = read_source(path)
    assert source.columns == HEADER
    assert len(source.rows) == 1
    assert source.notes == ("above the table stands: Our FAQ",)


def test_a_stray_mark_in_the_last_corner_is_no_endless_sheet(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        book.active["A1"], book.active["XFD1048576"] = "question", "x"

    with pytest.raises(DataError, match=r"1,048,576 rows.*copy the cells"):
        read_source(saved(tmp_path, fill))


@pytest.mark.parametrize("data", [b"PK nonsense", b"\xd0\xcf\x11\xe0 locked", b""])
def test_what_is_no_workbook_says_so(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"is no Excel file.*without a password"):
        read_source(path)


def test_an_empty_workbook_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no rows"):
        read_source(saved(tmp_path, lambda book: None))


def test_cells_come_as_the_sheet_shows_them(tmp_path: Path) -> None:
    def fill(book: Any) -> None:
        sheet = book.active
        append(sheet, ("question", "answer"), ("a", 0.25), ("b", 42), ("c", 9.5), ("d", 5))
        append(sheet, ("e", "One._x000D_\nTwo."))
        for cell, form in {"B2": "0 %", "B3": "00000", "B4": '"€"0.00', "B5": "[>3]0;0"}.items():
            sheet[cell].number_format = form

    source = read_source(saved(tmp_path, fill))
    answers = [row["answer"] for _, row in source.rows]
    assert answers == ["25 %", "00042", "€9.50", "5", "One.\nTwo."]
    assert source.notes == (
        "the format '[>3]0;0' is not understood, the bare value is taken, as in cell B5",
    )

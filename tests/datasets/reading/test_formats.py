from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.base.errors import DataError
from helpers.datasets.reading.column_names import looks_like_header
from helpers.datasets.reading.columns import Columns, choose
from helpers.datasets.reading.formats import decode, guess_separator, read_source


def written(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_a_csv_with_header(tmp_path: Path) -> None:
    source = read_source(written(tmp_path, "a.csv", 'question,answer\n"Hi, you",Hello\n'))
    assert source.columns == ("question", "answer")
    assert source.rows == ((1, {"question": "Hi, you", "answer": "Hello"}),)
    assert (source.encoding, source.separator) == ("utf-8", ",")


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("cp1252", "cp1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
    ],
)
def test_encodings_are_found(tmp_path: Path, encoding: str, named: str) -> None:
    data = "Frage;Antwort\nWo ist die Tür?;Über dem Fenster\n".encode(encoding)
    source = read_source(written(tmp_path, "a.csv", data))
    assert source.encoding == named
    assert source.columns == ("Frage", "Antwort")
    assert source.rows[0][1]["Antwort"] == "Über dem Fenster"
    assert bool(source.notes) == (named == "cp1252"), "a guess is named as one"


def test_a_wrong_encoding_that_is_told_is_an_error() -> None:
    with pytest.raises(DataError, match="not readable as ascii"):
        decode("é".encode(), "ascii")


@pytest.mark.parametrize("separator", list(",;\t|"))
def test_separators_are_found(separator: str) -> None:
    rows = [["question", "answer"], ["Where, when?", "Here."], ["Why?", "So; it is"]]
    text = "\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    assert guess_separator(text) == separator


def test_ragged_rows_are_rejected_with_all_their_cells(tmp_path: Path) -> None:
    source = read_source(written(tmp_path, "a.csv", "question,answer\na,b,c\nd\ne,f\n"))
    (reject,) = source.rejected
    assert (reject.row, reject.reason) == (1, "3 cells in a table of 2 columns")
    assert reject.values == {"question": "a", "answer": "b", "more cells": "c"}
    assert [row for _, row in source.rows] == [
        {"question": "d", "answer": ""},
        {"question": "e", "answer": "f"},
    ]
    assert source.rows_in == 3


def test_cells_behind_the_last_name_are_further_columns_where_tabs_part_them(
    tmp_path: Path,
) -> None:
    rows = ["question\tanswer\tkind", "a\tb\tk", "c\td\tk\tmore", "e\tf\tk\tmore\tyet", "g\th\tk\t"]
    source = read_source(written(tmp_path, "a.tsv", "\n".join(rows) + "\n"))
    assert source.columns == ("question", "answer", "kind", "column 4", "column 5")
    assert source.rejected == ()
    assert [row["answer"] for _, row in source.rows] == list("bdfh")
    assert "2 rows have more cells than the 3 columns that the header names" in source.notes[-1]


def test_one_row_with_a_tab_too_many_is_none_of_these(tmp_path: Path) -> None:
    rows = ["question\tanswer", *["a\tb"] * 60, "a\tb\tc"]
    source = read_source(written(tmp_path, "a.tsv", "\n".join(rows) + "\n"))
    assert [reject.row for reject in source.rejected] == [61]


def test_where_two_exports_were_joined_the_second_header_is_no_row(tmp_path: Path) -> None:
    text = "question,answer\nHi,Hello\n\ufeffquestion, answer\nWhen?,Now\nquestion,no answer\n"
    source = read_source(written(tmp_path, "a.csv", text))
    assert [number for number, _ in source.rows] == [1, 3, 4]
    assert [(r.row, r.reason) for r in source.rejected] == [(2, "the header stands here again")]


def test_a_bare_sheet_has_numbered_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "Do you fix zips?\tYes, we do.\nAnd hems?\tAlso.\n")
    source = read_source(path)
    assert source.columns == ("column 1", "column 2")
    assert len(source.rows) == 2
    assert len(read_source(path, header=True).rows) == 1


def test_json_in_three_shapes(tmp_path: Path) -> None:
    rows = [{"question": "a", "answer": "b"}, {"question": "c", "n": 1}]
    expected = ("question", "answer", "n")
    for name, text in [
        ("a.json", json.dumps(rows)),
        ("b.json", json.dumps({"tickets": rows, "count": 2})),
        ("c.jsonl", "\n".join(map(json.dumps, rows))),
    ]:
        source = read_source(written(tmp_path, name, text))
        assert source.columns == expected
        assert [row for _, row in source.rows] == rows


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.pdf", b"x", "unknown kind of file.*save it as one of"),
        ("a.csv", b"", "has no rows"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"3", "holds no list"),
        ("a.csv", b"\n \n\n", "has no rows"),
        ("a.csv", b"question,answer\n", "no rows below its header"),
        ("a.csv", "q,a\nWhy?,So.\n".encode("utf-16") + b"\n", "begins as utf-16.*export it again"),
        (
            "a.txt",
            b"How much is it? It is 3 euros, and 1.5 for you.\nSo, yes.\n",
            "holds sentences, and no table .*two columns",
        ),
        (
            "a.csv",
            b'question,answer\nA?,B.\nC?,"D.\nE?,F.\n',
            "quotation mark that opens in row 3 is never closed.*write",
        ),
    ],
)
def test_unusable_files_say_why(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_source(written(tmp_path, name, data))


@given(st.binary(max_size=200), st.sampled_from([".csv", ".tsv", ".json", ".jsonl", ".xlsx"]))
def test_any_bytes_give_rows_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data)
    with contextlib.suppress(DataError):
        assert read_source(path).rows_in > 0


def test_the_first_line_of_an_excel_export_may_name_its_separator(tmp_path: Path) -> None:
    source = read_source(written(tmp_path, "a.csv", "sep=;\r\nquestion;answer\r\nA, B?;C.\r\n"))
    assert source.rows == ((1, {"question": "A, B?", "answer": "C."}),)


def test_equal_and_empty_names_are_numbered(tmp_path: Path) -> None:
    source = read_source(written(tmp_path, "a.csv", "answer,,question,answer\nB.,x,A?,C.\n"))
    assert source.columns == ("answer", "column 2", "question", "answer (4)")


def test_zero_bytes_and_stray_quotation_marks_stay_in_their_cells(tmp_path: Path) -> None:
    text = 'question,answer\nA\0?,B.\n5" pipe?,so "called"\n'
    source = read_source(written(tmp_path, "a.csv", text))
    assert [row["question"] for _, row in source.rows] == ["A\0?", '5" pipe?']


def test_of_many_columns_an_error_names_the_first() -> None:
    with pytest.raises(DataError, match=r"'c19' and 4,980 more"):
        choose([f"c{n}" for n in range(5000)])


def test_columns_are_guessed_from_usual_names() -> None:
    assert choose(["id", "Customer Message", "agentReply", "Category"]) == Columns(
        question="Customer Message", answer="agentReply", intent="Category"
    )
    threads = choose(["ticket_id", "created_at", "author", "body", "subject"])
    assert threads.threaded
    assert threads == Columns(thread="ticket_id", time="created_at", role="author", text="body")


def test_two_unknown_columns_are_question_and_answer() -> None:
    assert choose(["x", "y"]) == Columns(question="x", answer="y")


def test_what_is_told_holds() -> None:
    mapping = choose(["question", "answer", "better answer"], answer="better answer")
    assert (mapping.question, mapping.answer) == ("question", "better answer")


def test_errors_list_the_columns_that_are_there() -> None:
    with pytest.raises(DataError, match=r"no column 'Q'.*'a', 'b'"):
        choose(["a", "b"], question="Q")
    with pytest.raises(DataError, match=r"cannot tell.*'a', 'b', 'c'"):
        choose(["a", "b", "c"])
    with pytest.raises(DataError, match="cannot be a 'mood'"):
        choose(["a", "b"], mood="a")


@pytest.mark.parametrize(
    ("cells", "header"),
    [
        (["Question", "x"], True),
        (["F", "A"], True),
        (["Do you fix zips?", "Yes."], False),
        (["", "x"], False),
        (["hello", "hello"], False),
        (["we would like to know your prices", "see the list"], False),
        (["I come to you with a question", "Ask, then"], False),
    ],
)
def test_headers_are_told_from_rows(cells: list[str], header: bool) -> None:
    assert looks_like_header(cells) is header


def test_longer_names_are_understood_by_their_last_word() -> None:
    mapping = choose(["Our question", "Staff reply", "Main topic", "reply date"])
    assert mapping == Columns(question="Our question", answer="Staff reply", intent="Main topic")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_rows_may_end_as_on_any_system(tmp_path: Path, ending: str) -> None:
    text = ending.join(["question,answer", '"Hi, you",Hello', "Bye,Bye", ""])
    assert len(read_source(written(tmp_path, "a.csv", text)).rows) == 2


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (
            "pytanie;odpowiedź\nGdzie jest moja paczka?;Paczka będzie doręczona, łóżko też.\n",
            "cp1250",
        ),
        ("вопрос;ответ\nГде моя посылка?;Она придёт завтра.\n", "cp1251"),
        ("вопрос;ответ\nГде моя посылка?;Она придёт завтра.\n", "koi8_r"),
        ("質問,回答\n荷物はどこですか？,明日届きます。\n", "shift_jis"),
        ("问题,答案\n我的包裹在哪里？,明天送达。\n", "gb18030"),
        ("question,answer\ncrème brûlée?,costs £3.80\n", "cp1252"),
        ("q,a\nWhat’s the price?,It’s 5 €\n", "cp1252"),
        ("pregunta,respuesta\n¿Dónde está mi pedido?,Llegará mañana.\n", "cp1252"),
    ],
)
def test_letters_of_other_scripts_are_read_and_western_ones_stay(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == (text, encoding)


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        (
            'q,a\n"Why \\"no signal\\"?","Press \\"ok\\", wait."\n',
            ['Why "no signal"?', 'Press "ok", wait.'],
        ),
        ('q;a\n"a\\\\b \\"c\\"";d\n', ['a\\b "c"', "d"]),
        ('q,a\n"In C:\\new\\",b\n', ["In C:\\new\\", "b"]),
        ("q,a\nx,Open it.\\nWait.\n", ["x", "Open it.\nWait."]),
        ("q,a\nx,C:\\new\\name\n", ["x", "C:\\new\\name"]),
    ],
)
def test_escapes_are_read_and_paths_stay(tmp_path: Path, text: str, cells: list[str]) -> None:
    source = read_source(written(tmp_path, "a.csv", text))
    assert list(source.rows[0][1].values()) == cells
    assert bool(source.notes) == ("C:" not in text)


def test_names_below_a_row_of_groups_are_the_header(tmp_path: Path) -> None:
    text = "Customer,,Desk,\nName,Question,Agent,Answer\nAnn,Why?,Bob,So.\n"
    source = read_source(written(tmp_path, "a.csv", text))
    assert source.columns == ("Name", "Question", "Agent", "Answer")
    assert source.notes == ("above the table stands: Customer Desk",)
    below = "question,answer\nAnswer,Response\nquestion,reply\n"
    assert len(read_source(written(tmp_path, "b.csv", below)).rows) == 2


def test_the_names_may_stand_below_two_rows_of_groups(tmp_path: Path) -> None:
    text = "General,Text,Text\nNr,Customer,Desk\nid,question,answer\n1,Why?,So.\n"
    source = read_source(written(tmp_path, "a.csv", text))
    assert source.rows == ((1, {"id": "1", "question": "Why?", "answer": "So."}),)


def test_a_text_file_with_names_or_with_bare_commas_is_a_table(tmp_path: Path) -> None:
    for name, text in [
        ("a.txt", "question, answer\nWhy?, So.\nWhen?, Now.\n"),
        ("b.txt", "Why not?,So.\nWhen is it?,Now.\n"),
        ("c.csv", "Why not?, So.\nWhen is it?, Now.\n"),
    ]:
        assert len(read_source(written(tmp_path, name, text)).rows) == 2
    prose = written(tmp_path, "d.txt", "Why not?, So.\nWhen is it?, Now.\n")
    assert len(read_source(prose, header=False).rows) == 2


def test_what_keeps_excel_from_reading_a_number_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        'question,answer\nWhich code?,"=""00042"""\nWhich sum?,=A1+B1\n', encoding="utf-8"
    )
    source = read_source(path)
    assert [row["answer"] for _, row in source.rows] == ["00042", "=A1+B1"]
    assert source.notes == ('1 cells such as ="00042" are read as Excel shows them',)


def test_letters_that_are_spelt_as_in_json_are_read_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    said = (
        r"question,answer" "\n" r"What?,\u00dcber caf\u00e9 \ud83d\ude00" "\n" r"Why?,\ud83d half"
    )
    path.write_text(said + "\n", encoding="utf-8")
    source = read_source(path)
    assert [row["answer"] for _, row in source.rows] == ["Über café 😀", r"\ud83d half"]
    assert source.notes == (r"a guess: \u and four digits stand for a letter, in 1 cells",)


def test_marks_that_hold_no_cells_are_signs_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('question\tanswer\n"Second one?\tsecond\nThird "part"?\tthird\n', "utf-8")
    source = read_source(path)
    assert [row["question"] for _, row in source.rows] == ['"Second one?', 'Third "part"?']
    assert any("quotation marks belong to the texts" in note for note in source.notes)


@pytest.mark.parametrize("head", ['"question"\t"answer"', "question\tanswer"])
def test_one_broken_cell_leaves_no_marks_in_the_others(tmp_path: Path, head: str) -> None:
    sound = [f'"How do I reset line {n}?"\t"Press the ""reset"" button, {n}"\n' for n in range(12)]
    broken = '"My 24" screen is black?"\t"Press the button"\n'
    source = read_source(written(tmp_path, "a.tsv", f"{head}\n{''.join(sound)}{broken}"))
    assert source.columns == ("question", "answer")
    assert [row for _, row in source.rows][-2:] == [
        {"question": "How do I reset line 11?", "answer": 'Press the "reset" button, 11'},
        {"question": 'My 24" screen is black?', "answer": "Press the button"},
    ]
    assert any("inside 1 quoted cells" in note for note in source.notes)


def test_few_texts_in_marks_keep_theirs(tmp_path: Path) -> None:
    plain = [f"Line {n}?\tYes, {n}.\n" for n in range(12)]
    said = ['"Hello?"\tHi.\n', '"Bye?"\tBye.\n', '"Hi" means what?\tHello.\n']
    text = "".join(["question\tanswer\n", *plain, *said])
    source = read_source(written(tmp_path, "a.tsv", text))
    assert [row["question"] for _, row in source.rows[-3:]] == [
        '"Hello?"',
        '"Bye?"',
        '"Hi" means what?',
    ]

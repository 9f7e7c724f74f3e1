from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.base.errors import DataError
from helpers.datasets.reading.json_rows import DEEPEST, flat, rows_of_json, rows_of_lines

ONE = {"question": "Where?", "answer": "Here."}
TWO = {"question": "When?", "answer": "Now."}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([ONE, TWO]),
        json.dumps({"count": 2, "rows": [ONE, TWO]}),
        json.dumps(ONE) + json.dumps(TWO),
        f"{json.dumps(ONE)}\n{json.dumps(TWO)}\n",
        f"{json.dumps(ONE, indent=2)},\n{json.dumps(TWO, indent=2)}",
        json.dumps([ONE]) + json.dumps([TWO]),
    ],
)
def test_rows_are_found_however_they_are_strung_together(text: str) -> None:
    assert rows_of_json("a.json", text) == ([(1, ONE), (2, TWO)], [])


def test_one_object_is_one_row() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    for row in (ONE, {"messages": messages}):
        assert rows_of_json("a.json", json.dumps(row)) == ([(1, row)], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is nothing in it"),
        ('[{"question": "x"}, {"quest', "not JSON.*column.*cut it off where it breaks"),
        ('{"a": [1], "b": [2]}', "holds several lists: 'a', 'b'"),
        ("[" * 100_000, "nested more than 100 levels deep"),
        ("[" * 500 + "]" * 500, "nested more than 100 levels deep"),
    ],
)
def test_unusable_texts_say_why(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rows_of_json("a.json", text)


def test_a_line_that_is_no_row_is_kept_as_it_stands() -> None:
    deep = "[" * 500 + "]" * 500
    lines = [
        json.dumps(ONE),
        "[1]",
        "{oops",
        "[" * 100_000,
        f'{{"x": {deep}}}',
        "",
        '{"a": "\\ud800"}',
    ]
    rows, rejects = rows_of_lines("\r\n".join(lines))
    assert rows == [(1, ONE)]
    assert [(r.row, r.reason.split(":")[0]) for r in rejects] == [
        (2, "not a JSON object"),
        (3, "not a JSON object"),
        (4, "nested too deeply"),
        (5, "nested too deeply"),
        (7, "holds half a letter (a lone surrogate)"),
    ]
    assert [r.values["row"] for r in rejects] == [line for line in lines[1:] if line]


def test_a_key_that_comes_again_loses_no_value() -> None:
    text = '[{"answer": "a", "question": "q", "answer": "b"}]'
    assert rows_of_json("a.json", text)[0] == [
        (1, {"answer": "a", "question": "q", "answer (3)": "b"})
    ]


def test_endless_numbers_and_nan_do_no_harm() -> None:
    digits = "9" * 5000
    ((_, row),), _ = rows_of_json("a.json", f'[{{"n": {digits}, "x": NaN}}]')
    assert row["n"] == digits


def test_objects_inside_a_row_become_columns() -> None:
    row = {"a": {"b": "x", "c": {"d": 1}}, "e": [{"f": 2}], "g": {}}
    assert flat(row) == {"a.b": "x", "a.c.d": 1, "e": [{"f": 2}], "g": {}}
    taken = {"a.b": "x", "a": {"b": "y"}}
    assert flat(taken) == taken


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=50)
@given(st.lists(values, min_size=1, max_size=4))
def test_each_value_is_a_row_or_a_reject(listed: list[Any]) -> None:
    rows, rejects = rows_of_json("a.json", json.dumps(listed))
    assert sorted([n for n, _ in rows] + [r.row for r in rejects]) == [*range(1, len(listed) + 1)]
    lines, unread = rows_of_lines("\n".join(map(json.dumps, listed)))
    assert (lines, [r.row for r in unread]) == (rows, [r.row for r in rejects])


def test_the_limit_of_depth_is_exact() -> None:
    for levels, kept in ((DEEPEST - 1, 1), (DEEPEST, 0)):
        text = f'{{"x": {"[" * levels}{"]" * levels}}}'
        assert len(rows_of_lines(text)[0]) == kept

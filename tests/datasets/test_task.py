from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from helpers.datasets.frame import make_table
from helpers.datasets.task import find_task


def table(answers: Sequence[str], **columns: Any) -> Any:
    rows = [{"question": f"question {n} {a[:3]}", "answer": a} for n, a in enumerate(answers)]
    return make_table(row | columns for row in rows)


@pytest.mark.parametrize(
    "answers",
    [
        ["card_arrival", "top_up_failed"] * 10,
        ["Yes", "No"] * 8,
        ["1", "2", "3", "4", "5"] * 6,
        ["退款", "发货"] * 6,
        ["Refund not showing up"] * 9 + ["Card"] * 9,
    ],
)
def test_few_short_answers_that_come_again_are_labels(answers: list[str]) -> None:
    assert find_task(table(answers)) == "labels"


@pytest.mark.parametrize(
    "answers",
    [
        [f"It takes {n} days." for n in range(20)],
        ["Yes", "No"] * 3,
        ["Open the app and choose Account, then choose Reset.", "Call us any time you like."] * 9,
        ["same"] * 20,
        ["7%", "24 hours", "Yes", "No", "Blue", "By card", "At nine", "Free", "Two", "10"],
    ],
)
def test_other_answers_are_answers(answers: list[str]) -> None:
    assert find_task(table(answers)) == "answers"


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (["a", "b"] * 5, [*["a", "b"] * 4, "a"]),
        (["a"] * 17 + ["b"] * 3, ["a"] * 18 + ["b"] * 2),
        ([*["a", "b"] * 19, "c", "d"], [*["a", "b"] * 18, "c", "d"]),
        ([*["a", "b", "c", "d"] * 5], [*["a", "b", "c", "d"] * 4, "a", "b", "c"]),
        ([f"class {n}" for n in range(300)] * 5, [f"class {n}" for n in range(301)] * 5),
        (["a b c d e f", "g"] * 9, ["a b c d e f g", "h"] * 9),
        (["a" * 60, "b"] * 9, ["a" * 61, "b"] * 9),
        (["a b", "c"] * 9, ["a\nb", "c"] * 9),
    ],
    ids=["rows", "a class", "covered", "rows a class", "classes", "words", "letters", "lines"],
)
def test_where_labels_end(inside: list[str], outside: list[str]) -> None:
    assert find_task(table(inside)) == "labels"
    assert find_task(table(outside)) == "answers"


def test_of_labels_half_the_questions_differ() -> None:
    rows = [{"question": f"question {n}", "answer": a} for n in range(10) for a in ("a", "b")]
    assert find_task(make_table(rows)) == "labels"
    assert find_task(make_table([*rows, {"question": "question 1", "answer": "c"}])) == "answers"


def test_rows_that_stand_there_twice_say_nothing_of_the_task() -> None:
    answers = ["billing", "delivery"] * 10
    asked = [f"question {n}" for n in range(20)]
    rows = [{"question": q, "answer": a} for q, a in zip(asked, answers, strict=True)]
    assert find_task(make_table(rows * 3)) == "labels"


def test_talks_and_one_question_asked_again_and_again_are_no_labels() -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    assert find_task(table(["a", "b"] * 10, turns=turns)) == "answers"
    assert find_task(table(["a", "b"] * 10, turns=[])) == "labels"
    assert find_task(table(["a", "b"] * 10, question="Are you there?")) == "answers"

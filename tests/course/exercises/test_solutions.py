"""Every exercise of the course: its solution passes, plausible mistakes get fitting words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from helpers.course.exercises import core
from helpers.course.exercises.core import exercise
from helpers.evaluation import scorers
from tests.course.exercises.mistakes import MISTAKES, say
from tests.course.exercises.tasks import NUMBERS, SERVED, answer_of


@pytest.mark.parametrize("number", NUMBERS)
def test_each_notebook_has_three_levels(number):
    levels = [task.level for task in core.tasks(number)]
    assert len(levels) >= 3
    assert {"•", "••", "•••"} <= set(levels)


def test_the_solution_passes(task, unrecorded):
    if task.id in SERVED:
        assert task.check(answer_of(task)) is None
        return
    verdict = exercise(task.id).check(answer_of(task))
    assert verdict.state == "correct", verdict
    assert verdict.message.startswith(task.praise)
    if task.contest:
        assert verdict.value == pytest.approx(task.contest.ours, abs=0.002)


RIGHT: list[tuple[str, Any]] = [
    ("01-example", [say("user"), say("assistant", "On the sixth; then you have fourteen days.")]),
    ("01-redact", lambda text: re.sub(r"\bLW[0-9]{8}(?![\w])", "[order]", text)),
    ("06-rrf", 0.0323),
    ("07-method", " Retrieval"),
    ("07-breakeven", np.float64(100_000)),
    ("10-rows", 60.0),
]


LAX: list[tuple[str, Any]] = [
    ("00-messages", [say("system", 5), say("user", ["Hi"])]),
    ("01-redact", lambda text: re.sub(r"LW\d+", "[order]", text)),
    ("01-redact", lambda text: re.sub(r"LW\d{8}\b", "[order]", text)),
    ("03-scorer", lambda out, _: scorers.Score(0.0 if out.endswith("!") else 1.0, "shouts")),
    ("04-guard", lambda before, after: [q for q in after if after[q] < 0.9]),
    ("06-rrf", 2 / 62),
    (
        "10-leak",
        lambda learnt, held: [q for q in held if any(q.lower() in x.lower() for x in learnt)],
    ),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[name for name, _ in RIGHT])
def test_what_is_right_in_another_form_is_accepted(name, answer, unrecorded):
    answer = {"messages": answer} if name == "01-example" else answer
    assert exercise(name).check(answer).state == "correct"


@pytest.mark.parametrize(("name", "answer"), LAX, ids=[name for name, _ in LAX])
def test_what_is_lax_is_refused(name, answer, unrecorded):
    assert exercise(name).check(answer).state == "not yet"


def test_an_example_needs_no_system_message(unrecorded):
    answered = [say("user"), say("assistant", "On the 6th; you have 14 days.")]
    assert exercise("01-example").check({"messages": answered}).state == "correct"


def test_plausible_mistakes_get_words_that_fit(task, unrecorded):
    mistakes = MISTAKES[task.id]
    assert len(mistakes) >= 3
    for mistake, words in mistakes:
        verdict = exercise(task.id).check(mistake)
        assert verdict.state == "not yet", mistake
        assert len(verdict.message) > 15, mistake
        assert words in verdict.message or re.search(words, verdict.message), verdict
        assert task.praise not in verdict.message


def test_different_mistakes_are_told_apart(task, unrecorded):
    said = {exercise(task.id).check(mistake).message for mistake, _ in MISTAKES[task.id]}
    assert len(said) >= 2

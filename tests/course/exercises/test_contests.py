"""Exercises that are measured: a weak answer has its score, each try stays on the board."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.course import progress
from helpers.course.exercises import contests, core
from helpers.course.exercises.core import exercise
from tests.course.exercises.tasks import answer_of
from tests.isolation import STATE


@pytest.mark.parametrize("number", [f"{n:02}" for n in range(1, 8)])
def test_in_each_of_the_main_notebooks_something_is_to_beat(number):
    assert len([task for task in core.tasks(number) if task.contest]) == 1


WEAK: dict[str, Any] = {
    "01-inspect": lambda message, reply: "<" in message + reply,
    "03-agree": lambda reference, output: reference[:9] == output[:9],
    "04-keys": contests.words,
    "05-show": lambda question, known: [0, 1],
    "06-note": lambda text: " ".join(text.split()[: contests.NOTE_WORDS]),
    "07-bill": lambda questions, updates: "few-shot",
}


@pytest.mark.parametrize("name", WEAK)
def test_a_weak_answer_gets_its_score_and_is_not_there_yet(name):
    verdict = exercise(name).check(WEAK[name])
    assert verdict.state == "not yet"
    assert verdict.value is not None
    assert 0 < verdict.value <= core._task(name).contest.to_beat
    assert f"{verdict.value:.3f}" in verdict.message
    board = [label for label, _ in verdict.board]
    assert board.index("the course's solution") < board.index("to beat") < board.index("your try 1")
    assert "Leaderboard" in verdict._repr_html_()


def test_each_try_is_kept_with_its_score_and_stands_on_the_board():
    exercise("06-note").check(WEAK["06-note"])
    verdict = exercise("06-note").check(answer_of(core._task("06-note")))
    scores = progress.read().exercises["06-note"]["scores"]
    assert scores == sorted(scores)
    assert len(scores) == 2
    assert [name for name, _ in verdict.board].index("your try 2") < 2


@pytest.mark.slow
def test_settings_are_measured_by_training(server, monkeypatch, unrecorded):
    # The shared server trains; in a state of its own, this test would start another one.
    monkeypatch.setenv("WORKBOOK_STATE", str(STATE / "tests"))
    verdict = exercise("02-settings").check(answer_of(core._task("02-settings")))
    assert verdict.state == "correct", verdict
    assert 0 < verdict.value < core._task("02-settings").contest.to_beat

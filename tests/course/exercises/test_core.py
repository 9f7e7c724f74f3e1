"""What an exercise says, shows and keeps: hints, the solution, tries, progress."""

from __future__ import annotations

import json
import re

import pytest

from helpers.course import progress
from helpers.course.exercises import core
from helpers.course.exercises.core import Exercise, exercise
from tests.course.exercises.tasks import NOTEBOOKS


def test_an_untouched_exercise_is_not_done_yet(task, state):
    assert exercise(task.id).check(...).state == "not done yet"
    assert not (state / "progress.json").exists()


def test_help_opens_beside_a_verdict_until_the_answer_is_right(unrecorded):
    page = exercise("01-price").check(7)._repr_html_()
    assert page.count("<details>") == 4
    assert "$" not in page.replace("<span>$</span>", "")
    assert "<details>" not in exercise("01-price").check(2.325)._repr_html_()


def test_what_printed_instead_of_returning_is_told_so():
    verdict = exercise("00-order").check(print())
    assert verdict.state == "not done yet"
    assert "returns None" in verdict.message


def test_hints_grow_to_three_also_when_each_is_asked_for_in_a_new_cell(task):
    assert len(set(task.hints)) == 3
    said = [exercise(task.id).hint() for _ in range(4)]
    assert [str(hint)[:11] for hint in said] == [f"Hint {n} of 3" for n in (1, 2, 3, 3)]
    assert [hint.split(": ", 1)[1] for hint in said[:3]] == list(task.hints)


def test_the_solution_comes_after_a_try_or_on_request():
    assert "Try it once first" in exercise("02-mask").solution()
    assert "answer =" in exercise("02-mask").solution(show=True)
    exercise("02-mask").check(...)
    assert "Try it once first" in exercise("02-mask").solution()
    exercise("02-mask").check("the last")
    assert "answer =" in exercise("02-mask").solution()


def test_a_try_is_remembered_by_a_new_kernel(monkeypatch):
    exercise("02-mask").check("the last")
    monkeypatch.setattr(core, "_OPEN", {})
    assert "answer =" in exercise("02-mask").solution()


def test_only_a_right_answer_solves_and_it_stays_solved():
    exercise("02-mask").check("the last")
    assert progress.read().exercises["02-mask"] == {"solved": False, "tries": 1}
    exercise("02-mask").check([False, False, True])
    exercise("02-mask").check("the last")
    assert progress.read().exercises["02-mask"] == {"solved": True, "tries": 3}


def test_where_progress_cannot_be_kept_the_verdict_comes_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path / "file"))
    verdict = Exercise(core._task("00-epochs")).check(45)
    assert verdict.state == "correct"
    assert "cannot be kept" in verdict.message


def test_a_wrong_answer_raises_only_where_tests_ask_for_it(monkeypatch):
    monkeypatch.setenv("WORKBOOK_STRICT", "1")
    with pytest.raises(AssertionError, match="without quotes"):
        exercise("00-epochs").check("45")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_poses_each_of_its_exercises_once(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    posed = [
        name for source in sources for name in re.findall(r'exercise\("(.+?)"\).check', source)
    ]
    assert posed == [task.id for task in core.tasks(path.name[:2])]
    edited = [source.count("...") for source in sources if "exercise(" in source]
    assert edited == [1] * len(posed)

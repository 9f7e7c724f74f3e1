"""Every exercise of the course: its solution passes, plausible mistakes do not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from helpers.exercises import core, exercise

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("0[0-7]_*.ipynb"))
NUMBERS = [path.name[:2] for path in NOTEBOOKS]
TASKS = [task for number in NUMBERS for task in core.tasks(number)]


def no_change(text):
    return text


def nothing(*_):
    return []


def broken(*_):
    raise KeyError("oops")


ROLES = [{"role": "user", "content": "Hi"}, {"role": "system", "content": "Be kind."}]
EXAMPLE = {
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": "On the 1st."},
    ]
}
WRONG: dict[str, list[Any]] = {
    "00-messages": ["Hello", ROLES, ROLES[:1]],
    "00-order": [
        ["job", "upload", "model", "chat"],
        ["upload"],
        ["upload", "model", "job", "chat"],
    ],
    "00-epochs": [9, "45", 14],
    "01-example": [{"prompt": "When?"}, EXAMPLE, "a line"],
    "01-redact": ["[order]", no_change, broken],
    "01-price": [31_000 * 25 / 1e6, 31_000 * 3 * 25, "cheap"],
    "02-mask": [[True, True, True], [False, True, True], "the last", [False, False, False]],
    "02-lora": [576 * 1536, 8 * 576 * 1536, 8 * 576],
    "02-steps": [48, 189, "many", 188],
    "03-recall": [0, 1, 2],
    "03-scorer": [1.0, no_change, nothing, broken],
    "03-paired": ["intervals", "both", 1],
    "04-next": ["epochs", "larger", "prompt", "rest"],
    "04-guard": [["b"], nothing, broken],
    "04-curve": [True, "yes", 0.9],
    "05-cost": [600_000, 240, "2.4 million"],
    "05-choose": [[2, 1], nothing, broken],
    "05-window": [102, 99.9, "99"],
    "06-recall": [0, 1, 2 / 3],
    "06-rrf": [1 / 61, 0, "first"],
    "06-diagnose": ["generation", "chunking", 3],
    "07-breakeven": [0, 0.04, 20_000_000, "soon"],
    "07-method": ["tuned", "few-shot", "bigger model", 1],
    "07-export": ["gguf", "adapter.gguf", "key", 2],
}


@pytest.fixture(params=TASKS, ids=lambda task: task.id)
def task(request) -> core.Task:
    return request.param


@pytest.mark.parametrize("number", NUMBERS)
def test_each_notebook_has_three_levels(number):
    levels = [task.level for task in core.tasks(number)]
    assert len(levels) >= 3
    assert {"🟢", "🔵", "⚫"} <= set(levels)


def test_the_solution_passes(task):
    space: dict[str, Any] = {}
    exec(task.solution, space)
    verdict = exercise(task.id).check(space["answer"])
    assert verdict.state == "correct", verdict


def test_an_untouched_exercise_is_not_done_yet(task):
    assert exercise(task.id).check(...).state == "not done yet"


def test_plausible_mistakes_fail_with_a_reason(task):
    mistakes = WRONG[task.id]
    assert len(mistakes) >= 3
    for mistake in mistakes:
        verdict = exercise(task.id).check(mistake)
        assert verdict.state == "not yet", mistake
        assert len(verdict.message) > 15, mistake


def test_different_mistakes_are_told_apart(task):
    said = {exercise(task.id).check(mistake).message for mistake in WRONG[task.id]}
    assert len(said) >= 2


def test_hints_grow_to_three(task):
    assert len(task.hints) == 3
    assert len(set(task.hints)) == 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebook_poses_each_of_its_exercises_once(path):
    sources = "\n".join(
        cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"
    )
    posed = re.findall(r'exercise\("([^"]+)"\)\.check', sources)
    assert posed == [task.id for task in core.tasks(path.name[:2])]

"""The exercises of all notebooks, and the answer that a solution assigns."""

from __future__ import annotations

from typing import Any

from helpers.course.exercises import core
from tests.places import ROOT

NOTEBOOKS = sorted(
    path for path in (ROOT / "notebooks").glob("*.ipynb") if path.name[:2] not in ("08", "09")
)


NUMBERS = [path.name[:2] for path in NOTEBOOKS]


TASKS = [task for number in NUMBERS for task in core.tasks(number)]


SERVED = ("02-settings",)
"""What is measured by training needs the server: see `test_settings_are_measured_by_training`."""


def answer_of(task: core.ExerciseTask) -> Any:
    space: dict[str, Any] = {}
    exec(task.solution, space)
    return space["answer"]

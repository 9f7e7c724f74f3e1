"""A state of its own for each test of an exercise."""

from __future__ import annotations

import pytest

from helpers.course.exercises import core
from tests.course.exercises.tasks import TASKS


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBOOK_STATE", str(tmp_path))
    monkeypatch.setattr(core, "_OPEN", {})
    return tmp_path


@pytest.fixture
def unrecorded(monkeypatch):
    """For tests with hundreds of answers: nothing is written to disk."""
    monkeypatch.setenv("WORKBOOK_HEADLESS", "1")


@pytest.fixture(params=TASKS, ids=lambda task: task.id)
def task(request) -> core.ExerciseTask:
    return request.param

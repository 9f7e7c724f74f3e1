"""What an exercise is: a checker that says why, hints that grow, and a solution.

For: the three verbs that every notebook uses. The exercises themselves stand in
`helpers.course.exercises.nb00` and so on, one module for each notebook.

    ex = exercise("02-mask")
    ex.check(...)      # "Not done yet" while the answer is still `...`
    ex.hint()
    ex.solution()
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import Any, Literal

from helpers.base import settings
from helpers.base.errors import CourseError, DataError
from helpers.base.markup import cell, code_html, html_text, markdown_text
from helpers.course import progress
from helpers.course.exercises.checkers import Checker, said
from helpers.course.exercises.contests import Contest

State = Literal["not done yet", "not yet", "correct"]
MARKS: dict[State, str] = {"not done yet": "○", "not yet": "✗", "correct": "✓"}
# JupyterLab's own variables follow its theme, dark or light; the second colour is for pages without
# it.
COLOURS: dict[State, str] = {
    "not done yet": "--jp-border-color0, #757575",
    "not yet": "--jp-warn-color0, #b84600",
    "correct": "--jp-success-color0, #1b5e20",
}


@dataclass(frozen=True)
class Verdict:
    """What a checker says; shown as one box in a notebook and as one line elsewhere."""

    state: State
    message: str
    hints: tuple[str, ...] = ()
    """What opens with a click beside the verdict, the weakest first."""
    solution: str = ""
    value: float | None = None
    """What was measured, where the task has something to beat."""
    board: tuple[tuple[str, float], ...] = ()
    """Names and values, best first."""

    def __repr__(self) -> str:
        return f"{MARKS[self.state]} {self.state}: {self.message}"

    def _repr_html_(self) -> str:
        return (
            f'<div role="status" style="border-left:4px solid var({COLOURS[self.state]});'
            f'padding:4px 12px"><b>{MARKS[self.state]} {self.state.capitalize()}.</b> '
            f"{html_text(self.message)}{self._ranks()}{self._help()}</div>"
        )

    def _ranks(self) -> str:
        """The leaderboard as a table."""
        if not self.board:
            return ""
        rows = "".join(
            f"<tr><td>{place}</td>{cell(html_text(name))}<td>{value:.3f}</td></tr>"
            for place, (name, value) in enumerate(self.board, start=1)
        )
        return f"<table><caption>Leaderboard</caption>{rows}</table>"

    def _help(self) -> str:
        """Hints and solution, each behind a click; they need no kernel."""
        count = len(self.hints)
        parts = [
            (f"Hint {place} of {count}", code_html(hint))
            for place, hint in enumerate(self.hints, start=1)
        ]
        if self.solution:
            parts.append(("Solution", f"<pre><code>{html_text(self.solution)}</code></pre>"))
        return "".join(
            f"<details><summary>{title}</summary>{text}</details>" for title, text in parts
        )


class HelpText(str):
    """A hint or a solution: text that a notebook shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return markdown_text(str(self))


@dataclass(frozen=True)
class ExerciseTask:
    """An exercise as written by its author."""

    id: str
    level: str
    praise: str
    """Said with a right answer: why it is right."""
    check: Checker
    hints: tuple[str, ...]
    solution: str
    """Python code that assigns `answer`."""
    contest: Contest | None = None
    """What a usable answer is measured by; without one, an answer is right or not."""


def _measured(task: ExerciseTask, contest: Contest, answer: Any) -> Verdict:
    """The verdict on an answer that was measured."""
    value = contest.measure(answer)
    if isinstance(value, str):
        return Verdict("not yet", value)
    said = f"Measured: {value:.3f} {contest.what}"
    if contest.beaten(value):
        return Verdict(
            "correct", f"{task.praise} {said}; to beat was {contest.to_beat}.", value=value
        )
    way = "below" if contest.lower else "above"
    return Verdict("not yet", f"{said}. Come {way} {contest.to_beat}.", value=value)


class Exercise:
    """One learner's work on a task: counts tries and remembers which hint comes next."""

    def __init__(self, task: ExerciseTask) -> None:
        self.task = task
        self.tries = 0
        self._hints_given = 0

    def check(self, answer: Any) -> Verdict:
        """Judge `answer`. Never raises, unless WORKBOOK_STRICT asks for it in tests."""
        verdict = self._judge(answer)
        if verdict.state != "not done yet":
            self.tries += 1
            # Recorded before the board is made, which shows this try too.
            verdict = replace(verdict, message=verdict.message + self._record(verdict))
            verdict = replace(verdict, board=self._board(verdict))
        if verdict.state == "not yet" and settings.load().strict:
            raise AssertionError(verdict.message)
        # Help comes with what is not right yet; a solved exercise needs none.
        if verdict.state != "correct":
            verdict = replace(verdict, hints=self.task.hints, solution=self.task.solution)
        return verdict

    def _judge(self, answer: Any) -> Verdict:
        # The three dots that the cell came with are Python's Ellipsis.
        if answer is ...:
            return Verdict("not done yet", "Replace the three dots, then run this cell again.")
        if answer is None:
            return Verdict(
                "not done yet",
                "The answer is None. What prints or changes something in place returns None; "
                "assign the value itself.",
            )
        try:
            fault = self.task.check(answer)
            if fault is None and self.task.contest:
                return _measured(self.task, self.task.contest, answer)
        except (Exception, SystemExit) as error:  # noqa: BLE001
            # Whatever a learner's own object raises is an answer, not a crash of the page.
            fault = f"This answer could not be compared with the right one: {said(error)}."
        return Verdict("not yet", fault) if fault else Verdict("correct", self.task.praise)

    def _record(self, verdict: Verdict) -> str:
        """Keep the try; returns what to add to the verdict if it cannot be kept."""
        try:
            solved = verdict.state == "correct"
            progress.record_exercise(self.task.id, solved=solved, score=verdict.value)
        except (OSError, CourseError) as error:
            return f" (Your progress cannot be kept: {said(error)}.)"
        return ""

    def _board(self, verdict: Verdict) -> tuple[tuple[str, float], ...]:
        """The learner's best tries among the value to beat and the course's own."""
        if verdict.value is None or self.task.contest is None:
            return ()
        try:
            mine = list(progress.read().exercises.get(self.task.id, {}).get("scores", []))
        except (OSError, CourseError):
            mine = []
        return tuple(self.task.contest.board(mine or [verdict.value]))

    def _tried_before(self) -> bool:
        """Whether there was a try in an earlier kernel."""
        try:
            return self.task.id in progress.read().exercises
        except (OSError, CourseError):
            return False

    def hint(self) -> HelpText:
        """The next hint, stronger than the one before; the last one again at the end."""
        place = min(self._hints_given, len(self.task.hints) - 1)
        self._hints_given += 1
        return HelpText(f"Hint {place + 1} of {len(self.task.hints)}: {self.task.hints[place]}")

    def solution(self, *, show: bool = False) -> HelpText:
        """The solution, after a try or with `show=True`."""
        if not (show or self.tries or self._tried_before()):
            return HelpText("Try it once first, or ask with `solution(show=True)`.")
        return HelpText(f"```python\n{self.task.solution}\n```")

    def __repr__(self) -> str:
        return f"{self.task.level} exercise {self.task.id}"


def tasks(notebook: str) -> tuple[ExerciseTask, ...]:
    """The tasks of a notebook, named by its two digits."""
    module = importlib.import_module(f"helpers.course.exercises.nb{notebook}")
    found: tuple[ExerciseTask, ...] = module.TASKS
    return found


_OPEN: dict[str, Exercise] = {}


def exercise(name: str) -> Exercise:
    """The exercise with this id, "02-mask". Raises `DataError` for an unknown one.

    A kernel has one of each, so that `exercise("02-mask").hint()`, run again, goes on.
    """
    if name not in _OPEN:
        _OPEN[name] = Exercise(_task(name))
    return _OPEN[name]


def _task(name: str) -> ExerciseTask:
    notebook = name[:2]
    try:
        known = tasks(notebook)
    except ModuleNotFoundError:
        raise DataError(f"no exercises for notebook {notebook!r}") from None
    for task in known:
        if task.id == name:
            return task
    raise DataError(f"no exercise {name!r}", fix=f"one of {', '.join(t.id for t in known)}")

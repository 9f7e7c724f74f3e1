"""Where a learner stands: notebooks run, exercises, questions, time, and what is next.

For: notebook 00 and the end of each notebook. The view is an anywidget; where none
runs, a list of the notebooks stands there, and `text()` says the same in plain text.
Not for: the record itself, see `helpers.course.progress`.

    from helpers.widgets import course_map
    course_map.show()
    course_map.finish("02")      # in the last cell: notebook 02 has been run to its end
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import anywidget
import psutil
import traitlets

from helpers.base.markup import html_text
from helpers.course import chapters, progress
from helpers.course.exercises import core
from helpers.course.progress import LearnerProgress
from helpers.course.quiz.questions import Question, load
from helpers.course.quiz.scores import answered
from helpers.widgets.assets import assets, lab_folder

TITLE = "Course map"
LONGEST_SECONDS = 3 * 3600.0
"""A kernel that was left open over night has not been worked with all the time."""
# Of this kernel: a notebook that records twice does not count the same minutes twice.
_counted_until = 0.0


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    done: int
    total: int


@dataclass(frozen=True)
class CourseRow:
    """One notebook, and what has been done in it."""

    number: str
    title: str
    file: str
    promise: str
    run: dict[str, Any]
    exercises: Share
    questions: Share
    minutes: int

    @property
    def done(self) -> bool:
        """Run to its end, every exercise solved, every question right."""
        parts = (self.exercises, self.questions)
        return bool(self.run["runs"]) and all(part.done >= part.total for part in parts)


def rows(done: LearnerProgress) -> list[CourseRow]:
    """A row for each notebook that exists."""
    questions = list(load().values())
    right = answered(questions, done.questions)
    return [_row(c, done, questions, right) for c in chapters.CHAPTERS.values() if c.exists]


def _row(
    chapter: chapters.Chapter,
    done: LearnerProgress,
    questions: list[Question],
    right: Mapping[str, bool],
) -> CourseRow:
    number = chapter.number
    run = done.notebooks.get(number, {"runs": 0, "seconds": 0.0})
    tasks = _tasks(number)
    # The review has no questions of its own: it asks those of all notebooks.
    own = [q.id for q in questions if number in (q.notebook, chapters.REVIEW)]
    return CourseRow(
        number,
        f"{int(number)} {chapter.title}",
        chapter.file,
        chapters.promise(number),
        {"runs": run["runs"], "last": run.get("last", "")},
        Share(sum(done.exercises.get(name, {}).get("solved", False) for name in tasks), len(tasks)),
        Share(sum(right.get(name, False) for name in own), len(own)),
        round(run["seconds"] / 60),
    )


def _tasks(number: str) -> list[str]:
    try:
        return [task.id for task in core.tasks(number)]
    except ModuleNotFoundError:
        return []


def coming(found: list[CourseRow]) -> str:
    """Number of the notebook to go on with: not run yet, else with something left, else none."""
    for row in found:
        if not row.run["runs"]:
            return row.number
    return next((row.number for row in found if not row.done), "")


class CourseMap(anywidget.AnyWidget):
    """The panel; it reads the progress anew when asked to."""

    _esm, _css = assets("course_map")

    map = traitlets.Dict().tag(sync=True)
    folder = traitlets.Unicode().tag(sync=True)

    def __init__(self) -> None:
        super().__init__(folder=lab_folder())
        self._turn = 0
        self.on_msg(self._on_message)
        self.refresh()

    def refresh(self, said: str = "") -> None:
        """Read the progress and show it; `said` is announced below the table."""
        done = progress.read()
        found = rows(done)
        # So that reading the same progress again is a new value, which the view hears of.
        self._turn += 1
        self.map = {
            "nickname": done.nickname,
            "rows": [asdict(row) for row in found],
            "next": coming(found),
            "said": said,
            "turn": self._turn,
        }

    def act(self, message: dict[str, Any]) -> None:
        """Do what the reader asked for: {"do": "refresh"}, "export", "reset" or "undo".

        {"do": "export", "nickname": "Ana"} keeps the name before it exports.
        """
        verb = message.get("do")
        if verb == "export":
            if "nickname" in message:
                progress.call_me(str(message["nickname"]))
            done = progress.read()
            name = progress.file_name(done.nickname)
            # The browser saves it: a kernel on another machine could not reach the reader's disk.
            self.send({"kind": "file", "name": name, "text": json.dumps(asdict(done), indent=1)})
            self.refresh(f"Your browser has got the file {name}.")
        elif verb == "reset":
            progress.reset()
            self.refresh("Your progress has been forgotten. Models and results are still there.")
            # Only until the next refresh: the offer belongs to the act that it takes back.
            self.map = {**self.map, "undo": True}
        elif verb == "undo":
            back = progress.undo_reset()
            self.refresh("Your progress is back." if back else "There is nothing to bring back.")
        else:
            self.refresh("Read anew.")

    def _on_message(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict):
            self.act(content)

    def __repr__(self) -> str:
        return TITLE

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["text/plain"] = repr(self)
            data["text/html"] = static_list()
        return bundle


def show() -> CourseMap:
    """The map as it stands now."""
    return CourseMap()


def finish(notebook: str, *, clock: Callable[[], float] = time.time) -> CourseMap:
    """Record that `notebook` ("02") was run to its end, then show the map.

    The time is that since the kernel started, or since this was last recorded.
    """
    global _counted_until
    now = clock()
    since = max(psutil.Process().create_time(), _counted_until)
    _counted_until = now
    number = chapters.CHAPTERS[notebook].number
    progress.record_notebook(number, min(max(now - since, 0.0), LONGEST_SECONDS))
    return CourseMap()


def static_list() -> str:
    """The notebooks by title: the same for every reader, and whatever is edited in them."""
    lines = "".join(
        f'<li><a href="{escape(chapter.file)}">{html_text(chapter.title)}</a></li>'
        for chapter in chapters.CHAPTERS.values()
    )
    return (
        '<nav aria-label="Course map"><p>Run this cell to see what you have done.</p>'
        f'<ol start="0">{lines}</ol></nav>'
    )


def text() -> str:
    """The map in plain text."""
    found = rows(progress.read())
    lines = [
        f"{'✓' if row.run['runs'] else '○'} {row.title.ljust(36)}"
        f"exercises {row.exercises.done}/{row.exercises.total}, "
        f"questions {row.questions.done}/{row.questions.total}, {row.minutes} min"
        for row in found
    ]
    target = next((row.title for row in found if row.number == coming(found)), "nothing")
    return "\n".join([*lines, f"next: {target}"])

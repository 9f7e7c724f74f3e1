"""What a learner has done, in one file that is always whole.

For: the course map, exercises and quiz to record in, and for a workshop leader to
gather exported files. Not for: results of models, see `helpers.evaluation.grading`.

    record_exercise("02-mask", solved=True)
    read().exercises["02-mask"]["solved"]      # True
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import settings
from helpers.base.errors import DataError
from helpers.base.files import locked, write_text

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
WAIT_SECONDS = 10
"""How long another kernel may take to write its few lines."""


@dataclass
class LearnerProgress:
    """Notebooks, exercises and questions by their ids."""

    version: int = VERSION
    notebooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{"02": {"runs": 1, "last": "2026-…", "seconds": 431.0}}"""
    exercises: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{"02-mask": {"solved": True, "tries": 2}}"""
    questions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{"lora-rank": {"right": True, "tries": 1}}"""


def path() -> Path:
    """Where the progress file stands."""
    return settings.load().state / "progress.json"


def read(source: Path | None = None) -> LearnerProgress:
    """The stored progress; an empty one if there is none.

    A damaged file is put aside as `progress.json.damaged`, so that nothing is lost.
    """
    if source is None and settings.load().headless:
        return LearnerProgress()
    file = source or path()
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["version"] != VERSION:
            raise DataError(f"{file} has version {data['version']}", fix="export it anew")
        return LearnerProgress(**data)
    except FileNotFoundError:
        return LearnerProgress()
    except (ValueError, KeyError, TypeError) as error:
        if source:
            raise DataError(f"{source.name} is not a progress file: {error}") from error
        os.replace(file, file.with_name(file.name + ".damaged"))
        return LearnerProgress()


def write(progress: LearnerProgress, target: Path | None = None) -> Path:
    """Write the whole file: a crash leaves the old one or the new one."""
    file = target or path()
    write_text(file, json.dumps(asdict(progress), indent=1))
    return file


def update(change: Callable[[LearnerProgress], None]) -> LearnerProgress:
    """Read, change and write as one step; other threads and kernels wait.

    Raises `DataError` when one of them holds the file for longer than 10 s.
    """
    if settings.load().headless:
        change(progress := LearnerProgress())
        return progress
    guard = path().with_name("progress.json.lock")
    with locked(guard, held=_held, seconds=WAIT_SECONDS):
        progress = read()
        change(progress)
        write(progress)
        return progress


def _held() -> DataError:
    return DataError(
        f"another notebook has held {path().name} for {WAIT_SECONDS} s",
        fix="restart the kernel that does not go on, then run this again",
    )


def record_exercise(name: str, *, solved: bool) -> None:
    """Count a try; once solved, an exercise stays solved."""

    def change(progress: LearnerProgress) -> None:
        row = progress.exercises.setdefault(name, {"solved": False, "tries": 0})
        row["tries"] += 1
        row["solved"] = row["solved"] or solved

    update(change)


def record_question(name: str, *, right: bool, **state: Any) -> None:
    """Count a try at a question and keep `state` for the view; the last answer counts."""

    def change(progress: LearnerProgress) -> None:
        row = progress.questions.setdefault(name, {"right": False, "tries": 0})
        row.update(state, right=right, tries=row["tries"] + 1)

    update(change)


def forget_questions(names: Iterable[str]) -> None:
    """Remove the answers to these questions."""
    gone = set(names)

    def change(progress: LearnerProgress) -> None:
        progress.questions = {k: v for k, v in progress.questions.items() if k not in gone}

    update(change)


def record_notebook(name: str, seconds: float, *, now: datetime | None = None) -> None:
    """Note that a notebook was run to its end, and how long it took."""

    def change(progress: LearnerProgress) -> None:
        row = progress.notebooks.setdefault(name, {"runs": 0, "seconds": 0.0})
        row["runs"] += 1
        row["seconds"] = round(row["seconds"] + seconds, 1)
        row["last"] = (now or datetime.now(UTC)).isoformat(timespec="seconds")

    update(change)


def export(target: Path) -> Path:
    """Copy the progress to a file that can be handed in."""
    return write(read(), target)


def reset() -> None:
    """Forget everything. The models and results of jobs stay."""
    path().unlink(missing_ok=True)


def gather(files: Iterable[Path]) -> pd.DataFrame:
    """One row for each exported file: notebooks run, exercises solved, questions right.

    A file that is none of ours has a row too, and a last column says what is wrong with it.
    """
    import pandas as pd

    return pd.DataFrame([_row(file) for file in files])


def _row(file: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"file": file.stem}
    try:
        done, problem = read(file), ""
        row |= {
            "notebooks run": len(done.notebooks),
            "exercises solved": sum(bool(r["solved"]) for r in done.exercises.values()),
            "exercises tried": len(done.exercises),
            "questions right": sum(bool(r["right"]) for r in done.questions.values()),
            "questions tried": len(done.questions),
            "minutes": round(sum(r["seconds"] for r in done.notebooks.values()) / 60, 1),
        }
    except DataError as error:
        problem = error.message
    except (OSError, KeyError, TypeError, AttributeError) as error:
        problem = f"cannot be read: {type(error).__name__}"
    return row | ({"problem": problem} if problem else {})

"""What a learner has done, in one file that is always whole.

For: the course map, exercises and quiz to record in, and for a workshop leader to
gather exported files. Not for: results of models, see `helpers.evaluation.grading`.

    record_exercise("02-mask", solved=True)
    read().exercises["02-mask"]["solved"]      # True
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.base import settings
from helpers.base.errors import DataError
from helpers.base.files import locked, replace, write_text
from helpers.connection import tell_progress

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
LONGEST_NAME = 40
SCORES = 10
"""Of an exercise's tries, the latest ones that are kept with their scores."""
WAIT_SECONDS = 10
"""How long another kernel may take to write its few lines."""


@dataclass
class LearnerProgress:
    """Notebooks, exercises and questions by their ids."""

    version: int = VERSION
    notebooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{"02": {"runs": 1, "last": "2026-…", "seconds": 431.0}}"""
    exercises: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{"02-mask": {"solved": True, "tries": 2}}; one that is measured has its "scores" too."""
    questions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """{"lora-rank": {"right": True, "tries": 1}}"""
    nickname: str = ""
    """What the learner wants a file that is handed in to be called by; empty until asked."""


def path() -> Path:
    """Where the progress file stands."""
    return settings.load().state / "progress.json"


def read(source: Path | None = None) -> LearnerProgress:
    """The stored progress; an empty one if there is none.

    A damaged file is put aside as `progress.json.damaged`, so that nothing is lost.
    """
    # Tests and `run` execute every exercise; nothing of that is a learner's.
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
        replace(file, file.with_name(file.name + ".damaged"))
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
    # Behind the lock: a server that is slow to answer must not keep other kernels waiting.
    tell_progress(_flags(progress))
    return progress


def _flags(progress: LearnerProgress) -> dict[str, dict[str, dict[str, bool]]]:
    """What a class hears of it: which are done, and no answer or name."""
    return {
        "notebooks": {name: {"finished": True} for name in progress.notebooks},
        "exercises": {
            name: {"solved": bool(r["solved"])} for name, r in progress.exercises.items()
        },
        "questions": {name: {"right": bool(r["right"])} for name, r in progress.questions.items()},
    }


def _held() -> DataError:
    return DataError(
        f"another notebook has held {path().name} for {WAIT_SECONDS} s",
        fix="restart the kernel that does not go on, then run this again",
    )


def record_exercise(name: str, *, solved: bool, score: float | None = None) -> None:
    """Count a try, and keep its score if it has one; once solved, an exercise stays solved."""

    def change(progress: LearnerProgress) -> None:
        row = progress.exercises.setdefault(name, {"solved": False, "tries": 0})
        row["tries"] += 1
        row["solved"] = row["solved"] or solved
        if score is not None:
            row["scores"] = [*row.get("scores", []), round(score, 4)][-SCORES:]

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


def call_me(nickname: str) -> str:
    """Keep the nickname under which the learner hands in; returns it, cut to a line."""
    words = " ".join(nickname.split())[:LONGEST_NAME]

    def change(progress: LearnerProgress) -> None:
        progress.nickname = words

    update(change)
    return words


def file_name(nickname: str) -> str:
    """What a file that is handed in is called: `progress-ana.json`."""
    # "Ana María" becomes "ana-maría": letters of any language stay.
    plain = re.sub(r"[^\w-]+", "-", nickname).strip("-").lower()
    return f"progress-{plain}.json" if plain else "my-progress.json"


def export(target: Path) -> Path:
    """Copy the progress to a file that can be handed in."""
    return write(read(), target)


def reset() -> None:
    """Forget everything; `undo_reset` brings it back. The models and results of jobs stay."""
    if path().exists():
        replace(path(), _forgotten())


def undo_reset() -> bool:
    """Bring back what the last `reset` forgot, in place of what was done since.

    Returns whether there was anything to bring back.
    """
    if not _forgotten().exists():
        return False
    replace(_forgotten(), path())
    return True


def _forgotten() -> Path:
    return path().with_name("progress.json.forgotten")


def gather(files: Iterable[Path]) -> pd.DataFrame:
    """One row for each exported file: notebooks run, exercises solved, questions right.

    A file that is none of ours has a row too, and a last column says what is wrong with it.
    """
    import pandas as pd

    table = pd.DataFrame([row_of(file) for file in files])
    # Whole numbers stay whole beside the empty row of a damaged file; a problem stands last.
    return table[sorted(table, key="problem".__eq__)].convert_dtypes()


def row_of(file: Path) -> dict[str, Any]:
    """What one file says; under "problem", why it is not one that was exported."""
    row: dict[str, Any] = {"file": file.stem}
    try:
        done, problem = read(file), ""
        row |= {
            "name": done.nickname,
            "notebooks run": len(done.notebooks),
            "exercises solved": sum(bool(r["solved"]) for r in done.exercises.values()),
            "exercises tried": len(done.exercises),
            "questions right": sum(bool(r["right"]) for r in done.questions.values()),
            "questions tried": len(done.questions),
            "minutes": round(sum(r["seconds"] for r in done.notebooks.values()) / 60, 1),
        }
    except DataError as error:
        problem = error.message
    # A file that is valid JSON can still hold anything where rows are expected.
    except (KeyError, TypeError, AttributeError):
        problem = "not what Export my progress writes: ask for the file again"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or type(error).__name__}"
    return row | ({"problem": problem} if problem else {})

"""What a class failed and who came how far: the files that learners handed in, read together.

For: whoever leads a workshop, through `python3 -m helpers progress --gather FOLDER`. Not for: one
learner's own result, see `helpers.course.quiz.scores`; the table of learners, see
`helpers.course.progress.gather`.

    learners = [progress.read(file) for file in files]
    by_topic(learners)
    leaderboards(learners)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.course import chapters, progress
from helpers.course.exercises import core
from helpers.course.exercises.contests import Contest
from helpers.course.progress import LearnerProgress
from helpers.course.quiz.questions import load

if TYPE_CHECKING:
    import pandas as pd

STEM = 60
"""Letters of a question that are shown."""


def readable(files: Sequence[Path]) -> list[LearnerProgress]:
    """The files that can be read; each without a nickname is called after its file."""
    found = []
    for file in files:
        # Its row in the table of `progress.gather` says why; half of it counts nowhere.
        if "problem" in progress.row_of(file):
            continue
        one = progress.read(file)
        one.nickname = one.nickname or file.stem
        found.append(one)
    return found


def by_topic(learners: Sequence[LearnerProgress]) -> pd.DataFrame:
    """For each topic: the answers given, the share that is right, and the hardest question.

    The topics that were failed most come first.
    """
    import pandas as pd

    given: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    questions = load()
    for learner in learners:
        for name, row in learner.questions.items():
            # A file of another release may answer questions that are gone.
            if name in questions:
                given[questions[name].topic][name].append(_flag(row, "right"))
    rows: list[dict[str, Any]] = []
    for topic, answers in given.items():
        marks = [mark for said in answers.values() for mark in said]
        hardest = min(answers, key=lambda name: _share(answers[name]))
        rows.append(
            {
                "topic": topic,
                "answers": len(marks),
                "right": round(_share(marks), 2),
                "hardest question": _short(questions[hardest].stem),
                "of it right": round(_share(answers[hardest]), 2),
                "notebook": questions[hardest].notebook,
            }
        )
    rows.sort(key=lambda row: float(row["right"]))
    return pd.DataFrame(rows)


def by_exercise(learners: Sequence[LearnerProgress]) -> pd.DataFrame:
    """For each exercise that somebody tried: how many did, and how many solved it; worst first."""
    import pandas as pd

    names = list(dict.fromkeys(name for one in learners for name in one.exercises))
    rows: list[dict[str, Any]] = []
    for name in names:
        tried = [one.exercises[name] for one in learners if name in one.exercises]
        solved = sum(_flag(row, "solved") for row in tried)
        rows.append({"exercise": name, "tried": len(tried), "solved": solved})
    rows.sort(key=lambda row: (row["solved"] / row["tried"], row["exercise"]))
    return pd.DataFrame(rows)


def leaderboards(learners: Sequence[LearnerProgress]) -> dict[str, pd.DataFrame]:
    """By exercise that is measured: learners with their best score, the best learner first."""
    import pandas as pd

    found = {}
    for name, contest in _contests().items():
        scores = {
            one.nickname: contest.best(kept) for one in learners if (kept := _scores(one, name))
        }
        order = sorted(scores.items(), key=lambda pair: pair[1] if contest.lower else -pair[1])
        if order:
            found[name] = pd.DataFrame(
                [
                    {"name": who, "best": value, "beaten": contest.beaten(value)}
                    for who, value in order
                ]
            )
    return found


def text(learners: Sequence[LearnerProgress]) -> str:
    """All of it for a terminal; empty where nobody answered or tried anything."""
    parts = []
    for title, table in (
        ("Questions, the topics that were failed most first", by_topic(learners)),
        ("Exercises, the least solved first", by_exercise(learners)),
    ):
        if not table.empty:
            parts.append(f"{title}:\n{table.to_string(index=False)}")
    for name, table in leaderboards(learners).items():
        parts.append(f"Leaderboard of {name}:\n{table.to_string(index=False)}")
    return "\n\n".join(parts)


def _contests() -> dict[str, Contest]:
    found: dict[str, Contest] = {}
    for number in chapters.CHAPTERS:
        try:
            tasks = core.tasks(number)
        # A chapter without exercises has no module.
        except ModuleNotFoundError:
            continue
        found |= {task.id: task.contest for task in tasks if task.contest}
    return found


def _scores(learner: LearnerProgress, name: str) -> list[float]:
    """Scores that were handed in; what is no number is no score."""
    row = learner.exercises.get(name)
    kept = row.get("scores", []) if isinstance(row, dict) else []
    return [float(value) for value in kept if isinstance(value, int | float)]


def _flag(row: object, name: str) -> bool:
    return isinstance(row, dict) and bool(row.get(name))


def _share(marks: Sequence[bool]) -> float:
    return sum(marks) / len(marks)


def _short(text: str) -> str:
    return text if len(text) <= STEM else f"{text[:STEM]}…"

"""What a question is, and how one is read and checked.

For: whoever writes questions, and the tests that hold them to the schema. Not for:
judging an answer, see `helpers.course.quiz.attempt`.

    load()["finetuning-meaning"].stem
    select(notebook="02", check=True)      # the short ones at the end of notebook 02

A file of data/quiz/ is a JSON list. Each question is an object with these fields:

    id           unique, never reused: a learner's progress is kept under it
    topic        what the score is counted by
    notebook     two digits, "00" to "10"
    source       heading of the section to read again, as it stands in that notebook
    level        • to remember, •• to understand, ••• to apply
    kind         one, several, number, order or gap
    stem         the question; `backticks` mark code
    code         optional: lines of code below the stem; ____ marks a gap
    explanation  shown with a right answer
    check        optional: true puts it under "Check yourself" of its notebook
    options      one, several: {text, right?, feedback}, each with its own feedback;
                 order: {text} in the right order
    accepted     number: one number; gap: every spelling that fills it
    tolerance    number: the largest distance that still counts
    hint         number, order, gap: said to a wrong answer
    traps        number, gap: {what is typed: why this is wrong}, for known mistakes
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from helpers.base.errors import DataError
from helpers.course import chapters

Kind = Literal["one", "several", "number", "order", "gap"]

KINDS: tuple[Kind, ...] = ("one", "several", "number", "order", "gap")
LEVELS = {"•": "remember", "••": "understand", "•••": "apply"}
DATA = Path(__file__).resolve().parents[3] / "data" / "quiz"
_NEEDED = ("id", "topic", "notebook", "level", "kind", "stem", "explanation", "source")
_OPTIONAL = ("code", "check", "options", "accepted", "tolerance", "hint", "traps")
_CHOICES = ("one", "several")
_TYPED = ("number", "gap")


@dataclass(frozen=True)
class Option:
    """One answer to choose, with what to tell whoever chooses it."""

    text: str
    right: bool
    feedback: str


@dataclass(frozen=True)
class Question:
    """One question. Options in file order; for kind "order" that is the right order."""

    id: str
    topic: str
    notebook: str
    level: str
    kind: Kind
    stem: str
    explanation: str
    """Shown with a right answer, whatever the kind."""
    source: str
    """Heading of the section to read again."""
    code: str = ""
    check: bool = False
    """Whether it is one of its notebook's own questions, at the end."""
    options: tuple[Option, ...] = ()
    accepted: tuple[str, ...] = ()
    """Spellings that fill the gap, or one number."""
    tolerance: float = 0.0
    """Largest distance from the number that still counts."""
    hint: str = ""
    """Shown with a wrong number, order or gap."""
    traps: Mapping[str, str] = field(default_factory=dict)
    """Known wrong numbers or words, and what to say to each."""


def parse(row: Mapping[str, Any]) -> Question:
    """A question from its JSON object. Raises `DataError` that names the defect."""
    name = row.get("id", "?")
    missing = [key for key in _NEEDED if not row.get(key)]
    if missing:
        raise DataError(f"question {name}: no {', '.join(missing)}", fix="add the fields")
    # A misspelt "trap" would otherwise be an optional field that nobody sees.
    unknown = sorted(set(row) - {*_NEEDED, *_OPTIONAL})
    if unknown:
        raise DataError(f"question {name}: unknown field {unknown[0]!r}", fix="check its spelling")
    for key, known in {"kind": KINDS, "level": LEVELS, "notebook": chapters.CHAPTERS}.items():
        if row[key] not in known:
            raise DataError(f"question {name}: {key} {row[key]!r}", fix=f"one of {' '.join(known)}")
    options = tuple(
        Option(option["text"], bool(option.get("right")), option.get("feedback", ""))
        for option in row.get("options", [])
    )
    _check(row, options)
    return Question(
        **{key: row[key] for key in _NEEDED},
        code=row.get("code", ""),
        check=bool(row.get("check")),
        options=options,
        accepted=tuple(str(value) for value in row.get("accepted", [])),
        tolerance=float(row.get("tolerance", 0)),
        hint=row.get("hint", ""),
        traps=dict(row.get("traps", {})),
    )


def _check(row: Mapping[str, Any], options: tuple[Option, ...]) -> None:
    name, kind, accepted = row["id"], row["kind"], row.get("accepted", [])
    right = sum(option.right for option in options)
    faults = {
        "one": right != 1 or len(options) < 3,
        # If all were right there would be nothing to choose.
        "several": right < 1 or right == len(options) or len(options) < 3,
        "order": len(options) < 3,
        "number": len(accepted) != 1 or not is_number(str(accepted[0])),
        "gap": not accepted,
    }
    if faults[kind] or (kind in _TYPED and options) or (kind not in _TYPED and accepted):
        raise DataError(f"question {name}: options or answer do not fit kind {kind!r}")
    if len({option.text for option in options}) != len(options):
        raise DataError(f"question {name}: two options read the same")
    if kind in _CHOICES and not all(option.feedback for option in options):
        raise DataError(f"question {name}: an option has no feedback", fix="say why for each")
    if kind not in _CHOICES and not row.get("hint"):
        raise DataError(f"question {name}: no hint", fix="say what to think of again")
    if kind == "gap" and "____" not in row["stem"] + row.get("code", ""):
        raise DataError(f"question {name}: no ____ to fill", fix="mark the gap")


def is_number(text: str) -> bool:
    """Whether `text` is a plain finite number."""
    try:
        # Python reads "1_000" as a number; in an answer it is a slip.
        return "_" not in text and abs(float(text)) < float("inf")
    except ValueError:
        return False


def load(folder: Path = DATA) -> dict[str, Question]:
    """All questions by id, in the order of the files. Raises `DataError` for a double id."""
    questions: dict[str, Question] = {}
    for path in sorted(folder.glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            question = parse(row)
            if question.id in questions:
                raise DataError(f"{path.name}: id {question.id!r} is used twice")
            questions[question.id] = question
    return questions


def select(
    questions: Iterable[Question] | None = None,
    *,
    notebook: str | None = None,
    topic: str | None = None,
    level: str | None = None,
    check: bool = False,
) -> list[Question]:
    """Those of `questions` (default: all) that fit. Raises `DataError` if none does."""
    everything = list(load().values() if questions is None else questions)
    wanted = {"notebook": notebook, "topic": topic, "level": level}
    found = [
        question
        for question in everything
        if all(value in (None, getattr(question, key)) for key, value in wanted.items())
        and (question.check or not check)
    ]
    if not found:
        asked = ", ".join(f"{key} {value!r}" for key, value in wanted.items() if value)
        topics = ", ".join(dict.fromkeys(question.topic for question in everything))
        raise DataError(f"no question with {asked}", fix=f"notebooks 00 to 09, or topics: {topics}")
    return found

"""Quiz questions as data, attempts at them, and a score: no user interface in here.

For: the widgets, the static form and the plain-text form, which all show the same
questions. Not for: drawing them (`helpers.widgets.quiz`) or keeping a score on disk
(`helpers.progress`).

    question = load()["finetuning-meaning"]
    attempt = Attempt(question, seed=1)
    attempt.answer([2]).feedback
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from helpers.errors import DataError

Kind = Literal["one", "several", "number", "order", "gap"]
Given = Sequence[int] | str
"""Places of the chosen options as shown, or what was typed for a number or a gap."""

KINDS: tuple[Kind, ...] = ("one", "several", "number", "order", "gap")
LEVELS = ("🟢", "🔵", "⚫")
DATA = Path(__file__).resolve().parent.parent / "data" / "quiz"
_COMMON = ("id", "topic", "notebook", "level", "kind", "stem", "explanation", "source")


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
    options: tuple[Option, ...] = ()
    accepted: tuple[str, ...] = ()
    """Spellings that fill the gap, or one number."""
    tolerance: float = 0.0
    """Largest distance from the number that still counts."""
    hint: str = ""
    """Shown with a wrong number, order or gap."""


@dataclass(frozen=True)
class Outcome:
    """What one answer was worth, and what to say about it."""

    correct: bool
    feedback: str


def parse(row: Mapping[str, Any]) -> Question:
    """A question from its JSON object. Raises `DataError` that names the defect."""
    name = row.get("id", "?")
    missing = [key for key in _COMMON if not row.get(key)]
    if missing:
        raise DataError(f"question {name}: no {', '.join(missing)}", fix="add the fields")
    if row["kind"] not in KINDS:
        raise DataError(f"question {name}: kind {row['kind']!r}", fix=f"one of {', '.join(KINDS)}")
    if row["level"] not in LEVELS:
        raise DataError(f"question {name}: level {row['level']!r}", fix="one of 🟢 🔵 ⚫")
    options = tuple(
        Option(option["text"], bool(option.get("right")), option.get("feedback", ""))
        for option in row.get("options", [])
    )
    _check(name, row["kind"], options, row.get("accepted", []))
    return Question(
        **{key: row[key] for key in _COMMON},
        options=options,
        accepted=tuple(str(value) for value in row.get("accepted", [])),
        tolerance=float(row.get("tolerance", 0)),
        hint=row.get("hint", ""),
    )


def _check(name: str, kind: Kind, options: Sequence[Option], accepted: Sequence[Any]) -> None:
    right = sum(option.right for option in options)
    faults = {
        "one": right != 1 or len(options) < 3,
        "several": right < 1 or right == len(options) or len(options) < 3,
        "order": len(options) < 3,
        "number": len(accepted) != 1 or not _is_number(str(accepted[0]) if accepted else ""),
        "gap": not accepted,
    }
    if faults[kind]:
        raise DataError(f"question {name}: options or answer do not fit kind {kind!r}")
    if kind in ("one", "several") and not all(option.feedback for option in options):
        raise DataError(f"question {name}: an option has no feedback", fix="say why for each")


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


class Attempt:
    """One person's tries at one question, with the options in a shuffled order."""

    def __init__(self, question: Question, *, seed: int = 0) -> None:
        self.question = question
        self.tries = 0
        self.outcome: Outcome | None = None
        self._places = list(range(len(question.options)))
        shuffler = random.Random(f"{seed} {question.id}")
        shuffler.shuffle(self._places)
        if question.kind == "order" and self._places == sorted(self._places):
            self._places.reverse()

    @property
    def shown(self) -> list[str]:
        """The options' texts in the order in which they are shown."""
        return [self.question.options[place].text for place in self._places]

    def answer(self, given: Given) -> Outcome:
        """Judge an answer: places as shown for a choice or an order, text for the rest."""
        judge: dict[Kind, Callable[[Given], Outcome]] = {
            "one": self._choices,
            "several": self._choices,
            "order": self._order,
            "number": self._number,
            "gap": self._gap,
        }
        outcome = judge[self.question.kind](given)
        self.tries += 1
        self.outcome = outcome
        return outcome

    def _chosen(self, given: Given) -> list[int]:
        if isinstance(given, str):
            given = [int(word) - 1 for word in re.findall(r"\d+", given)]
        return [self._places[place] for place in given if 0 <= place < len(self._places)]

    def _choices(self, given: Given) -> Outcome:
        chosen = self._chosen(given)
        if not chosen:
            return Outcome(False, "Choose an answer first.")
        options = self.question.options
        wrong = [options[place].feedback for place in chosen if not options[place].right]
        if wrong:
            return Outcome(False, " ".join(wrong))
        right = {place for place, option in enumerate(options) if option.right}
        if set(chosen) != right:
            return Outcome(False, "What you chose is right, but something is still missing.")
        said = " ".join(options[place].feedback for place in chosen)
        return Outcome(True, f"{said} {self.question.explanation}".strip())

    def _order(self, given: Given) -> Outcome:
        chosen = self._chosen(given)
        if sorted(chosen) != list(range(len(self.question.options))):
            return Outcome(False, "Give each step one place.")
        if chosen == sorted(chosen):
            return Outcome(True, self.question.explanation)
        first = next(place for place, step in enumerate(chosen) if step != place)
        return Outcome(False, f"Step {first + 1} is not yet right. {self.question.hint}".strip())

    def _number(self, given: Given) -> Outcome:
        text = str(given).replace(",", "").strip().removesuffix("%").lstrip("$")
        if not _is_number(text):
            return Outcome(False, "Type a number, for instance 12.5.")
        if abs(float(text) - float(self.question.accepted[0])) <= self.question.tolerance:
            return Outcome(True, self.question.explanation)
        return Outcome(False, self.question.hint or "Not within the tolerance. Work it out again.")

    def _gap(self, given: Given) -> Outcome:
        if _code(str(given)) in {_code(word) for word in self.question.accepted}:
            return Outcome(True, self.question.explanation)
        return Outcome(False, self.question.hint or "That does not fill the gap.")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text, re.I) is not None


def _code(text: str) -> str:
    """Code compared without spaces, and with one kind of quotes."""
    return re.sub(r"\s+", "", text).replace('"', "'")


@dataclass(frozen=True)
class TopicScore:
    """How many questions of a topic were answered right, and what to read again."""

    topic: str
    right: int
    asked: int
    reread: tuple[tuple[str, str], ...]
    """Notebook and heading of each missed question's source."""


def by_topic(questions: Iterable[Question], right: Mapping[str, bool]) -> list[TopicScore]:
    """Scores by topic, in order of appearance; `right` holds the answered questions' ids."""
    groups: dict[str, list[Question]] = {}
    for question in questions:
        if question.id in right:
            groups.setdefault(question.topic, []).append(question)
    return [
        TopicScore(
            topic,
            sum(right[question.id] for question in asked),
            len(asked),
            tuple(dict.fromkeys((q.notebook, q.source) for q in asked if not right[q.id])),
        )
        for topic, asked in groups.items()
    ]

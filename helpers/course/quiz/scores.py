"""Scores by topic, and what to read again.

For: the result page of the quiz and the figure of notebook 08.

    by_topic(questions, {"lora-rank": True, "loss-mask": False})[0].reread
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from helpers.course import progress
from helpers.course.quiz.attempt import replay
from helpers.course.quiz.questions import Question, load


@dataclass(frozen=True)
class TopicScore:
    """How many questions of a topic were answered right, and what to read again."""

    topic: str
    right: int
    answered: int
    total: int
    reread: tuple[tuple[str, str], ...]
    """Notebook and heading of each missed question's source."""

    @property
    def missed(self) -> int:
        """Answered, and not right yet."""
        return self.answered - self.right


def by_topic(questions: Iterable[Question], right: Mapping[str, bool]) -> list[TopicScore]:
    """Scores by topic, in order of appearance; `right` holds the answered questions' ids."""
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.topic, []).append(question)
    return [
        TopicScore(
            topic,
            right=sum(right.get(question.id, False) for question in group),
            answered=sum(question.id in right for question in group),
            total=len(group),
            reread=tuple(
                dict.fromkeys((q.notebook, q.source) for q in group if not right.get(q.id, True))
            ),
        )
        for topic, group in groups.items()
    ]


def answered(
    questions: Iterable[Question], kept: Mapping[str, Mapping[str, Any]]
) -> dict[str, bool]:
    """The answered questions' ids, and whether the last answer is right; `kept` as in the file."""
    found = {q.id: replay(q, kept[q.id]) for q in questions if q.id in kept}
    return {
        name: bool(known[0].outcome and known[0].outcome.correct)
        for name, known in found.items()
        if known
    }


def recorded() -> list[TopicScore]:
    """The scores of all questions, from what this learner has answered so far."""
    questions = list(load().values())
    return by_topic(questions, answered(questions, progress.read().questions))

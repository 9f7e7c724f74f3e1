"""Several questions in a row: where one is, what was answered, what comes next.

For: the widget, which draws `screen()` and calls the verbs below, and the plain-text
form. Not for: judging one answer, see `helpers.course.quiz.attempt`.

    session = Session(select(notebook="02", check=True))
    session.check([0]).feedback
    session.next()
    session.screen()["stem"]

`screen()` holds what may be seen: options in their shuffled order and the feedback on
what was chosen. Which option is right is in none of its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from helpers.base.errors import CourseError
from helpers.course import chapters
from helpers.course.quiz.attempt import Attempt, AttemptOutcome, Given, replay
from helpers.course.quiz.questions import LEVELS, Question
from helpers.course.quiz.scores import TopicScore, by_topic


class Record(Protocol):
    """Keeps an answer, for instance `helpers.course.progress.record_question`."""

    def __call__(self, name: str, *, right: bool, **state: Any) -> None:
        """Store that `name` was answered."""


def keep_nothing(name: str, *, right: bool, **state: Any) -> None:
    """A `Record` that forgets."""


class Session:
    """A walk through questions; answers that were recorded earlier are there again."""

    def __init__(
        self,
        questions: Sequence[Question],
        *,
        seed: int = 0,
        recorded: Mapping[str, Mapping[str, Any]] | None = None,
        record: Record = keep_nothing,
        forget: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        self.all = list(questions)
        self.shown = self.all
        """Those that one walks through now: all, or the missed ones."""
        self.seed = seed
        self.warning = ""
        """Why answers cannot be kept; empty while they can."""
        self.right: dict[str, bool] = {}
        """The answered questions' ids, and whether the last answer was right."""
        self._record, self._forget = record, forget
        self._attempts: dict[str, Attempt] = {}
        self._given: dict[str, Given] = {}
        for question in self.all:
            self._restore(question, (recorded or {}).get(question.id, {}))
        # Where one stopped: the first that is not answered.
        self.place = next((i for i, q in enumerate(self.shown) if not self._answered(q)), 0)
        self.finished = all(self._answered(q) for q in self.shown)

    @property
    def question(self) -> Question:
        """The one on the screen."""
        return self.shown[self.place]

    @property
    def attempt(self) -> Attempt:
        """The tries at it."""
        return self._attempt(self.question)

    def check(self, given: Given) -> AttemptOutcome:
        """Judge an answer to the question on the screen, and keep it."""
        attempt, before = self.attempt, self.attempt.outcome
        outcome = attempt.answer(given)
        if not outcome.counts:
            # An empty answer takes nothing back that was judged before.
            attempt.outcome = before
            return outcome
        self._given[self.question.id] = given
        self.right[self.question.id] = outcome.correct
        try:
            self._record(
                self.question.id, right=outcome.correct, given=_plain(given), seed=attempt.seed
            )
            self.warning = ""
        # The quiz goes on without a file: a full disk must not end a lesson.
        except (OSError, CourseError) as error:
            why = getattr(error, "strerror", None) or error
            self.warning = f"Your answers cannot be kept: {why}."
        return outcome

    def again(self) -> None:
        """Answer the question on the screen once more."""
        self.attempt.outcome = None

    def go(self, place: int) -> None:
        """Show the question at this place, counted from 0."""
        self.place = min(max(place, 0), len(self.shown) - 1)
        self.finished = False

    def next(self) -> None:
        """The next question; after the last one, the result."""
        if self.place + 1 < len(self.shown):
            self.go(self.place + 1)
        else:
            self.finished = True

    def result(self) -> None:
        """Show the result now."""
        self.finished = True

    def missed(self) -> list[Question]:
        """Those whose last answer was wrong."""
        return [question for question in self.all if not self.right.get(question.id, True)]

    def review_missed(self) -> None:
        """Walk through the missed ones only, each to be answered again."""
        self.shown = self.missed() or self.all
        for question in self.missed():
            self._attempt(question).outcome = None
        self.go(0)

    def review_all(self) -> None:
        """Walk through everything again, answers kept."""
        self.shown = self.all
        self.go(0)

    def start_over(self) -> None:
        """Forget the answers to these questions, here and where they were kept."""
        if self._forget:
            self._forget([question.id for question in self.all])
        for kept in (self._attempts, self._given, self.right):
            kept.clear()
        self.review_all()

    def scores(self) -> list[TopicScore]:
        """Right and missed by topic."""
        return by_topic(self.all, self.right)

    def screen(self) -> dict[str, Any]:
        """What a view shows now, and nothing more."""
        head = {
            "place": self.place + 1,
            "count": len(self.shown),
            "warning": self.warning,
            "only_missed": self.shown is not self.all,
        }
        return head | (self._result_screen() if self.finished else self._question_screen())

    def _question_screen(self) -> dict[str, Any]:
        question, outcome = self.question, self.attempt.outcome
        return {
            "name": "question",
            "id": question.id,
            "kind": question.kind,
            "topic": question.topic,
            "level": LEVELS[question.level],
            "stem": question.stem,
            "code": question.code,
            "options": self.attempt.shown,
            # Only with its verdict: after "again" the form is empty.
            "given": _plain(self._given.get(question.id, "")) if outcome else "",
            "outcome": _mark(outcome.correct if outcome else None),
            "feedback": outcome.feedback if outcome else "",
            # A heading can give the answer away, so it comes with the outcome.
            "source": _source(question.notebook, question.source) if outcome else None,
            "marks": [_mark(self.right.get(q.id)) for q in self.shown],
        }

    def _result_screen(self) -> dict[str, Any]:
        scores = self.scores()
        return {
            "name": "result",
            "right": sum(score.right for score in scores),
            "answered": sum(score.answered for score in scores),
            "total": len(self.all),
            "missed": len(self.missed()),
            "topics": [
                {
                    "topic": score.topic,
                    "right": score.right,
                    "answered": score.answered,
                    "total": score.total,
                    "reread": [_source(*place) for place in score.reread],
                }
                for score in scores
            ],
        }

    def _attempt(self, question: Question) -> Attempt:
        return self._attempts.setdefault(question.id, Attempt(question, seed=self.seed))

    def _answered(self, question: Question) -> bool:
        return question.id in self.right

    def _restore(self, question: Question, row: Mapping[str, Any]) -> None:
        """Answer again what was answered earlier."""
        if known := replay(question, row):
            attempt, given = known
            self._attempts[question.id], self._given[question.id] = attempt, given
            self.right[question.id] = bool(attempt.outcome and attempt.outcome.correct)


def _plain(given: Given) -> str | list[int]:
    return given if isinstance(given, str) else list(given)


def _mark(right: bool | None) -> str:
    return {None: "open", True: "right", False: "wrong"}[right]


def _source(notebook: str, heading: str) -> dict[str, str]:
    """What to read again, with the address of a notebook that exists."""
    title = f"{int(notebook)} {chapters.CHAPTERS[notebook].title}"
    return {"notebook": title, "heading": heading, "link": chapters.link(notebook, heading)}

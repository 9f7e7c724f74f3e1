"""Quiz questions as data, attempts at them, and a score: no user interface in here.

For: the widget, the static form and the plain-text form, which all show the same
questions. Not for: drawing them (`helpers.widgets.quiz`) or keeping a score on disk
(`helpers.progress`).

    question = load()["finetuning-meaning"]
    attempt = Attempt(question, seed=1)
    attempt.answer([2]).feedback
"""

from helpers.quiz.attempt import Attempt, Outcome
from helpers.quiz.questions import Option, Question, load, parse, select
from helpers.quiz.scores import TopicScore, by_topic
from helpers.quiz.session import Session

__all__ = [
    "Attempt",
    "Option",
    "Outcome",
    "Question",
    "Session",
    "TopicScore",
    "by_topic",
    "load",
    "parse",
    "select",
]

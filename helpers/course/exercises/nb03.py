"""Exercises of notebook 03: evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helpers.course.exercises.checkers import any_function, choice, function, number, shown
from helpers.course.exercises.contests import Contest, hand_verdicts, measured, truth
from helpers.course.exercises.core import ExerciseTask
from helpers.evaluation.scorers import Sample, Score

CASE = Sample(
    id="x",
    question="How long do I hold the button?",
    target="Hold it for 12 seconds, until the ring blinks amber.",
    kind="paraphrase",
    key_facts=(("12 seconds", "twelve seconds"), ("amber",)),
)


_recall = number(
    0.5,
    "a number from 0 to 1",
    {
        1: "The answer says 12 seconds, but it does not say amber.",
        0: "12 seconds stands in the answer in words, so one fact counts.",
        2: "Recall is a share: divide by the number of facts that are wanted.",
        50: "As a share, not in percent: a number from 0 to 1.",
    },
    "Two facts are wanted; count how many of them the answer states, and divide.",
)


def _scored(wanted: float) -> Callable[[Any], str | None]:
    def judge(got: Any) -> str | None:
        if not isinstance(got, Score):
            return (
                f"it returns {type(got).__name__}; wanted is a Score, such as scorers.Score(1.0)."
            )
        if got.value != wanted:
            return f"the value is {shown(got.value)}; wanted is {wanted}."
        return None

    return judge


_scorer = function(
    "the arguments output and sample",
    [
        ((text, CASE), repr(text), _scored(wanted))
        for text, wanted in {
            "You wait 5 minutes!": 0.0,
            "Wait for 5 minutes.": 1.0,
            "Please! Now!": 0.0,
            "Stop! Then wait for 5 minutes.": 0.0,
            "shouts": 1.0,
            "": 1.0,
        }.items()
    ],
)


_overlap = choice(
    "paired",
    {
        "intervals": "Two intervals may overlap although almost every question got better: each "
        "interval also carries how different the questions are.",
    },
)

TASKS = (
    ExerciseTask(
        "03-recall",
        "•",
        "One of two key facts is stated: 0.5.",
        _recall,
        (
            "Key-fact recall is a share.",
            "How many facts does a right answer state here?",
            "One of the two stands in the answer.",
        ),
        "answer = 1 / 2",
    ),
    ExerciseTask(
        "03-scorer",
        "••",
        "A scorer is a small function: output and sample in, Score out.",
        _scorer,
        (
            "`scorers.Score(1.0)` is good, `scorers.Score(0.0, 'why')` is bad.",
            'A test such as `"!" in output` finds the mark.',
            '`return scorers.Score(0.0, "shouts")` where it stands, else `scorers.Score(1.0)`.',
        ),
        """from helpers.evaluation import scorers


def answer(output, sample):
    return scorers.Score(0.0, "shouts") if "!" in output else scorers.Score(1.0)""",
    ),
    ExerciseTask(
        "03-paired",
        "•••",
        "Both models answered the same questions, so their differences are what varies.",
        _overlap,
        (
            "What do the two models have in common?",
            "Some questions are hard for both: that spread is no difference between models.",
            "Subtract question by question first.",
        ),
        'answer = "paired"',
    ),
    ExerciseTask(
        "03-agree",
        "•••",
        "A scorer is itself measured, against people, before it measures a model.",
        any_function("the arguments reference and output"),
        (
            "Compare the numbers of both texts first.",
            "Numbers are written in words too: twelve seconds are 12 seconds.",
            "`datasets.facts` finds numbers with their units: are those of one in the other?",
        ),
        """from helpers.datasets import facts


def answer(reference, output):
    return facts(reference) <= facts(output)""",
        Contest(
            "of the verdicts as a person gave them",
            lambda answer: measured(answer, hand_verdicts(), truth),
            to_beat=0.8,
            ours=0.95,
        ),
    ),
)

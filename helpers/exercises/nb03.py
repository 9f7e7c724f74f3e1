"""Exercises of notebook 03: evaluation."""

from __future__ import annotations

from typing import Any

from helpers.exercises.core import Task
from helpers.scorers import Sample, Score

CASE = Sample(
    id="x",
    question="How long do I hold the button?",
    target="Hold it for 12 seconds, until the ring blinks amber.",
    kind="paraphrase",
    key_facts=(("12 seconds", "twelve seconds"), ("amber",)),
)


def _recall(answer: Any) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return "The answer is a number from 0 to 1."
    if abs(answer - 0.5) < 1e-9:
        return None
    if answer == 1:
        return "The answer says 12 seconds, but it does not say amber."
    if answer == 0:
        return "12 seconds stands in the answer, so one fact counts."
    return "Two facts are wanted; count how many of them the answer states, and divide."


def _scorer(answer: Any) -> str | None:
    if not callable(answer):
        return "Assign a function with the arguments output and sample."
    cases = {"You wait 5 minutes!": 0.0, "Wait for 5 minutes.": 1.0, "Please! Now!": 0.0, "": 1.0}
    for text, wanted in cases.items():
        try:
            got = answer(text, CASE)
        except Exception as error:  # noqa: BLE001 - a learner's code may raise anything
            return f"For {text!r} it raises {type(error).__name__}: {error}."
        if not isinstance(got, Score):
            return f"It returns {type(got).__name__}; wanted is a Score."
        if got.value != wanted:
            return f"For {text!r} the value is {got.value}; wanted is {wanted}."
    return None


def _overlap(answer: Any) -> str | None:
    if answer == "paired":
        return None
    if answer == "intervals":
        return (
            "Two intervals may overlap although almost every question got better: each interval "
            "also carries how different the questions are."
        )
    return 'Answer with "paired" or "intervals".'


TASKS = (
    Task(
        "03-recall",
        "🟢",
        "One of two key facts is stated: 0.5.",
        _recall,
        (
            "Key-fact recall is a share.",
            "How many facts does a right answer state here?",
            "One of the two stands in the answer.",
        ),
        "answer = 1 / 2",
    ),
    Task(
        "03-scorer",
        "🔵",
        "A scorer is a small function: output and sample in, Score out.",
        _scorer,
        (
            "`Score(1.0)` is good, `Score(0.0, 'why')` is bad.",
            'A test such as `"!" in output` finds the mark.',
            'return Score(0.0, "shouts") if "!" in output else Score(1.0)',
        ),
        """from helpers.scorers import Score


def answer(output, sample):
    return Score(0.0, "shouts") if "!" in output else Score(1.0)""",
    ),
    Task(
        "03-paired",
        "⚫",
        "Both models answered the same questions, so their differences are what varies.",
        _overlap,
        (
            "What do the two models have in common?",
            "Some questions are hard for both: that spread is no difference between models.",
            "Subtract question by question first.",
        ),
        'answer = "paired"',
    ),
)

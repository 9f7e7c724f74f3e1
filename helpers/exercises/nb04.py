"""Exercises of notebook 04: iteration."""

from __future__ import annotations

from typing import Any

from helpers.exercises.core import Task


def _next(answer: Any) -> str | None:
    if answer == "examples":
        return None
    reasons = {
        "epochs": "More epochs repeat the same phrasings; the new ones stay unknown.",
        "larger": "A larger model may help, but costs more than the cheap thing that is missing.",
        "prompt": "The facts are known already; what is missed is which question is meant.",
    }
    return reasons.get(str(answer), 'Choose "examples", "epochs", "larger" or "prompt".')


def _guard(answer: Any) -> str | None:
    if not callable(answer):
        return "Assign a function that takes two dicts, before and after."
    before = {"a": 1.0, "b": 0.5, "c": 1.0}
    cases = [
        ({"a": 1.0, "b": 0.0, "c": 1.0}, ["b"]),
        ({"a": 1.0, "b": 0.9, "c": 1.0}, []),
        ({"a": 0.5, "b": 0.9, "c": 0.0}, ["a", "c"]),
    ]
    for after, wanted in cases:
        try:
            got = answer(before, after)
        except Exception as error:  # noqa: BLE001 - a learner's code may raise anything
            return f"It raises {type(error).__name__}: {error}."
        if sorted(got) != wanted:
            return f"For {after} it returns {got!r}; worse became {wanted}."
    return None


def _curve(answer: Any) -> str | None:
    if answer is True:
        return "From 200 to 400 examples it won 0.02: the curve is flat, other work pays more."
    if answer is False:
        return None
    return "The answer is True or False."


TASKS = (
    Task(
        "04-next",
        "🟢",
        "New phrasings of the intents that fail are the cheapest remedy.",
        _next,
        (
            "The model confuses two intents. What has it seen too little of?",
            "Training loss is near zero: repeating will not help.",
            "What would a new colleague need to see?",
        ),
        'answer = "examples"',
    ),
    Task(
        "04-guard",
        "🔵",
        "A regression set is a comparison question by question, never of means alone.",
        _guard,
        (
            "Go through the questions of `before`.",
            "Keep those where after[q] is smaller than before[q].",
            "[q for q in before if after[q] < before[q]]",
        ),
        """def answer(before, after):
    return [question for question in before if after[question] < before[question]]""",
    ),
    Task(
        "04-curve",
        "⚫",
        "Doubling the data won 0.02: look for what is wrong before you collect more.",
        _curve,
        (
            "Look at the last two points of the curve.",
            "How much did the last doubling win?",
            "0.02 is less than the interval is wide.",
        ),
        "answer = False",
    ),
)

"""Exercises of notebook 04: iteration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helpers.course.exercises.checkers import any_function, choice, function, shown
from helpers.course.exercises.contests import Contest, topics_found
from helpers.course.exercises.core import ExerciseTask

_next = choice(
    "examples",
    {
        "epochs": "More epochs repeat the same phrasings; the new ones stay unknown.",
        "larger": "A larger model may help, but costs more than the cheap thing that is missing.",
        "prompt": "The facts are known already; what is missed is which question is meant.",
    },
)


BEFORE = {"a": 1.0, "b": 0.5, "c": 1.0}


def _worse(after: dict[str, float], wanted: list[str]) -> Callable[[Any], str | None]:
    def judge(got: Any) -> str | None:
        if not isinstance(got, list | tuple | set):
            return f"it gives {shown(got)}; wanted is a list of questions."
        # Any order will do: what became worse is a set.
        if sorted(map(str, got)) == wanted:
            return None
        return f"it gives {shown(got)}; worse became {wanted}."

    return judge


_guard = function(
    "two arguments, the dicts before and after",
    [
        (
            (dict(before), dict(after)),
            f"before = {before} and after = {after}",
            _worse(after, wanted),
        )
        for before, after, wanted in (
            (BEFORE, {"a": 1.0, "b": 0.0, "c": 1.0}, ["b"]),
            (BEFORE, {"a": 1.0, "b": 0.9, "c": 1.0}, []),
            (BEFORE, {"a": 0.5, "b": 0.9, "c": 0.0}, ["a", "c"]),
            # A small loss counts too, and no threshold may hide it.
            (BEFORE, {"a": 1.0, "b": 0.5, "c": 0.98}, ["c"]),
            ({"a": 0.2, "b": 0.3}, {"a": 0.2, "b": 0.4}, []),
        )
    ],
)


def _curve(answer: Any) -> str | None:
    if isinstance(answer, str) or answer not in (True, False):
        return "The answer is True or False, without quotes."
    if answer:
        return "From 200 to 400 examples it won 0.02: the curve is flat, other work pays more."
    return None


TASKS = (
    ExerciseTask(
        "04-next",
        "•",
        "New phrasings of the intents that fail are the cheapest remedy.",
        _next,
        (
            "The model confuses two intents. What has it seen too little of?",
            "Training loss is near zero: repeating will not help.",
            "What would a new colleague need to see?",
        ),
        'answer = "examples"',
    ),
    ExerciseTask(
        "04-guard",
        "••",
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
    ExerciseTask(
        "04-curve",
        "•••",
        "Doubling the data won 0.02: look for what is wrong before you collect more.",
        _curve,
        (
            "Look at the last two points of the curve.",
            "How much did the last doubling win?",
            "0.02 is less than the interval is wide.",
        ),
        "answer = False",
    ),
    ExerciseTask(
        "04-keys",
        "•••",
        "One change, measured on tickets that came later: that is an iteration.",
        any_function("one argument, a text"),
        (
            "All words in small letters reach 0.39. Which of them say nothing about a topic?",
            "Leave out the, my, is, how and the like.",
            "`charged` and `charge` are one thing: keep the first five letters of a word.",
        ),
        """import re

STOP = set(
    "the a an i my is it to of in on for and or what how do does can you me we our when where "
    "which with at be are was if not no this that your".split()
)


def answer(text):
    return {word[:5] for word in re.findall(r"[a-z0-9']+", text.lower()) if word not in STOP}""",
        Contest(
            "of the later tickets with their topic found", topics_found, to_beat=0.39, ours=0.47
        ),
    ),
)

"""Exercises of notebook 10: your own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helpers.course.exercises.checkers import choice, function, number, shown
from helpers.course.exercises.core import ExerciseTask

_held_out = number(
    60,
    "a number of rows",
    {
        154: "These are the rows to learn from, counted of all that were read.",
        140: "These are the rows that are not held out.",
        66: "30% are taken of the rows that were kept, not of all that were read.",
        0.3: "That is the share. How many rows is it?",
    },
    "Take the rejected rows away first, then 30% of what is left.",
)


_decided = choice(
    "no",
    {
        "yes": "The interval holds 0: with these questions, it could as well be luck.",
        "retrieval": "It may be ahead by luck alone: the interval holds 0.",
        "tuned": "It is behind in this sample; but what the sample shows is not decided.",
    },
)


def _leaked(wanted: list[str]) -> Callable[[Any], str | None]:
    def judge(got: Any) -> str | None:
        if isinstance(got, str) or not isinstance(got, list | tuple | set):
            return f"it gives {shown(got)}; wanted is a list of questions."
        if sorted(map(str, got)) == sorted(wanted):
            return None
        return f"it gives {shown(got)}; wanted is {wanted}."

    return judge


# Spaces and letters differ from those below: equal texts alone would be too easy.
LEARNT = ["Are you open on Monday?", "Do you deliver?", "do you   sell flour"]
_leak = function(
    "two arguments, the questions learnt from and the questions held out",
    [
        ((LEARNT, held), f"held_out = {held}", _leaked(wanted))
        for held, wanted in (
            (["Do you deliver?", "Is there parking?"], ["Do you deliver?"]),
            (["ARE YOU OPEN ON MONDAY?"], ["ARE YOU OPEN ON MONDAY?"]),
            (["Do you sell flour"], ["Do you sell flour"]),
            # Neither part of a question nor a longer one is a leak.
            (["Do you deliver cakes?", "deliver"], []),
            ([], []),
        )
    ],
)

TASKS = (
    ExerciseTask(
        "10-rows",
        "•",
        "220 - 20 = 200 rows are kept, and 30% of them are held out.",
        _held_out,
        (
            "Rejected rows are in no part.",
            "How many rows are kept?",
            "0.3 * (220 - 20)",
        ),
        "answer = 0.3 * (220 - 20)",
    ),
    ExerciseTask(
        "10-decided",
        "••",
        "The interval reaches from below 0 to above it, and p is far above 0.05: more questions.",
        _decided,
        (
            "Which differences are in the interval?",
            "Would a difference of 0 surprise you?",
            "0 lies within [-0.05, +0.27].",
        ),
        'answer = "no"',
    ),
    ExerciseTask(
        "10-leak",
        "•••",
        "What is in both parts is no test: letters and spaces make no new question.",
        _leak,
        (
            "Bring both sides into one form before you compare them.",
            '`" ".join(text.lower().split())` makes small letters and single spaces.',
            "Make a set of the learnt ones in this form; keep the held-out ones that are in it.",
        ),
        """def answer(learnt, held_out):
    def plain(text):
        return " ".join(text.lower().split())

    known = {plain(text) for text in learnt}
    return [text for text in held_out if plain(text) in known]""",
    ),
)

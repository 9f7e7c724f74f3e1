"""Exercises of notebook 05: in-context learning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helpers.course.exercises.checkers import any_function, function, number, shown
from helpers.course.exercises.contests import Contest, chosen_to_show
from helpers.course.exercises.core import ExerciseTask

_cost = number(
    4 * 60 * 10_000,
    "a number of tokens",
    {
        60 * 10_000: "That is one demonstration; there are four.",
        4 * 60: "That is one request; there are 10,000 in a month.",
        4 * 10_000: "These are the demonstrations of a month; each has 60 tokens.",
        2.4: "In tokens, not in millions of tokens.",
    },
    "Tokens of a demonstration x demonstrations x requests.",
)


def _chosen(wanted: list[int]) -> Callable[[Any], str | None]:
    def judge(got: Any) -> str | None:
        if isinstance(got, str) or not hasattr(got, "__iter__"):
            return f"it gives {shown(got)}; wanted is a list of places, such as {wanted}."
        places = list(got)
        if places == wanted:
            return None
        # Right places in the wrong order get a word of their own.
        if places == wanted[::-1]:
            return "these are the right ones, but the best one must stand last."
        return f"it gives {shown(places)}; wanted are the places {wanted}, counted from 0."

    return judge


_choose = function(
    "the arguments scores and k",
    [
        ((scores, k), f"scores {scores} and k = {k}", _chosen(wanted))
        for scores, k, wanted in (
            ([0.1, 0.9, 0.5], 2, [2, 1]),
            ([0.3, 0.2, 0.8, 0.4], 3, [0, 3, 2]),
            ([0.7], 1, [0]),
        )
    ],
)


_window = number(
    99,
    "a number of demonstrations",
    {
        102: "Keep room for the system prompt, the question and the answer.",
        102.4: "Keep room for the system prompt, the question and the answer, and round down.",
        101: "The answer needs room in the window too: 150 tokens.",
        99.9: "Part of a demonstration is none: round down.",
        100: "99.9 fit, so the hundredth is cut off: round down.",
    },
    "Subtract what else needs room, then divide by 80 and round down.",
)

TASKS = (
    ExerciseTask(
        "05-cost",
        "•",
        "4 x 60 x 10,000 = 2,400,000 tokens a month, for every month.",
        _cost,
        (
            "What does one request carry more than before?",
            "240 tokens a request.",
            "240 x 10,000.",
        ),
        "answer = 4 * 60 * 10_000",
    ),
    ExerciseTask(
        "05-choose",
        "••",
        "The k best, in rising order: the best stands right before the question.",
        _choose,
        (
            "`sorted(range(len(scores)), key=...)` sorts places by their score.",
            "Sorted in rising order, the best are the last k.",
            "sorted(range(len(scores)), key=lambda i: scores[i])[-k:]",
        ),
        """def answer(scores, k):
    return sorted(range(len(scores)), key=lambda i: scores[i])[-k:]""",
    ),
    ExerciseTask(
        "05-window",
        "•••",
        "8192 - 20 - 30 - 150 = 7992, and 7992 / 80 is 99.9: 99 fit.",
        _window,
        (
            "Prompt and answer share the window.",
            "7,992 tokens are left for demonstrations.",
            "7992 // 80",
        ),
        "answer = (8192 - 20 - 30 - 150) // 80",
    ),
    ExerciseTask(
        "05-show",
        "•••",
        "A rare word that two questions share says more than three common ones.",
        any_function("the arguments question and known"),
        (
            "Sort the places of `known` by how many words they share with `question`.",
            "Divide by the words of both, or long questions win always.",
            "Count each shared word with log(len(known) / number of questions that have it).",
        ),
        """import math
import re
from collections import Counter


def words(text):
    return {word[:5] for word in re.findall(r"[a-z0-9']+", text.lower())}


def answer(question, known):
    held = [words(text) for text in known]
    often = Counter(word for one in held for word in one)

    def near(place):
        shared = words(question) & held[place]
        weight = sum(math.log(len(known) / often[word]) for word in shared)
        return weight / math.sqrt(1 + len(held[place]))

    return sorted(range(len(known)), key=near)[-2:]""",
        Contest(
            "of the prompts with the right answer in them", chosen_to_show, to_beat=0.36, ours=0.554
        ),
    ),
)

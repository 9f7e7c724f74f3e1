"""Exercises of notebook 05: in-context learning."""

from __future__ import annotations

from typing import Any

from helpers.exercises.core import Task


def _cost(answer: Any) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return "The answer is a number of tokens."
    if answer == 4 * 60 * 10_000:
        return None
    if answer == 60 * 10_000:
        return "That is one demonstration; there are four."
    if answer == 4 * 60:
        return "That is one request; there are 10,000 in a month."
    return "Tokens of a demonstration x demonstrations x requests."


def _choose(answer: Any) -> str | None:
    if not callable(answer):
        return "Assign a function with the arguments scores and k."
    for scores, k, wanted in (
        ([0.1, 0.9, 0.5], 2, [2, 1]),
        ([0.3, 0.2, 0.8, 0.4], 3, [0, 3, 2]),
        ([0.7], 1, [0]),
    ):
        try:
            got = [int(i) for i in answer(scores, k)]
        except Exception as error:  # noqa: BLE001 - a learner's code may raise anything
            return f"For {scores} and k={k} it raises {type(error).__name__}: {error}."
        if got == wanted[::-1] and len(wanted) > 1:
            return "The right ones, but the best one must stand last."
        if got != wanted:
            return f"For {scores} and k={k} it gives {got}; wanted is {wanted}."
    return None


def _window(answer: Any) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return "The answer is a number of demonstrations."
    if answer == 99:
        return None
    if answer == 8192 // 80:
        return "Keep room for the system prompt, the question and the answer."
    if 99 < answer < 100:
        return "Part of a demonstration is none: round down."
    return "Subtract what else needs room, then divide by 80 and round down."


TASKS = (
    Task(
        "05-cost",
        "🟢",
        "4 x 60 x 10,000 = 2,400,000 tokens a month, for every month.",
        _cost,
        (
            "What does one request carry more than before?",
            "240 tokens a request.",
            "240 x 10,000.",
        ),
        "answer = 4 * 60 * 10_000",
    ),
    Task(
        "05-choose",
        "🔵",
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
    Task(
        "05-window",
        "⚫",
        "8192 - 20 - 30 - 150 = 7992, and 7992 / 80 is 99.9: 99 fit.",
        _window,
        (
            "Prompt and answer share the window.",
            "7,992 tokens are left for demonstrations.",
            "7992 // 80",
        ),
        "answer = (8192 - 20 - 30 - 150) // 80",
    ),
)

"""Exercises of notebook 06: retrieval-augmented generation."""

from __future__ import annotations

from typing import Any

from helpers.exercises.core import Task


def _recall(answer: Any) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return "The answer is a number from 0 to 1."
    if abs(answer - 0.5) < 1e-9:
        return None
    if answer == 1:
        return "One of the two relevant articles is only in the fourth place."
    if answer == 0:
        return "One relevant article is among the first three."
    return "Relevant articles among the first three, divided by all relevant ones."


def _rrf(answer: Any) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return "The answer is a number."
    if abs(answer - (1 / 61 + 1 / 63)) < 1e-6:
        return None
    if abs(answer - 1 / 61) < 1e-6 or abs(answer - 1 / 63) < 1e-6:
        return "That is the share of one of the two lists; both count."
    return "Each list gives 1 / (60 + rank); add the two."


def _diagnose(answer: Any) -> str | None:
    if answer == "retrieval":
        return None
    if answer == "generation":
        return "The model never saw the right note, so it could not have used it."
    return 'Answer with "retrieval" or "generation".'


TASKS = (
    Task(
        "06-rrf",
        "🔵",
        "1/61 + 1/63: two good ranks beat one very good rank.",
        _rrf,
        (
            "Reciprocal rank fusion adds over the lists.",
            "First place gives 1 / (60 + 1).",
            "1 / 61 + 1 / 63",
        ),
        "answer = 1 / (60 + 1) + 1 / (60 + 3)",
    ),
    Task(
        "06-recall",
        "🟢",
        "One of two relevant articles is among the first three.",
        _recall,
        (
            "Recall@3 looks at the first three places only.",
            "Which relevant articles stand there?",
            "1 of 2",
        ),
        "answer = 1 / 2",
    ),
    Task(
        "06-diagnose",
        "⚫",
        "The article was not found, so no prompt could have saved the answer.",
        _diagnose,
        (
            "Look at the hits before you look at the answer.",
            "Was the fact in the prompt?",
            "What is not in the prompt cannot be used.",
        ),
        'answer = "retrieval"',
    ),
)

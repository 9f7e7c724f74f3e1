"""Exercises of notebook 02: fine-tuning."""

from __future__ import annotations

import math
from typing import Any

from helpers.exercises.core import Task


def _mask(answer: Any) -> str | None:
    wanted = [False, False, True]
    if answer == wanted:
        return None
    if not isinstance(answer, list) or len(answer) != 3:
        return "The answer is a list of three truth values, one for each message."
    if answer[0] or answer[1]:
        return "What the system and the user say is given; nobody needs to learn to predict it."
    return "The assistant's message is what the model must learn to say."


def _lora(answer: Any) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int):
        return "The answer is a whole number of parameters."
    if answer == 8 * (576 + 1536):
        return None
    if answer == 576 * 1536:
        return "That is the full matrix; LoRA leaves it as it is."
    if answer == 8 * 576 * 1536:
        return "A and B are thin: each has the rank as one of its sides."
    return "A has rank x inputs numbers, B has outputs x rank; add the two."


def _steps(answer: Any) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return "The answer is a number of steps."
    wanted = math.ceil(378 / 8) * 4
    if answer == wanted:
        return None
    if answer == math.ceil(378 / 8):
        return "That is one epoch; the job has four."
    if answer in (378 / 8 * 4, 188):
        return "The last batch of an epoch may be smaller, but it is a step of its own: round up."
    return "Steps of one epoch = examples / batch size, rounded up; then times the epochs."


TASKS = (
    Task(
        "02-mask",
        "🟢",
        "Only the assistant's message is learnt; the rest is context.",
        _mask,
        (
            "The loss is computed on the words that the model will have to say itself.",
            "At chat time, who writes the system prompt and the question?",
            "Two of the three are False.",
        ),
        "answer = [False, False, True]",
    ),
    Task(
        "02-lora",
        "🔵",
        "8 x 576 + 1536 x 8 = 16,896 numbers instead of 884,736: 1.9%.",
        _lora,
        (
            "LoRA adds two matrices: A with shape (rank, inputs), B with shape (outputs, rank).",
            "A has 8 x 576 numbers.",
            "B has 1536 x 8 numbers; add them.",
        ),
        "answer = 8 * 576 + 1536 * 8",
    ),
    Task(
        "02-steps",
        "⚫",
        "378 examples in batches of 8 are 48 steps an epoch, so 192 in four.",
        _steps,
        (
            "One step looks at one batch.",
            "378 / 8 is 47.25: what happens to the last example?",
            "48 steps an epoch, four epochs.",
        ),
        "answer = 48 * 4",
    ),
)

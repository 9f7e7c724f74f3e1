"""Exercises of notebook 07: choosing between the methods."""

from __future__ import annotations

from typing import Any

from helpers.course.exercises.core import ExerciseTask

PAID_BACK = 100_000


def _method(answer: Any) -> str | None:
    if answer == "retrieval":
        return None
    if answer in ("tuned", "tuned + retrieval"):
        return "Thirty examples are few to train on, and the tone is no problem here."
    if answer == "few-shot":
        return "Examples show how to answer. Next week's opening hours are in none of them."
    return 'Answer with "few-shot", "retrieval", "tuned" or "tuned + retrieval".'


def _breakeven(answer: Any) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return "The answer is a number of questions."
    if abs(answer - PAID_BACK) < 1:
        return None
    if abs(answer - 0.04) < 1e-9 or abs(answer - 8 / 200) < 1e-9:
        return "The price is for a million tokens, and a question saves 200 of them."
    if answer < PAID_BACK:
        return "A question saves 200 tokens at $0.40 a million: far less than a cent."
    return "Divide what the job costs by what one question saves."


def _export(answer: Any) -> str | None:
    if answer == "peft":
        return None
    if answer in ("gguf", "adapter.gguf", "base.gguf"):
        return "GGUF is llama.cpp's form. vLLM's --lora-modules wants the other one."
    return 'Answer with the name of a part of the folder: "base.gguf", "adapter.gguf" or "peft".'


TASKS = (
    ExerciseTask(
        "07-breakeven",
        "🔵",
        "$8 divided by 200 tokens at $0.40 a million. If the data changes earlier, it never pays.",
        _breakeven,
        (
            "What does one question save, in dollars?",
            "200 tokens at $0.40 per 1,000,000 tokens are 200 x 0.40 / 1,000,000.",
            "8 / (200 * 0.40 / 1_000_000)",
        ),
        "answer = 8 / (200 * 0.40 / 1_000_000)",
    ),
    ExerciseTask(
        "07-method",
        "🟢",
        "What changes weekly belongs in a store that can be edited.",
        _method,
        (
            "Which method can follow a fact that changes next week?",
            "The page with the hours is a document that can be looked up.",
            "It needs no training at all.",
        ),
        'answer = "retrieval"',
    ),
    ExerciseTask(
        "07-export",
        "⚫",
        "vLLM takes its own copy of the base model and the adapter in PEFT's form.",
        _export,
        (
            "Look at the vLLM command above: which path stands in it?",
            "vLLM loads the base model from its full weights, not from GGUF.",
            "The folder with adapter_config.json and adapter_model.safetensors.",
        ),
        'answer = "peft"',
    ),
)

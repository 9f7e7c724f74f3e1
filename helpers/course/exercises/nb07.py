"""Exercises of notebook 07: choosing between the methods."""

from __future__ import annotations

from helpers.course.exercises.checkers import any_function, choice, number
from helpers.course.exercises.contests import Contest, cheap_choices
from helpers.course.exercises.core import ExerciseTask

PAID_BACK = 100_000


_FEW = "Thirty examples are few to train on, and the tone is no problem here."
_method = choice(
    "retrieval",
    {
        "tuned": _FEW,
        "tuned + retrieval": _FEW,
        "few-shot": "Examples show how to answer. Next week's opening hours are in none of them.",
    },
)


_breakeven = number(
    PAID_BACK,
    "a number of questions",
    {
        8 / 200: "The price is for a million tokens, and a question saves 200 of them.",
        0: "A question saves 200 tokens at $0.40 a million: far less than a cent.",
        8 / 0.40: "So many million tokens have to be saved. How many questions save them?",
        8 / 0.40 * 1e6: "So many tokens have to be saved; one question saves 200 of them.",
    },
    "Divide what the job costs by what one question saves: 200 tokens at $0.40 a million.",
    # The division is not exact in floats.
    within=1e-6,
)


_GGUF = "GGUF is llama.cpp's form. vLLM's --lora-modules wants the other one."
_export = choice("peft", {"base.gguf": _GGUF, "adapter.gguf": _GGUF, "gguf": _GGUF})


TASKS = (
    ExerciseTask(
        "07-breakeven",
        "••",
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
        "•",
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
        "•••",
        "vLLM takes its own copy of the base model and the adapter in PEFT's form.",
        _export,
        (
            "Look at the vLLM command above: which path stands in it?",
            "vLLM loads the base model from its full weights, not from GGUF.",
            "The folder with adapter_config.json and adapter_model.safetensors.",
        ),
        'answer = "peft"',
    ),
    ExerciseTask(
        "07-bill",
        "•••",
        "The job is paid anew with each update, the longer prompt with each question.",
        any_function("the arguments questions and updates"),
        (
            "Which of the two bills grows with the questions, and which with the updates?",
            "Compare what one question saves with what the jobs of a month cost.",
            "`monthly.hosted(method, load, MODEL, KNOWN).total(questions)` is the bill.",
        ),
        """from helpers.costs import catalog, monthly


def answer(questions, updates):
    load = monthly.Workload(questions=questions, updates=updates)
    offers = {
        method: monthly.hosted(method, load, "gpt-4.1-mini", catalog.load()).total(questions)
        for method in ("few-shot", "tuned")
    }
    return min(offers, key=offers.get)""",
        Contest("of the loads with about the lowest bill", cheap_choices, to_beat=0.75, ours=1.0),
    ),
)

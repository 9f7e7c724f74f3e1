"""Exercises of notebook 02: fine-tuning."""

from __future__ import annotations

from typing import Any

from helpers.course.exercises.checkers import number
from helpers.course.exercises.contests import Contest, no_settings, validation_loss
from helpers.course.exercises.core import ExerciseTask


def _mask(answer: Any) -> str | None:
    if not isinstance(answer, list | tuple) or len(answer) != 3:
        return "The answer is a list of three truth values, one for each message."
    if not all(value in (True, False) for value in answer):
        return "Each of the three is True (learnt) or False (given), without quotes."
    system, user, assistant = answer
    if system or user:
        return "What the system and the user say is given; nobody needs to learn to predict it."
    return None if assistant else "The assistant's message is what the model must learn to say."


_lora = number(
    8 * (576 + 1536),
    "a number of parameters",
    {
        576 * 1536: "That is the full matrix; LoRA leaves it as it is.",
        8 * 576 * 1536: "A and B are thin: each has the rank as one of its sides.",
        8 * 576: "That is A alone; B has numbers too.",
        8 * 1536: "That is B alone; A has numbers too.",
        576 + 1536: "That would be rank 1; here the rank is 8.",
    },
    "A has rank x inputs numbers, B has outputs x rank; add the two.",
)


_steps = number(
    48 * 3,
    "a number of steps",
    {
        48: "That is one epoch; the job has three.",
        47: "That is one epoch without its last, smaller batch; the job has three.",
        142: "The last batch of an epoch may be smaller, but it is a step of its own: round up.",
        # 3 x 47, rounded down in each epoch; 142 rounds the whole job up once.
        141: "The last batch of an epoch may be smaller, but it is a step of its own: round up.",
        378 * 3: "One step looks at a whole batch of eight examples, not at one.",
    },
    "Steps of one epoch = examples / batch size, rounded up; then times the epochs.",
)

TASKS = (
    ExerciseTask(
        "02-mask",
        "•",
        "Only the assistant's message is learnt; the rest is context.",
        _mask,
        (
            "The loss is computed on the words that the model will have to say itself.",
            "At chat time, who writes the system prompt and the question?",
            "Two of the three are False.",
        ),
        "answer = [False, False, True]",
    ),
    ExerciseTask(
        "02-lora",
        "••",
        "8 x 576 + 1536 x 8 = 16,896 numbers instead of 884,736: 1.9%.",
        _lora,
        (
            "LoRA adds two matrices: A with shape (rank, inputs), B with shape (outputs, rank).",
            "A has 8 x 576 numbers.",
            "B has 1536 x 8 numbers; add them.",
        ),
        "answer = 8 * 576 + 1536 * 8",
    ),
    ExerciseTask(
        "02-steps",
        "•••",
        "378 examples in batches of 8 are 48 steps an epoch, so 144 in three.",
        _steps,
        (
            "One step looks at one batch.",
            "378 / 8 is 47.25: what happens to the last example?",
            "48 steps an epoch, three epochs.",
        ),
        "answer = 48 * 3",
    ),
    ExerciseTask(
        "02-settings",
        "•••",
        "With so few steps, each has to go further: the rate and the batch decide how far.",
        no_settings,
        (
            "The automatic settings take three epochs. How many steps are allowed?",
            "Smaller batches give more steps; a higher rate goes further in each.",
            "Try a learning_rate_multiplier between 2 and 6.",
        ),
        """from helpers.finetuning import Hyperparameters

answer = Hyperparameters(n_epochs=3, batch_size=4, learning_rate_multiplier=4.0)""",
        Contest("of validation loss", validation_loss, to_beat=1.36, ours=0.444, lower=True),
    ),
)

"""Exercises of notebook 00: start here."""

from __future__ import annotations

from typing import Any

from helpers.course.exercises.checkers import number, shown
from helpers.course.exercises.core import ExerciseTask


def _messages(answer: Any) -> str | None:
    if not isinstance(answer, list) or not all(isinstance(m, dict) for m in answer):
        return "The answer is a list of messages; each message is a dict."
    roles = [message.get("role") for message in answer]
    if roles == ["user", "system"]:
        return "Both roles are there; the system message comes first."
    if roles != ["system", "user"]:
        return f"The roles are {shown(roles)}; wanted are system and user, in this order."
    texts = [message.get("content") for message in answer]
    if not all(isinstance(text, str) and text.strip() for text in texts):
        return "Each message needs a content that is not empty: a text."
    return None


def _order(answer: Any) -> str | None:
    wanted = ["upload", "job", "model", "chat"]
    if not isinstance(answer, list | tuple) or not all(isinstance(step, str) for step in answer):
        return 'The answer is a list of the four words, each in quotes: ["…", "…", "…", "…"].'
    given = [step.strip().lower() for step in answer]
    if given == wanted:
        return None
    if sorted(given) != sorted(wanted):
        return 'Use each of "upload", "job", "model" and "chat" once, in a list.'
    if given.index("upload") > given.index("job"):
        return "A job needs the id of a file, so the upload comes first."
    if given.index("model") < given.index("job"):
        return "The new model's id comes out of the job, so the job comes before it."
    return "One chats with the new model when there is one: the chat comes last."


_epochs = number(
    9 * 5,
    "how many times an example is seen",
    {
        9: "That is one epoch: each of the nine examples once. There are five epochs.",
        5: "That is one example, seen in five epochs. There are nine examples.",
        14: "The two are multiplied, not added: nine examples in every epoch.",
    },
    "Multiply the examples by the epochs.",
)

TASKS = (
    ExerciseTask(
        "00-messages",
        "•",
        "The system message sets the scene, the user message asks.",
        _messages,
        (
            "A message has two keys: role and content.",
            "The list has two messages.",
            'Begin with {"role": "system", "content": "You are …"}.',
        ),
        """answer = [
    {"role": "system", "content": "You are a polite librarian."},
    {"role": "user", "content": "When do you open?"},
]""",
    ),
    ExerciseTask(
        "00-order",
        "••",
        "File, job, model id, chat: the whole workflow.",
        _order,
        (
            "What does a job need before it can be created?",
            "What does a job give when it has succeeded?",
            "The chat comes last.",
        ),
        'answer = ["upload", "job", "model", "chat"]',
    ),
    ExerciseTask(
        "00-epochs",
        "•••",
        "Nine examples, each seen five times.",
        _epochs,
        (
            "An epoch is one pass over all examples.",
            "In one epoch the model sees nine examples.",
            "9 x 5",
        ),
        "answer = 9 * 5",
    ),
)

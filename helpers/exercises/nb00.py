"""Exercises of notebook 00: start here."""

from __future__ import annotations

from typing import Any

from helpers.exercises.core import Task


def _messages(answer: Any) -> str | None:
    if not isinstance(answer, list) or not all(isinstance(m, dict) for m in answer):
        return "The answer is a list of messages; each message is a dict."
    roles = [message.get("role") for message in answer]
    if roles == ["user", "system"]:
        return "Both roles are there; the system message comes first."
    if roles != ["system", "user"]:
        return f"The roles are {roles}; wanted are system and user, in this order."
    if not all(str(message.get("content") or "").strip() for message in answer):
        return "Each message needs a content that is not empty."
    return None


def _order(answer: Any) -> str | None:
    wanted = ["upload", "job", "model", "chat"]
    if answer == wanted:
        return None
    if not isinstance(answer, list) or sorted(map(str, answer)) != sorted(wanted):
        return 'Use each of "upload", "job", "model" and "chat" once, in a list.'
    if answer.index("upload") > answer.index("job"):
        return "A job needs the id of a file, so the upload comes first."
    return "The job gives the model its id, and then one can chat with it."


def _tokens(answer: Any) -> str | None:
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return "The answer is a number of examples."
    if answer == 9 * 5:
        return None
    if answer in (9, 5):
        return "That is one of the two numbers: each example is seen once an epoch."
    return "Examples x epochs."


TASKS = (
    Task(
        "00-messages",
        "🟢",
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
    Task(
        "00-order",
        "🔵",
        "File, job, model id, chat: the whole workflow.",
        _order,
        (
            "What does a job need before it can be created?",
            "What does a job give when it has succeeded?",
            "The chat comes last.",
        ),
        'answer = ["upload", "job", "model", "chat"]',
    ),
    Task(
        "00-epochs",
        "⚫",
        "Nine examples, each seen five times.",
        _tokens,
        (
            "An epoch is one pass over all examples.",
            "In one epoch the model sees nine examples.",
            "9 x 5",
        ),
        "answer = 9 * 5",
    ),
)

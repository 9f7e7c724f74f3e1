"""What an example of a dataset is: its format, its messages, and its texts.

For: everything that looks into an example. Not for: judging one, see
`helpers.datasets.validation.schema`.

    kind_of({"messages": []})       # "chat"
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from helpers.base.chat_format import text_of

Kind = Literal["chat", "completion", "dpo"]


def kind_of(example: dict[str, Any]) -> Kind | None:
    """The format that the keys of an example belong to."""
    if "messages" in example:
        return "chat"
    if "preferred_output" in example or "non_preferred_output" in example:
        return "dpo"
    if "prompt" in example or "completion" in example:
        return "completion"
    return None


@dataclass(frozen=True)
class Sides:
    """What a model is asked in an example, and what it should say."""

    system: str
    question: str
    answer: str


def sides(kind: Kind, example: dict[str, Any]) -> Sides:
    """The question (all that stands before the last answer) and the answer, as text."""
    if kind == "completion":
        texts = [example.get(key) for key in ("prompt", "completion")]
        prompt, completion = (text if isinstance(text, str) else "" for text in texts)
        return Sides("", prompt, completion)
    preferred = example.get("preferred_output")
    known = {key: value for key, value in example.items() if key != "non_preferred_output"}
    if kind == "dpo" and not isinstance(preferred, list):
        known["preferred_output"] = [{}]
    *before, last = [*messages_of(kind, known)] or [{}]
    spoken = [m for m in before if m.get("role") not in ("system", "developer")]
    system = [text_of(m) for m in before if m not in spoken]
    return Sides("\n".join(system), "\n".join(map(text_of, spoken)), text_of(last))


def messages_of(kind: Kind, example: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All messages of a chat or preference example; what is malformed is left out."""
    if kind == "chat":
        lists = [example.get("messages")]
    else:
        given = example.get("input")
        lists = [given.get("messages") if isinstance(given, dict) else None]
        lists += [example.get("preferred_output"), example.get("non_preferred_output")]
    for messages in lists:
        yield from _messages(messages)


def chats_of(kind: Kind, example: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    """The chats that are trained on: one, or both sides of a preference pair.

    Of a pair only the compared answer is learnt: earlier ones get the weight 0. What is
    malformed is left out.
    """
    if kind == "chat":
        return [_messages(example.get("messages"))]
    given = example.get("input")
    asked = _messages(given.get("messages") if isinstance(given, dict) else None)
    context = [{**message, "weight": 0} for message in asked]
    sides = ("preferred_output", "non_preferred_output")
    return [[*context, *_messages(example.get(key))] for key in sides]


def _messages(value: Any) -> list[dict[str, Any]]:
    listed = value if isinstance(value, list) else []
    return [message for message in listed if isinstance(message, dict)]

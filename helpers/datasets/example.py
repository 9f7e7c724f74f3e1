"""What an example of a dataset is: its format, its messages, and its texts.

For: everything that looks into an example. Not for: judging one, see
`helpers.datasets.validation.schema`.

    kind_of({"messages": []})       # "chat"
"""

from __future__ import annotations

from collections.abc import Iterator
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
        if isinstance(messages, list):
            yield from (message for message in messages if isinstance(message, dict))


def texts(kind: Kind, example: dict[str, Any]) -> list[str]:
    """Every text of an example, in order."""
    if kind == "completion":
        sides = (example.get("prompt"), example.get("completion"))
        return [side for side in sides if isinstance(side, str)]
    return [text_of(message) for message in messages_of(kind, example)]

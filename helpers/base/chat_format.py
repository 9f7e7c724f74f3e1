"""One chat as the one text that a model reads: who speaks, what is said, and the marks between.

For: everything that counts, trains on or answers a chat, so that all see the same text. The
form is ChatML, as SmolLM2's chat template writes it. Not for: tokens, see
`helpers.base.tokens`, nor for judging a message, see `helpers.datasets.validation.schema`.

    text_of({"role": "user", "content": [{"type": "text", "text": "Hi"}]})      # "Hi"
    chat_text([{"role": "user", "content": "Hi"}])      # "<|im_start|>system\\nYou are …"
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What SmolLM2's chat template puts in front when a conversation has no system message."""
START, END = "<|im_start|>", "<|im_end|>"
SYSTEM_ROLES = ("system", "developer")
"""OpenAI's newer models say developer; this one knows system alone."""

Message = Mapping[str, Any]


class Turn(NamedTuple):
    """One message between its marks: `START + head + text + END + tail`."""

    message: Message
    role: str
    head: str
    """The role and a line break."""
    text: str
    """What the message says. Whatever stands in it is text: it can open no other turn."""
    tail: str
    """The line break before the next message."""


def text_of(message: Message) -> str:
    """What a message says: its text or text parts, its refusal, and its calls as JSON.

    Pictures and sounds have no text; `helpers.datasets.validation` reports them.
    """
    content = message.get("content")
    if not isinstance(content, str):
        content = "".join(map(_part_text, content if isinstance(content, list) else ()))
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        content = f"{content}\n{refusal}" if content else refusal
    calls = message.get("tool_calls") or message.get("function_call")
    return content + json.dumps(_functions(calls)) if calls else content


def _part_text(part: Any) -> str:
    said = (part.get("text") or part.get("refusal")) if isinstance(part, Mapping) else None
    return said if isinstance(said, str) else ""


def _functions(calls: Any) -> list[Any]:
    listed = calls if isinstance(calls, list) else [calls]
    return [call.get("function", call) if isinstance(call, Mapping) else call for call in listed]


def role_of(message: Message) -> str:
    """A message's role in the words of the chat template."""
    role = message.get("role", "")
    return "system" if role in SYSTEM_ROLES else str(role)


def turns(messages: Sequence[Message]) -> list[Turn]:
    """The turns of a chat; without a system message it begins with the template's own."""
    given = list(messages)
    if given and role_of(given[0]) != "system":
        given.insert(0, {"role": "system", "content": DEFAULT_SYSTEM})
    return [Turn(m, role_of(m), f"{role_of(m)}\n", text_of(m), "\n") for m in given]


def chat_text(messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
    """The whole text, with the beginning of an answer if asked for."""
    text = "".join(f"{START}{t.head}{t.text}{END}{t.tail}" for t in turns(messages))
    return text + (f"{START}assistant\n" if add_generation_prompt else "")
